//! Tests of behaviour on servers in process; see `fixture`.

mod definitions;
mod fixture;
mod stale;
mod watches;
