//! YAML in and out of JSON, as upstream's library reads and writes it: YAML 1.1 scalars (`yes` is a boolean, `010` is
//! eight, what looks like a time stays a string), merge keys, anchors within bounds, and only the first document.
//!
//! Duplicate keys are no error here: the last one counts, and the complaint is handed to the caller, who knows whether
//! strictness is wanted.
//!
//! Block collections nest as deep as everything else ([`crate::DEPTH_MAX`]), flow collections only to 255 levels, which
//! is as many as the parser counts; upstream takes 10,000 of both.

mod decode;
mod encode;
mod resolve;
#[cfg(test)]
mod tests;
mod text;

pub use decode::{Converted, Error, to_json};
pub(crate) use encode::format_g;
pub use encode::from_json;
