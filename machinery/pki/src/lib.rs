//! The cluster's certificates, keys and kubeconfigs: made at first start, used again afterwards, renewed in time.
//!
//! Nothing in here decides who somebody is; that is authentication. Files that exist and cannot be used are an error
//! that says what to do, and are never replaced in silence, because a lost CA or signing key cannot be had back.

mod authority;
mod bundle;
mod certificate;
mod cluster;
mod files;
mod keys;
pub mod kubeconfig;
mod serving;
pub mod signature;

pub use authority::{Authority, Leaf, Names, Signer};
pub use bundle::union_of_bundles;
pub use certificate::{Certificate, Pair};
pub use cluster::Pki;
pub use files::{read_if_exists, write_atomically};
pub use keys::{KeyError, PublicKey, SigningKey};
pub use serving::{ServingCertificate, any_client, server_config};

#[cfg(test)]
mod tests;
