//! The table of kinds with rules of their own. A kind that is not in it is served from the schema tables alone.

use crate::strategy::Strategy;

pub mod objects;
pub mod workloads;

/// A kind, whatever its versions.
pub struct Row {
    /// "" for the core group.
    pub group: &'static str,
    /// The plural name.
    pub resource: &'static str,
    pub strategy: &'static dyn Strategy,
    /// Field labels that can be selected by beyond metadata.name and metadata.namespace.
    pub selectable: &'static [&'static str],
}

/// All rows, by who keeps them.
pub static ROWS: &[&[Row]] = &[objects::ROWS, workloads::ROWS];
