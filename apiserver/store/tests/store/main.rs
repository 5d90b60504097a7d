//! The contract of `Store`, checked against every engine; what only one engine promises; and what they endure.

#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test may end by a panic, and has memory")]

mod conformance;
mod crashes;
mod damage;
mod embedded;
mod etcd;
mod format_2;
mod full_disk;
mod history;
mod support;
mod torture;
