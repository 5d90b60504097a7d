//! The crowd: clients on threads of their own that do one thing, as long as they are let.

use super::Scale;
use anyhow::Context;
use bytes::Bytes;
use corten_e2e::{Server, eventually};
use h2::client::{ResponseFuture, SendRequest};
use kube::client::ConfigExt;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a crowd does.
#[derive(Clone, Copy, Debug)]
pub enum Attack {
    /// Connects and says nothing, or says half of something.
    Idle,
    /// Asks for lists in a form, and reads none.
    Lists(&'static str),
    /// Watches, and reads no event.
    Watches,
    /// Asks, and takes it back at once.
    Resets,
    /// Asks as fast as it is answered.
    Requests,
}

/// Streams of one connection.
const STREAMS: usize = 100;
/// So many connect at once.
const CONNECTING: usize = 64;

#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    namespaces: Arc<str>,
    http1: TlsConnector,
    http2: TlsConnector,
    connecting: Arc<Semaphore>,
    /// What the crowd has done.
    steps: Arc<AtomicUsize>,
}

impl Target {
    /// With the administrator's credentials.
    pub async fn of(server: &Server) -> anyhow::Result<Target> {
        let config = server.config().await?;
        let authority = config.cluster_url.authority().context("an authority")?.to_string();
        let connector = |protocol: &[u8]| {
            let mut tls = config.rustls_client_config()?;
            tls.alpn_protocols = vec![protocol.to_vec()];
            anyhow::Ok(TlsConnector::from(Arc::new(tls)))
        };
        Ok(Target {
            address: authority.parse()?,
            namespaces: "/api/v1/configmaps".into(),
            http1: connector(b"http/1.1")?,
            http2: connector(b"h2")?,
            connecting: Arc::new(Semaphore::new(CONNECTING)),
            steps: Arc::default(),
        })
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    async fn connect(&self, tls: &TlsConnector) -> anyhow::Result<TlsStream<TcpStream>> {
        let _turn = self.connecting.acquire().await?;
        let stream = TcpStream::connect(self.address).await?;
        Ok(tls.connect(ServerName::from(self.address.ip()), stream).await?)
    }

    /// Says something over HTTP/1.1, or nothing at all without TLS, and waits for the server to have enough of it.
    async fn half_open(&self, said: Option<&str>) -> anyhow::Result<()> {
        let Some(said) = said else {
            let mut stream = {
                let _turn = self.connecting.acquire().await?;
                TcpStream::connect(self.address).await?
            };
            self.step();
            stream.read_to_end(&mut Vec::new()).await?;
            return Ok(());
        };
        let mut stream = self.connect(&self.http1).await?;
        stream.write_all(said.as_bytes()).await?;
        self.step();
        stream.read_to_end(&mut Vec::new()).await?;
        Ok(())
    }

    /// Works with streams of HTTP/2, of which nothing is ever read beyond the first window, until the connection ends.
    async fn multiplexed<F: Future<Output = anyhow::Result<()>>>(
        &self,
        work: impl FnOnce(SendRequest<Bytes>) -> F,
    ) -> anyhow::Result<()> {
        let stream = self.connect(&self.http2).await?;
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(65_535)
            .initial_connection_window_size(1 << 30)
            .max_concurrent_reset_streams(10_000);
        let (sender, connection) = builder.handshake(stream).await?;
        let work = async {
            work(sender).await?;
            std::future::pending().await
        };
        tokio::select! {
            ended = connection => Ok(ended?),
            failed = work => failed,
        }
    }

    fn request(&self, query: &str, accept: &str) -> anyhow::Result<http::Request<()>> {
        let uri = format!("https://{}{}{query}", self.address, self.namespaces);
        Ok(http::Request::get(uri).header("accept", accept).body(())?)
    }

    async fn ask(&self, sender: SendRequest<Bytes>, query: &str, accept: &str) -> anyhow::Result<ResponseFuture> {
        let (answer, _) = sender.ready().await?.send_request(self.request(query, accept)?, true)?;
        Ok(answer)
    }

    /// Asks many things and reads no answer.
    async fn unread(&self, count: usize, query: &str, accept: &str) -> anyhow::Result<()> {
        let work = |sender: SendRequest<Bytes>| async move {
            let mut answers = Vec::new();
            for _ in 0..count {
                let answer = self.ask(sender.clone(), query, accept).await?.await?;
                answers.push(answer);
                self.step();
            }
            std::future::pending().await
        };
        self.multiplexed(work).await
    }

    /// Asks and takes back.
    async fn resets(&self) -> anyhow::Result<()> {
        let work = |sender: SendRequest<Bytes>| async move {
            let mut sender = sender;
            loop {
                for _ in 0..STREAMS / 2 {
                    sender = sender.ready().await?;
                    let (answer, mut stream) =
                        sender.send_request(self.request("?limit=1", "application/json")?, false)?;
                    stream.send_reset(h2::Reason::CANCEL);
                    drop(answer);
                    self.step();
                }
                tokio::task::yield_now().await;
            }
        };
        self.multiplexed(work).await
    }

    /// Asks as much as the server takes, and reads the answers.
    async fn requests(&self) -> anyhow::Result<()> {
        let work = |sender: SendRequest<Bytes>| async move {
            let lane = || async {
                loop {
                    let answer = self.ask(sender.clone(), "?limit=1", "application/json").await?.await?;
                    let mut body = answer.into_body();
                    while let Some(data) = body.data().await {
                        body.flow_control().release_capacity(data?.len())?;
                    }
                    self.step();
                }
            };
            futures::future::try_join_all((0..STREAMS).map(|_| lane())).await.map(|_: Vec<()>| ())
        };
        self.multiplexed(work).await
    }
}

/// Has this thread run when no other wants to. Where that is refused, it is as important as others.
fn give_way() {
    let Ok(own) = std::fs::read_link("/proc/thread-self") else { return };
    let thread = own.file_name().unwrap_or_default();
    let _ = std::process::Command::new("chrt").args(["--idle", "--pid", "0"]).arg(thread).status();
}

pub struct Crowd {
    runtime: Option<Runtime>,
    target: Target,
}

impl Crowd {
    pub fn start(attack: Attack, target: Target, scale: &Scale) -> anyhow::Result<Crowd> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        let connections = match attack {
            Attack::Idle => scale.connections,
            Attack::Lists(_) => scale.lists.div_ceil(STREAMS),
            Attack::Watches => scale.watches.div_ceil(STREAMS),
            Attack::Resets | Attack::Requests => scale.floods,
        };
        for number in 0..connections {
            let target = target.clone();
            let (lists, watches) = (scale.lists.min(STREAMS), scale.watches.min(STREAMS));
            runtime.spawn(async move {
                loop {
                    let ended = match attack {
                        Attack::Idle => target.half_open(IDLE[number % IDLE.len()]).await,
                        Attack::Lists(accept) => target.unread(lists, "", accept).await,
                        Attack::Watches => {
                            target.unread(watches, "?watch=1&resourceVersion=0", "application/json").await
                        }
                        Attack::Resets => target.resets().await,
                        Attack::Requests => target.requests().await,
                    };
                    // That the server ends its connection is what it is there for; it comes back.
                    let _ = ended;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        Ok(Crowd { runtime: Some(runtime), target })
    }

    pub async fn has_begun(&self) -> anyhow::Result<()> {
        let steps = &self.target.steps;
        eventually("the crowd to begin", async || Ok((steps.load(Ordering::Relaxed) > 0).then_some(()))).await
    }

    /// Sends everybody home, and tells what they did.
    pub fn end(mut self) -> usize {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.target.steps.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What idle clients say.
const IDLE: [Option<&str>; 5] = [
    None,
    Some(""),
    Some("GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nX: "),
    Some("POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"),
    Some("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"),
];
