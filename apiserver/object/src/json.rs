//! JSON in and out of trees, as Go's `encoding/json` and upstream's strict decoder read and write it.

mod parse;
mod scan;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use scan::{Scanner, unescape};
pub(crate) use write::{is_compact, is_written};

pub use parse::{Form, Parsed, parse, parse_written};
pub use scan::{ParseError, check as check_syntax};
pub use write::{Canonical, canonical, to_string, to_vec, write, write_compact, write_sorted};
