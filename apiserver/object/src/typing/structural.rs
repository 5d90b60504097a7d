//! A custom object's schema, compiled to what walkers need. It is made when a definition is established and shared by
//! every request from then on.

use super::{Atom, Fields, Keys, List, Map, Relation, Scalar, TypeRef};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// No type is given, or `x-kubernetes-int-or-string`.
    #[default]
    Any,
    Object,
    Array,
    /// `integer` or `number`.
    Number,
    Boolean,
    /// A string, with no format or that of bytes.
    String,
    /// A string of any other format.
    FormattedString,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListKind {
    #[default]
    Atomic,
    Set,
    Map,
}

/// `additionalProperties`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Additional {
    #[default]
    Unset,
    Allowed,
    Denied,
    Schema(Box<Structural>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Structural {
    pub kind: Kind,
    /// Sorted by name.
    pub properties: Vec<(Box<str>, Structural)>,
    pub additional: Additional,
    pub items: Option<Box<Structural>>,
    pub list: ListKind,
    /// `x-kubernetes-list-map-keys`.
    pub list_map_keys: Vec<Box<str>>,
    /// `x-kubernetes-map-type: atomic`.
    pub map_atomic: bool,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded_resource: bool,
    pub int_or_string: bool,
    pub nullable: bool,
    /// JSON text.
    pub default: Option<Box<str>>,
}

impl Structural {
    pub fn property(&self, name: &str) -> Option<&Structural> {
        let found = self.properties.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        Some(&self.properties[found].1)
    }

    pub(super) fn atom(&self, preserve: bool) -> Atom<'_> {
        let scalar = |scalar| Atom { scalar: Some(scalar), ..Atom::default() };
        match self.kind {
            Kind::Any => Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(self.as_list(preserve)),
                map: Some(self.map(preserve)),
            },
            Kind::Object => Atom { map: Some(self.map(preserve)), ..Atom::default() },
            Kind::Array => Atom { list: Some(self.as_list(preserve)), ..Atom::default() },
            Kind::Number => scalar(Scalar::Numeric),
            Kind::Boolean => scalar(Scalar::Boolean),
            Kind::String => scalar(Scalar::String),
            Kind::FormattedString => scalar(Scalar::Untyped),
        }
    }

    fn as_list(&self, preserve: bool) -> List<'_> {
        let preserve = preserve || self.preserve_unknown;
        let relation = match self.list {
            ListKind::Atomic => Relation::Atomic,
            ListKind::Set => Relation::Set,
            ListKind::Map => Relation::Keys(Keys::Custom(&self.list_map_keys)),
        };
        let item = self.items.as_deref().map_or(TypeRef::Untyped, |schema| TypeRef::Custom { schema, preserve });
        List { relation, item }
    }

    pub(super) fn map(&self, preserve: bool) -> Map<'_> {
        let preserve = preserve || self.preserve_unknown;
        let empty = self.properties.is_empty() && !self.embedded_resource;
        let element = match &self.additional {
            Additional::Schema(schema) => Some(TypeRef::Custom { schema, preserve }),
            Additional::Allowed => Some(TypeRef::Deduced),
            Additional::Unset if preserve || empty => Some(TypeRef::Deduced),
            Additional::Unset | Additional::Denied => None,
        };
        let fields = Fields::Custom { schema: self, preserve, object: self.embedded_resource };
        Map { atomic: self.map_atomic, fields, element }
    }
}
