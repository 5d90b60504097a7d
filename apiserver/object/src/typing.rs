//! What a walker beside a tree knows of the place where it stands: whether maps and lists there are merged, by which
//! keys, or owned as one. Built-in types and compiled schemas of custom objects look the same to it.
//!
//! A [`TypeRef`] names a type; [`TypeRef::atom`] says which forms (scalar, list, map) its values may have. A value has
//! the first form of them that fits it.

use corten_schema::{Field, ListType, Markers, Shape, TypeId};

pub mod structural;
mod value;

pub use structural::Structural;
pub use value::Val;
pub(crate) use value::{field_value, parse_raw};

#[derive(Clone, Copy, Debug)]
pub enum TypeRef<'s> {
    /// A built-in struct. An atomic one is owned as one.
    Struct { ty: TypeId, atomic: bool },
    /// A field's value, or an item of it: markers are those of the field, and hold at its first list or map.
    Shape { shape: &'static Shape, markers: Option<&'static Markers> },
    /// A custom object's value. `preserve`: a schema above keeps unknown fields.
    Custom { schema: &'s Structural, preserve: bool },
    /// A whole custom object: its kind, apiVersion and metadata beside what the schema says.
    CustomRoot { schema: &'s Structural, metadata: TypeId },
    /// Nothing is known: maps are merged, lists are owned as one.
    Deduced,
    /// Nothing is known, and all of it is owned as one.
    Untyped,
}

/// The forms that values of a type may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Atom<'s> {
    pub scalar: Option<Scalar>,
    pub list: Option<List<'s>>,
    pub map: Option<Map<'s>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    Numeric,
    String,
    Boolean,
    Untyped,
}

#[derive(Clone, Copy, Debug)]
pub struct List<'s> {
    pub relation: Relation<'s>,
    pub item: TypeRef<'s>,
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug)]
pub enum Relation<'s> {
    Atomic,
    /// By their values.
    Set,
    /// By the values of these keys.
    Keys(Keys<'s>),
}

#[derive(Clone, Copy, Debug)]
pub enum Keys<'s> {
    Static(&'static [&'static str]),
    Custom(&'s [Box<str>]),
}

#[derive(Clone, Copy, Debug)]
pub struct Map<'s> {
    pub atomic: bool,
    pub fields: Fields<'s>,
    /// The type of what is no declared field; none may be there without it.
    pub element: Option<TypeRef<'s>>,
}

#[derive(Clone, Copy, Debug)]
pub enum Fields<'s> {
    None,
    Struct(TypeId),
    Custom { schema: &'s Structural, preserve: bool, object: bool },
    CustomRoot { schema: &'s Structural, metadata: TypeId },
}

impl<'s> Keys<'s> {
    pub fn iter(self) -> impl Iterator<Item = &'s str> {
        let (fixed, custom): (&[&str], &[Box<str>]) = match self {
            Keys::Static(keys) => (keys, &[]),
            Keys::Custom(keys) => (&[], keys),
        };
        fixed.iter().copied().chain(custom.iter().map(|key| &**key))
    }
}

impl<'s> TypeRef<'s> {
    /// A built-in object.
    pub fn built_in(ty: TypeId) -> TypeRef<'static> {
        TypeRef::Struct { ty, atomic: ty.get().atomic }
    }

    /// A custom object of a version with a schema.
    pub fn custom(schema: &'s Structural) -> TypeRef<'s> {
        TypeRef::CustomRoot { schema, metadata: corten_schema::ids::meta_v1::OBJECT_META }
    }

    /// A custom object of a version without one.
    pub fn deduced() -> TypeRef<'static> {
        TypeRef::Deduced
    }

    pub fn of_field(field: &'static Field) -> TypeRef<'static> {
        TypeRef::Shape { shape: &field.shape, markers: Some(field.markers) }
    }

    /// Whether a schema declares it, so that what does not fit it is an error.
    pub fn is_custom(self) -> bool {
        matches!(self, TypeRef::Custom { .. } | TypeRef::CustomRoot { .. })
    }

    pub fn atom(self) -> Atom<'s> {
        match self {
            TypeRef::Struct { ty, atomic } => Atom { map: Some(struct_map(ty, atomic)), ..Atom::default() },
            TypeRef::Shape { shape, markers } => shape_atom(shape, markers),
            TypeRef::Custom { schema, preserve } => schema.atom(preserve),
            TypeRef::CustomRoot { schema, metadata } => {
                let mut map = schema.map(false);
                map.fields = Fields::CustomRoot { schema, metadata };
                if schema.properties.is_empty() && !schema.preserve_unknown {
                    map.element = None;
                }
                Atom { map: Some(map), ..Atom::default() }
            }
            TypeRef::Deduced => Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(List { relation: Relation::Atomic, item: TypeRef::Untyped }),
                map: Some(Map { atomic: false, fields: Fields::None, element: Some(TypeRef::Deduced) }),
            },
            TypeRef::Untyped => Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(List { relation: Relation::Atomic, item: TypeRef::Untyped }),
                map: Some(Map { atomic: true, fields: Fields::None, element: Some(TypeRef::Untyped) }),
            },
        }
    }
}

fn struct_map(ty: TypeId, atomic: bool) -> Map<'static> {
    // An object without properties may hold anything.
    let element = ty.get().fields.is_empty().then_some(TypeRef::Deduced);
    Map { atomic, fields: Fields::Struct(ty), element }
}

fn shape_atom(shape: &'static Shape, markers: Option<&'static Markers>) -> Atom<'static> {
    let scalar = |scalar| Atom { scalar: Some(scalar), ..Atom::default() };
    match shape {
        Shape::Bool => scalar(Scalar::Boolean),
        Shape::Int32 | Shape::Int64 | Shape::Float64 => scalar(Scalar::Numeric),
        Shape::String | Shape::Bytes | Shape::Duration => scalar(Scalar::String),
        Shape::Time | Shape::MicroTime | Shape::Quantity => scalar(Scalar::Untyped),
        Shape::Raw(corten_schema::RawKind::RawExtension) => TypeRef::Untyped.atom(),
        Shape::Raw(corten_schema::RawKind::FieldsV1) => Atom { map: TypeRef::Deduced.atom().map, ..Atom::default() },
        // Upstream's schema says of these that they have one of two types, which for a walker means any.
        Shape::IntOrString | Shape::Raw(corten_schema::RawKind::Json) | Shape::SchemaOr(_) => TypeRef::Deduced.atom(),
        Shape::Struct(ty) => {
            let atomic = match markers {
                Some(markers) if markers.map_atomic => true,
                // A field may take an atomic type apart.
                Some(markers) if markers.other.contains("map-type=granular") => false,
                _ => ty.get().atomic,
            };
            Atom { map: Some(struct_map(*ty, atomic)), ..Atom::default() }
        }
        Shape::List(item) | Shape::WrappedList(item) => {
            let relation = markers.map_or(Relation::Atomic, relation);
            let item = TypeRef::Shape { shape: item, markers: None };
            Atom { list: Some(List { relation, item }), ..Atom::default() }
        }
        Shape::Map(item) => {
            let atomic = markers.is_some_and(|markers| markers.map_atomic);
            let element = Some(TypeRef::Shape { shape: item, markers: None });
            Atom { map: Some(Map { atomic, fields: Fields::None, element }), ..Atom::default() }
        }
    }
}

fn relation(markers: &'static Markers) -> Relation<'static> {
    match markers.list {
        ListType::Atomic => Relation::Atomic,
        ListType::Set => Relation::Set,
        ListType::Map => Relation::Keys(Keys::Static(markers.list_map_keys)),
        // An old list says it only by its patch strategy.
        ListType::Unset if !markers.patch_merge => Relation::Atomic,
        ListType::Unset if markers.merge_key.is_empty() => Relation::Set,
        ListType::Unset => Relation::Keys(Keys::Static(std::slice::from_ref(&markers.merge_key))),
    }
}

impl<'s> Atom<'s> {
    /// Only the form that a value has, if it is one of the type's; a null has none of its own.
    pub fn deduce(self, value: Option<Val<'_>>) -> Atom<'s> {
        match value {
            Some(Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Str(_)) if self.scalar.is_some() => {
                Atom { scalar: self.scalar, ..Atom::default() }
            }
            Some(Val::List(_)) if self.list.is_some() => Atom { list: self.list, ..Atom::default() },
            Some(Val::Map(_) | Val::Struct(..)) if self.map.is_some() => Atom { map: self.map, ..Atom::default() },
            _ => self,
        }
    }

    /// The form that counts where several are possible.
    pub fn form(self) -> Option<Form<'s>> {
        let map = self.map.map(Form::Map);
        map.or(self.scalar.map(Form::Scalar)).or(self.list.map(Form::List))
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Form<'s> {
    Scalar(Scalar),
    List(List<'s>),
    Map(Map<'s>),
}

impl<'s> Map<'s> {
    /// The type of a declared field.
    pub fn field(self, name: &str) -> Option<TypeRef<'s>> {
        match self.fields {
            Fields::None => None,
            Fields::Struct(ty) => {
                let field = ty.get().field_named(name)?;
                Some(TypeRef::of_field(ty.field(field)))
            }
            Fields::Custom { schema, preserve, object } => match name {
                "metadata" if object => Some(TypeRef::built_in(corten_schema::ids::meta_v1::OBJECT_META)),
                "apiVersion" | "kind" if object => Some(TypeRef::Shape { shape: &Shape::String, markers: None }),
                _ => schema.property(name).map(|schema| TypeRef::Custom { schema, preserve }),
            },
            Fields::CustomRoot { schema, metadata } => match name {
                "metadata" => Some(TypeRef::built_in(metadata)),
                "apiVersion" | "kind" => Some(TypeRef::Shape { shape: &Shape::String, markers: None }),
                _ => {
                    let preserve = schema.preserve_unknown;
                    schema.property(name).map(|schema| TypeRef::Custom { schema, preserve })
                }
            },
        }
    }

    pub fn member(self, name: &str) -> Option<TypeRef<'s>> {
        self.field(name).or(self.element)
    }

    /// What a list's key is when it is absent, as JSON.
    pub fn default_of(self, name: &str) -> Option<&'s str> {
        let default = match self.fields {
            Fields::Struct(ty) => ty.field(ty.get().field_named(name)?).markers.default,
            Fields::Custom { schema, .. } | Fields::CustomRoot { schema, .. } => {
                schema.property(name)?.default.as_deref()?
            }
            Fields::None => "",
        };
        Some(default).filter(|default| !default.is_empty())
    }

    /// Whether nothing is declared and anything may be there.
    pub fn is_free(self) -> bool {
        let free = matches!(self.element, Some(TypeRef::Deduced | TypeRef::Untyped));
        free && match self.fields {
            Fields::None => true,
            Fields::Struct(ty) => ty.get().fields.is_empty(),
            Fields::Custom { schema, object, .. } => !object && schema.properties.is_empty(),
            Fields::CustomRoot { .. } => false,
        }
    }
}
