//! CustomResourceDefinitions, and the objects that they define.
//!
//! A definition is compiled once ([`Definition`]) into what its versions ([`Version`]) need to serve objects: pruning,
//! defaults, validation, columns, subresources. [`CustomStrategy`] puts custom objects through the pipeline of all
//! kinds; [`custom_resource_definition`] holds the rules of definitions themselves, and [`lifecycle`] what upstream's
//! controllers write into their status, as pure functions.
//!
//! A custom object is a tree of maps and lists, whose metadata is a typed struct.

mod columns;
pub mod custom_resource_definition;
mod definition;
mod embedded;
mod go_regex;
pub mod json_path;
pub mod lifecycle;

mod lists;

pub mod publish;
pub mod scale;
pub mod schema;
mod shape;
mod strategy;
#[cfg(test)]
mod testing;
mod typing;
pub mod values;

pub use definition::{Definition, Names, SelectableField, Version};
pub use scale::Scale;
pub use strategy::CustomStrategy;
