//! Objects as trees: one form into which every request body is parsed and out of which every answer is written.
//!
//! Patches, defaults, pruning, conversion, managedFields and validation work on [`tree::Tree`]; the codecs lead into and
//! out of it. Nothing in this crate knows a particular kind.

pub mod defaults;
pub mod json;
pub mod managed;
pub mod patch;
pub mod protobuf;
pub mod scalar;
pub mod tree;
pub mod typing;
pub mod yaml;
