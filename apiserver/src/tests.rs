//! Tests of behaviour on servers in process; see `fixture`.

mod fixture;
mod interleavings;
mod stale;
