//! A client that tells of each answer its code and reason.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::body::JSON;

/// Longer than upstream's own limit, which is a minute.
const PATIENCE: Duration = Duration::from_secs(70);
/// The code of what is no answer.
pub const NO_ANSWER: u16 = 0;
/// Each warning has a header of its own, and kube-apiserver sends thousands. A kube client would take a hundred.
const HEADERS: usize = 20_000;
const HEAD: usize = 4 << 20;

/// One connection of HTTP/1.1, made anew where it has ended.
pub struct Sender {
    address: String,
    name: ServerName<'static>,
    token: Option<String>,
    tls: TlsConnector,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

pub struct Sent<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub content_type: &'a str,
    pub accept: &'a str,
    /// Who asks, if not the kubeconfig's user.
    pub user: Option<&'a str>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    /// Of a failure.
    pub reason: String,
    /// The beginning of its message.
    pub message: String,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl Sender {
    /// A client with the identity of a kubeconfig.
    pub async fn new(kubeconfig: &Path) -> Result<Sender> {
        let file = Kubeconfig::read_from(kubeconfig)?;
        let user = serde_json::to_value(&file.auth_infos)?[0]["user"].take();
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        let host = config.cluster_url.host().context("the kubeconfig names no host")?.to_owned();
        let port = config.cluster_url.port_u16().unwrap_or(443);
        let token = user["token"].as_str().map(str::to_owned);
        Ok(Sender {
            address: format!("{host}:{port}"),
            name: ServerName::try_from(host)?,
            token,
            tls: TlsConnector::from(Arc::new(config.rustls_client_config()?)),
            connection: Mutex::new(None),
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(self.tls.connect(self.name.clone(), stream).await?);
        let (sender, connection) =
            http1::Builder::new().max_headers(HEADERS).max_buf_size(HEAD).handshake(stream).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    /// The answer; where there is none, because the server is gone or computes for ever, an answer that says so.
    pub async fn send(&self, sent: Sent<'_>) -> Answer {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(sent)).await.context("it takes too long");
        let (code, body) = match answer.and_then(|answer| answer) {
            Ok(answer) => answer,
            Err(error) => {
                *self.connection.lock().await = None;
                return Answer { code: NO_ANSWER, reason: "NoAnswer".into(), message: format!("{error:#}") };
            }
        };
        let failure = match code {
            ..400 => Failure { reason: String::new(), message: String::new() },
            _ => serde_json::from_slice(&body).unwrap_or(Failure { reason: "NoStatus".into(), message: String::new() }),
        };
        let message = failure.message.chars().take(200).collect();
        Answer { code, reason: failure.reason, message }
    }

    async fn exchange(&self, sent: Sent<'_>) -> Result<(u16, Bytes)> {
        let mut request = Request::builder()
            .method(sent.method)
            .uri(sent.path)
            .header(header::HOST, &self.address)
            .header(header::USER_AGENT, "corten-hostile")
            .header(header::ACCEPT, sent.accept)
            .header(header::CONTENT_TYPE, sent.content_type);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(user) = sent.user {
            request = request.header("impersonate-user", user);
        }
        let request = request.body(Full::new(Bytes::from(sent.body)))?;
        let mut connection = self.connection.lock().await;
        if let Some(sender) = &mut *connection
            && sender.ready().await.is_err()
        {
            *connection = None;
        }
        if connection.is_none() {
            *connection = Some(self.connect().await?);
        }
        let sender = connection.as_mut().context("a connection")?;
        let response = sender.send_request(request).await?;
        let code = response.status().as_u16();
        Ok((code, response.into_body().collect().await?.to_bytes()))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Sent { method: "GET", path, content_type: JSON, accept: JSON, user: None, body: Vec::new() }).await
    }
}
