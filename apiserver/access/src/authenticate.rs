//! Who asks: a front proxy that vouches for somebody, a client certificate, a bearer token, or nobody in particular.
//!
//! The ways are tried in this order, and the first that knows the client wins. One that finds its credential wanting
//! does not end the search, but if nobody knows the client in the end, a wanting credential is a 401: who sends a wrong
//! token is not treated as anonymous. What went wrong is for the log only; the client hears `Unauthorized`.
//!
//! Credentials are taken out of the request's headers once they have served, so that nothing behind can misuse them.

mod bearer;
mod cache;
mod certificate;
mod chain;
pub(crate) mod front_proxy;
mod service_account;
mod token_file;
mod trust;

use std::collections::HashSet;
use std::fmt;

use corten_api::status::Status;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::user::User;
use crate::words::aggregate;

pub use bearer::{TokenAuthenticator, Tokens};
pub use cache::TokenCache;
pub use certificate::ClientCertificates;
pub use front_proxy::FrontProxy;
pub use service_account::{LEGACY_ISSUER, ServiceAccountTokens};
pub use token_file::{TokenFile, TokenFileError};
pub use trust::{Peer, TrustBundle};

/// The ways to be known to this server.
#[derive(Default)]
pub struct Authenticators {
    pub front_proxy: Option<FrontProxy>,
    pub client_certificates: Option<ClientCertificates>,
    pub tokens: Option<Tokens>,
    pub anonymous: Anonymous,
    /// `--api-audiences`: a token for somebody else is not accepted. Empty for any.
    pub api_audiences: Vec<String>,
}

/// Which requests need no credential. What an anonymous client may do is a matter of authorization: by the default
/// roles health, version and the cluster's CA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    #[default]
    Everywhere,
    /// Only these paths, to the letter.
    Paths(Vec<String>),
    Nowhere,
}

/// What a request shows of who sends it.
pub struct Credentials<'r> {
    pub path: &'r str,
    pub headers: &'r mut HeaderMap,
    /// The client certificates of the connection.
    pub peer: Option<&'r Peer>,
}

/// Who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authenticated {
    pub user: User,
    /// For whom the credential is meant, of those that were asked for; empty if it does not say.
    pub audiences: Vec<String>,
    pub warnings: Vec<String>,
    /// For the audit event.
    pub annotations: Vec<(&'static str, String)>,
}

/// Nobody known. The text says why, and is not for the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected(pub String);

/// What one way to be known finds: a user, no credential of its kind, or a credential that is no good.
pub type Outcome = Result<Option<Authenticated>, String>;

const INVALID_TOKEN: &str = "invalid bearer token";

impl Authenticators {
    /// Who sends a request to this API; afterwards the headers hold no credentials.
    pub async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Authenticated, Rejected> {
        let Credentials { path, headers, peer } = credentials;
        let audiences = (!self.api_audiences.is_empty()).then_some(self.api_audiences.as_slice());
        let found = self.find(Credentials { path, headers: &mut *headers, peer }, audiences).await;
        let Some(authenticated) = found.map_err(Rejected)? else {
            return Err(Rejected("no credentials".to_owned()));
        };
        if !authenticated.audiences.is_empty()
            && audiences.is_some_and(|wanted| intersect(wanted, &authenticated.audiences).is_empty())
        {
            return Err(Rejected(format!(
                "unable to match the audience: {:?} , accepted: {:?}",
                authenticated.audiences, self.api_audiences
            )));
        }
        headers.remove(AUTHORIZATION);
        front_proxy::clear_standard_headers(headers);
        if let Some(front_proxy) = &self.front_proxy {
            front_proxy.clear_headers(headers);
        }
        Ok(authenticated)
    }

    /// Who a token stands for, as TokenReview asks: the same search, by a request that has nothing but the token.
    pub async fn review_token(&self, token: &str, audiences: &[String]) -> Outcome {
        let mut headers = HeaderMap::new();
        let Ok(value) = http::HeaderValue::try_from(format!("Bearer {token}")) else {
            return Err(INVALID_TOKEN.to_owned());
        };
        headers.insert(AUTHORIZATION, value);
        let audiences = match audiences {
            [] => self.api_audiences.as_slice(),
            asked => asked,
        };
        let credentials = Credentials { path: "", headers: &mut headers, peer: None };
        self.find(credentials, (!audiences.is_empty()).then_some(audiences)).await
    }

    async fn find(&self, credentials: Credentials<'_>, audiences: Option<&[String]>) -> Outcome {
        let path = credentials.path;
        let mut warnings = Vec::new();
        let found = match self.known(credentials, audiences, &mut warnings).await? {
            Some(known) => Authenticated { user: known.user.authenticated(), ..known },
            None if self.anonymous.allows(path) => {
                let audiences = audiences.unwrap_or_default().to_vec();
                Authenticated { audiences, ..Authenticated::new(User::anonymous()) }
            }
            None => return Ok(None),
        };
        warnings.extend(found.warnings);
        Ok(Some(Authenticated { warnings, ..found }))
    }

    async fn known(
        &self,
        credentials: Credentials<'_>,
        audiences: Option<&[String]>,
        warnings: &mut Vec<String>,
    ) -> Outcome {
        let Credentials { headers, peer, .. } = credentials;
        let mut errors = Vec::new();
        if let (Some(front_proxy), Some(peer)) = (&self.front_proxy, peer) {
            match agnostic(&self.api_audiences, audiences, || front_proxy.authenticate(headers, peer)) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => errors.push(error),
            }
        }
        if let (Some(certificates), Some(peer)) = (&self.client_certificates, peer) {
            match certificates.authenticate(peer) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => errors.push(error),
            }
        }
        if let Some(tokens) = &self.tokens {
            let places: [bearer::Place; 2] = [bearer::from_authorization, bearer::from_websocket_protocol];
            for attempt in places {
                let token = match attempt(headers, warnings) {
                    Ok(Some(token)) => token,
                    Ok(None) => continue,
                    Err(error) => {
                        errors.push(error);
                        continue;
                    }
                };
                match tokens.authenticate(&token, audiences).await {
                    Ok(Some(found)) => {
                        token.take_out(headers);
                        return Ok(Some(found));
                    }
                    Ok(None) => errors.push(INVALID_TOKEN.to_owned()),
                    Err(error) => errors.push(error),
                }
            }
        }
        aggregate(&errors).map_or(Ok(None), Err)
    }
}

impl Anonymous {
    fn allows(&self, path: &str) -> bool {
        match self {
            Anonymous::Everywhere => true,
            Anonymous::Paths(paths) => paths.iter().any(|allowed| allowed == path),
            Anonymous::Nowhere => false,
        }
    }
}

impl Authenticated {
    pub fn new(user: User) -> Authenticated {
        Authenticated { user, ..Authenticated::default() }
    }
}

impl Rejected {
    pub fn status(&self) -> Status {
        Status::unauthorized("Unauthorized")
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unable to authenticate the request: {}", self.0)
    }
}

/// What is in both, in the order of `wanted`.
pub(crate) fn intersect(offered: &[String], wanted: &[String]) -> Vec<String> {
    let offered: HashSet<&String> = offered.iter().collect();
    wanted.iter().filter(|audience| offered.contains(audience)).cloned().collect()
}

/// Lets a credential that knows no audiences stand for those of the API.
fn agnostic(api: &[String], wanted: Option<&[String]>, authenticate: impl FnOnce() -> Outcome) -> Outcome {
    let Some(wanted) = wanted else { return authenticate() };
    let audiences = intersect(api, wanted);
    if audiences.is_empty() {
        return Ok(None);
    }
    Ok(authenticate()?.map(|found| Authenticated { audiences, ..found }))
}

#[cfg(test)]
mod tests;
