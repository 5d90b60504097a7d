//! Tests of behaviour on servers in process; see `fixture`.

mod custom;
mod definitions;
mod far_times;
mod first_status;
mod fixture;
mod interleavings;
mod publication;
mod reservations;
mod stale;
mod starting;
mod unreadable;
mod upkeep;
mod watches;
