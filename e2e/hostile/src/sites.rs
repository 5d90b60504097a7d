//! Where an object can grow: each list, map and text of a kind, each place where a type holds itself, and the unknown
//! and duplicate fields of each struct.

use std::collections::HashSet;

use corten_schema::{Field, FieldId, SchemaOr, Shape, TypeId};
use serde_json::Value;

use crate::samples;

/// A step from a value to one within it, with what to put there if there is nothing.
#[derive(Debug, Clone)]
pub enum Step {
    Field {
        name: String,
        fresh: Value,
        /// What else the struct needs, as a merge patch.
        beside: Option<Value>,
    },
    /// The first element of a list.
    Item { fresh: Value },
    /// The entry `k` of a map.
    Entry { fresh: Value },
}

/// The key of an entry on the way to a site.
pub const KEY: &str = "k";

#[derive(Debug, Clone)]
pub struct Site {
    pub path: Vec<Step>,
    pub grown: Grown,
}

#[derive(Debug, Clone)]
pub enum Grown {
    List {
        item: Value,
        /// What a strategic merge tells the elements apart by, or "".
        merge_key: &'static str,
    },
    Map {
        key: String,
        value: Value,
    },
    Text(Text),
    /// Any JSON, or the fields of an entry of managedFields.
    Json {
        fields: bool,
    },
    /// A type that holds itself.
    Nest {
        /// The way from the type to itself.
        way: String,
        open: String,
        close: String,
        /// What one round adds to the depth.
        levels: usize,
        leaf: String,
    },
    /// Fields that the struct does not have.
    Unknown,
    /// One field of the struct again and again.
    Duplicate {
        member: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    String,
    Bytes,
    Quantity,
    Time,
    Duration,
    Number,
}

impl Site {
    /// `spec.containers[].env`, `spec (unknown fields)`.
    pub fn name(&self) -> String {
        let mut name = way(&self.path);
        match &self.grown {
            Grown::Unknown => name.push_str("(unknown)"),
            Grown::Duplicate { .. } => name.push_str("(duplicate)"),
            Grown::Nest { way, .. } => name.push_str(&format!("({way} nested)")),
            _ => {}
        }
        name
    }

    /// The object's member that holds the site; `None` for the object itself.
    pub fn member(&self) -> Option<&str> {
        match self.path.first() {
            Some(Step::Field { name, .. }) => Some(name),
            _ => None,
        }
    }

    pub fn is_collection(&self) -> bool {
        matches!(self.grown, Grown::List { .. } | Grown::Map { .. })
    }
}

/// `spec.containers[].env`
fn way(path: &[Step]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Field { name: field, .. } => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(field);
            }
            Step::Item { .. } => name.push_str("[]"),
            Step::Entry { .. } => name.push_str("{}"),
        }
    }
    name
}

/// What has been listed of all kinds so far: structs whose unknown fields need no second case, and texts that are read
/// alike wherever they stand.
#[derive(Default)]
pub struct Seen {
    structs: HashSet<TypeId>,
    scalars: HashSet<(TypeId, FieldId)>,
}

/// The sites of a kind: its lists and maps wherever they stand, its texts once for each field of each type.
pub fn of_kind(ty: TypeId, seen: &mut Seen) -> Vec<Site> {
    let mut walk = Walk { path: Vec::new(), around: Vec::new(), texts: HashSet::new(), seen, sites: Vec::new() };
    walk.members(ty, true);
    walk.structure(ty);
    walk.sites
}

/// The sites of one field's type alone.
pub fn of_field(ty: TypeId, name: &str, seen: &mut Seen) -> Vec<Site> {
    let mut walk = Walk { path: Vec::new(), around: Vec::new(), texts: HashSet::new(), seen, sites: Vec::new() };
    if let Some(id) = ty.get().field_named(name) {
        walk.field(ty, id);
    }
    walk.sites
}

struct Walk<'a> {
    path: Vec<Step>,
    /// The structs around, and how long the path to each is.
    around: Vec<(TypeId, usize)>,
    texts: HashSet<(TypeId, FieldId)>,
    seen: &'a mut Seen,
    sites: Vec<Site>,
}

impl Walk<'_> {
    fn site(&mut self, grown: Grown) {
        self.sites.push(Site { path: self.path.clone(), grown });
    }

    /// A struct, or its place within itself.
    fn structure(&mut self, ty: TypeId) {
        if let Some(&(_, len)) = self.around.iter().find(|(known, _)| *known == ty) {
            return self.nest(ty, len);
        }
        self.members(ty, false);
        self.around.push((ty, self.path.len()));
        for id in 0..ty.get().fields.len() {
            self.field(ty, FieldId(id as u16));
        }
        self.around.pop();
    }

    /// Unknown and duplicate fields.
    fn members(&mut self, ty: TypeId, always: bool) {
        if !self.seen.structs.insert(ty) && !always {
            return;
        }
        self.site(Grown::Unknown);
        let fields = ty.get().fields.iter();
        if let Some(field) = fields.rev().find(|field| field.pointer) {
            self.site(Grown::Duplicate { member: format!("\"{}\":null", field.name) });
        }
    }

    fn field(&mut self, ty: TypeId, id: FieldId) {
        let field = ty.field(id);
        let fresh = match &field.shape {
            Shape::List(_) | Shape::WrappedList(_) => Value::Array(Vec::new()),
            Shape::Struct(ty) => samples::of_type(*ty),
            Shape::SchemaOr(SchemaOr::Bool(ty) | SchemaOr::Array(ty) | SchemaOr::Strings(ty)) => samples::of_type(*ty),
            _ => Value::Object(serde_json::Map::new()),
        };
        self.path.push(Step::Field { name: field.name.to_owned(), fresh, beside: samples::beside(ty, id) });
        self.shape(ty, id, field, &field.shape);
        self.path.pop();
    }

    fn shape(&mut self, ty: TypeId, id: FieldId, field: &'static Field, shape: &'static Shape) {
        match shape {
            Shape::Bool => {}
            Shape::String => self.text(ty, id, Text::String),
            Shape::Bytes => self.text(ty, id, Text::Bytes),
            Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => self.scalar(ty, id, Text::Number),
            Shape::Quantity => self.scalar(ty, id, Text::Quantity),
            Shape::Time | Shape::MicroTime => self.scalar(ty, id, Text::Time),
            Shape::Duration => self.scalar(ty, id, Text::Duration),
            Shape::Raw(kind) => self.site(Grown::Json { fields: *kind == corten_schema::RawKind::FieldsV1 }),
            Shape::Struct(ty) => self.structure(*ty),
            Shape::SchemaOr(SchemaOr::Bool(ty) | SchemaOr::Array(ty) | SchemaOr::Strings(ty)) => self.structure(*ty),
            Shape::List(item) | Shape::WrappedList(item) => {
                let sample = samples::item(ty, field, item);
                self.site(Grown::List { item: sample.clone(), merge_key: field.markers.merge_key });
                self.path.push(Step::Item { fresh: sample });
                self.shape(ty, id, field, item);
                self.path.pop();
            }
            Shape::Map(value) => {
                let (key, sample) = samples::entry(field, value);
                self.site(Grown::Map { key, value: sample.clone() });
                self.path.push(Step::Entry { fresh: sample });
                self.shape(ty, id, field, value);
                self.path.pop();
            }
        }
    }

    fn text(&mut self, ty: TypeId, id: FieldId, text: Text) {
        if self.texts.insert((ty, id)) {
            self.site(Grown::Text(text));
        }
    }

    fn scalar(&mut self, ty: TypeId, id: FieldId, text: Text) {
        if self.seen.scalars.insert((ty, id)) {
            self.site(Grown::Text(text));
        }
    }

    /// The type at the end of the path stands at its first `len` steps too: the rest leads from it to itself.
    fn nest(&mut self, ty: TypeId, len: usize) {
        let leaf = samples::of_type(ty).to_string();
        let (mut open, mut close) = (String::new(), String::new());
        for step in &self.path[len..] {
            match step {
                Step::Field { name, .. } => {
                    // What the type requires stands at each level.
                    let required =
                        if open.is_empty() { leaf.trim_start_matches('{').trim_end_matches('}') } else { "" };
                    let comma = if required.is_empty() { "" } else { "," };
                    open.push_str(&format!("{{{required}{comma}\"{name}\":"));
                    close.insert(0, '}');
                }
                Step::Item { .. } => {
                    open.push('[');
                    close.insert(0, ']');
                }
                Step::Entry { .. } => {
                    open.push_str(&format!("{{\"{KEY}\":"));
                    close.insert(0, '}');
                }
            }
        }
        let grown = Grown::Nest { way: way(&self.path[len..]), open, close, levels: self.path.len() - len, leaf };
        self.sites.push(Site { path: self.path[..len].to_vec(), grown });
    }
}
