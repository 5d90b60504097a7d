//! The front proxy: another server that has authenticated the client and says who it is, in headers that count only
//! from a connection with a certificate of the front proxy's own CA.

use std::sync::Arc;

use corten_runtime::clock::Clock;
use http::HeaderMap;
use http::header::HeaderName;
use percent_encoding::percent_decode_str;

use super::certificate::common_name;
use super::trust::{Peer, Role, TrustBundle};
use super::{Authenticated, Outcome};
use crate::user::{Extra, Info};

/// `--requestheader-*`. Header names are compared without regard to case.
pub struct FrontProxy {
    pub trust: Arc<TrustBundle>,
    pub clock: Clock,
    /// Common names of proxies; any will do where it is empty.
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_header_prefixes: Vec<String>,
}

impl FrontProxy {
    pub(super) fn authenticate(&self, headers: &mut HeaderMap, peer: &Peer) -> Outcome {
        let proxy = peer.verified(Role::FrontProxy, &self.trust, self.clock.now(), common_name)?.unwrap_or_default();
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(&proxy.name) {
            return Err(format!("x509: subject with cn={} is not in the allowed list", proxy.name));
        }
        let name = first_value(headers, &self.username_headers);
        if name.is_empty() {
            return Ok(None);
        }
        let user = Info {
            name,
            uid: first_value(headers, &self.uid_headers),
            groups: all_values(headers, &self.group_headers),
            extra: extra(headers, &self.extra_header_prefixes),
        };
        self.clear_headers(headers);
        Ok(Some(Authenticated::new(user.into())))
    }

    pub(super) fn clear_headers(&self, headers: &mut HeaderMap) {
        let names = [&self.username_headers, &self.uid_headers, &self.group_headers];
        clear(
            headers,
            names.into_iter().flatten().map(String::as_str),
            self.extra_header_prefixes.iter().map(String::as_str),
        );
    }
}

/// The usual names are removed whatever the configuration, so that nobody behind this server takes them for the truth.
pub(super) fn clear_standard_headers(headers: &mut HeaderMap) {
    clear(headers, ["x-remote-user", "x-remote-uid", "x-remote-group"].into_iter(), ["x-remote-extra-"].into_iter());
}

fn clear<'n>(headers: &mut HeaderMap, names: impl Iterator<Item = &'n str>, prefixes: impl Iterator<Item = &'n str>) {
    names.for_each(|name| {
        headers.remove(name);
    });
    for prefix in prefixes {
        let matching: Vec<HeaderName> = headers.keys().filter(|name| rest(name, prefix).is_some()).cloned().collect();
        matching.iter().for_each(|name| {
            headers.remove(name);
        });
    }
}

/// Of the first header that has one.
fn first_value(headers: &HeaderMap, names: &[String]) -> String {
    let values = names.iter().filter_map(|name| headers.get(name)).map(|value| text(value.as_bytes()));
    values.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
}

fn all_values(headers: &HeaderMap, names: &[String]) -> Vec<String> {
    let values = names.iter().flat_map(|name| headers.get_all(name)).map(|value| text(value.as_bytes()));
    values.filter(|value| !value.is_empty()).collect()
}

fn extra(headers: &HeaderMap, prefixes: &[String]) -> Extra {
    let mut extra = Extra::new();
    for prefix in prefixes {
        for (name, value) in headers {
            if let Some(key) = rest(name, prefix) {
                extra.entry(unescape(key)).or_default().push(text(value.as_bytes()));
            }
        }
    }
    extra
}

fn rest<'n>(name: &'n HeaderName, prefix: &str) -> Option<&'n str> {
    let (start, rest) = name.as_str().split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Keys with characters that a header name cannot have come percent-encoded; one that is not properly so is taken as it
/// is.
pub(crate) fn unescape(key: &str) -> String {
    let mut rest = key;
    while let Some((_, after)) = rest.split_once('%') {
        if !(after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit)) {
            return key.to_owned();
        }
        rest = &after[2..];
    }
    percent_decode_str(key).decode_utf8_lossy().into_owned()
}

pub(crate) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
