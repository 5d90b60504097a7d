//! One request on its way through the pipeline: what it asks for, who asks, and what it gathers on the way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use corten_access::user::User;
use corten_api::seen::Seen;
use corten_api::status::{Result, Status};
use corten_api::time::Timestamp;
use corten_kinds::strategy::{Context, Requester};
use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;

use crate::api::Api;
use crate::budget::{Charge, Exhausted};
use crate::computation;
use crate::http::RequestBody;
use crate::http::body::BODY_MAX;
use crate::in_flight::{Class, Seat};
use crate::negotiate::{self, Form, Offers};
use crate::request::{Query, RequestInfo};
use crate::resource::Resource;
use crate::serving::Pass;
use crate::write_phase::{Elsewhere, WritePhases};

pub struct Call {
    pub api: Arc<Api>,
    pub method: Method,
    pub info: RequestInfo,
    pub query: Query,
    pub headers: HeaderMap,
    pub user: User,
    /// What limits hold for it.
    pub class: Class,
    pub now: Timestamp,
    /// How long an answer may take, unless it is a watch or a stream.
    pub allotted: Duration,
    pub warnings: Warnings,
    pub write_phases: WritePhases,
    pub elsewhere: Elsewhere,
    /// Whether its path and method are those of a resource, so that what they say may become labels of metrics.
    pub routed: AtomicBool,
    /// The connection, for whoever is first to take it over.
    pub upgrade: Mutex<Option<OnUpgrade>>,
    /// What the request holds until it has been answered, and a write that goes on without it until that has ended.
    pub holds: Mutex<Holds>,
}

#[derive(Default)]
pub struct Holds {
    /// Keeps the custom storage that the request is about.
    pub pass: Option<Pass>,
    pub seat: Option<Seat>,
    /// Of its body.
    pub charge: Option<Charge>,
}

/// No request but a watch or a stream takes longer.
pub const REQUEST_MAX: Duration = Duration::from_secs(60);

/// Warnings for the client, in order and without repetitions. As in upstream, they are cut once they are many: what comes
/// after that is dropped.
#[derive(Default)]
pub struct Warnings(Mutex<Recorded>);

#[derive(Default)]
struct Recorded {
    texts: Vec<String>,
    known: Seen<String>,
    /// The characters of the texts.
    length: usize,
    cutting: bool,
}

/// How many characters all warnings of an answer may have, and one of them when that is passed.
const TOTAL_MAX: usize = 4 * 1024;
const ONE_MAX: usize = 256;

impl Warnings {
    pub fn add(&self, text: impl Into<String>) {
        let mut text = text.into();
        let mut recorded = self.0.lock();
        let full = recorded.cutting && recorded.length >= TOTAL_MAX;
        if text.is_empty() || full || !recorded.known.insert(text.clone()) {
            return;
        }
        if recorded.cutting {
            cut(&mut text);
        }
        recorded.length += text.chars().count();
        recorded.texts.push(text);
        if recorded.length > TOTAL_MAX && !recorded.cutting {
            recorded.cutting = true;
            recorded.texts.iter_mut().for_each(cut);
            recorded.length = recorded.texts.iter().map(|text| text.chars().count()).sum();
        }
    }

    /// The values of Warning headers.
    pub fn headers(&self) -> Vec<String> {
        self.0.lock().texts.iter().map(|text| format!("299 - {}", quoted(text))).collect()
    }
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(ONE_MAX) {
        text.truncate(end);
    }
}

/// An HTTP quoted-string: control characters become spaces.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Call {
    /// A request of now, without query, headers and connection.
    pub fn new(api: Arc<Api>, method: Method, info: RequestInfo, user: User) -> Call {
        let now = api.clock.now();
        Call {
            api,
            method,
            info,
            query: Query::default(),
            headers: HeaderMap::new(),
            user,
            class: Class::Internal,
            now: Timestamp { seconds: now.seconds, nanos: now.nanos },
            allotted: REQUEST_MAX,
            warnings: Warnings::default(),
            write_phases: WritePhases::default(),
            elsewhere: Elsewhere::default(),
            routed: AtomicBool::new(false),
            upgrade: Mutex::default(),
            holds: Mutex::default(),
        }
    }

    pub fn user_agent(&self) -> &str {
        self.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The whole of a body. What follows is done elsewhere if the body is large.
    pub async fn read(&self, body: RequestBody) -> Result<Vec<u8>> {
        let budget = &self.api.budget;
        let length = self.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if !budget.fits(length.unwrap_or(0).min(BODY_MAX), self.class) {
            return Err(Exhausted.into());
        }
        let (body, charge) = body.read(budget.charge(), self.class).await?;
        self.holds.lock().charge = Some(charge);
        self.api.metrics.body_read(&self.info.group, &self.info.resource, &self.info.verb, body.len());
        self.weigh(body.len()).await;
        Ok(body)
    }

    /// Before work on so many bytes: the rest of the request is done where it may compute for long, if that is much.
    pub async fn weigh(&self, bytes: usize) {
        if bytes >= computation::LONG {
            self.elsewhere.go().await;
        }
    }

    /// The answer's head is made: the request holds nothing any more.
    pub fn let_go(&self) {
        let holds = std::mem::take(&mut *self.holds.lock());
        drop(holds);
    }

    pub fn form(&self, offers: Offers) -> Result<Form> {
        let pretty = self.query.get("pretty").map(|_| self.query.flag("pretty"));
        negotiate::negotiate(&self.headers, pretty, offers)
    }

    /// What strategies may know.
    pub fn context<'c>(&'c self, resource: &'c Resource, dry_run: bool) -> Context<'c> {
        Context {
            subresource: &self.info.subresource,
            group: &resource.group,
            version: &resource.version,
            namespace: &self.info.namespace,
            name: &self.info.name,
            user: Requester {
                name: &self.user.name,
                uid: &self.user.uid,
                groups: &self.user.groups,
                extra: &self.user.extra,
            },
            dry_run,
            now: (self.now.seconds, self.now.nanos),
        }
    }

    /// The manager of a write: as named, else what the user agent says before its slash.
    pub fn manager<'c>(&'c self, named: &'c str) -> &'c str {
        if !named.is_empty() {
            return named;
        }
        let agent = self.user_agent();
        let prefix = agent.split('/').next().unwrap_or_default();
        let printable = prefix.find(|c: char| c.is_control()).map_or(prefix, |end| &prefix[..end]);
        let mut end = printable.len().min(128);
        while !printable.is_char_boundary(end) {
            end -= 1;
        }
        &printable[..end]
    }
}

pub fn not_found(resource: &Resource, name: &str) -> Status {
    Status::not_found(&resource.group, &resource.plural, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What upstream's recorder makes of them.
    #[test]
    fn warnings_are_cut_when_they_are_many() {
        let check = |texts: &[String], count: usize, length: usize| {
            let warnings = Warnings::default();
            texts.iter().for_each(|text| warnings.add(text.as_str()));
            let headers = warnings.headers();
            let found: usize = headers.iter().map(|header| header.chars().count() - "299 - \"\"".len()).sum();
            assert_eq!((headers.len(), found), (count, length), "{:.60}", texts[0]);
        };
        let numbered = |count: usize, length: usize| -> Vec<String> {
            (0..count).map(|i| format!("{i:08}{}", "\u{e9}".repeat(length - 8))).collect()
        };
        check(&["a".to_owned(), String::new(), "a".to_owned(), "b".to_owned()], 2, 2);
        check(&["a".repeat(TOTAL_MAX)], 1, TOTAL_MAX);
        check(&["a".repeat(TOTAL_MAX + 1)], 1, ONE_MAX);
        check(&numbered(8, 512), 8, TOTAL_MAX);
        check(&numbered(9, 512), 9, 9 * ONE_MAX);
        check(&numbered(100, 512), 16, TOTAL_MAX);
        check(&numbered(50_000, 10), 410, 4100);
    }
}
