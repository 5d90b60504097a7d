//! Custom kinds: their operations. Their schemas come as they are published.

use std::sync::Arc;

use crate::names::{self, META};
use crate::operation::{Body, Content, Gvk, Operation, Paths};
use crate::packed::Packed;
use crate::parameters;

/// One version of a custom kind, as its definition publishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomKind {
    pub group: Arc<str>,
    pub version: Arc<str>,
    pub plural: Arc<str>,
    pub kind: Arc<str>,
    pub list_kind: Arc<str>,
    pub namespaced: bool,
    /// Whether it has these subresources.
    pub status: bool,
    pub scale: bool,
    /// The schemas of the kind and of its list as they are published, JSON text.
    pub schema: Packed,
    pub list_schema: Packed,
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
const PATCHES: &[&str] =
    &["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
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
                let patch =
                    Body { content: Content::Component(format!("{META}Patch")), media: PATCHES, required: true };
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

impl CustomKind {
    /// The schemas of the kind and of its list, by their names in documents.
    pub(crate) fn schemas(&self) -> [(String, &Packed); 2] {
        let name = |kind: &str| names::custom_component(&self.group, &self.version, kind);
        [(name(&self.kind), &self.schema), (name(&self.list_kind), &self.list_schema)]
    }
}

/// The components of built-in types that documents of custom kinds name, or that their schemas may name.
pub(crate) fn shared_components(scale: bool) -> impl Iterator<Item = String> {
    let meta = ["DeleteOptions", "ListMeta", "ObjectMeta", "Patch", "Status"].map(|name| format!("{META}{name}"));
    meta.into_iter().chain(scale.then(|| SCALE.to_owned()))
}
