//! Behaviour through the real API.
//!
//! A test starts a [`Server`]: a real process with a folder and a port of its own, so that any number of them run side by
//! side, and it is gone, folder included, when the value is dropped. Tests speak to it with a kube client or with a stock
//! kubectl of a chosen version ([`Kubectl`]).
//!
//! What kubectl prints is compared with records ([`scenario`]) that this crate's recorder made against another server, by
//! the same scenario files and the same masks; `corten-record` renews them.
//!
//! With `CORTEN_E2E_KUBECONFIG` set, tests of behaviour use that cluster instead of starting a server. That is how the
//! suite itself is proved: it must pass against kube-apiserver too.

mod etcd;
pub mod facts;
mod kubectl;
mod mask;
mod poll;
mod process;
pub mod scenario;
mod server;
mod small_disk;

pub use etcd::Etcd;
pub use kubectl::{Command, Kubectl, Output, VERSIONS};
pub use mask::Mask;
pub use poll::{DEADLINE, eventually};
pub use process::{Process, free_port};
pub use server::{Engine, Options, Server, binary};
pub use small_disk::SmallDisk;

/// The workspace's root. Cargo says at run time where this crate lies: it may have moved since the program was built.
pub fn workspace() -> std::path::PathBuf {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    std::path::Path::new(&here).join("..")
}
