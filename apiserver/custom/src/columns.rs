//! The Table of a custom resource: additionalPrinterColumns, found by JSONPath.

use corten_api::json::write_string;
use corten_api::time::Timestamp;
use corten_kinds::table::{CREATED_DESCRIPTION, Cell, NAME_DESCRIPTION, Row};
use corten_object::tree::{Node, Value};
use corten_views::apiextensions_v1::CustomResourceDefinitionVersion;

use crate::json_path::{Found, JsonPath, NodeRef};

#[derive(Debug)]
pub struct Columns(Vec<Column>);

#[derive(Debug)]
struct Column {
    name: Box<str>,
    kind: Box<str>,
    format: Box<str>,
    description: Box<str>,
    priority: i64,
    path: JsonPath,
}

impl Columns {
    /// Without columns of its own a resource shows its age. A path that cannot be read ends the list.
    pub fn compile(version: CustomResourceDefinitionVersion<'_>) -> Columns {
        let own = version.additional_printer_columns();
        if own.is_empty() {
            let path = JsonPath::parse(".metadata.creationTimestamp").ok();
            let age = path.map(|path| Column {
                name: "Age".into(),
                kind: "date".into(),
                format: "".into(),
                description: CREATED_DESCRIPTION.into(),
                priority: 0,
                path,
            });
            return Columns(age.into_iter().collect());
        }
        let columns = own.iter().map_while(|column| {
            let description = match column.description() {
                "" => format!("Custom resource definition column (in JSONPath format): {}", column.json_path()),
                own => own.to_owned(),
            };
            Some(Column {
                name: column.name().into(),
                kind: column.type_().into(),
                format: column.format().into(),
                description: description.into(),
                priority: column.priority(),
                path: JsonPath::parse(column.json_path()).ok()?,
            })
        });
        Columns(columns.collect())
    }

    pub fn row(&self, object: Node<'_>) -> Row {
        let name = object.at(&["metadata", "name"]).map_or("", Node::as_str);
        let mut cells = vec![Cell::Str(name.to_owned())];
        cells.extend(self.0.iter().map(|column| column.cell(object)));
        Row { cells, conditions: Vec::new() }
    }

    /// `"columnDefinitions":[...]`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"columnDefinitions\":[");
        write_column(["Name", "string", "name", NAME_DESCRIPTION], 0, out);
        for column in &self.0 {
            out.push(b',');
            write_column([&column.name, &column.kind, &column.format, &column.description], column.priority, out);
        }
        out.push(b']');
    }
}

fn write_column(texts: [&str; 4], priority: i64, out: &mut Vec<u8>) {
    for (key, text) in ["{\"name\":", ",\"type\":", ",\"format\":", ",\"description\":"].into_iter().zip(texts) {
        out.extend_from_slice(key.as_bytes());
        write_string(out, text);
    }
    out.extend_from_slice(format!(",\"priority\":{priority}}}").as_bytes());
}

impl Column {
    fn cell(&self, object: Node<'_>) -> Cell {
        let Some(first) = self.path.find(object).ok().and_then(|found| found.into_iter().next()) else {
            return Cell::Null;
        };
        if &*self.kind == "string" {
            return Cell::Str(first.print());
        }
        let value = match &first {
            Found::Int(value) => Value::Int(*value),
            Found::Float(value) => Value::Float(*value),
            Found::Bool(value) => Value::Bool(*value),
            Found::Text(text) => Value::Str(text),
            Found::Node(NodeRef(node)) => node.value(),
        };
        match (&*self.kind, value) {
            ("integer", Value::Int(value)) => Cell::Int(value),
            ("integer", Value::Float(value)) => Cell::Int(value as i64),
            ("number", Value::Int(value)) => Cell::Float(value as f64),
            ("number", Value::Float(value)) => Cell::Float(value),
            ("boolean", Value::Bool(value)) => Cell::Bool(value),
            ("date", Value::Str(text)) => date(text),
            _ => Cell::Null,
        }
    }
}

fn date(text: &str) -> Cell {
    if text.is_empty() || text == "null" {
        return Cell::Age(None);
    }
    match Timestamp::parse(text) {
        Ok(time) if time.is_zero() => Cell::Age(None),
        Ok(time) => Cell::Age(Some(time.seconds)),
        Err(_) => Cell::Str("<invalid>".into()),
    }
}
