//! Objects as trees: one form into which every request body is parsed and out of which every answer is written.
//!
//! Patches, defaults, pruning, conversion, managedFields and validation work on [`tree::Tree`]; the codecs lead into and
//! out of it. Nothing in this crate knows a particular kind.
//!
//! **Depth.** Trees are walked by recursion. No decoder lets anything through that is nested deeper than [`DEPTH_MAX`],
//! Go's own limit, and nothing in here makes an object deeper than that without decoding it again; trees are dropped
//! without recursion. A level costs less than 10 KiB of stack in whatever is done with it, in builds for debugging, which
//! need several times as much as others: the server's threads have room for whatever is decoded, and one of 2 MiB takes
//! 200 levels. `tests/depth.rs` holds this.

pub mod continue_token;
pub mod defaults;
pub mod json;
pub mod managed;
pub mod patch;
pub mod protobuf;
pub mod scalar;
pub mod tree;
pub mod typing;
pub mod yaml;

/// The deepest that structs, maps and lists may nest, in each of the forms that are decoded: Go's limit.
pub const DEPTH_MAX: usize = 10_000;
