//! What others need to verify this cluster's tokens: the discovery document and the public keys.

use super::PublicKey;

pub const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
pub const KEYSET_PATH: &str = "/openid/v1/jwks";
pub const KEYSET_CONTENT_TYPE: &str = "application/jwk-set+json";

/// The two documents as they are served, with `Cache-Control: public, max-age=3600`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenId {
    pub configuration: Vec<u8>,
    pub keyset: Vec<u8>,
}

/// Why the documents cannot be served; the server goes on without them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenIdError {
    #[error("empty issuer URL")]
    NoIssuer,
    #[error("either the JWKS URI or the default external address, or both, must be set")]
    NoAddress,
    #[error("no keys provided for validating keyset")]
    NoKeys,
    #[error("issuer URL must use https scheme, got: {0}")]
    IssuerScheme(String),
    #[error("issuer URL may not include a query, got: {0}")]
    IssuerQuery(String),
    #[error("issuer URL may not include a fragment, got: {0}")]
    IssuerFragment(String),
    #[error("jwksURI requires https scheme, parsed as: {0}")]
    KeysetScheme(String),
}

impl OpenId {
    pub const MAX_AGE_SECONDS: u32 = 3600;

    /// `jwks_uri` may be empty: the keys are then found at the API server's external address (`host[:port]`).
    pub fn new(
        issuer: &str,
        jwks_uri: &str,
        external_address: &str,
        keys: &[PublicKey],
    ) -> Result<OpenId, OpenIdError> {
        check_issuer(issuer)?;
        if jwks_uri.is_empty() && external_address.is_empty() {
            return Err(OpenIdError::NoAddress);
        }
        if !jwks_uri.is_empty() && !is_https(jwks_uri) {
            return Err(OpenIdError::KeysetScheme(jwks_uri.to_owned()));
        }
        if keys.is_empty() {
            return Err(OpenIdError::NoKeys);
        }
        let jwks_uri = match jwks_uri {
            "" => format!("https://{external_address}{KEYSET_PATH}"),
            given => given.to_owned(),
        };
        let mut algorithms: Vec<&str> = keys.iter().map(PublicKey::algorithm).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let configuration = format!(
            r#"{{"issuer":{},"jwks_uri":{},"response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["{}"]}}"#,
            json_string(issuer),
            json_string(&jwks_uri),
            algorithms.join(r#"",""#),
        );
        let keys: Vec<String> = keys.iter().map(PublicKey::web_key).collect();
        let keyset = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        Ok(OpenId { configuration: configuration.into_bytes(), keyset: keyset.into_bytes() })
    }
}

fn check_issuer(issuer: &str) -> Result<(), OpenIdError> {
    let given = || issuer.to_owned();
    let (before_fragment, fragment) = issuer.split_once('#').unwrap_or((issuer, ""));
    let query = before_fragment.split_once('?').map_or("", |(_, query)| query);
    match () {
        () if issuer.is_empty() => Err(OpenIdError::NoIssuer),
        () if !is_https(issuer) => Err(OpenIdError::IssuerScheme(given())),
        () if !query.is_empty() => Err(OpenIdError::IssuerQuery(given())),
        () if !fragment.is_empty() => Err(OpenIdError::IssuerFragment(given())),
        () => Ok(()),
    }
}

fn is_https(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
}

/// Go's JSON, which keeps its strings out of HTML's way.
fn json_string(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}
