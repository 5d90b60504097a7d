//! The accept loop. Each connection is a counted task (`connection`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use corten_runtime::metrics::Counter;
use corten_runtime::tasks::{CancellationToken, Kind, Scope};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tracing::warn;

use super::activity::Activity;
use super::connection::{Handshakes, Shared, connection};
use super::crowd::Crowd;
use super::routes::Endpoint;

/// Interval between log lines about failed accepts.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// Pause after a failed accept.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound address; nobody is answered yet.
pub struct Bound {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl Bound {
    pub async fn bind(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    }
}

pub struct Listener {
    bound: Bound,
    common: Arc<(Handshakes, Shared)>,
    connections: Kind,
    crowd: Crowd,
}

impl Listener {
    pub fn new(
        bound: Bound,
        tls: Arc<ServerConfig>,
        endpoint: Arc<dyn Endpoint>,
        failed_handshakes: Counter,
        scope: &Scope,
    ) -> Listener {
        let shared = Shared::new(endpoint, scope.kind("request"), scope.clock().clone());
        Listener {
            bound,
            common: Arc::new((Handshakes::new(tls, failed_handshakes), shared)),
            connections: scope.kind("connection"),
            crowd: Crowd::by_open_files(),
        }
    }

    /// Accepts until told to stop; open connections then have a short time for their requests.
    pub async fn run(self, token: CancellationToken) -> io::Result<()> {
        let clock = self.common.1.clock.clone();
        let mut last_told = None;
        loop {
            let accepted = tokio::select! {
                accepted = async { self.crowd.room().await; self.bound.listener.accept().await } => accepted,
                () = token.cancelled() => return Ok(()),
            };
            match accepted {
                Ok((stream, address)) => {
                    let activity = Activity::new(clock.clone(), self.common.1.unsent.clone());
                    // A token of its own, which no other connection has to be kept out of to look at it, and by which
                    // this connection alone can be ended.
                    let token = token.child_token();
                    let place = self.crowd.enter(activity.clone(), token.clone());
                    let common = Arc::clone(&self.common);
                    self.connections.spawn(async move {
                        let (handshakes, shared) = &*common;
                        connection(stream, address, handshakes, shared, activity, place, token).await;
                    });
                }
                // Out of files, mostly: those who are connected go on, and their leaving makes room.
                Err(error) => {
                    if last_told.is_none_or(|told| clock.since(told) > TOLD_EVERY) {
                        warn!(%error, "a connection cannot be accepted");
                        last_told = Some(clock.monotonic());
                    }
                    clock.sleep(PAUSE).await;
                }
            }
        }
    }
}
