//! One file for a command.

pub mod server;
pub mod store;
