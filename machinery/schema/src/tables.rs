use crate::{Default, Kind, Resource, Type};
pub static TYPES: &[Type] = &[];
pub static KINDS: &[Kind] = &[];
pub static RESOURCES: &[Resource] = &[];
pub static DEFAULTS: &[Default] = &[];
