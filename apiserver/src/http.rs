//! HTTP: connections in, requests to the pipeline, answers out.

pub mod body;
mod gather;
mod gzip;
mod lenient;
mod listener;
mod routes;
mod streams;
pub mod websocket;

pub use body::{ApiRequest, ApiResponse, Peer, RequestBody, ResponseBody};
pub use gzip::compress;
pub use listener::{Bound, Listener};
pub use routes::Endpoint;
