//! What is particular to each built-in kind: one file for a kind, one row for it in [`rows::ROWS`].
//!
//! Nothing in here does I/O. The pipeline of the API server calls a kind's [`strategy::Strategy`] at fixed places; all
//! that strategies share (metadata, managedFields, deletion, storage) is the pipeline's.

mod access;

pub mod columns;
pub mod config_map;
pub mod event;
pub mod horizontal_pod_autoscaler;
pub mod label_selector;
pub mod lease;
pub mod namespace;
pub mod object_meta;
pub mod rbac;
pub mod resource_name;
pub mod rows;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod strategy;
pub mod table;

#[cfg(test)]
mod tests;
