//! A client that watches one kind and goes on wherever it can when its server is gone.

use super::history::{Change, History};
use super::kinds::Kind;
use super::ledger::Version;
use super::load::Load;
use crate::support::revision;
use anyhow::Context;
use corten_e2e::{DEADLINE, eventually};
use futures::StreamExt;
use futures::stream::BoxStream;
use kube::ResourceExt;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The object whose creation tells followers that nothing more will come.
pub const END: &str = "the-end";

pub struct Follower<'l> {
    load: &'l Load,
    /// The server that it watches while that is there.
    home: usize,
    history: History,
    progress: &'l Progress,
    /// Which servers have said that they have forgotten what follows.
    gone: Vec<bool>,
    resumed: usize,
    ended: bool,
}

/// What a follower and whoever directs it tell each other.
#[derive(Default)]
pub struct Progress {
    /// Up to which revision it has seen everything.
    pub reached: AtomicU64,
    /// Raised when every server is there again: a follower that had to go elsewhere goes home.
    pub homecomings: AtomicUsize,
}

/// What a follower brings back.
pub struct Report {
    pub history: History,
    /// How often it went on with another watch.
    pub resumed: usize,
}

/// Why a watch is left.
enum Over {
    Home,
    Broken,
    Gone,
    Ended,
}

type Events = BoxStream<'static, kube::Result<WatchEvent<DynamicObject>>>;

impl<'l> Follower<'l> {
    pub fn new(load: &'l Load, home: usize, kind: Kind, after: u64, progress: &'l Progress) -> Follower<'l> {
        progress.reached.store(after, Ordering::Release);
        let (history, gone) = (History::after(kind, after), vec![false; load.clients.len()]);
        Follower { load, home, history, progress, gone, resumed: 0, ended: false }
    }

    /// Until the end's object comes by.
    pub async fn run(mut self) -> anyhow::Result<Report> {
        let mut server = self.home;
        while !self.ended {
            let (events, found) = self.connect(server).await?;
            server = match self.follow(events, found).await? {
                Over::Ended => break,
                Over::Home => self.home,
                Over::Broken => self.after(found),
                Over::Gone => {
                    self.gone[found] = true;
                    if self.gone.iter().all(|gone| *gone) {
                        self.relist(found).await?;
                    }
                    self.after(found)
                }
            };
            self.resumed += 1;
        }
        Ok(Report { history: self.history, resumed: self.resumed })
    }

    fn after(&self, server: usize) -> usize {
        (server + 1) % self.load.clients.len()
    }

    /// A watch from where the last one ended, at `server` or, if that does not answer, at the next one that does.
    async fn connect(&self, mut server: usize) -> anyhow::Result<(Events, usize)> {
        eventually("a server to watch", async || {
            let api = self.load.api(server, self.history.kind);
            match api.watch(&WatchParams::default(), &self.history.at.to_string()).await {
                Ok(watch) => Ok(Some((watch.boxed(), server))),
                Err(_) => {
                    server = self.after(server);
                    Ok(None)
                }
            }
        })
        .await
    }

    async fn follow(&mut self, mut events: Events, server: usize) -> anyhow::Result<Over> {
        let homecoming = self.progress.homecomings.load(Ordering::Acquire);
        loop {
            if server != self.home && self.progress.homecomings.load(Ordering::Acquire) != homecoming {
                return Ok(Over::Home);
            }
            let (kind, at) = (self.history.kind, self.history.at);
            let event = tokio::time::timeout(DEADLINE, events.next()).await;
            let event = event.with_context(|| format!("no {kind:?} from server {server} after revision {at}"))?;
            let (change, object) = match event {
                Some(Ok(WatchEvent::Added(object))) => (Change::Added, object),
                Some(Ok(WatchEvent::Modified(object))) => (Change::Modified, object),
                Some(Ok(WatchEvent::Deleted(object))) => (Change::Deleted, object),
                Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                    self.history.bookmark(bookmark.metadata.resource_version.parse()?)?;
                    continue;
                }
                Some(Ok(WatchEvent::Error(status))) if status.code == 410 => return Ok(Over::Gone),
                Some(Ok(WatchEvent::Error(status))) => anyhow::bail!("{status:?}"),
                // The server is gone, or it has ended the watch.
                Some(Err(_)) | None => return Ok(Over::Broken),
            };
            if object.name_any() == END {
                self.history.bookmark(revision(&object)?)?;
                return Ok(Over::Ended);
            }
            self.gone.fill(false);
            self.history.take(change, object.name_any(), Version::of(&object)?)?;
            self.progress.reached.store(self.history.at, Ordering::Release);
        }
    }

    /// No server can go on, so that a new list has to say what is there.
    async fn relist(&mut self, server: usize) -> anyhow::Result<()> {
        let list = async || Ok(self.load.list(server, self.history.kind).await.ok());
        let (at, mut objects) = eventually("a list", list).await?;
        let all = objects.len();
        objects.retain(|object| object.name_any() != END);
        self.ended = objects.len() < all;
        let listed: anyhow::Result<_> =
            objects.iter().map(|object| Ok((object.name_any(), Version::of(object)?))).collect();
        self.history.relist(at, listed?)?;
        self.gone.fill(false);
        self.progress.reached.store(at, Ordering::Release);
        Ok(())
    }
}
