//! A version's schemas as OpenAPI v3 publishes them.

use corten_api::json::{Members, write_array, write_f64, write_string, write_strings};
use corten_object::json;
use corten_object::tree::{Node, Value, View};
use corten_views::apiextensions_v1::{CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps};

use crate::custom_resource_definition::structural;
use crate::schema::{Schema, parse_json, properties};
use corten_api::field::Path;

#[cfg(test)]
mod tests;

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const EMBEDDED_API_VERSION: &str = "apiVersion defines the versioned schema of this representation of an object. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const EMBEDDED_KIND: &str = "kind is a string value representing the type of this object. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const LIST_METADATA: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// What a version adds to the schemas of its group's document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// `com.example.v1.Widget`.
    pub name: String,
    pub schema: Vec<u8>,
    pub list_name: String,
    pub list_schema: Vec<u8>,
}

/// The name of a kind's schema: the group turned round, version and kind.
pub fn model_name(group: &str, version: &str, kind: &str) -> String {
    let parts: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{version}.{kind}", parts.join("."))
}

/// The schemas of a version; None if there is no such version.
pub fn publish(crd: Node<'_>, version: &str) -> Option<Published> {
    let crd = CustomResourceDefinition::from_struct(crd.as_struct());
    let found = crd.spec().versions().iter().find(|candidate| candidate.name() == version)?;
    let (group, names) = (crd.spec().group(), crd.spec().names());
    let name = model_name(group, version, names.kind());
    let mut schema = Vec::with_capacity(2048);
    write_root(crd, found, &mut schema);
    let mut list_schema = Vec::with_capacity(2048);
    write_list(crd, found, &name, &mut list_schema);
    Some(Published { list_name: model_name(group, version, names.list_kind()), name, schema, list_schema })
}

/// An object whose members are left out where they say nothing.
struct Object<'o>(Members<'o>);

impl<'o> Object<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Object(Members::new(out))
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.name(name)
    }

    fn string(&mut self, name: &str, value: &str) {
        self.0.string(name, value);
    }

    fn truth(&mut self, name: &str, value: bool) {
        if value {
            self.name(name).extend_from_slice(b"true");
        }
    }

    fn int(&mut self, name: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.name(name).extend_from_slice(value.to_string().as_bytes());
        }
    }

    fn float(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            write_f64(self.name(name), value);
        }
    }

    fn strings<'s>(&mut self, name: &str, values: impl Iterator<Item = &'s str>) {
        let values: Vec<&str> = values.collect();
        if !values.is_empty() {
            write_strings(self.name(name), values);
        }
    }

    fn raw(&mut self, name: &str, text: Option<&str>) {
        if let Some(value) = text.and_then(parse_json).filter(|value| !value.root().is_null()) {
            json::write_sorted(value.root(), self.name(name));
        }
    }

    /// A reference to another schema, with a description of its own.
    fn reference(&mut self, name: &str, description: &str, schema: &str) {
        let mut property = Object::new(self.name(name));
        property.string("description", description);
        let all_of = property.name("allOf");
        all_of.extend_from_slice(b"[");
        write_reference(schema, all_of);
        all_of.extend_from_slice(b"]");
        property.end();
    }

    fn text_property(&mut self, name: &str, description: &str) {
        let mut property = Object::new(self.name(name));
        property.string("description", description);
        property.string("type", "string");
        property.end();
    }

    fn end(self) {
        self.0.end();
    }
}

fn write_reference(schema: &str, out: &mut Vec<u8>) {
    let mut reference = Object::new(out);
    reference.string("$ref", &format!("#/components/schemas/{schema}"));
    reference.end();
}

/// What stands beside the schema of a kind.
fn write_kind(
    crd: CustomResourceDefinition<'_>,
    version: CustomResourceDefinitionVersion<'_>,
    kind: &str,
    object: &mut Object<'_>,
) {
    let out = object.name("x-kubernetes-group-version-kind");
    out.push(b'[');
    let mut name = Object::new(out);
    write_string(name.name("group"), crd.spec().group());
    write_string(name.name("kind"), kind);
    write_string(name.name("version"), version.name());
    name.end();
    out.push(b']');
}

fn write_selectable(version: CustomResourceDefinitionVersion<'_>, object: &mut Object<'_>) {
    let fields = version.selectable_fields();
    if fields.is_empty() {
        return;
    }
    write_array(object.name("x-kubernetes-selectable-fields"), fields.iter(), |field, out| {
        let path = field.json_path();
        let mut entry = Object::new(out);
        write_string(entry.name("fieldPath"), path.strip_prefix('.').unwrap_or(path));
        entry.end();
    });
}

/// Which properties come beside a schema's own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meta {
    None,
    Root,
    Embedded,
}

fn write_root(crd: CustomResourceDefinition<'_>, version: CustomResourceDefinitionVersion<'_>, out: &mut Vec<u8>) {
    let props = version.schema().and_then(|schema| schema.open_api_v3_schema());
    let sound = |props: &JSONSchemaProps<'_>| {
        Schema::compile(*props).is_ok() && structural::validate(*props, &Path::root()).is_empty()
    };
    let mut object = Object::new(out);
    match props.filter(sound) {
        // Without a schema clients would take the lack of properties for their prohibition.
        None => object.string("type", "object"),
        Some(props) => write_schema(props, Meta::Root, &mut object),
    }
    let mut extensions = object;
    write_kind(crd, version, crd.spec().names().kind(), &mut extensions);
    if let Some(props) = props.filter(sound) {
        write_extensions(props, &mut extensions, Some(version));
    } else {
        write_selectable(version, &mut extensions);
    }
    extensions.end();
}

fn write_list(
    crd: CustomResourceDefinition<'_>,
    version: CustomResourceDefinitionVersion<'_>,
    item: &str,
    out: &mut Vec<u8>,
) {
    let names = crd.spec().names();
    let mut object = Object::new(out);
    object.string("description", &format!("{} is a list of {}", names.list_kind(), names.kind()));
    object.string("type", "object");
    object.strings("required", ["items"].into_iter());
    let mut properties = Object::new(object.name("properties"));
    properties.text_property("apiVersion", API_VERSION);
    let mut items = Object::new(properties.name("items"));
    let more = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
    items.string("description", &format!("List of {}. {more}", names.plural()));
    items.string("type", "array");
    write_reference(item, items.name("items"));
    items.end();
    properties.text_property("kind", KIND);
    properties.reference("metadata", LIST_METADATA, LIST_META);
    properties.end();
    write_kind(crd, version, names.list_kind(), &mut object);
    write_selectable(version, &mut object);
    object.end();
}

/// Everything but extensions, in the order of upstream's struct.
fn write_schema(props: JSONSchemaProps<'_>, meta: Meta, object: &mut Object<'_>) {
    object.string("description", props.description());
    object.string("type", props.type_());
    object.truth("nullable", props.nullable());
    object.string("format", props.format());
    object.string("title", props.title());
    object.raw("default", props.default());
    object.float("maximum", props.maximum());
    object.truth("exclusiveMaximum", props.exclusive_maximum());
    object.float("minimum", props.minimum());
    object.truth("exclusiveMinimum", props.exclusive_minimum());
    object.int("maxLength", props.max_length());
    object.int("minLength", props.min_length());
    object.string("pattern", props.pattern());
    object.int("maxItems", props.max_items());
    object.int("minItems", props.min_items());
    object.truth("uniqueItems", props.unique_items());
    object.float("multipleOf", props.multiple_of());
    if !props.enum_().is_empty() {
        write_array(object.name("enum"), props.enum_().iter(), json::write);
    }
    object.int("maxProperties", props.max_properties());
    object.int("minProperties", props.min_properties());
    let required = props.required();
    let more = ["kind", "apiVersion"].into_iter().filter(|name| meta == Meta::Embedded && !required.contains(name));
    object.strings("required", required.iter().chain(more));
    if let Some(items) = props.items().filter(|items| matches!(items.value(), Value::Struct(_))) {
        write_nested(JSONSchemaProps::from_struct(items.as_struct()), object.name("items"));
    }
    write_junctors(props, object);
    write_properties(props, meta, object);
    match props.additional_properties().map(|node| (node, node.value())) {
        Some((node, Value::Struct(_))) => {
            write_nested(JSONSchemaProps::from_struct(node.as_struct()), object.name("additionalProperties"));
        }
        Some((_, Value::Bool(allows))) => {
            object.name("additionalProperties").extend_from_slice(if allows { b"true" } else { b"false" });
        }
        _ => {}
    }
    if let Some(docs) = props.external_docs() {
        let mut external = Object::new(object.name("externalDocs"));
        external.string("description", docs.description());
        external.string("url", docs.url());
        external.end();
    }
    object.raw("example", props.example());
}

fn write_nested(props: JSONSchemaProps<'_>, out: &mut Vec<u8>) {
    let meta = if props.x_kubernetes_embedded_resource() { Meta::Embedded } else { Meta::None };
    let mut object = Object::new(out);
    write_schema(props, meta, &mut object);
    write_extensions(props, &mut object, None);
    object.end();
}

/// What int-or-string means is written out for those who do not know the extension.
fn write_junctors(props: JSONSchemaProps<'_>, object: &mut Object<'_>) {
    const INT_OR_STRING: &[u8] = br#"[{"type":"integer"},{"type":"string"}]"#;
    let unfold = props.x_kubernetes_int_or_string() && !says_int_or_string(props);
    let own_any_of = !props.any_of().is_empty();
    let lists = [
        ("allOf", props.all_of(), unfold && own_any_of),
        ("oneOf", props.one_of(), false),
        ("anyOf", props.any_of(), unfold && !own_any_of),
    ];
    for (name, schemas, unfolds) in lists {
        if name == "anyOf" && unfolds {
            object.name(name).extend_from_slice(INT_OR_STRING);
            continue;
        }
        if schemas.is_empty() && !unfolds {
            continue;
        }
        let out = object.name(name);
        out.push(b'[');
        if unfolds {
            out.extend_from_slice(b"{\"anyOf\":");
            out.extend_from_slice(INT_OR_STRING);
            out.push(b'}');
        }
        for (index, schema) in schemas.iter().enumerate() {
            if index > 0 || unfolds {
                out.push(b',');
            }
            write_nested(schema, out);
        }
        out.push(b']');
    }
    if let Some(not) = props.not() {
        write_nested(not, object.name("not"));
    }
}

fn says_int_or_string(props: JSONSchemaProps<'_>) -> bool {
    structural::is_int_or_string(props) || props.all_of().get(0).is_some_and(structural::is_int_or_string)
}

fn write_properties(props: JSONSchemaProps<'_>, meta: Meta, object: &mut Object<'_>) {
    let own: Vec<(&str, JSONSchemaProps<'_>)> = properties(props).collect();
    if own.is_empty() && meta == Meta::None {
        return;
    }
    let mut names: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
    if meta != Meta::None {
        names.extend(["apiVersion", "kind", "metadata"]);
        names.sort_unstable();
        names.dedup();
    }
    let mut out = Object::new(object.name("properties"));
    for name in names {
        match (name, meta) {
            ("apiVersion", Meta::Root) => out.text_property(name, API_VERSION),
            ("kind", Meta::Root) => out.text_property(name, KIND),
            ("apiVersion", Meta::Embedded) => out.text_property(name, EMBEDDED_API_VERSION),
            ("kind", Meta::Embedded) => out.text_property(name, EMBEDDED_KIND),
            ("metadata", Meta::Root | Meta::Embedded) => out.reference(name, METADATA, OBJECT_META),
            _ => {
                if let Ok(at) = own.binary_search_by_key(&name, |(own, _)| *own) {
                    write_nested(own[at].1, out.name(name));
                }
            }
        }
    }
    out.end();
}

/// Extensions, by name. At the root the selectable fields stand among them.
fn write_extensions(
    props: JSONSchemaProps<'_>,
    object: &mut Object<'_>,
    version: Option<CustomResourceDefinitionVersion<'_>>,
) {
    object.truth("x-kubernetes-embedded-resource", props.x_kubernetes_embedded_resource());
    object.truth("x-kubernetes-int-or-string", props.x_kubernetes_int_or_string());
    object.strings("x-kubernetes-list-map-keys", props.x_kubernetes_list_map_keys().iter());
    object.string("x-kubernetes-list-type", props.x_kubernetes_list_type().unwrap_or_default());
    object.string("x-kubernetes-map-type", props.x_kubernetes_map_type().unwrap_or_default());
    let preserves = props.x_kubernetes_preserve_unknown_fields() == Some(true);
    object.truth("x-kubernetes-preserve-unknown-fields", preserves);
    if let Some(version) = version {
        write_selectable(version, object);
    }
    if !props.x_kubernetes_validations().is_empty() {
        let out = object.name("x-kubernetes-validations");
        out.push(b'[');
        for (index, rule) in props.x_kubernetes_validations().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if let Some(node) = rule.as_struct().as_node() {
                json::write(node, out);
            }
        }
        out.push(b']');
    }
}
