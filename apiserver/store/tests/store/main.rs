//! The contract of `Store`, checked against every engine; what only one engine promises; and what they endure.

mod conformance;
mod crashes;
mod embedded;
mod etcd;
mod full_disk;
mod history;
mod sim;
mod support;
mod torture;
