//! JSONPath as kubectl and upstream's printer columns know it: `.spec.items[0].name`, `[?(@.ready==true)]`, `..name`.
//!
//! Ranges (`{range ...}{end}`) belong to templates of several actions and are not taken.

use corten_object::json;
use corten_object::tree::{Node, Value};

mod parse;
#[cfg(test)]
mod tests;

/// A path, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Text(String),
    Field(String),
    Slice(Slice),
    Filter {
        left: Vec<Step>,
        right: Vec<Step>,
        operator: String,
    },
    Int(i64),
    Float(f64),
    Bool(bool),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Step>>),
    /// `range` and the like.
    Word(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Slice {
    from: Option<i64>,
    /// None is the end.
    to: Option<i64>,
    /// `[n]`: the end follows from the start.
    single: bool,
    step: Option<i64>,
}

/// What a path finds: something in the object, or something that the path itself says.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<'t> {
    Node(NodeRef<'t>),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// A node, comparable by place for tests.
#[derive(Clone, Copy)]
pub struct NodeRef<'t>(pub Node<'t>);

impl std::fmt::Debug for NodeRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&json::to_string(self.0))
    }
}

impl PartialEq for NodeRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0)
    }
}

/// What is wrong, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl JsonPath {
    /// Parses what stands between the braces of a template.
    pub fn parse(path: &str) -> Result<JsonPath, Error> {
        Ok(JsonPath { steps: parse::action(path).map_err(Error)? })
    }

    /// What is there. Missing keys are not an error; an index out of bounds is.
    pub fn find<'t>(&self, object: Node<'t>) -> Result<Vec<Found<'t>>, Error> {
        walk(vec![Found::Node(NodeRef(object))], &self.steps).map_err(Error)
    }
}

type Founds<'t> = Result<Vec<Found<'t>>, String>;

fn walk<'t>(mut current: Vec<Found<'t>>, steps: &[Step]) -> Founds<'t> {
    for step in steps {
        current = take(current, step)?;
    }
    Ok(current)
}

fn take<'t>(input: Vec<Found<'t>>, step: &Step) -> Founds<'t> {
    let constant = |value: Found<'t>| Ok(vec![value; input.len()]);
    match step {
        Step::Text(text) => Ok(vec![Found::Text(text.clone())]),
        Step::Int(value) => constant(Found::Int(*value)),
        Step::Float(value) => constant(Found::Float(*value)),
        Step::Bool(value) => constant(Found::Bool(*value)),
        Step::Word(name) => Err(format!("unrecognized identifier {name}")),
        Step::Field(name) => Ok(nodes(&input).filter_map(|node| node.get(name)).map(found).collect()),
        Step::Wildcard => Ok(nodes(&input).flat_map(members).map(found).collect()),
        Step::Recursive => {
            let mut out = Vec::new();
            nodes(&input).for_each(|node| descend(node, &mut out));
            Ok(out.into_iter().map(found).collect())
        }
        Step::Slice(slice) => {
            let mut out = Vec::new();
            for node in nodes(&input) {
                slice.take(node, &mut out)?;
            }
            Ok(out.into_iter().map(found).collect())
        }
        Step::Union(paths) => {
            let mut out = Vec::new();
            for path in paths {
                out.extend(walk(input.clone(), path)?);
            }
            Ok(out)
        }
        Step::Filter { left, right, operator } => {
            let mut out = Vec::new();
            for node in nodes(&input) {
                filter(node, left, right, operator, &mut out)?;
            }
            Ok(out)
        }
    }
}

fn found(node: Node<'_>) -> Found<'_> {
    Found::Node(NodeRef(node))
}

/// The nodes of what was found, without nulls.
fn nodes<'f, 't: 'f>(input: &'f [Found<'t>]) -> impl Iterator<Item = Node<'t>> + 'f {
    input.iter().filter_map(|found| match found {
        Found::Node(NodeRef(node)) if !node.is_null() => Some(*node),
        _ => None,
    })
}

fn members(node: Node<'_>) -> Vec<Node<'_>> {
    match node.value() {
        Value::Map(map) => map.iter().map(|(_, value)| value).collect(),
        Value::Struct(structure) => structure.fields().map(|(_, value)| value).collect(),
        Value::List(list) => list.iter().collect(),
        _ => Vec::new(),
    }
}

/// A node and everything below it that has members.
fn descend<'t>(node: Node<'t>, out: &mut Vec<Node<'t>>) {
    let members = members(node);
    if !members.is_empty() {
        out.push(node);
        members.into_iter().for_each(|member| descend(member, out));
    }
}

impl Slice {
    fn take<'t>(self, node: Node<'t>, out: &mut Vec<Node<'t>>) -> Result<(), String> {
        let Value::List(list) = node.value() else { return Err(format!("{} is not array or slice", go_type(node))) };
        let length = list.len() as i64;
        let mut from = self.from.unwrap_or(0);
        let mut to = if self.single { self.from.unwrap_or(0) + 1 } else { self.to.unwrap_or(length) };
        if from < 0 {
            from += length;
        }
        if to < 0 || (to == 0 && self.single) {
            to += length;
        }
        if to == from {
            return Ok(());
        }
        if from >= length || from < 0 {
            return Err(format!("array index out of bounds: index {from}, length {length}"));
        }
        if to > length || to < 0 {
            return Err(format!("array index out of bounds: index {}, length {length}", to - 1));
        }
        if from > to {
            return Err(format!("starting index {from} is greater than ending index {to}"));
        }
        let step = match self.step {
            Some(step) if step <= 0 => return Err("step must be > 0".into()),
            step => step.unwrap_or(1),
        };
        let indexes = (from..to).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        out.extend(indexes.filter_map(|index| list.get(index as usize)));
        Ok(())
    }
}

fn filter<'t>(
    node: Node<'t>,
    left: &[Step],
    right: &[Step],
    operator: &str,
    out: &mut Vec<Found<'t>>,
) -> Result<(), String> {
    let Value::List(list) = node.value() else {
        return Err(format!("{} is not array or slice and cannot be filtered", crate::scale::go_value(node)));
    };
    for item in list.iter() {
        let lefts = walk(vec![found(item)], left);
        if operator == "exists" {
            if lefts.is_ok_and(|lefts| !lefts.is_empty()) {
                out.push(found(item));
            }
            continue;
        }
        let lefts = lefts?;
        let rights = if lefts.is_empty() { continue } else { walk(vec![found(item)], right)? };
        match (lefts.as_slice(), rights.as_slice()) {
            (_, []) => continue,
            ([left], [right]) => {
                if compare(left, right, operator)? {
                    out.push(found(item));
                }
            }
            _ => return Err("can only compare one element at a time".into()),
        }
    }
    Ok(())
}

/// A scalar, to be compared.
#[derive(PartialEq, PartialOrd)]
enum Basic {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

fn basic(value: &Found<'_>) -> Option<Basic> {
    Some(match value {
        Found::Text(text) => Basic::Text(text.clone()),
        Found::Int(value) => Basic::Int(*value),
        Found::Float(value) => Basic::Float(*value),
        Found::Bool(value) => Basic::Bool(*value),
        Found::Node(NodeRef(node)) => match node.value() {
            Value::Bool(value) => Basic::Bool(value),
            Value::Int(value) => Basic::Int(value),
            Value::Float(value) => Basic::Float(value),
            Value::Str(value) => Basic::Text(value.to_owned()),
            _ => return None,
        },
    })
}

fn compare(left: &Found<'_>, right: &Found<'_>, operator: &str) -> Result<bool, String> {
    let (Some(left), Some(right)) = (basic(left), basic(right)) else {
        return Err("invalid type for comparison".into());
    };
    if std::mem::discriminant(&left) != std::mem::discriminant(&right) {
        return Err("incompatible types for comparison".into());
    }
    Ok(match operator {
        "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => return Err(format!("unrecognized filter operator {operator}")),
    })
}

fn go_type(node: Node<'_>) -> &'static str {
    match node.value() {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) => "string",
        _ => "map[string]interface {}",
    }
}

impl Found<'_> {
    /// As a template prints it: text as it stands, what has members as JSON.
    pub fn print(&self) -> String {
        match self {
            Found::Text(text) => text.clone(),
            Found::Int(value) => value.to_string(),
            Found::Float(value) => corten_api::field::BadValue::Float(*value).to_string(),
            Found::Bool(value) => value.to_string(),
            Found::Node(NodeRef(node)) => match node.value() {
                Value::Null => "<no value>".to_owned(),
                Value::List(_) | Value::Map(_) | Value::Struct(_) => {
                    let mut out = Vec::new();
                    json::write_sorted(*node, &mut out);
                    String::from_utf8_lossy(&out).into_owned()
                }
                _ => crate::scale::go_value(*node),
            },
        }
    }
}
