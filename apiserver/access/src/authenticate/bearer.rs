//! Bearer tokens: where they stand in a request, and who may know them.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::header::{AUTHORIZATION, CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

use super::cache::TokenCache;
use super::{Outcome, ServiceAccountTokens, TokenFile, agnostic};
use crate::words::aggregate;

const WEBSOCKET_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// A token as it was sent.
pub(super) struct Token {
    text: String,
    /// For a token among the WebSocket protocols: what that header says without it.
    protocols: Option<String>,
}

/// Looks for a token in one place of a request; may have something to tell the client.
pub(super) type Place = fn(&HeaderMap, &mut Vec<String>) -> Result<Option<Token>, String>;

/// Who knows tokens, in the order in which they are asked.
#[derive(Default)]
pub struct Tokens {
    pub file: Option<TokenFile>,
    pub service_accounts: Option<ServiceAccountTokens>,
    /// Bootstrap tokens, OpenID Connect and the like have their place here.
    pub others: Vec<Arc<dyn TokenAuthenticator>>,
    pub cache: Option<TokenCache>,
    /// What tokens that name no audience are good for.
    pub api_audiences: Vec<String>,
}

/// Another kind of token. It may do I/O, so its answers are cached.
pub trait TokenAuthenticator: Send + Sync {
    /// Without audiences, whatever the token is for will do.
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        audiences: Option<&'a [String]>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

impl Tokens {
    pub(super) async fn authenticate(&self, token: &str, audiences: Option<&[String]>) -> Outcome {
        let Some(cache) = &self.cache else { return self.ask(token, audiences).await };
        let key = cache.key(token, audiences);
        if let Some(found) = cache.get(&key) {
            return Ok(Some(found));
        }
        let outcome = self.ask(token, audiences).await;
        if let Ok(Some(found)) = &outcome {
            cache.put(key, found.clone());
        }
        outcome
    }

    async fn ask(&self, token: &str, audiences: Option<&[String]>) -> Outcome {
        let mut errors = Vec::new();
        if let Some(file) = &self.file {
            match agnostic(&self.api_audiences, audiences, || Ok(file.find(token))) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => errors.push(error),
            }
        }
        if let Some(service_accounts) = &self.service_accounts {
            match service_accounts.authenticate(token, audiences).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => errors.push(error),
            }
        }
        for other in &self.others {
            match other.authenticate(token, audiences).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => errors.push(error),
            }
        }
        aggregate(&errors).map_or(Ok(None), Err)
    }
}

impl Token {
    /// Removes the token from the request that it came with.
    pub(super) fn take_out(self, headers: &mut HeaderMap) {
        match self.protocols {
            None => {
                headers.remove(AUTHORIZATION);
            }
            Some(protocols) => {
                if let Ok(protocols) = HeaderValue::try_from(protocols) {
                    headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
                }
            }
        }
    }
}

impl Deref for Token {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

/// `Authorization: Bearer TOKEN`; what follows the token after a space does not count.
pub(super) fn from_authorization(headers: &HeaderMap, warnings: &mut Vec<String>) -> Result<Option<Token>, String> {
    let value = headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut parts = value.as_deref().unwrap_or_default().trim().splitn(3, ' ');
    let (Some(scheme), Some(token)) = (parts.next(), parts.next()) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    if !token.is_empty() {
        return Ok(Some(Token { text: token.to_owned(), protocols: None }));
    }
    if parts.next().is_some() {
        let warning = "the provided Authorization header contains extra space before the bearer token, and is ignored";
        warnings.push(warning.to_owned());
    }
    Ok(None)
}

/// A browser cannot set headers on a WebSocket, so its token is one of the protocols, in base64url. There has to be a
/// real protocol beside it, because one must be chosen in the answer.
pub(super) fn from_websocket_protocol(
    headers: &HeaderMap,
    _warnings: &mut Vec<String>,
) -> Result<Option<Token>, String> {
    if !is_websocket(headers) {
        return Ok(None);
    }
    let mut token = None;
    let mut others: Vec<String> = Vec::new();
    for header in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for protocol in String::from_utf8_lossy(header.as_bytes()).split(',').map(str::trim) {
            let Some(encoded) = protocol.strip_prefix(WEBSOCKET_PREFIX) else {
                others.push(protocol.to_owned());
                continue;
            };
            if token.is_some() {
                return Err("multiple base64.bearer.authorization tokens specified".to_owned());
            }
            let decoded = BASE64.decode(encoded).map_err(|_| "invalid base64.bearer.authorization token encoding")?;
            token = Some(String::from_utf8(decoded).map_err(|_| "invalid base64.bearer.authorization token")?);
        }
    }
    match token {
        Some(text) if !text.is_empty() && others.is_empty() => Err("missing additional subprotocol".to_owned()),
        Some(text) if !text.is_empty() => Ok(Some(Token { text, protocols: Some(others.join(",")) })),
        _ => Ok(None),
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let asks = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("upgrade"));
    upgrade && headers.get_all(CONNECTION).iter().any(asks)
}
