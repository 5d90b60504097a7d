//! The vocabulary that every component shares. Nothing in here does I/O, knows a clock or keeps state.

pub mod field;
pub mod gvk;
pub mod intstr;
pub mod json;
pub mod names;
pub mod quantity;
pub mod seen;
pub mod selector;
pub mod status;
pub mod time;

pub use status::{Reason, Result, Status};
