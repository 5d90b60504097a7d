//! What every type of the API looks like, as tables.
//!
//! [`TYPES`] is generated from the facts in `facts/` by `corten-schema-generate` and never edited. A type's fields stand
//! in upstream's declaration order, embedded structs flattened into the struct that holds them, as JSON shows them. One
//! table serves the JSON, YAML and protobuf codecs, unknown and duplicate field checks, strategic merge, apply and
//! managedFields, defaults and OpenAPI.

mod groups;
#[rustfmt::skip]
mod tables;
#[cfg(test)]
mod tests;

pub use groups::{GROUPS, Group, REGISTRATION, is_shown_when_deleted};
pub use tables::{DEFAULTS, KINDS, RESOURCES, TYPES, ids};

/// The place of a type in [`TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u16);

/// The place of a field in its type's `fields`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

impl TypeId {
    pub fn get(self) -> &'static Type {
        &TYPES[self.0 as usize]
    }
    pub fn field(self, id: FieldId) -> &'static Field {
        &self.get().fields[id.0 as usize]
    }
}

/// A Go struct.
#[derive(Debug)]
pub struct Type {
    /// Package and name: `core.v1.PodSpec`.
    pub name: &'static str,
    /// As JSON shows them, in declaration order. At most 256.
    pub fields: &'static [Field],
    /// Indexes into `fields`, sorted by name, for look-ups.
    pub by_name: &'static [u16],
    /// The protobuf message, in ascending number.
    pub proto: &'static [Proto],
    /// `map-type=atomic`: apply owns it as one.
    pub atomic: bool,
    pub unions: &'static str,
}

/// One entry of a protobuf message.
#[derive(Debug)]
pub struct Proto {
    pub number: u32,
    pub item: ProtoItem,
}

#[derive(Debug)]
pub enum ProtoItem {
    Field(FieldId),
    /// An embedded struct that is a message of its own here, though JSON flattens it. A pointer is written only where
    /// one of its fields is set; any other always.
    Embedded {
        pointer: bool,
        items: &'static [Proto],
    },
}

#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    /// Absent differs from zero.
    pub pointer: bool,
    /// Not written when zero or empty (never holds for a struct that is not a pointer).
    pub omit_empty: bool,
    /// A struct (or time) that is not a pointer is not written when it is zero.
    pub omit_zero: bool,
    /// The embedded structs between the type and this field, as Go names them: `ProbeHandler`, or "".
    pub embedded: &'static str,
    /// Go's name of the field's type, pointers taken off, where it does not follow from the shape (`v1.ResourceList`), or "".
    pub go_type: &'static str,
    /// Fields with equal markers share one.
    pub markers: &'static Markers,
}

#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Bool,
    Int32,
    Int64,
    Float64,
    String,
    /// Base64 in JSON.
    Bytes,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    /// Any object, kept as its JSON text: `RawExtension`, `FieldsV1`, `JSON`. In protobuf one field 1 of bytes.
    Raw(RawKind),
    /// apiextensions' `JSONSchemaPropsOr...`: either form in JSON, one message with a field for each form.
    SchemaOr(SchemaOr),
    Struct(TypeId),
    List(&'static Shape),
    Map(&'static Shape),
    /// A list that protobuf wraps in a message with `items = 1` (`ExtraValue`).
    WrappedList(&'static Shape),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawKind {
    RawExtension,
    FieldsV1,
    Json,
}

#[derive(Debug, Clone, Copy)]
pub enum SchemaOr {
    /// `{schema}` or `true`/`false`.
    Bool(TypeId),
    /// `{schema}` or `[{schema}]`.
    Array(TypeId),
    /// `{schema}` or `["name"]`.
    Strings(TypeId),
}

/// What comments and tags say of a field.
#[derive(Debug)]
pub struct Markers {
    pub required: bool,
    pub patch_merge: bool,
    /// `retainKeys` in the patch strategy.
    pub retain_keys: bool,
    /// The key of a strategic merge of lists; "" where the list has none.
    pub merge_key: &'static str,
    pub list: ListType,
    pub list_map_keys: &'static [&'static str],
    /// The field's own `map-type=atomic`.
    pub map_atomic: bool,
    /// JSON text, or "".
    pub default: &'static str,
    pub enumeration: &'static [&'static str],
    pub format: &'static str,
    /// Every other marker of the facts, as text.
    pub other: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// Nothing said: apply treats it as atomic.
    Unset,
    Atomic,
    Set,
    Map,
}

/// A served kind.
#[derive(Debug)]
pub struct Kind {
    /// "" for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub ty: TypeId,
}

/// A row of resources.tsv.
#[derive(Debug)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub kind: &'static str,
    pub short_names: &'static [&'static str],
    pub namespaced: bool,
    /// In the table's (alphabetic) order.
    pub verbs: &'static [&'static str],
    pub subresources: &'static [Subresource],
    pub categories: &'static [&'static str],
    pub served_by_default: bool,
    pub persisted: bool,
    /// Group and version of the stored form; "" where nothing is stored.
    pub storage_group: &'static str,
    pub storage_version: &'static str,
    /// What precedes `{ns}/{name}` or `{name}` in etcd: `/registry/pods/`.
    pub storage_prefix: &'static str,
    pub storage_version_hash: &'static str,
}

#[derive(Debug)]
pub struct Subresource {
    pub name: &'static str,
    pub kind: &'static str,
    /// Where its kind is of another group ("" else: the resource's own).
    pub group: &'static str,
    pub version: &'static str,
    pub verbs: &'static [&'static str],
}

/// Plain defaults of a kind, in the order of defaults.tsv. What depends on the clock is not among them.
#[derive(Debug)]
pub struct Default {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    /// `spec.template.spec.containers[].imagePullPolicy`.
    pub path: &'static str,
    /// JSON text.
    pub value: &'static str,
}

impl Type {
    pub fn field_named(&self, name: &str) -> Option<FieldId> {
        let found = self.by_name.binary_search_by(|&i| self.fields[i as usize].name.cmp(name)).ok()?;
        Some(FieldId(self.by_name[found]))
    }

    /// A field by its name, found sooner if it is one of those that follow the first so many fields.
    pub fn field_after(&self, before: u16, name: &str) -> Option<FieldId> {
        const LIKELY: usize = 4;
        let following = self.fields.iter().skip(usize::from(before)).take(LIKELY);
        match (before..).zip(following).find(|(_, field)| field.name == name) {
            Some((number, _)) => Some(FieldId(number)),
            None => self.field_named(name),
        }
    }
}

/// The kind of a served group and version.
pub fn kind(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    let found = KINDS.binary_search_by(|row| (row.group, row.version, row.kind).cmp(&(group, version, kind)));
    found.ok().map(|i| &KINDS[i])
}

/// A type by its package and name.
pub fn type_named(name: &str) -> Option<TypeId> {
    TYPES.binary_search_by(|row| row.name.cmp(name)).ok().map(|i| TypeId(i as u16))
}
