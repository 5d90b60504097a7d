//! The schemas of a document: each type that its operations name, and every type that those refer to.

use std::collections::BTreeSet;

use corten_schema::{KINDS, Type, TypeId};

use crate::descriptions::Descriptions;
use crate::fields;
use crate::json::Writer;
use crate::names;
use crate::operation::Gvk;

/// Types whose schema does not follow from the tables: they encode themselves.
const SPECIAL: &[(&str, &str)] = &[
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray", ""),
    (QUANTITY, r#""oneOf":[{"type":"string"},{"type":"number"}]"#),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", r#""type":"string""#),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", r#""type":"object""#),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", r#""type":"string","format":"date-time""#),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", r#""type":"object""#),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", r#""type":"string","format":"date-time""#),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", r#""type":"object""#),
    (INT_OR_STRING, r#""format":"int-or-string","oneOf":[{"type":"integer"},{"type":"string"}]"#),
    (VERSION_INFO, ""),
];

pub(crate) const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
pub(crate) const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
pub(crate) const VERSION_INFO: &str = "io.k8s.apimachinery.pkg.version.Info";

/// The members of `/version`'s answer, in their order; the first nine are always there.
const VERSION_FIELDS: &[&str] = &[
    "major",
    "minor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
    "emulationMajor",
    "emulationMinor",
    "minCompatibilityMajor",
    "minCompatibilityMinor",
];

/// The components of built-in types that are reached from the given ones, those included.
pub(crate) fn reached(roots: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = roots.into_iter().collect();
    while let Some(name) = open.pop() {
        if let Some(ty) = names::type_of(&name) {
            open.extend(ty.get().fields.iter().filter_map(|field| fields::reference(&field.shape)));
        }
        // The tables have recursive types, so what was seen must not be opened again.
        open.retain(|name| !reached.contains(name));
        reached.insert(name);
    }
    reached
}

/// Writes the schema of a built-in type. `shared` are the group versions beside the core one under which each group has
/// kinds such as DeleteOptions.
pub(crate) fn write(w: &mut Writer, name: &str, shared: &[(&str, &str)], descriptions: &Descriptions<'_>) {
    match names::type_of(name) {
        Some(ty) => write_type(w, name, ty, shared, descriptions),
        None => write_special(w, name, descriptions),
    }
}

fn write_special(w: &mut Writer, name: &str, descriptions: &Descriptions<'_>) {
    w.object(|w| {
        if let Some(description) = descriptions.of(name, None) {
            w.raw_member("description", description);
        }
        if name == VERSION_INFO {
            write_version_info(w, descriptions);
        } else if let Some((_, members)) =
            SPECIAL.iter().find(|(special, members)| *special == name && !members.is_empty())
        {
            w.raw(members);
        }
    });
}

fn write_version_info(w: &mut Writer, descriptions: &Descriptions<'_>) {
    let required = &VERSION_FIELDS[..9];
    w.member("type", "object");
    w.strings_member("required", required.iter().copied());
    w.object_member("properties", |w| {
        for field in VERSION_FIELDS.iter().collect::<BTreeSet<_>>() {
            w.object_member(field, |w| {
                if let Some(description) = descriptions.of(VERSION_INFO, Some(field)) {
                    w.raw_member("description", description);
                }
                w.member("type", "string");
                if required.contains(field) {
                    w.member("default", "");
                }
            });
        }
    });
}

fn write_type(w: &mut Writer, name: &str, ty: TypeId, shared: &[(&str, &str)], descriptions: &Descriptions<'_>) {
    let row = ty.get();
    w.object(|w| {
        match descriptions.of(name, None) {
            Some(description) => w.raw_member("description", description),
            None => write_own_description(w, row),
        }
        w.member("type", "object");
        let mut required = row.fields.iter().filter(|field| field.markers.required).peekable();
        if required.peek().is_some() {
            w.strings_member("required", required.map(|field| field.name));
        }
        if !row.fields.is_empty() {
            w.object_member("properties", |w| write_properties(w, name, row, descriptions));
        }
        write_gvks(w, ty, shared);
        if row.atomic {
            w.member("x-kubernetes-map-type", "atomic");
        }
        if !row.unions.is_empty() {
            w.raw_member("x-kubernetes-unions", row.unions);
        }
    });
}

fn write_properties(w: &mut Writer, name: &str, row: &Type, descriptions: &Descriptions<'_>) {
    for &place in row.by_name {
        let field = &row.fields[usize::from(place)];
        let own = own_description(row, field.name, descriptions);
        w.key(field.name);
        fields::write(w, field, descriptions.of(name, Some(field.name)).or(own));
    }
}

/// Lists have no descriptions of their own in what the build gathers.
fn is_list(row: &Type) -> bool {
    row.name.ends_with("List") && row.field_named("items").is_some()
}

fn write_own_description(w: &mut Writer, row: &Type) {
    let kind = row.name.rsplit('.').next().unwrap_or_default();
    if is_list(row) {
        w.member("description", &format!("{kind} is a list of {} objects.", kind.trim_end_matches("List")));
    } else if kind == "WatchEvent" {
        w.member("description", "WatchEvent is one change of a watched resource.");
    }
}

fn own_description<'t>(row: &Type, field: &str, descriptions: &Descriptions<'t>) -> Option<&'t str> {
    match field {
        "object" if row.name == "meta.v1.WatchEvent" => Some(
            "\"The object as it is now, or, if it was deleted, as it was before. Of a bookmark it has a resourceVersion \
             only; of an error it is a Status.\"",
        ),
        _ if !is_list(row) => None,
        "apiVersion" | "kind" => descriptions.of("io.k8s.api.core.v1.Pod", Some(field)),
        "items" => Some("\"The objects of the list.\""),
        "metadata" => Some("\"Metadata of the list: its resourceVersion, and how to continue it.\""),
        _ => None,
    }
}

/// The kinds under which a type is known.
fn write_gvks(w: &mut Writer, ty: TypeId, shared: &[(&str, &str)]) {
    let mut gvks: Vec<Gvk> =
        KINDS.iter().filter(|kind| kind.ty == ty).map(|kind| Gvk::new(kind.group, kind.version, kind.kind)).collect();
    if let "meta.v1.DeleteOptions" | "meta.v1.WatchEvent" = ty.get().name {
        let kind = ty.get().name.trim_start_matches("meta.v1.");
        gvks.push(Gvk::new("", "v1", kind));
        gvks.extend(shared.iter().map(|(group, version)| Gvk::new(group, version, kind)));
        gvks.sort();
        gvks.dedup();
    }
    if !gvks.is_empty() {
        w.key("x-kubernetes-group-version-kind");
        w.array(|w| gvks.iter().for_each(|gvk| gvk.write_alphabetic(w)));
    }
}
