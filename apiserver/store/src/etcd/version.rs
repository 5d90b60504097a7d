//! Which servers answer a request for progress rightly. Before 3.4.25 and 3.5.8 the answer could overtake events
//! (https://github.com/etcd-io/etcd/issues/15220), before 3.4.31 and 3.5.13 it could be lost
//! (https://github.com/etcd-io/etcd/issues/17507).

use std::time::Duration;

use parking_lot::Mutex;

use super::connect::{Tls, client};
use corten_runtime::Clock;

const ASK_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Versions {
    tls: Option<Tls>,
    /// For each endpoint whether it does, once it has said its version.
    endpoints: Mutex<Vec<(String, Option<bool>)>>,
}

impl Versions {
    pub(super) fn new(endpoints: &[String], tls: Option<Tls>) -> Versions {
        Versions { tls, endpoints: Mutex::new(endpoints.iter().map(|endpoint| (endpoint.clone(), None)).collect()) }
    }

    /// Asks those that have not answered yet.
    pub(super) async fn ask(&self, clock: &Clock) {
        let unknown: Vec<_> =
            self.endpoints.lock().iter().filter(|(_, known)| known.is_none()).map(|(name, _)| name.clone()).collect();
        for endpoint in unknown {
            let ask = Box::pin(async {
                let mut client = client(std::slice::from_ref(&endpoint), self.tls.as_ref()).await?;
                client.status().await.map(|status| status.version().to_owned())
            });
            let version = match clock.timeout(ASK_TIMEOUT, ask).await {
                Ok(Ok(version)) => version,
                Ok(Err(error)) => {
                    tracing::info!(endpoint, %error, "etcd did not say its version");
                    continue;
                }
                Err(_) => {
                    tracing::info!(endpoint, "etcd did not say its version in time");
                    continue;
                }
            };
            let answers = answers_progress(&version);
            tracing::info!(endpoint, version, answers, "etcd's version, and whether it answers requests for progress");
            self.endpoints.lock().iter_mut().filter(|(name, _)| *name == endpoint).for_each(|(_, known)| {
                *known = Some(answers);
            });
        }
    }

    /// As kube-apiserver has it: one that does not is enough, one that is not known yet is none.
    pub(super) fn all_answer_progress(&self) -> bool {
        let endpoints = self.endpoints.lock();
        let mut known = endpoints.iter().filter_map(|(_, known)| *known).peekable();
        known.peek().is_some() && known.all(|answers| answers)
    }
}

fn answers_progress(version: &str) -> bool {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) =
        (numbers.next(), numbers.next(), numbers.next(), numbers.next())
    else {
        return false;
    };
    // A version of its own comes before the release that it leads to.
    let before = release.len() < version.len() && version.as_bytes()[release.len()] == b'-';
    let at_least = |wanted: (u32, u32, u32)| {
        let found = (major, minor, patch);
        found > wanted || (found == wanted && !before)
    };
    at_least((3, 4, 31)) && (!at_least((3, 5, 0)) || at_least((3, 5, 13)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_answer_progress() {
        let check = |version: &str, expected: bool| assert_eq!(answers_progress(version), expected, "{version}");
        check("3.4.23", false);
        check("3.4.30", false);
        check("3.4.31", true);
        check("3.4.40", true);
        check("3.5.0", false);
        check("3.5.12", false);
        check("3.5.13-rc.0", false);
        check("3.5.13", true);
        check("3.5.13+build", true);
        check("3.6.0-alpha.0", true);
        check("3.3.99", false);
        check("4.0.0", true);
        check("unknown", false);
        check("3.5", false);
        check("", false);
    }

    #[test]
    fn one_that_does_not_is_enough() {
        let check = |known: &[Option<bool>], expected: bool| {
            let endpoints = known.iter().map(|known| (String::new(), *known)).collect();
            let versions = Versions { tls: None, endpoints: Mutex::new(endpoints) };
            assert_eq!(versions.all_answer_progress(), expected, "{known:?}");
        };
        check(&[None], false);
        check(&[Some(true), None], true);
        check(&[Some(true), Some(false)], false);
        check(&[Some(true), Some(true)], true);
    }
}
