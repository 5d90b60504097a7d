//! Tests of behaviour on servers in process; see `fixture`.

mod computations;
mod custom;
mod definitions;
mod far_times;
mod first_status;
mod fixture;
mod interleavings;
mod limits;
mod lists;
mod publication;
mod reservations;
mod sizes;
mod stale;
mod starting;
mod unreadable;
mod upkeep;
mod watches;
