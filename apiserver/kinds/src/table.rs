//! Table rows: what `kubectl get` shows of a kind.

use std::borrow::Cow;

/// A column's head.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `number`, `boolean`, `date`.
    pub kind: &'static str,
    /// `name`, or "".
    pub format: &'static str,
    pub description: &'static str,
    /// 0 is always shown, 1 only in wide output.
    pub priority: i32,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Str(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Null,
    /// How long ago this was, in seconds since 1970, told when the row is sent. None reads `<unknown>`.
    Age(Option<i64>),
    /// As it stands, JSON.
    Json(String),
    /// Text around an age: `3 (5m ago)`.
    Around {
        before: String,
        since: i64,
        after: String,
    },
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell::Str(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Cell::Str(value)
    }
}

impl From<Cow<'_, str>> for Cell {
    fn from(value: Cow<'_, str>) -> Self {
        Cell::Str(value.into_owned())
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::Int(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

/// `metav1.TableRowCondition`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub kind: &'static str,
    pub status: &'static str,
    pub reason: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub conditions: Vec<Condition>,
}

/// The name column that nearly every kind begins with.
pub const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", description: NAME_DESCRIPTION, priority: 0 };

pub const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

pub const CREATED_DESCRIPTION: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What a kind shows that says nothing of columns.
pub static DEFAULT_COLUMNS: [Column; 2] =
    [NAME, Column { name: "Created At", kind: "date", format: "", description: CREATED_DESCRIPTION, priority: 0 }];
