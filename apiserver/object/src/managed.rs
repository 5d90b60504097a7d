//! Who owns which fields: `metadata.managedFields` after every write, and server-side apply.
//!
//! A manager's fields are a [`set::Set`] of paths, kept in objects as text. A write that is no apply gives the paths that
//! it changed to its manager and takes them from all others; an apply gives its manager the paths that it sent, removes
//! what the same manager sent before and nobody else owns, and is refused where it would change what others own.

use corten_api::status::Status;

use crate::tree::Tree;
use crate::typing::TypeRef;

mod apply;
pub mod compare;
mod conflicts;
pub mod element;
mod entries;
mod fields;
mod merge;
mod reconcile;
mod remove;
pub mod scale;
pub mod set;
mod update;
mod validate;

pub use apply::{Applied, apply, decode_config, wrong_type};
pub use update::{update, update_within};

/// Who writes, and what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manager<'m> {
    /// Empty is `unknown`.
    pub name: &'m str,
    pub api_version: &'m str,
    pub subresource: &'m str,
    /// Now, as RFC 3339 in seconds.
    pub time: &'m str,
}

/// An object in another version of its kind.
pub trait Versions {
    /// None where this server does not know the version. It is never asked for the version that is written.
    fn convert(&self, object: &Tree, api_version: &str) -> Option<Result<Tree, Status>>;

    /// The type of objects of that version.
    fn typing(&self, api_version: &str) -> Option<TypeRef<'_>>;

    /// The paths that writes never own in that version; None where they are those of the version that is written.
    fn reset(&self, _api_version: &str) -> Option<Reset<'_>> {
        None
    }
}

/// Kinds that have one version.
pub struct OneVersion;

impl Versions for OneVersion {
    fn convert(&self, _: &Tree, _: &str) -> Option<Result<Tree, Status>> {
        None
    }
    fn typing(&self, _: &str) -> Option<TypeRef<'_>> {
        None
    }
}

/// Paths that a write through this resource never owns, with all below them.
pub type Reset<'r> = &'r [&'r [&'r str]];

#[cfg(test)]
mod tests;
