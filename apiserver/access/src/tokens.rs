//! Tokens that this cluster issues to service accounts: JSON web tokens, signed by the issuer's own key, that say whose
//! they are, who may accept them, how long, and which object they die with.

mod claims;
mod openid;
mod request;

pub use claims::{Claims, Kubernetes, LEEWAY_SECONDS, ObjectRef, PublicClaims, TimeError};
pub use corten_pki::{KeyError, PublicKey, SigningKey};
pub use openid::{CONFIGURATION_PATH, KEYSET_CONTENT_TYPE, KEYSET_PATH, OpenId, OpenIdError};
pub use request::{BoundObjectRef, Issued, Issuer, TokenRequest};

pub(crate) use claims::{parse_unverified, sign};

/// The expiration that the ServiceAccount admission plugin projects into pods; it is what tells its tokens from those
/// that somebody asked for.
pub const PROJECTED_EXPIRATION_SECONDS: i64 = 60 * 60 + 7;
/// What such a token gets instead, so that clients that never reread it keep working: a year.
pub const EXTENDED_EXPIRATION_SECONDS: i64 = 24 * 365 * 60 * 60;

/// How a token is named in `extra` and in audit events.
pub fn credential_id(jti: &str) -> String {
    if jti.is_empty() { String::new() } else { format!("JTI={jti}") }
}

#[cfg(test)]
pub(crate) mod tests;
