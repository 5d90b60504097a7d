//! The Kubernetes REST API.
//!
//! A request comes in through `http`, runs through `dispatch` (who asks, may they), and is handled for its verb in
//! `handlers`, alike for every resource: what is particular to one is a row of the tables and a strategy. Writes go
//! through `write` and `delete` into the store; the `feed` brings every change back into the `cache`s, from which all
//! reads are served as bytes.

mod admission;
pub mod api;
mod binding;
mod bootstrap;
mod budget;
mod build_info;
mod cache;
mod call;
mod codec;
mod computation;
mod control;
mod data_folder;
mod decode;
mod definitions;
mod delete;
mod device_access;
mod discovery;
mod dispatch;
mod documents;
mod escalation;
mod feed;
#[cfg(test)]
mod fixture;
mod handlers;
mod http;
mod identity;
mod in_flight;
mod latest;
mod list;
mod metadata;
mod metrics;
mod negotiate;
mod object;
mod openapi;
mod options;
mod owned_versions;
mod publication;
mod readiness;
mod registry;
mod request;
mod request_size;
mod reserve;
mod resource;
mod router;
mod scale;
mod select;
pub mod server;
mod serving;
mod show;
mod table;
#[cfg(test)]
mod tests;
mod wakes;
mod watch;
mod write;
mod write_phase;
