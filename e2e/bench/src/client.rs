//! Connections to the server: TLS that trusts the cluster's own authority, HTTP/2 or HTTP/1.1, a bearer token.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

/// What a stream and a connection may have in flight. A list of 60 MB must not wait for the client's window.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// Whom to ask, and as whom.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    token: Arc<str>,
    tls: TlsConnector,
    pub protocol: Protocol,
}

/// One request: what a scenario builds for its n-th operation.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    pub path: String,
    pub accept: &'static str,
    pub body: Option<Bytes>,
}

pub const JSON: &str = "application/json";
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

impl Operation {
    pub fn get(path: impl Into<String>) -> Operation {
        Operation { method: Method::GET, path: path.into(), accept: JSON, body: None }
    }

    pub fn post(path: impl Into<String>, body: Bytes) -> Operation {
        Operation { method: Method::POST, path: path.into(), accept: JSON, body: Some(body) }
    }

    pub fn put(path: impl Into<String>, body: Bytes) -> Operation {
        Operation { method: Method::PUT, path: path.into(), accept: JSON, body: Some(body) }
    }

    pub fn accepting(self, accept: &'static str) -> Operation {
        Operation { accept, ..self }
    }
}

impl Target {
    /// The server that an administrator's kubeconfig names.
    pub fn read(kubeconfig: &Path, token: &str, protocol: Protocol) -> Result<Target> {
        let text = std::fs::read_to_string(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
        let config = corten_object::yaml::to_json(&text).context("the kubeconfig")?;
        let config: serde_json::Value = serde_json::from_slice(&config.json).context("the kubeconfig")?;
        let cluster = &config["clusters"][0]["cluster"];
        let url = cluster["server"].as_str().context("the kubeconfig names no server")?;
        let address = url.trim_start_matches("https://").parse().with_context(|| format!("the address of {url}"))?;
        let authority = cluster["certificate-authority-data"].as_str().context("the kubeconfig has no authority")?;
        let authority = base64::engine::general_purpose::STANDARD.decode(authority)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&authority) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Target { address, token: token.into(), tls: TlsConnector::from(Arc::new(tls)), protocol })
    }

    pub async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(self.address.ip());
        let stream = TokioIo::new(self.tls.connect(name, stream).await?);
        let (sender, driver) = match self.protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                (Sender::Http1(sender), tokio::spawn(async move { drop(connection.await) }))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .handshake(stream)
                    .await?;
                (Sender::Http2(sender), tokio::spawn(async move { drop(connection.await) }))
            }
        };
        let driver = Arc::new(Driver(driver.abort_handle()));
        Ok(Connection { target: self.clone(), sender, _driver: driver })
    }

    fn request(&self, operation: Operation) -> Result<Request<Full<Bytes>>> {
        let Operation { method, path, accept, body } = operation;
        let mut request = Request::builder()
            .method(method)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::ACCEPT, accept)
            .header(header::USER_AGENT, "corten-bench");
        request = match self.protocol {
            Protocol::Http1 => request.uri(path).header(header::HOST, self.address.to_string()),
            Protocol::Http2 => request.uri(format!("https://{}{path}", self.address)),
        };
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, JSON);
        }
        Ok(request.body(Full::new(body.unwrap_or_default()))?)
    }
}

/// The task that moves a connection's bytes ends with the last of those who use it.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

pub struct Connection {
    target: Target,
    sender: Sender,
    _driver: Arc<Driver>,
}

impl Connection {
    /// Another user of the same connection; HTTP/1.1 has none.
    pub fn share(&self) -> Option<Connection> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Connection {
                target: self.target.clone(),
                sender: Sender::Http2(sender.clone()),
                _driver: Arc::clone(&self._driver),
            }),
        }
    }

    pub async fn send(&mut self, operation: Operation) -> Result<Response<Incoming>> {
        let request = self.target.request(operation)?;
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        Ok(response)
    }

    /// Sends and reads to the end; returns how long the answer was. Pieces are counted and let go: a client that kept
    /// 60 MB in one buffer would measure its own allocator.
    pub async fn fetch(&mut self, operation: Operation) -> Result<(StatusCode, u64)> {
        let response = self.send(operation).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let text = body.collect().await?.to_bytes();
            bail!("{status}: {}", String::from_utf8_lossy(&text[..text.len().min(300)]));
        }
        let mut len = 0;
        while let Some(frame) = body.frame().await {
            len += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok((status, len))
    }

    pub async fn expect(&mut self, operation: Operation, expected: StatusCode) -> Result<()> {
        let path = operation.path.clone();
        let (status, _) = self.fetch(operation).await.with_context(|| path.clone())?;
        ensure!(status == expected, "{path}: {status}");
        Ok(())
    }
}
