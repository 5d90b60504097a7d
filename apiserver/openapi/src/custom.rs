//! Custom kinds: their operations, and their schemas with what every object has beside what its definition says.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::components::list_field_description;
use crate::descriptions::Descriptions;
use crate::names::{self, META};
use crate::operation::{Body, Content, Gvk, Operation, Paths};
use crate::parameters;

/// One version of a custom kind, as its definition publishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomKind {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub kind: String,
    pub list_kind: String,
    pub namespaced: bool,
    /// Whether it has these subresources.
    pub status: bool,
    pub scale: bool,
    /// JSON paths of selectable fields: `.spec.color`.
    pub selectable_fields: Vec<String>,
    /// The JSON text of a structural `openAPIV3Schema`; none where the version publishes none.
    pub schema: Option<Arc<str>>,
}

/// The group versions that upstream's client library knows DeleteOptions of; documents of custom kinds name them all.
pub(crate) const DELETE_OPTIONS: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "v1"),
    ("admissionregistration.k8s.io", "v1alpha1"),
    ("admissionregistration.k8s.io", "v1beta1"),
    ("apps", "v1"),
    ("apps", "v1beta1"),
    ("apps", "v1beta2"),
    ("authentication.k8s.io", "v1"),
    ("authentication.k8s.io", "v1alpha1"),
    ("authentication.k8s.io", "v1beta1"),
    ("authorization.k8s.io", "v1"),
    ("authorization.k8s.io", "v1beta1"),
    ("autoscaling", "v1"),
    ("autoscaling", "v2"),
    ("batch", "v1"),
    ("batch", "v1beta1"),
    ("certificates.k8s.io", "v1"),
    ("certificates.k8s.io", "v1alpha1"),
    ("certificates.k8s.io", "v1beta1"),
    ("coordination.k8s.io", "v1"),
    ("coordination.k8s.io", "v1alpha2"),
    ("coordination.k8s.io", "v1beta1"),
    ("discovery.k8s.io", "v1"),
    ("discovery.k8s.io", "v1beta1"),
    ("events.k8s.io", "v1"),
    ("events.k8s.io", "v1beta1"),
    ("extensions", "v1beta1"),
    ("flowcontrol.apiserver.k8s.io", "v1"),
    ("flowcontrol.apiserver.k8s.io", "v1beta1"),
    ("flowcontrol.apiserver.k8s.io", "v1beta2"),
    ("flowcontrol.apiserver.k8s.io", "v1beta3"),
    ("internal.apiserver.k8s.io", "v1alpha1"),
    ("networking.k8s.io", "v1"),
    ("networking.k8s.io", "v1beta1"),
    ("node.k8s.io", "v1"),
    ("node.k8s.io", "v1alpha1"),
    ("node.k8s.io", "v1beta1"),
    ("policy", "v1"),
    ("policy", "v1beta1"),
    ("rbac.authorization.k8s.io", "v1"),
    ("rbac.authorization.k8s.io", "v1alpha1"),
    ("rbac.authorization.k8s.io", "v1beta1"),
    ("resource.k8s.io", "v1"),
    ("resource.k8s.io", "v1alpha3"),
    ("resource.k8s.io", "v1beta1"),
    ("resource.k8s.io", "v1beta2"),
    ("scheduling.k8s.io", "v1"),
    ("scheduling.k8s.io", "v1alpha2"),
    ("scheduling.k8s.io", "v1beta1"),
    ("storage.k8s.io", "v1"),
    ("storage.k8s.io", "v1alpha1"),
    ("storage.k8s.io", "v1beta1"),
    ("storagemigration.k8s.io", "v1beta1"),
];

const ENCODINGS: &[&str] = &["application/json", "application/yaml"];
const PATCHES: &[&str] = &["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// Adds the operations of a custom kind.
pub(crate) fn add_kind(paths: &mut Paths, kind: &CustomKind) {
    let root = format!("/apis/{}/{}/", kind.group, kind.version);
    let scope = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
    let collection = format!("{root}{scope}{}", kind.plural);
    if kind.namespaced {
        let everywhere = Site { kind, namespaced: false, named: false, subresource: "" };
        let mut operation = everywhere.operation("list");
        operation.id.push_str("ForAllNamespaces");
        paths.add(format!("{root}{}", kind.plural), operation);
    }
    for action in ["list", "post", "deletecollection"] {
        let site = Site { kind, namespaced: kind.namespaced, named: false, subresource: "" };
        paths.add(collection.clone(), site.operation(action));
    }
    let item = format!("{collection}/{{name}}");
    let subresources = [("", true), ("status", kind.status), ("scale", kind.scale)];
    for (subresource, _) in subresources.into_iter().filter(|(_, has)| *has) {
        let site = Site { kind, namespaced: kind.namespaced, named: true, subresource };
        let path = if subresource.is_empty() { item.clone() } else { format!("{item}/{subresource}") };
        for action in ["get", "put", "patch"] {
            paths.add(path.clone(), site.operation(action));
        }
        if subresource.is_empty() {
            paths.add(path, site.operation("delete"));
        }
    }
}

struct Site<'k> {
    kind: &'k CustomKind,
    namespaced: bool,
    named: bool,
    subresource: &'static str,
}

impl Site<'_> {
    fn operation(&self, action: &'static str) -> Operation {
        let kind = self.kind;
        let component = |name: &str| Content::Component(names::custom_component(&kind.group, &kind.version, name));
        let object =
            || if self.subresource == "scale" { Content::Component(SCALE.into()) } else { component(&kind.kind) };
        let status = || Content::Component(format!("{META}Status"));
        let body = |content| Some(Body { content, media: ENCODINGS, required: true });
        let noun = names::with_article(&kind.kind);
        let (method, verb, description, codes, answer, body) = match action {
            "list" => {
                let description = format!("list objects of kind {}", kind.kind);
                ("get", "list", description, &[200][..], component(&kind.list_kind), None)
            }
            "post" => {
                let codes = &[200, 201, 202][..];
                ("post", "create", format!("create {noun}"), codes, object(), body(object()))
            }
            "deletecollection" => {
                let description = format!("delete collection of {}", kind.kind);
                ("delete", "delete", description, &[200][..], status(), None)
            }
            "get" => ("get", "read", self.specified("read"), &[200][..], object(), None),
            "put" => ("put", "replace", self.specified("replace"), &[200, 201][..], object(), body(object())),
            "delete" => {
                let options = Content::Component(format!("{META}DeleteOptions"));
                let options = Body { content: options, media: ENCODINGS, required: false };
                ("delete", "delete", format!("delete {noun}"), &[200, 202][..], status(), Some(options))
            }
            _ => {
                let patch = Body { content: Content::Component(format!("{META}Patch")), media: PATCHES, required: true };
                ("patch", "patch", self.specified("partially update"), &[200][..], object(), Some(patch))
            }
        };
        Operation {
            method,
            id: self.id(verb, action),
            tag: names::tag(&kind.group, &kind.version),
            description,
            parameters: self.parameters(action),
            body,
            responses: codes.iter().map(|code| (*code, answer.clone())).collect(),
            produces: ENCODINGS.to_vec(),
            action: Some((action, Gvk::new(&kind.group, &kind.version, &kind.kind))),
        }
    }

    fn specified(&self, verb: &str) -> String {
        let of = if self.subresource.is_empty() { String::new() } else { format!(" {} of", self.subresource) };
        format!("{verb}{of} the specified {}", self.kind.kind)
    }

    fn id(&self, verb: &str, action: &str) -> String {
        let kind = self.kind;
        let collection = if action == "deletecollection" { "Collection" } else { "" };
        let namespaced = if self.namespaced { "Namespaced" } else { "" };
        let rest = format!("{collection}{namespaced}{}{}", kind.kind, names::title(self.subresource));
        names::operation_id(verb, &kind.group, &kind.version, &rest)
    }

    fn parameters(&self, action: &str) -> Vec<crate::operation::Parameter> {
        let mut found = vec![parameters::pretty()];
        if self.namespaced {
            found.push(parameters::namespace());
        }
        if self.named {
            found.push(parameters::name(&self.kind.kind));
        }
        let options = match action {
            "get" => "meta.v1.GetOptions",
            "list" | "deletecollection" => "meta.v1.ListOptions",
            "put" => "meta.v1.UpdateOptions",
            "patch" => "meta.v1.PatchOptions",
            "post" => "meta.v1.CreateOptions",
            _ => "meta.v1.DeleteOptions",
        };
        found.extend(parameters::options(options, &[]));
        found
    }
}

/// Adds the schemas of a custom kind and of its list.
pub(crate) fn add_schemas(schemas: &mut BTreeMap<String, Value>, kind: &CustomKind, descriptions: &Descriptions<'_>) {
    let texts = Texts::new(descriptions);
    let name = |kind_name: &str| names::custom_component(&kind.group, &kind.version, kind_name);
    schemas.insert(name(&kind.kind), finish(object_schema(kind, &texts), kind, &kind.kind));
    schemas.insert(name(&kind.list_kind), finish(list_schema(kind, &texts), kind, &kind.list_kind));
}

/// Descriptions of what every object has.
struct Texts {
    api_version: Value,
    kind: Value,
    metadata: Value,
    list_metadata: Value,
}

impl Texts {
    fn new(descriptions: &Descriptions<'_>) -> Texts {
        let parse = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let of_pod = |field| parse(descriptions.of("io.k8s.api.core.v1.Pod", Some(field)));
        Texts {
            api_version: of_pod("apiVersion"),
            kind: of_pod("kind"),
            metadata: of_pod("metadata"),
            list_metadata: parse(list_field_description("metadata", descriptions)),
        }
    }

    fn add_type_meta(&self, properties: &mut Map<String, Value>) {
        properties.insert("apiVersion".into(), json!({"description": self.api_version, "type": "string"}));
        properties.insert("kind".into(), json!({"description": self.kind, "type": "string"}));
    }

    fn add_to_object(&self, properties: &mut Map<String, Value>) {
        self.add_type_meta(properties);
        properties.insert("metadata".into(), meta_reference("ObjectMeta", &self.metadata));
    }
}

fn meta_reference(name: &str, description: &Value) -> Value {
    json!({"description": description, "allOf": [{"$ref": names::reference(&format!("{META}{name}"))}]})
}

fn object_schema(kind: &CustomKind, texts: &Texts) -> Map<String, Value> {
    let parsed = kind.schema.as_deref().map(serde_json::from_str);
    let Some(Ok(Value::Object(mut schema))) = parsed else {
        // With properties, clients would take the rest for forbidden.
        return Map::from_iter([("type".to_owned(), "object".into())]);
    };
    unfold(&mut schema, texts);
    set_properties(&mut schema, texts);
    schema
}

fn list_schema(kind: &CustomKind, texts: &Texts) -> Map<String, Value> {
    let item = names::reference(&names::custom_component(&kind.group, &kind.version, &kind.kind));
    let items = json!({
        "description": format!("The {} of the list.", kind.plural),
        "type": "array",
        "items": {"$ref": item},
    });
    let mut properties = Map::new();
    texts.add_type_meta(&mut properties);
    properties.insert("items".into(), items);
    properties.insert("metadata".into(), meta_reference("ListMeta", &texts.list_metadata));
    let mut schema = Map::new();
    schema.insert("description".into(), format!("{} is a list of {}", kind.list_kind, kind.kind).into());
    schema.insert("type".into(), "object".into());
    schema.insert("required".into(), json!(["items"]));
    schema.insert("properties".into(), properties.into());
    schema
}

fn finish(mut schema: Map<String, Value>, kind: &CustomKind, name: &str) -> Value {
    let gvk = json!([{"group": kind.group, "kind": name, "version": kind.version}]);
    schema.insert("x-kubernetes-group-version-kind".into(), gvk);
    if !kind.selectable_fields.is_empty() {
        let fields = kind.selectable_fields.iter().map(|path| path.strip_prefix('.').unwrap_or(path));
        let fields: Vec<Value> = fields.map(|path| json!({"fieldPath": path})).collect();
        schema.insert("x-kubernetes-selectable-fields".into(), fields.into());
    }
    schema.into()
}

/// Sets properties that every object has, whatever the definition says of them.
fn set_properties(schema: &mut Map<String, Value>, texts: &Texts) {
    let mut properties = match schema.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    texts.add_to_object(&mut properties);
    schema.insert("properties".into(), properties.into());
}

/// Says in plain terms what extensions mean: the two types of an int-or-string, the type and metadata of an embedded
/// object. Extensions that say no are dropped.
fn unfold(schema: &mut Map<String, Value>, texts: &Texts) {
    schema.retain(|key, value| !(key.starts_with("x-kubernetes-") && *value == Value::Bool(false)));
    for nested in ["items", "additionalProperties"] {
        if let Some(Value::Object(nested)) = schema.get_mut(nested) {
            unfold(nested, texts);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            unfold(property, texts);
        }
    }
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        unfold_int_or_string(schema);
    }
    if schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
        set_properties(schema, texts);
        require(schema, &["kind", "apiVersion"]);
    }
}

fn unfold_int_or_string(schema: &mut Map<String, Value>) {
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    let first = schema.get("allOf").and_then(|all| all.get(0)?.get("anyOf"));
    if schema.get("anyOf") == Some(&either) || first == Some(&either) {
        return;
    }
    if !schema.contains_key("anyOf") {
        schema.insert("anyOf".into(), either);
        return;
    }
    let rest = schema.get_mut("allOf").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let all: Vec<Value> = std::iter::once(json!({"anyOf": either})).chain(rest).collect();
    schema.insert("allOf".into(), all.into());
}

fn require(schema: &mut Map<String, Value>, names: &[&str]) {
    let mut required: Vec<Value> =
        schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in names {
        if !required.iter().any(|other| other == name) {
            required.push((*name).into());
        }
    }
    schema.insert("required".into(), required.into());
}
