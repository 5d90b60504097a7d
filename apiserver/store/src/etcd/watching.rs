//! A watch on etcd that outlives its connections: it goes on after the last revision that it delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, GetOptions, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::sync::Notify;

use super::requests::{Effect, meaning};
use super::{Shared, bounds, revision, signed, unsigned};
use crate::error::Error;
use crate::span::Span;
use crate::store::{Key, Revision};
use crate::watch::{Batch, Event, Previous, WatchSource};

/// Between two connections; doubled each time.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// etcd leaves a request for progress unanswered while it is catching up, so it is made again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Watching {
    batches: BoxStream<'static, Result<Batch, Error>>,
    wish: Arc<Wish>,
}

/// How far somebody wants to know that the watch has come.
#[derive(Default)]
struct Wish {
    target: AtomicU64,
    rung: Notify,
}

impl Watching {
    pub(super) fn new(shared: Arc<Shared>, span: Span, after: Revision, previous: bool) -> Watching {
        let wish = Arc::new(Wish::default());
        let follower = Follower {
            shared,
            span,
            after,
            previous,
            wish: Arc::clone(&wish),
            connection: None,
            pause: PAUSE,
            over: false,
        };
        let batches = stream::unfold(follower, |mut follower| async move {
            if follower.over {
                return None;
            }
            let result = follower.next().await;
            follower.over = result.is_err();
            Some((result, follower))
        });
        Watching { batches: batches.boxed(), wish }
    }
}

impl WatchSource for Watching {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Batch, Error>> {
        self.batches.poll_next_unpin(context).map(|batch| batch.unwrap_or(Err(Error::Closed)))
    }

    fn request_progress(&self, target: Revision) {
        self.wish.target.fetch_max(target, Ordering::AcqRel);
        self.wish.rung.notify_one();
    }
}

struct Follower {
    shared: Arc<Shared>,
    span: Span,
    /// Everything up to this revision was delivered.
    after: Revision,
    previous: bool,
    wish: Arc<Wish>,
    connection: Option<Connection>,
    pause: Duration,
    over: bool,
}

struct Connection {
    requests: WatchRequestSender,
    answers: WatchResponseStream,
    /// Whether it was made sure that nothing is missing between `after` and its first event.
    checked: bool,
}

impl Follower {
    async fn next(&mut self) -> Result<Batch, Error> {
        let closed = self.shared.closed.clone();
        tokio::select! {
            biased;
            () = closed.cancelled() => Err(Error::Closed),
            batch = self.next_batch() => batch,
        }
    }

    async fn next_batch(&mut self) -> Result<Batch, Error> {
        loop {
            let Some(mut connection) = self.connection.take() else {
                self.connect().await?;
                continue;
            };
            let answer = self.receive(&mut connection).await;
            match answer {
                Ok(Some(answer)) => {
                    if !connection.checked {
                        self.check_known().await?;
                        connection.checked = true;
                    }
                    if let Some(batch) = self.take(&answer)? {
                        self.pause = PAUSE;
                        if !answer.canceled() {
                            self.connection = Some(connection);
                        }
                        return Ok(batch);
                    }
                    if answer.canceled() {
                        tracing::info!(reason = answer.cancel_reason(), "etcd ended a watch; it is made again");
                        self.rest().await;
                    } else {
                        self.connection = Some(connection);
                    }
                }
                Ok(None) => self.rest().await,
                Err(error) => {
                    lasting(meaning(&error))?;
                    tracing::info!(%error, "a watch lost etcd; it is made again");
                    self.rest().await;
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let (start, end) = bounds(&self.span);
        let mut options =
            WatchOptions::new().with_range(end).with_start_revision(signed(self.after + 1)).with_progress_notify();
        if self.previous {
            options = options.with_prev_key();
        }
        match self.shared.clients.watch.clone().watch(start, Some(options)).await {
            Ok(connection) => {
                let (requests, answers) = connection.split();
                self.connection = Some(Connection { requests, answers, checked: false });
            }
            Err(error) => {
                lasting(meaning(&error))?;
                tracing::info!(%error, "a watch did not reach etcd; it tries again");
                self.rest().await;
            }
        }
        Ok(())
    }

    async fn rest(&mut self) {
        self.shared.clock.sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// The next answer, while asking for progress as long as somebody wants it.
    async fn receive(&self, connection: &mut Connection) -> Result<Option<WatchResponse>, etcd_client::Error> {
        let possible = self.shared.versions.all_answer_progress();
        loop {
            let wanted = possible && self.wish.target.load(Ordering::Acquire) > self.after;
            if wanted {
                connection.requests.request_progress().await?;
            }
            let again = async {
                if wanted { self.shared.clock.sleep(ASK_AGAIN).await } else { self.wish.rung.notified().await }
            };
            tokio::select! {
                biased;
                answer = connection.answers.message() => return answer,
                () = again => {}
            }
        }
    }

    /// etcd would begin at a revision that was just compacted, where a deletion may be missing.
    async fn check_known(&self) -> Result<(), Error> {
        let options = || GetOptions::new().with_count_only().with_revision(signed(self.after));
        let health_key = self.shared.health_key.as_str();
        let mut answer = self.shared.request(Effect::Read, || self.shared.get_raw(health_key, options())).await;
        match answer {
            // Not yet, then; or not reached, and then the next connection will ask.
            Ok(_) | Err(Error::FutureRevision { .. } | Error::Unavailable { .. }) => Ok(()),
            Err(_) => {
                self.shared.explain(&mut answer, Some(self.after)).await;
                answer.map(drop)
            }
        }
    }

    fn take(&mut self, answer: &WatchResponse) -> Result<Option<Batch>, Error> {
        if answer.compact_revision() != 0 {
            let compacted = unsigned(answer.compact_revision());
            return Err(Error::Compacted { requested: self.after, compacted });
        }
        if answer.canceled() {
            let reason = answer.cancel_reason();
            if reason.contains("compacted") {
                return Err(Error::Compacted { requested: self.after, compacted: 0 });
            }
            if reason.contains("permission denied") || reason.contains("auth") {
                return Err(Error::Refused(reason.to_owned()));
            }
            return Ok(None);
        }
        if answer.created() {
            return Ok(None);
        }
        let mut events = Vec::with_capacity(answer.events().len());
        for event in answer.events() {
            // Only after a connection was made again, if at all.
            let new = event.kv().is_some_and(|kv| unsigned(kv.mod_revision()) > self.after);
            if new && let Some(event) = self.event(event)? {
                events.push(event);
            }
        }
        let came_to = match answer.events().last() {
            Some(last) => last.kv().map_or(0, |kv| unsigned(kv.mod_revision())),
            // Progress: every later event has a higher revision.
            None => revision(answer.header()),
        };
        let further = came_to > self.after;
        self.after = self.after.max(came_to);
        Ok(further.then_some(Batch { events, revision: self.after }))
    }

    fn event(&self, event: &etcd_client::Event) -> Result<Option<Event>, Error> {
        let Some(kv) = event.kv() else { return Ok(None) };
        let Ok(key) = kv.key_str() else {
            tracing::warn!(key = ?kv.key(), "left out a key of etcd that is not text");
            return Ok(None);
        };
        let (mod_revision, create_revision) = (unsigned(kv.mod_revision()), unsigned(kv.create_revision()));
        let deleted = matches!(event.event_type(), EventType::Delete);
        let previous = event.prev_kv().map(|before| Previous {
            value: Bytes::copy_from_slice(before.value()),
            mod_revision: unsigned(before.mod_revision()),
        });
        let created = !deleted && create_revision == mod_revision;
        if self.previous && !created && previous.is_none() {
            // It was compacted away before it could be sent.
            return Err(Error::Compacted { requested: self.after, compacted: mod_revision });
        }
        Ok(Some(Event {
            key: Key::from(key),
            value: (!deleted).then(|| Bytes::copy_from_slice(kv.value())),
            mod_revision,
            create_revision: if deleted { 0 } else { create_revision },
            previous,
            companion: None,
        }))
    }
}

/// Errors that another connection will not mend.
fn lasting(error: Error) -> Result<(), Error> {
    match error {
        Error::Refused(_) | Error::Compacted { .. } => Err(error),
        _ => Ok(()),
    }
}
