//! Tests of behaviour on servers in process; see `fixture`.

mod custom;
mod fixture;
mod stale;
