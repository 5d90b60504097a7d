//! The vocabulary that every component shares. Nothing in here does I/O, knows a clock or keeps state.

pub mod field;
