//! HTTP: connections in, requests to the pipeline, answers out.

mod activity;
mod blocks;
pub mod body;
mod connection;
mod crowd;
mod exchange;
mod gather;
mod gzip;
mod heads;
mod lenient;
mod limits;
mod listener;
mod routes;
mod socket;
mod streams;
pub mod websocket;

pub use body::{ApiRequest, ApiResponse, Peer, RequestBody, ResponseBody};
pub use gzip::compress;
pub use listener::{Bound, Listener};
pub use routes::Endpoint;

#[cfg(test)]
mod tests;
