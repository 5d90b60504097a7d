//! What is particular to each built-in kind: one file for a kind, one row for it in [`rows::ROWS`].
//!
//! Nothing in here does I/O. The pipeline of the API server calls a kind's [`strategy::Strategy`] at fixed places; all
//! that strategies share (metadata, managedFields, deletion, storage) is the pipeline's.

pub mod rows;
pub mod strategy;
