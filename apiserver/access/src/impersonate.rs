//! Acting as somebody else: the `Impersonate-*` headers.
//!
//! There are two generations of it. The older asks whether the requester may `impersonate` a user, group, UID or extra
//! value, and then lets them do anything that this user may. The newer, constrained one asks besides whether they may do
//! so for the very thing they want to do (`impersonate-on:MODE:VERB`), and comes in modes: of the node that a service
//! account's pod runs on, of any node, of a service account, of any other user. The modes are tried in order, the older
//! generation last; one success is enough, and of failures the first is told. As most requesters use one mode, that
//! which worked last is tried first.
//!
//! Upstream remembers successes for ten seconds, to spare slow authorizers. Decisions in here take microseconds, so
//! nothing is remembered, and a permission that is taken away ends at once.

mod modes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use corten_api::field::quote;
use corten_api::status::Status;
use http::HeaderMap;
use http::header::HeaderName;
use parking_lot::Mutex;

use crate::authenticate::front_proxy::{text, unescape};
use crate::authorize::{Attributes, Authorizer};
use crate::user::{Info, User};
use crate::words::go_strings;

use modes::Mode;

const USER_HEADER: &str = "impersonate-user";
const UID_HEADER: &str = "impersonate-uid";
const GROUP_HEADER: &str = "impersonate-group";
const EXTRA_PREFIX: &str = "impersonate-extra-";

/// How many requesters' modes are remembered, at most.
const REMEMBERED_MAX: usize = 10_000;

pub struct Impersonator {
    authorizer: Arc<dyn Authorizer>,
    remembered: Mutex<Remembered>,
}

/// Whom the request acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonated {
    pub user: User,
    /// The verb that allowed it, for the audit event; empty for the older generation.
    pub constraint: &'static str,
}

/// Two generations of entries, the older of which is dropped when the younger is full.
#[derive(Default)]
struct Remembered {
    young: HashMap<String, Mode>,
    old: HashMap<String, Mode>,
}

impl Impersonator {
    pub fn new(authorizer: Arc<dyn Authorizer>) -> Impersonator {
        Impersonator { authorizer, remembered: Mutex::default() }
    }

    /// Whom the headers ask to act as; nothing if they don't. The attributes are those of the request itself, by the user
    /// who makes it. The headers are taken out, so that they count once.
    pub fn impersonate(
        &self,
        headers: &mut HeaderMap,
        attributes: &Attributes<'_>,
    ) -> Result<Option<Impersonated>, Status> {
        match take_wanted(headers)? {
            Some(wanted) => self.check(&wanted, attributes).map(Some),
            None => Ok(None),
        }
    }

    fn check(&self, wanted: &Info, attributes: &Attributes<'_>) -> Result<Impersonated, Status> {
        let requester = &attributes.user.name;
        let last = self.remembered.lock().get(requester);
        let rest = Mode::ALL.into_iter().filter(|&mode| Some(mode) != last);
        let mut first_failure = None;
        for mode in last.into_iter().chain(rest) {
            match mode.check(&*self.authorizer, wanted, attributes) {
                Ok(None) => {}
                Ok(Some(impersonated)) => {
                    if Some(mode) != last {
                        self.remembered.lock().put(requester, mode);
                    }
                    return Ok(impersonated);
                }
                Err(failure) => {
                    first_failure.get_or_insert(failure);
                }
            }
        }
        Err(first_failure.unwrap_or_else(|| Status::internal("all impersonation modes failed")))
    }
}

impl Remembered {
    fn get(&self, requester: &str) -> Option<Mode> {
        self.young.get(requester).or_else(|| self.old.get(requester)).copied()
    }

    fn put(&mut self, requester: &str, mode: Mode) {
        if self.young.len() >= REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(requester.to_owned(), mode);
    }
}

fn take_wanted(headers: &mut HeaderMap) -> Result<Option<Info>, Status> {
    let first = |name: &str| headers.get(name).map(|value| text(value.as_bytes())).unwrap_or_default();
    let mut wanted = Info {
        name: first(USER_HEADER),
        uid: first(UID_HEADER),
        groups: headers.get_all(GROUP_HEADER).iter().map(|value| text(value.as_bytes())).collect(),
        extra: BTreeMap::new(),
    };
    for (name, value) in &*headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA_PREFIX) {
            wanted.extra.entry(unescape(key)).or_default().push(text(value.as_bytes()));
        }
    }
    if wanted.name.is_empty() {
        if wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty() {
            return Ok(None);
        }
        return Err(Status::bad_request(format!("requested {} without impersonating a user name", go_user(&wanted))));
    }
    let ours = |name: &&HeaderName| {
        let name = name.as_str();
        matches!(name, USER_HEADER | UID_HEADER | GROUP_HEADER) || name.starts_with(EXTRA_PREFIX)
    };
    let names: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
    names.iter().for_each(|name| {
        headers.remove(name);
    });
    Ok(Some(wanted))
}

/// Go's `%#v` of a user, which upstream puts into a message.
fn go_user(user: &Info) -> String {
    let extra = match user.extra.is_empty() {
        true => "map[string][]string(nil)".to_owned(),
        false => {
            let entries = user.extra.iter().map(|(key, values)| format!("{}:{}", quote(key), go_strings(values)));
            format!("map[string][]string{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    };
    let (name, uid, groups) = (quote(&user.name), quote(&user.uid), go_strings(&user.groups));
    format!("&user.DefaultInfo{{Name:{name}, UID:{uid}, Groups:{groups}, Extra:{extra}}}")
}

#[cfg(test)]
mod tests;
