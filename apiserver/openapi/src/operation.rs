//! One operation of a path, and how paths are written.

use std::collections::BTreeMap;

use crate::json::Writer;
use crate::names;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gvk {
    pub group: String,
    pub version: String,
    pub kind: String,
}

impl Gvk {
    pub fn new(group: &str, version: &str, kind: &str) -> Gvk {
        Gvk { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// As in an operation.
    fn write(&self, w: &mut Writer) {
        w.object(|w| {
            w.member("group", &self.group);
            w.member("version", &self.version);
            w.member("kind", &self.kind);
        });
    }

    /// As in a schema.
    pub fn write_alphabetic(&self, w: &mut Writer) {
        w.object(|w| {
            w.member("group", &self.group);
            w.member("kind", &self.kind);
            w.member("version", &self.version);
        });
    }
}

/// What a body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Component(String),
    Text,
}

impl Content {
    fn write(&self, w: &mut Writer) {
        w.object(|w| match self {
            Content::Component(name) => w.member("$ref", &names::reference(name)),
            Content::Text => w.member("type", "string"),
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Path,
    Query,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub name: String,
    pub place: Place,
    pub kind: &'static str,
    pub description: String,
}

impl Parameter {
    fn key(&self) -> (&str, Place) {
        (&self.name, self.place)
    }

    fn write(&self, w: &mut Writer) {
        w.object(|w| {
            w.member("name", &self.name);
            w.member("in", if self.place == Place::Path { "path" } else { "query" });
            if !self.description.is_empty() {
                w.member("description", &self.description);
            }
            if self.place == Place::Path {
                w.raw_member("required", "true");
            }
            w.object_member("schema", |w| {
                w.member("type", self.kind);
                w.raw_member("uniqueItems", "true");
            });
        });
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub content: Content,
    pub media: &'static [&'static str],
    pub required: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Lower case.
    pub method: &'static str,
    pub id: String,
    pub tag: String,
    pub description: String,
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
    /// Each says the same in every media type.
    pub responses: Vec<(u16, Content)>,
    pub produces: Vec<&'static str>,
    /// `list`, `watchlist`, ..., and the kind acted upon.
    pub action: Option<(&'static str, Gvk)>,
}

/// The order of methods in a path.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

#[derive(Default)]
pub(crate) struct Paths(BTreeMap<String, Vec<Operation>>);

impl Paths {
    pub fn add(&mut self, path: String, operation: Operation) {
        self.0.entry(path).or_default().push(operation);
    }

    /// Every component that an operation names.
    pub fn components(&self) -> impl Iterator<Item = &String> {
        let contents = self.0.values().flatten().flat_map(|operation| {
            let responses = operation.responses.iter().map(|(_, content)| content);
            operation.body.iter().map(|body| &body.content).chain(responses)
        });
        contents.filter_map(|content| match content {
            Content::Component(name) => Some(name),
            Content::Text => None,
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Vec<Operation>)> {
        self.0.iter()
    }

    pub fn write(&self, w: &mut Writer) {
        for (path, operations) in &self.0 {
            w.object_member(path, |w| write_path(w, operations));
        }
    }
}

/// Parameters that every operation of a path has are the path's own; those of each operation are the rest.
pub(crate) fn split_parameters(operations: &[Operation]) -> (Vec<&Parameter>, Vec<Vec<&Parameter>>) {
    let everywhere = |parameter: &&Parameter| {
        operations.iter().all(|operation| operation.parameters.iter().any(|other| other.key() == parameter.key()))
    };
    let common = operations.first().map(|first| first.parameters.iter().filter(everywhere).collect());
    let own = operations
        .iter()
        .map(|operation| operation.parameters.iter().filter(|parameter| !everywhere(parameter)).collect());
    (sorted(common.unwrap_or_default()), own.map(sorted).collect())
}

fn write_path(w: &mut Writer, operations: &[Operation]) {
    let (common, own) = split_parameters(operations);
    for method in METHODS {
        if let Some(place) = operations.iter().position(|operation| operation.method == method) {
            w.object_member(method, |w| operations[place].write(w, &own[place]));
        }
    }
    write_parameters(w, &common);
}

fn sorted(mut parameters: Vec<&Parameter>) -> Vec<&Parameter> {
    parameters.sort_by_key(|parameter| parameter.key());
    parameters
}

fn write_parameters(w: &mut Writer, parameters: &[&Parameter]) {
    if parameters.is_empty() {
        return;
    }
    w.key("parameters");
    w.array(|w| parameters.iter().for_each(|parameter| parameter.write(w)));
}

impl Operation {
    fn write(&self, w: &mut Writer, own: &[&Parameter]) {
        w.strings_member("tags", [self.tag.as_str()]);
        w.member("description", &self.description);
        w.member("operationId", &self.id);
        write_parameters(w, own);
        if let Some(body) = &self.body {
            w.object_member("requestBody", |w| {
                write_content(w, &body.content, body.media);
                if body.required {
                    w.raw_member("required", "true");
                }
            });
        }
        w.object_member("responses", |w| {
            for (code, content) in &self.responses {
                w.object_member(&code.to_string(), |w| {
                    w.member("description", reason(*code));
                    write_content(w, content, &self.produces);
                });
            }
            w.object_member("401", |w| w.member("description", reason(401)));
        });
        if let Some((action, gvk)) = &self.action {
            w.member("x-kubernetes-action", action);
            w.key("x-kubernetes-group-version-kind");
            gvk.write(w);
        }
    }
}

fn write_content(w: &mut Writer, content: &Content, media: &[&'static str]) {
    let mut media = media.to_vec();
    media.sort_unstable();
    w.object_member("content", |w| {
        for media in media {
            w.object_member(media, |w| {
                w.key("schema");
                content.write(w);
            });
        }
    });
}

pub(crate) fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        _ => "Unauthorized",
    }
}
