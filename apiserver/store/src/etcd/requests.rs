//! What every request shares: how long it may take, what is tried again, and what its errors mean.

use std::io;
use std::time::Duration;

use super::{Shared, unavailable};
use crate::error::{Applied, Error};

/// Between two tries; doubled each time.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// May be sent again whatever happened.
    Read,
    /// May be sent again only if it certainly did nothing.
    Write,
}

impl Shared {
    /// Sends until there is an answer, an error that will not go away, or no more time.
    pub(super) async fn request<T, F>(&self, effect: Effect, send: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = self.clock.monotonic() + self.request_timeout;
        let mut pause = PAUSE;
        loop {
            let error = tokio::select! {
                biased;
                () = self.closed.cancelled() => return Err(Error::Closed),
                answer = send() => match answer {
                    Ok(answer) => return Ok(answer),
                    Err(error) => for_effect(effect, meaning(&error)),
                },
                () = self.clock.sleep_until(deadline) => {
                    let late = format!("etcd did not answer in {:?}", self.request_timeout);
                    return Err(for_effect(effect, unavailable(late, Applied::Unknown)));
                }
            };
            let again = matches!(error, Error::Unavailable { applied: Applied::No, .. });
            if !again || self.clock.monotonic() + pause >= deadline {
                return Err(error);
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// A read has nothing to apply.
fn for_effect(effect: Effect, error: Error) -> Error {
    match error {
        Error::Unavailable { reason, .. } if effect == Effect::Read => unavailable(reason, Applied::No),
        error => error,
    }
}

/// gRPC's status codes.
const UNKNOWN: i32 = 2;
const DEADLINE_EXCEEDED: i32 = 4;
const CANCELLED: i32 = 1;
const ABORTED: i32 = 10;
const UNAVAILABLE: i32 = 14;

/// What kube-apiserver takes for certain not to have changed anything.
const WITHOUT_EFFECT: [&str; 4] =
    ["etcdserver: leader changed", "etcdserver: no leader", "raft proposal dropped", "etcdserver: too many requests"];

pub(super) fn meaning(error: &etcd_client::Error) -> Error {
    match error {
        etcd_client::Error::GRpcStatus(status) => {
            let refused = never_connected(status);
            let text = match deepest(status) {
                Some(cause) if refused => format!("{}: {cause}", status.message()),
                _ => status.message().to_owned(),
            };
            status_meaning(i32::from(status.code()), &text, refused)
        }
        etcd_client::Error::IoError(_)
        | etcd_client::Error::TransportError(_)
        | etcd_client::Error::WatchError(_)
        | etcd_client::Error::EndpointError(_) => unavailable(error.to_string(), Applied::Unknown),
        error => Error::Refused(error.to_string()),
    }
}

fn status_meaning(code: i32, text: &str, never_connected: bool) -> Error {
    if text.contains("required revision has been compacted") {
        return Error::Compacted { requested: 0, compacted: 0 };
    }
    if text.contains("required revision is a future revision") {
        return Error::FutureRevision { requested: 0, current: 0 };
    }
    if text.contains("database space exceeded") {
        return Error::NoSpace(text.to_owned());
    }
    if text.contains("request is too large") {
        return Error::TooLarge(text.to_owned());
    }
    // Upstream's client does not even send it.
    if let Some((_, sizes)) = text.split_once("received message larger than max") {
        let what = "trying to send message larger than max";
        return Error::TooLarge(format!("rpc error: code = ResourceExhausted desc = {what}{sizes}"));
    }
    if never_connected || WITHOUT_EFFECT.iter().any(|known| text.ends_with(known)) {
        return unavailable(text, Applied::No);
    }
    match code {
        CANCELLED | UNKNOWN | DEADLINE_EXCEEDED | ABORTED | UNAVAILABLE => unavailable(text, Applied::Unknown),
        _ => Error::Refused(text.to_owned()),
    }
}

/// Whether the request cannot have left, for there was nobody to send it to.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(
            io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable,
        ) = kind
        {
            return true;
        }
        next = error.source();
    }
    false
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_meanings() {
        let check = |code: i32, text: &str, expected: &str| {
            let shown = format!("{:?}", status_meaning(code, text, false));
            assert!(shown.starts_with(expected), "{code} {text}: {shown}");
        };
        check(11, "etcdserver: mvcc: required revision has been compacted", "Compacted");
        check(11, "etcdserver: mvcc: required revision is a future revision", "FutureRevision");
        check(8, "etcdserver: mvcc: database space exceeded", "NoSpace");
        check(3, "etcdserver: request is too large", "TooLarge");
        check(8, "grpc: received message larger than max (3145746 vs. 2097152)", "TooLarge");
        check(14, "etcdserver: leader changed", "Unavailable { reason: \"etcdserver: leader changed\", applied: No }");
        check(
            14,
            "etcdserver: request timed out",
            "Unavailable { reason: \"etcdserver: request timed out\", applied: Unknown",
        );
        check(2, "transport error", "Unavailable");
        check(7, "etcdserver: permission denied", "Refused");
        check(16, "etcdserver: invalid auth token", "Refused");
    }
}
