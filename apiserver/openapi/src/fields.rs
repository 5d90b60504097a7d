//! The schema of a field: its shape, what its markers say, and how a reference with siblings is written.

use corten_schema::{Field, ListType, RawKind, SchemaOr, Shape};

use crate::json::Writer;
use crate::names;

/// What stands beside the type in a property.
#[derive(Default)]
struct Siblings<'f> {
    /// JSON text.
    description: Option<&'f str>,
    default: Option<&'f str>,
    /// A constraint of a list's elements, where the field is a list.
    enumeration: &'f [&'f str],
    format: &'f str,
}

pub(crate) fn write(w: &mut Writer, field: &Field, description: Option<&str>) {
    let siblings = Siblings {
        description,
        default: default(field),
        enumeration: field.markers.enumeration,
        format: field.markers.format,
    };
    write_shape(w, &field.shape, &siblings, |w| extensions(w, field));
}

/// The component that the shape names.
pub(crate) fn reference(shape: &Shape) -> Option<String> {
    let special = |name: &str| Some(name.to_owned());
    match shape {
        Shape::Struct(ty) => Some(names::component(ty.get().name)),
        Shape::Time => special("io.k8s.apimachinery.pkg.apis.meta.v1.Time"),
        Shape::MicroTime => special("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"),
        Shape::Duration => special("io.k8s.apimachinery.pkg.apis.meta.v1.Duration"),
        Shape::Quantity => special("io.k8s.apimachinery.pkg.api.resource.Quantity"),
        Shape::IntOrString => special("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
        Shape::Raw(RawKind::RawExtension) => special("io.k8s.apimachinery.pkg.runtime.RawExtension"),
        Shape::Raw(RawKind::FieldsV1) => special("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"),
        Shape::Raw(RawKind::Json) => Some(names::component("apiextensions.v1.JSON")),
        Shape::SchemaOr(SchemaOr::Bool(_)) => Some(names::component("apiextensions.v1.JSONSchemaPropsOrBool")),
        Shape::SchemaOr(SchemaOr::Array(_)) => Some(names::component("apiextensions.v1.JSONSchemaPropsOrArray")),
        Shape::SchemaOr(SchemaOr::Strings(_)) => {
            Some(names::component("apiextensions.v1.JSONSchemaPropsOrStringArray"))
        }
        Shape::List(element) | Shape::Map(element) | Shape::WrappedList(element) => reference(element),
        Shape::Bool | Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::String | Shape::Bytes => None,
    }
}

fn write_shape(w: &mut Writer, shape: &Shape, siblings: &Siblings<'_>, extensions: impl FnOnce(&mut Writer)) {
    let (name, format) = match shape {
        Shape::List(_) | Shape::WrappedList(_) => ("array", ""),
        Shape::Map(_) => ("object", ""),
        Shape::Bool => ("boolean", ""),
        Shape::Int32 => ("integer", "int32"),
        Shape::Int64 => ("integer", "int64"),
        Shape::Float64 => ("number", "double"),
        Shape::Bytes => ("string", "byte"),
        Shape::String => ("string", ""),
        _ => return write_reference(w, &reference(shape).unwrap_or_default(), siblings, extensions),
    };
    w.object(|w| {
        if let Some(description) = siblings.description {
            w.raw_member("description", description);
        }
        w.member("type", name);
        let format = if siblings.format.is_empty() { format } else { siblings.format };
        if !format.is_empty() {
            w.member("format", format);
        }
        if let Some(default) = siblings.default {
            w.raw_member("default", default);
        }
        match shape {
            Shape::List(element) | Shape::WrappedList(element) => {
                w.key("items");
                write_element(w, element, siblings.enumeration);
            }
            Shape::Map(element) => {
                w.key("additionalProperties");
                write_element(w, element, siblings.enumeration);
            }
            _ if siblings.enumeration.is_empty() => {}
            _ => w.strings_member("enum", siblings.enumeration.iter().copied()),
        }
        extensions(w);
    });
}

fn write_element(w: &mut Writer, element: &Shape, enumeration: &[&str]) {
    write_shape(w, element, &Siblings { enumeration, ..Siblings::default() }, |_| {});
}

/// A `$ref` admits no siblings, so with any it is wrapped in `allOf`.
fn write_reference(w: &mut Writer, component: &str, siblings: &Siblings<'_>, extensions: impl FnOnce(&mut Writer)) {
    let mut beside = Writer::new();
    beside.object(extensions);
    let beside = beside.finish();
    let bare = siblings.description.is_none() && siblings.default.is_none() && beside == b"{}";
    w.object(|w| {
        if bare {
            return w.member("$ref", &names::reference(component));
        }
        if let Some(description) = siblings.description {
            w.raw_member("description", description);
        }
        if let Some(default) = siblings.default {
            w.raw_member("default", default);
        }
        w.key("allOf");
        w.array(|w| w.object(|w| w.member("$ref", &names::reference(component))));
        let members = std::str::from_utf8(&beside).unwrap_or("{}").trim_start_matches('{').trim_end_matches('}');
        if !members.is_empty() {
            w.raw(members);
        }
    });
}

/// What a marker says, or else the zero value that decoding gives a field which is always written. Types that decode
/// themselves (times, quantities) have none.
fn default(field: &Field) -> Option<&'static str> {
    if !field.markers.default.is_empty() {
        return Some(field.markers.default);
    }
    match field.shape {
        _ if field.pointer => None,
        Shape::Struct(_) => Some("{}"),
        _ if field.omit_empty => None,
        Shape::String => Some("\"\""),
        Shape::Bool => Some("false"),
        Shape::Int32 | Shape::Int64 | Shape::Float64 => Some("0"),
        _ => None,
    }
}

/// In alphabetic order.
fn extensions(w: &mut Writer, field: &Field) {
    let markers = field.markers;
    let other = |marker: &str| markers.other.split(' ').any(|other| other == marker);
    if !markers.list_map_keys.is_empty() {
        w.strings_member("x-kubernetes-list-map-keys", markers.list_map_keys.iter().copied());
    }
    match markers.list {
        ListType::Unset => {}
        ListType::Atomic => w.member("x-kubernetes-list-type", "atomic"),
        ListType::Set => w.member("x-kubernetes-list-type", "set"),
        ListType::Map => w.member("x-kubernetes-list-type", "map"),
    }
    if markers.map_atomic {
        w.member("x-kubernetes-map-type", "atomic");
    } else if other("map-type=granular") {
        w.member("x-kubernetes-map-type", "granular");
    }
    if !markers.merge_key.is_empty() {
        w.member("x-kubernetes-patch-merge-key", markers.merge_key);
    }
    match (markers.patch_merge, markers.retain_keys) {
        (false, false) if other("patch=replace") => w.member("x-kubernetes-patch-strategy", "replace"),
        (false, false) => {}
        (true, false) => w.member("x-kubernetes-patch-strategy", "merge"),
        (false, true) => w.member("x-kubernetes-patch-strategy", "retainKeys"),
        (true, true) => w.member("x-kubernetes-patch-strategy", "merge,retainKeys"),
    }
}
