//! The operations of built-in resources, and of the paths that describe the API itself.

use corten_schema::{Resource, Subresource, kind};

use crate::components::VERSION_INFO;
use crate::names::{self, META};
use crate::operation::{Body, Content, Gvk, Operation, Paths};
use crate::parameters;

const ENCODINGS: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAMS: [&str; 2] = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
const ANY: &[&str] = &["*/*"];
const PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// One path of a resource: the collection, an item, or a subresource.
struct Site<'r> {
    resource: &'r Resource,
    subresource: Option<&'r Subresource>,
    /// Names in the path: namespace, name, path.
    namespaced: bool,
    named: bool,
    /// `ForAllNamespaces`, `WithPath`.
    suffix: &'static str,
    path: String,
}

/// Adds every operation of a resource.
pub(crate) fn add_resource(paths: &mut Paths, resource: &Resource) {
    let root = format!("/{}/", names::document_path(resource.group, resource.version));
    let scope = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    let (collection, item) = (format!("{scope}{}", resource.plural), format!("{scope}{}/{{name}}", resource.plural));
    let site =
        |path: String, named, namespaced, suffix| Site { resource, subresource: None, namespaced, named, suffix, path };
    let has = |verb: &str| resource.verbs.contains(&verb);
    let mut add = |site: &Site<'_>, action: &'static str| paths.add(site.path.clone(), site.operation(action));
    for (verb, action) in [("list", "list"), ("create", "post"), ("deletecollection", "deletecollection")] {
        if has(verb) {
            add(&site(format!("{root}{collection}"), false, resource.namespaced, ""), action);
        }
    }
    for (verb, action) in [("get", "get"), ("update", "put"), ("patch", "patch"), ("delete", "delete")] {
        if has(verb) {
            add(&site(format!("{root}{item}"), true, resource.namespaced, ""), action);
        }
    }
    if has("watch") && has("list") {
        add(&site(format!("{root}watch/{collection}"), false, resource.namespaced, ""), "watchlist");
    }
    if has("watch") {
        add(&site(format!("{root}watch/{item}"), true, resource.namespaced, ""), "watch");
    }
    if resource.namespaced && has("list") {
        add(&site(format!("{root}{}", resource.plural), false, false, "ForAllNamespaces"), "list");
        if has("watch") {
            add(&site(format!("{root}watch/{}", resource.plural), false, false, "ForAllNamespaces"), "watchlist");
        }
    }
    for subresource in resource.subresources {
        add_subresource(paths, resource, subresource, &format!("{root}{item}/{}", subresource.name));
    }
}

fn add_subresource(paths: &mut Paths, resource: &Resource, subresource: &Subresource, path: &str) {
    let site = |suffix, path: String| Site {
        resource,
        subresource: Some(subresource),
        namespaced: resource.namespaced,
        named: true,
        suffix,
        path,
    };
    let plain = site("", path.to_owned());
    if subresource.kind.ends_with("Options") {
        let proxy = subresource.kind.ends_with("ProxyOptions");
        let methods: &[&str] =
            if proxy { &["get", "put", "post", "delete", "options", "head", "patch"] } else { &["get", "post"] };
        for method in methods {
            paths.add(plain.path.clone(), plain.connect(method));
            if proxy {
                let deep = site("WithPath", format!("{path}/{{path}}"));
                paths.add(deep.path.clone(), deep.connect(method));
            }
        }
        return;
    }
    let actions = [("get", "get"), ("update", "put"), ("patch", "patch"), ("create", "post"), ("delete", "delete")];
    for (_, action) in actions.iter().filter(|(verb, _)| subresource.verbs.contains(verb)) {
        paths.add(plain.path.clone(), plain.operation(action));
    }
}

impl Site<'_> {
    /// The kind that is sent and answered: the subresource's own, where there is one.
    fn gvk(&self) -> Gvk {
        let resource = self.resource;
        match self.subresource {
            Some(sub) if !sub.version.is_empty() => Gvk::new(sub.group, sub.version, sub.kind),
            Some(sub) => Gvk::new(resource.group, resource.version, sub.kind),
            None => Gvk::new(resource.group, resource.version, resource.kind),
        }
    }

    fn content(&self) -> Content {
        let gvk = self.gvk();
        content(&gvk.group, &gvk.version, &gvk.kind)
    }

    fn is_log(&self) -> bool {
        self.subresource.is_some_and(|sub| sub.name == "log")
    }

    /// `status of`, before a kind.
    fn of(&self, article: &str) -> String {
        match self.subresource {
            Some(sub) => format!("{} of {article}{}", sub.name, self.resource.kind),
            None => format!("{article}{}", self.resource.kind),
        }
    }

    fn id(&self, verb: &str, rest: &str, tail: &str) -> String {
        let resource = self.resource;
        let namespaced = if self.namespaced { "Namespaced" } else { "" };
        let sub = self.subresource.map(|sub| names::title(sub.name)).unwrap_or_default();
        let rest = format!("{rest}{namespaced}{}{sub}{tail}{}", resource.kind, self.suffix);
        names::operation_id(verb, resource.group, resource.version, &rest)
    }

    fn operation(&self, action: &'static str) -> Operation {
        let kind = self.resource.kind;
        let resource = self.resource;
        let status = || Content::Component(format!("{META}Status"));
        let event = || Content::Component(format!("{META}WatchEvent"));
        let object = || self.content();
        let produced = || if self.is_log() { Content::Text } else { self.content() };
        let watchable = resource.verbs.contains(&"watch");
        let (method, id, description, responses) = match action {
            "get" => ("get", self.id("read", "", ""), self.read("read"), vec![(200, produced())]),
            "list" => {
                let list = content(resource.group, resource.version, &format!("{kind}List"));
                let verb = if watchable { "list or watch" } else { "list" };
                ("get", self.id("list", "", ""), format!("{verb} objects of kind {kind}"), vec![(200, list)])
            }
            "put" => {
                ("put", self.id("replace", "", ""), self.read("replace"), vec![(200, produced()), (201, produced())])
            }
            "patch" => {
                let responses = vec![(200, produced()), (201, produced())];
                ("patch", self.id("patch", "", ""), self.read("partially update"), responses)
            }
            "post" => {
                let responses = vec![(200, object()), (201, object()), (202, object())];
                ("post", self.id("create", "", ""), self.with_article("create"), responses)
            }
            "delete" => {
                let whole = corten_schema::is_shown_when_deleted(resource.group, resource.plural);
                let answer = || if whole { object() } else { status() };
                let responses = vec![(200, answer()), (202, answer())];
                ("delete", self.id("delete", "", ""), self.with_article("delete"), responses)
            }
            "deletecollection" => {
                let description = format!("delete collection of {kind}");
                ("delete", self.id("delete", "Collection", ""), description, vec![(200, status())])
            }
            "watch" => {
                let description = format!(
                    "watch changes to an object of kind {kind}. deprecated: use the 'watch' parameter with a list \
                     operation instead, filtered to a single item with the 'fieldSelector' parameter."
                );
                ("get", self.id("watch", "", ""), description, vec![(200, event())])
            }
            _ => {
                let description = format!(
                    "watch individual changes to a list of {kind}. deprecated: use the 'watch' parameter with a list \
                     operation instead."
                );
                ("get", self.id("watch", "", "List"), description, vec![(200, event())])
            }
        };
        Operation {
            method,
            id,
            tag: names::tag(resource.group, resource.version),
            description,
            parameters: self.parameters(action),
            body: self.body(action),
            responses,
            produces: self.produces(action),
            action: Some((action, self.gvk())),
        }
    }

    fn read(&self, verb: &str) -> String {
        match self.subresource {
            Some(_) => format!("{verb} {}", self.of("the specified ")),
            None => format!("{verb} the specified {}", self.resource.kind),
        }
    }

    fn with_article(&self, verb: &str) -> String {
        let noun = names::with_article(self.resource.kind);
        match self.subresource {
            Some(sub) => format!("{verb} {} of {noun}", sub.name),
            None => format!("{verb} {noun}"),
        }
    }

    fn produces(&self, action: &str) -> Vec<&'static str> {
        let mut produces = ENCODINGS.to_vec();
        if let "list" | "watch" | "watchlist" = action {
            produces.extend(STREAMS);
        }
        if self.is_log() {
            produces.push("text/plain");
        }
        produces
    }

    fn body(&self, action: &str) -> Option<Body> {
        let component = |name: &str| Content::Component(format!("{META}{name}"));
        match action {
            "put" | "post" => Some(Body { content: self.content(), media: ANY, required: true }),
            "patch" => Some(Body { content: component("Patch"), media: PATCHES, required: true }),
            "delete" | "deletecollection" => {
                Some(Body { content: component("DeleteOptions"), media: ANY, required: false })
            }
            _ => None,
        }
    }

    fn parameters(&self, action: &str) -> Vec<crate::operation::Parameter> {
        let mut found = self.names();
        found.push(parameters::pretty());
        found.extend(match action {
            "get" if self.is_log() => parameters::options("core.v1.PodLogOptions", &[]),
            "list" | "watch" | "watchlist" => parameters::options("meta.v1.ListOptions", &[]),
            "put" => parameters::options("meta.v1.UpdateOptions", &[]),
            "patch" => parameters::options("meta.v1.PatchOptions", &[]),
            "post" => parameters::options("meta.v1.CreateOptions", &[]),
            "delete" => parameters::options("meta.v1.DeleteOptions", &[]),
            "deletecollection" => {
                let mut both = parameters::options("meta.v1.DeleteOptions", &[]);
                both.extend(parameters::options("meta.v1.ListOptions", &["watch", "allowWatchBookmarks"]));
                both
            }
            _ => Vec::new(),
        });
        found
    }

    fn names(&self) -> Vec<crate::operation::Parameter> {
        let mut found = Vec::new();
        if self.namespaced {
            found.push(parameters::namespace());
        }
        if self.named {
            found.push(parameters::name(&self.gvk().kind));
        }
        if self.suffix == "WithPath" {
            found.push(parameters::path());
        }
        found
    }

    fn connect(&self, method: &'static str) -> Operation {
        let resource = self.resource;
        let gvk = self.gvk();
        let mut found = self.names();
        if let Some(options) = kind(&gvk.group, &gvk.version, &gvk.kind) {
            found.extend(parameters::options_of(options.ty, &[]));
        }
        Operation {
            method,
            id: self.id("connect", &names::title(method), ""),
            tag: names::tag(resource.group, resource.version),
            description: format!("connect {} requests to {}", method.to_uppercase(), self.of("")),
            parameters: found,
            body: None,
            responses: vec![(200, Content::Text)],
            produces: ANY.to_vec(),
            action: Some(("connect", gvk)),
        }
    }
}

fn content(group: &str, version: &str, name: &str) -> Content {
    match kind(group, version, name) {
        Some(kind) => Content::Component(names::component(kind.ty.get().name)),
        None => Content::Text,
    }
}

/// The resources of a group version.
pub(crate) fn add_resource_list(paths: &mut Paths, group: &str, version: &str) {
    let id = names::operation_id("get", group, version, "APIResources");
    let path = format!("/{}/", names::document_path(group, version));
    paths.add(path, describing(id, names::tag(group, version), "get available resources", "APIResourceList"));
}

/// A group.
pub(crate) fn add_group(paths: &mut Paths, group: &str) {
    let id = names::operation_id("get", group, "", "APIGroup");
    let operation = describing(id, names::tag(group, ""), "get information of a group", "APIGroup");
    paths.add(format!("/apis/{group}/"), operation);
}

pub(crate) fn add_core_versions(paths: &mut Paths) {
    let operation = describing("getCoreAPIVersions".into(), "core".into(), "get available API versions", "APIVersions");
    paths.add("/api/".into(), operation);
}

pub(crate) fn add_groups(paths: &mut Paths) {
    let operation = describing("getAPIVersions".into(), "apis".into(), "get available API versions", "APIGroupList");
    paths.add("/apis/".into(), operation);
}

fn describing(id: String, tag: String, description: &str, kind: &str) -> Operation {
    let content = Content::Component(format!("{META}{kind}"));
    json_only(id, tag, description, content, ENCODINGS.to_vec())
}

fn json_only(id: String, tag: String, description: &str, content: Content, produces: Vec<&'static str>) -> Operation {
    Operation {
        method: "get",
        id,
        tag,
        description: description.into(),
        parameters: Vec::new(),
        body: None,
        responses: vec![(200, content)],
        produces,
        action: None,
    }
}

pub(crate) fn add_version(paths: &mut Paths) {
    let content = Content::Component(VERSION_INFO.into());
    let description = "get the version information for this server";
    let operation =
        json_only("getCodeVersion".into(), "version".into(), description, content, vec!["application/json"]);
    paths.add("/version/".into(), operation);
}

/// How tokens of service accounts can be verified by others.
pub(crate) fn add_openid_configuration(paths: &mut Paths) {
    let id = "getServiceAccountIssuerOpenIDConfiguration".to_owned();
    let description = "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'";
    let operation = json_only(id, "WellKnown".into(), description, Content::Text, vec!["application/json"]);
    paths.add("/.well-known/openid-configuration/".into(), operation);
}

pub(crate) fn add_openid_keys(paths: &mut Paths) {
    let id = "getServiceAccountIssuerOpenIDKeyset".to_owned();
    let description = "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)";
    let operation = json_only(id, "openid".into(), description, Content::Text, vec!["application/jwk-set+json"]);
    paths.add("/openid/v1/jwks/".into(), operation);
}
