//! OpenAPI of the API in upstream's form. Version 3 is an index of documents, one for each group version; version 2, for
//! older clients, one document of everything.
//!
//! [`Documents`] is told the built-in resources that are served and the custom kinds, as plain data. Component schemas
//! come from the schema tables, operations from the resources' verbs and subresources, descriptions from k8s-openapi
//! (see `build.rs`). A document is made when it is first asked for and kept compressed; the same input gives the same
//! bytes, so several servers of a cluster give one document the same hash. A definition that comes, changes or goes costs
//! what its own documents cost: whatever tells of more than one is joined from parts that stay packed ([`Packed`]).

mod builtin;
mod components;
mod custom;
mod descriptions;
mod documents;
mod fields;
mod group_version;
mod json;
mod names;
mod negotiate;
mod operation;
mod packed;
mod parameters;
mod source;
#[cfg(test)]
mod tests;
mod v2;

pub use custom::CustomKind;
pub use documents::{Document, Documents, Index, location};
pub use negotiate::{Form, accepts_json};
pub use packed::Packed;
