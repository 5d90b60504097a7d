//! What the generated lines mean.

/// `view! { PodSpec = core_v1::POD_SPEC; volumes VOLUMES 0 items core_v1::Volume; ... }`: method, constant, place among
/// the type's fields, rule of [`accessor`].
macro_rules! view {
    ($name:ident = $package:ident :: $id:ident;
     $($method:ident $field:ident $index:literal $rule:ident $($inner_package:ident :: $inner:ident)?;)*) => {
        #[derive(Clone, Copy)]
        pub struct $name<'t>(corten_object::tree::Struct<'t>);

        impl<'t> corten_object::tree::View<'t> for $name<'t> {
            const TYPE: corten_schema::TypeId = corten_schema::ids::$package::$id;
            #[inline]
            fn from_struct(structure: corten_object::tree::Struct<'t>) -> Self {
                $name(structure)
            }
            #[inline]
            fn as_struct(self) -> corten_object::tree::Struct<'t> {
                self.0
            }
        }

        #[allow(dead_code)]
        impl<'t> $name<'t> {
            $(
                pub const $field: corten_schema::FieldId = corten_schema::FieldId($index);
                accessor! { $method $field $rule $($inner_package :: $inner)? }
            )*
        }
    };
}

macro_rules! accessor {
    ($method:ident $field:ident string) => { getter! { $method $field string &'t str } };
    ($method:ident $field:ident string_opt) => { getter! { $method $field string_opt Option<&'t str> } };
    ($method:ident $field:ident bool) => { getter! { $method $field bool bool } };
    ($method:ident $field:ident bool_opt) => { getter! { $method $field bool_opt Option<bool> } };
    ($method:ident $field:ident int) => { getter! { $method $field int i64 } };
    ($method:ident $field:ident int_opt) => { getter! { $method $field int_opt Option<i64> } };
    ($method:ident $field:ident float) => { getter! { $method $field float f64 } };
    ($method:ident $field:ident float_opt) => { getter! { $method $field float_opt Option<f64> } };
    ($method:ident $field:ident int_or_string) => {
        getter! { $method $field int_or_string corten_object::tree::IntOrStr<'t> }
    };
    ($method:ident $field:ident int_or_string_opt) => {
        getter! { $method $field int_or_string_opt Option<corten_object::tree::IntOrStr<'t>> }
    };
    ($method:ident $field:ident raw) => { getter! { $method $field raw Option<&'t str> } };
    ($method:ident $field:ident node) => { getter! { $method $field node Option<corten_object::tree::Node<'t>> } };
    ($method:ident $field:ident list) => { getter! { $method $field list corten_object::tree::List<'t> } };
    ($method:ident $field:ident map) => { getter! { $method $field map corten_object::tree::Map<'t> } };
    ($method:ident $field:ident strings) => {
        #[inline]
        pub fn $method(self) -> corten_object::tree::Strings<'t> {
            corten_object::tree::Strings::new(self.0.list(Self::$field))
        }
    };
    ($method:ident $field:ident string_map) => {
        #[inline]
        pub fn $method(self) -> corten_object::tree::StringMap<'t> {
            corten_object::tree::StringMap::new(self.0.map(Self::$field))
        }
    };
    ($method:ident $field:ident items $package:ident :: $inner:ident) => {
        #[inline]
        pub fn $method(self) -> corten_object::tree::Items<'t, crate::$package::$inner<'t>> {
            corten_object::tree::Items::new(self.0.list(Self::$field))
        }
    };
    ($method:ident $field:ident structure $package:ident :: $inner:ident) => {
        #[inline]
        pub fn $method(self) -> crate::$package::$inner<'t> {
            corten_object::tree::View::from_struct(self.0.structure(Self::$field))
        }
    };
    ($method:ident $field:ident structure_opt $package:ident :: $inner:ident) => {
        #[inline]
        pub fn $method(self) -> Option<crate::$package::$inner<'t>> {
            self.0.structure_opt(Self::$field).map(corten_object::tree::View::from_struct)
        }
    };
}

macro_rules! getter {
    ($method:ident $field:ident $read:ident $result:ty) => {
        #[inline]
        pub fn $method(self) -> $result {
            self.0.$read(Self::$field)
        }
    };
}
