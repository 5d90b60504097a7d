//! One file for a command.

pub mod server;
