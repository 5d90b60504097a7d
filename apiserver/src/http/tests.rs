//! Connections without TLS and without sockets, to a server in process whose clock the test moves.

mod heads;
mod limits;
mod multiplexed;

use std::sync::Arc;
use std::time::Duration;

use corten_access::user::{Info, User};
use corten_runtime::tasks::{Kind, Scope};
use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::Peer;
use super::activity::Activity;
use super::connection::{Shared, serve};
use super::routes::Endpoint;
use super::socket::Socket;
use crate::fixture::{Cluster, settle, within};

/// What a socket holds in either direction.
const SOCKET: usize = 64 * 1024;

struct Rig {
    cluster: Cluster,
    scope: Scope,
    shared: Arc<Shared>,
    connections: Kind,
}

impl Rig {
    async fn start() -> Rig {
        let cluster = Cluster::start().await;
        let endpoint = Arc::clone(&cluster.server(0).api) as Arc<dyn Endpoint>;
        Rig::of(cluster, endpoint)
    }

    fn of(cluster: Cluster, endpoint: Arc<dyn Endpoint>) -> Rig {
        let scope = Scope::root_with("http", cluster.clock.clone());
        let shared = Shared::new(endpoint, scope.kind("request"), cluster.clock.clone());
        Rig { cluster, shared: Arc::new(shared), connections: scope.kind("connection"), scope }
    }

    /// A client of the administrator's.
    fn connect(&self, is_http2: bool) -> DuplexStream {
        let (client, server) = duplex(SOCKET);
        let activity = Activity::new(self.cluster.clock.clone(), self.shared.unsent.clone());
        let groups = vec!["system:masters".to_owned(), "system:authenticated".to_owned()];
        let user = User::from(Info { name: "admin".to_owned(), groups, ..Info::default() });
        let peer = Peer { internal: Some(user), ..Peer::default() };
        let (shared, token) = (Arc::clone(&self.shared), self.scope.token().child_token());
        self.connections.spawn(async move {
            serve(Socket::new(server, activity.clone(), None), is_http2, peer, &shared, activity, token).await;
        });
        client
    }

    /// What a client is answered that sends this: up to the end of the first head, or of the connection.
    async fn answer_to(&self, sent: &[u8]) -> String {
        let mut client = self.connect(false);
        // Whether it is read to its end is the server's affair.
        let _ = client.write_all(sent).await;
        head(&mut client).await
    }

    async fn is_well(&self) {
        let answer = self.answer_to(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }

    async fn advance(&self, seconds: u64) {
        self.cluster.advance(Duration::from_secs(seconds)).await;
    }
}

/// The head of an answer, with what came of its body meanwhile.
async fn head(client: &mut DuplexStream) -> String {
    let mut read = Vec::new();
    let reading = async {
        while memchr::memmem::find(&read, b"\r\n\r\n").is_none() {
            if !matches!(client.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
        }
    };
    within("an answer", reading).await;
    String::from_utf8_lossy(&read).into_owned()
}

/// Whether the server has closed the connection.
async fn is_closed(client: &mut DuplexStream) -> bool {
    let mut read = Vec::new();
    let reading = async { while matches!(client.read_buf(&mut read).await, Ok(1..)) {} };
    settle().await;
    reading.now_or_never().is_some()
}
