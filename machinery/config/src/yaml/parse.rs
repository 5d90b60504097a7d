//! From bytes to a tree.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Entry, Node, Scalar, Value};

/// No configuration is deeper, and walking a tree takes stack for each level.
const MOST_LEVELS: usize = 100;
/// How much anchors may add to a file. A few lines of them can stand for billions of nodes.
const MOST_EXPANDED: usize = 100_000;

pub(super) fn document(bytes: &[u8]) -> Result<Node, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with('{') {
        return yaml(text);
    }
    // JSON, unless it is YAML that begins with a brace.
    serde_json::from_str(text).or_else(|error| yaml(text).map_err(|_| format!("no JSON: {error}")))
}

fn yaml(text: &str) -> Result<Node, String> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let marker = *error.marker();
            format!("no YAML: line {}, column {}: {}", marker.line(), marker.col() + 1, error.info())
        })?;
        builder.take(event, span.start.line())?;
    }
    Ok(builder.root.unwrap_or_else(Node::null))
}

/// Puts events together, with a stack of its own.
#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    expanded: usize,
    documents: usize,
}

/// A list or map that has begun.
struct Open {
    node: Node,
    anchor: usize,
    /// In a map, the key whose value comes next.
    key: Option<(usize, Scalar)>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                match self.documents {
                    1 => Ok(()),
                    _ => Err(format!("line {line}: a second document begins, and only one is expected")),
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = is_plain(style, tag.as_deref(), line)?;
                let scalar = Scalar { text: text.into_owned(), plain };
                self.add(Node { line, value: Value::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(Value::List(Vec::new()), anchor, line),
            Event::MappingStart(anchor, _) => self.begin(Value::Map(Vec::new()), anchor, line),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.add(done.node, done.anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| format!("line {line}: an alias within what it stands for"))?;
                self.expanded += size(&node);
                if self.expanded > MOST_EXPANDED || self.open.len() + depth(&node) > MOST_LEVELS {
                    return Err(format!("line {line}: aliases expand to too much"));
                }
                self.add(node, 0)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, value: Value, anchor: usize, line: usize) -> Result<(), String> {
        if self.open.len() >= MOST_LEVELS {
            return Err(format!("line {line}: nested deeper than {MOST_LEVELS} levels"));
        }
        self.open.push(Open { node: Node { line, value }, anchor, key: None });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::Map(entries), Some((line, key))) => entries.push(Entry { line, key, value: node }),
            (Value::Map(_), None) => match node.value {
                Value::Scalar(key) => open.key = Some((node.line, key)),
                _ => return Err(format!("line {}: a key that is no scalar", node.line)),
            },
            (Value::List(items), _) => items.push(node),
            (Value::Scalar(_), _) => {}
        }
        Ok(())
    }
}

fn is_plain(style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<bool, String> {
    let Some(tag) = tag else { return Ok(style == ScalarStyle::Plain) };
    match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") => Ok(false),
        (true, "int" | "float" | "bool" | "null") => Ok(true),
        _ if tag.handle.is_empty() && tag.suffix == "!" => Ok(false),
        _ => Err(format!("line {line}: the tag {}{} is not supported", tag.handle, tag.suffix)),
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.value)).sum::<usize>(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
    }
}

/// From JSON: the same tree without lines, duplicates kept.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(FromJson)
    }
}

struct FromJson;

impl FromJson {
    fn plain(text: impl ToString) -> Node {
        Node { line: 0, value: Value::Scalar(Scalar { text: text.to_string(), plain: true }) }
    }
}

impl<'de> Visitor<'de> for FromJson {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(FromJson::plain(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(FromJson::plain(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(FromJson::plain(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        // The debug form always has a point or an exponent, so that it stays a float.
        Ok(FromJson::plain(format_args!("{value:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node { line: 0, value: Value::List(items) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((text, value)) = map.next_entry::<String, Node>()? {
            entries.push(Entry { line: 0, key: Scalar { text, plain: false }, value });
        }
        Ok(Node { line: 0, value: Value::Map(entries) })
    }
}
