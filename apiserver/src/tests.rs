//! Tests of behaviour on servers in process; see `fixture`.

mod definitions;
mod first_status;
mod fixture;
mod interleavings;
mod publication;
mod reservations;
mod stale;
mod upkeep;
mod watches;
