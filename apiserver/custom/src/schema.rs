//! A version's schema, compiled: what upstream keeps as a structural schema and as an OpenAPI schema, in one tree.
//!
//! The parts outside of [`Values`] say what an object looks like (what is pruned, defaulted, listed by key), those in it
//! what its values must be. Schemas under `allOf`, `anyOf`, `oneOf` and `not` say the latter only.

use std::collections::HashSet;
use std::sync::Arc;

use corten_object::json::{self, Form};
use corten_object::tree::{Node, Tree, Value, View};
use corten_views::apiextensions_v1::JSONSchemaProps;

use crate::go_regex::Pattern;
use crate::values::Format;

/// The deepest that schemas may nest. Upstream knows no limit but that of its parser; a schema of hundreds of levels is
/// an attack, and everything here walks schemas by recursion.
pub const DEPTH_MAX: usize = 256;
pub const TOO_DEEP: &str = "the schema is nested too deeply";

/// What `type` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or something that OpenAPI does not know.
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Kind {
    pub fn named(name: &str) -> Kind {
        match name {
            "object" => Kind::Object,
            "array" => Kind::Array,
            "string" => Kind::String,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            _ => Kind::Any,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Any => "",
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    #[default]
    Atomic,
    Set,
    Map,
}

#[derive(Debug, Default)]
pub enum Additional {
    #[default]
    Absent,
    Bool(bool),
    Schema(Box<Schema>),
}

impl Additional {
    pub fn schema(&self) -> Option<&Schema> {
        match self {
            Additional::Schema(schema) => Some(schema),
            _ => None,
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Additional::Absent)
    }
}

#[derive(Debug, Default)]
pub struct Schema {
    pub kind: Kind,
    /// A type that OpenAPI does not know, which no value is of.
    pub unknown_type: Option<Box<str>>,
    pub nullable: bool,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded: bool,
    pub int_or_string: bool,
    pub list_type: ListType,
    pub map_atomic: bool,
    pub list_map_keys: Box<[Box<str>]>,
    pub default: Option<Tree>,
    /// By name, sorted.
    pub properties: Box<[(Box<str>, Schema)]>,
    pub additional: Additional,
    pub items: Option<Box<Schema>>,
    pub values: Option<Box<Values>>,
    /// Somewhere in here is a default.
    pub deep_defaults: bool,
    /// Somewhere in here is an embedded resource.
    pub deep_embedded: bool,
    /// Somewhere in here is a list of type set or map.
    pub deep_lists: bool,
}

/// What values must be.
#[derive(Debug, Default)]
pub struct Values {
    pub format: Option<Format>,
    pub maximum: Option<f64>,
    pub exclusive_maximum: bool,
    pub minimum: Option<f64>,
    pub exclusive_minimum: bool,
    pub multiple_of: Option<f64>,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub pattern: Option<Arc<Pattern>>,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub unique_items: bool,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
    pub required: Box<[Box<str>]>,
    pub enumeration: Option<Enumeration>,
    pub all_of: Box<[Schema]>,
    pub any_of: Box<[Schema]>,
    pub one_of: Box<[Schema]>,
    pub not: Option<Box<Schema>>,
}

/// The values that there may be.
#[derive(Debug)]
pub struct Enumeration {
    /// A list, whose items they are.
    pub values: Tree,
    /// Those that are texts.
    pub texts: HashSet<Box<str>>,
}

impl Schema {
    /// Compiles a schema, in upstream's words where it holds what a structural schema cannot say.
    pub fn compile(props: JSONSchemaProps<'_>) -> Result<Schema, String> {
        Schema::compile_at(props, 0)
    }

    fn compile_at(props: JSONSchemaProps<'_>, depth: usize) -> Result<Schema, String> {
        if depth > DEPTH_MAX {
            return Err(TOO_DEEP.into());
        }
        refuse_unsupported(props)?;
        if props.x_kubernetes_preserve_unknown_fields() == Some(false) {
            return Err("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".into());
        }
        let mut schema = Schema {
            kind: Kind::named(props.type_()),
            unknown_type: unknown_type(props.type_()),
            nullable: props.nullable(),
            preserve: props.x_kubernetes_preserve_unknown_fields() == Some(true),
            embedded: props.x_kubernetes_embedded_resource(),
            int_or_string: props.x_kubernetes_int_or_string(),
            list_type: match props.x_kubernetes_list_type() {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map,
                _ => ListType::Atomic,
            },
            map_atomic: props.x_kubernetes_map_type() == Some("atomic"),
            list_map_keys: props.x_kubernetes_list_map_keys().iter().map(Into::into).collect(),
            default: props.default().and_then(parse_json).filter(|tree| !tree.root().is_null()),
            values: Values::compile(props, depth)?,
            ..Schema::default()
        };
        schema.items = match props.items().map(Node::value) {
            None | Some(Value::Null) => None,
            Some(Value::List(list)) if list.is_empty() => None,
            Some(Value::List(_)) => return Err("OpenAPIV3Schema 'items' must be a schema, but is an array".into()),
            Some(Value::Struct(props)) => {
                Some(Box::new(Schema::compile_at(JSONSchemaProps::from_struct(props), depth + 1)?))
            }
            Some(_) => None,
        };
        schema.properties = properties(props)
            .map(|(name, props)| Ok((name.into(), Schema::compile_at(props, depth + 1)?)))
            .collect::<Result<_, String>>()?;
        schema.additional = match props.additional_properties().map(Node::value) {
            Some(Value::Bool(allows)) => Additional::Bool(allows),
            Some(Value::Struct(props)) => {
                Additional::Schema(Box::new(Schema::compile_at(JSONSchemaProps::from_struct(props), depth + 1)?))
            }
            _ => Additional::Absent,
        };
        schema.note_what_is_below();
        Ok(schema)
    }

    fn note_what_is_below(&mut self) {
        let (mut defaults, mut embedded, mut lists) =
            (self.default.is_some(), self.embedded, self.list_type != ListType::Atomic);
        for child in self.children() {
            defaults |= child.deep_defaults;
            embedded |= child.deep_embedded;
            lists |= child.deep_lists;
        }
        (self.deep_defaults, self.deep_embedded, self.deep_lists) = (defaults, embedded, lists);
    }

    fn children(&self) -> impl Iterator<Item = &Schema> {
        let properties = self.properties.iter().map(|(_, schema)| schema);
        properties.chain(self.items.as_deref()).chain(self.additional.schema())
    }

    pub fn property(&self, name: &str) -> Option<&Schema> {
        let found = self.properties.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        Some(&self.properties[found].1)
    }

    /// The schema of a member: its property's, or that of all further ones.
    pub fn member(&self, name: &str) -> Option<&Schema> {
        self.property(name).or_else(|| self.additional.schema())
    }
}

impl Values {
    fn compile(props: JSONSchemaProps<'_>, depth: usize) -> Result<Option<Box<Values>>, String> {
        let kind = Kind::named(props.type_());
        let nested = |items: corten_object::tree::Items<'_, JSONSchemaProps<'_>>| -> Result<Box<[Schema]>, String> {
            items.iter().map(|props| Schema::compile_at(props, depth + 1)).collect()
        };
        let typed = !props.type_().is_empty();
        let values = Values {
            format: Format::enforced(
                props.format(),
                if props.x_kubernetes_int_or_string() { Kind::Any } else { kind },
                typed,
            ),
            maximum: props.maximum(),
            exclusive_maximum: props.exclusive_maximum(),
            minimum: props.minimum(),
            exclusive_minimum: props.exclusive_minimum(),
            multiple_of: props.multiple_of(),
            max_length: props.max_length(),
            min_length: props.min_length(),
            pattern: (!props.pattern().is_empty()).then(|| Pattern::shared(props.pattern())),
            max_items: props.max_items(),
            min_items: props.min_items(),
            unique_items: props.unique_items(),
            max_properties: props.max_properties(),
            min_properties: props.min_properties(),
            required: props.required().iter().map(Into::into).collect(),
            enumeration: enumeration(props),
            all_of: nested(props.all_of())?,
            any_of: nested(props.any_of())?,
            one_of: nested(props.one_of())?,
            not: props.not().map(|props| Schema::compile_at(props, depth + 1)).transpose()?.map(Box::new),
        };
        Ok((!values.is_empty()).then(|| Box::new(values)))
    }

    fn is_empty(&self) -> bool {
        let numbers = [self.maximum, self.minimum, self.multiple_of];
        let counts = [
            self.max_length,
            self.min_length,
            self.max_items,
            self.min_items,
            self.max_properties,
            self.min_properties,
        ];
        self.format.is_none()
            && numbers.iter().all(Option::is_none)
            && counts.iter().all(Option::is_none)
            && self.pattern.is_none()
            && !self.unique_items
            && self.required.is_empty()
            && self.enumeration.is_none()
            && self.all_of.is_empty()
            && self.any_of.is_empty()
            && self.one_of.is_empty()
            && self.not.is_none()
    }
}

fn unknown_type(name: &str) -> Option<Box<str>> {
    (!name.is_empty() && Kind::named(name) == Kind::Any).then(|| name.into())
}

/// The properties of a schema, by name, sorted.
pub fn properties<'t>(props: JSONSchemaProps<'t>) -> impl Iterator<Item = (&'t str, JSONSchemaProps<'t>)> {
    props.properties().iter().map(|(name, node)| (name, JSONSchemaProps::from_struct(node.as_struct())))
}

/// A JSON value that a schema keeps as text.
pub fn parse_json(text: &str) -> Option<Tree> {
    let tree = json::parse(text.as_bytes().to_vec(), Form::Plain).ok()?.tree;
    // Upstream has written it once before it reads it here, so that 1.0 is the whole number 1.
    let written = json::to_vec(tree.root());
    if written == text.as_bytes() {
        return Some(tree);
    }
    json::parse(written, Form::Plain).ok().map(|parsed| parsed.tree)
}

fn enumeration(props: JSONSchemaProps<'_>) -> Option<Enumeration> {
    let list = props.enum_();
    if list.is_empty() {
        return None;
    }
    let mut tree = Tree::new();
    let mut items = Vec::with_capacity(list.len());
    for item in list.iter() {
        let id = match item.as_raw().and_then(parse_json) {
            Some(value) => tree.import(value.root()),
            None => tree.import(item),
        };
        items.push(id);
    }
    let root = tree.list(&items);
    tree.set_root(root);
    let texts = tree.root().as_list().iter().filter_map(|item| match item.value() {
        Value::Str(text) => Some(text.into()),
        _ => None,
    });
    let texts = texts.collect();
    Some(Enumeration { values: tree, texts })
}

/// What validation of the definition refuses, so that it is not met here.
fn refuse_unsupported(props: JSONSchemaProps<'_>) -> Result<(), String> {
    let present = [
        ("id", !props.id().is_empty()),
        ("schema", !props.schema().is_empty()),
        ("$ref", props.ref_().is_some_and(|to| !to.is_empty())),
        ("patternProperties", !props.pattern_properties().is_empty()),
        ("dependencies", !props.dependencies().is_empty()),
        ("additionalItems", props.additional_items().is_some()),
        ("definitions", !props.definitions().is_empty()),
    ];
    match present.iter().find(|(_, present)| *present) {
        Some((name, _)) => Err(format!("OpenAPIV3Schema '{name}' is not supported")),
        None => Ok(()),
    }
}
