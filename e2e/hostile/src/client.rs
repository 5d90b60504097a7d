//! A client that tells of each answer its code and reason.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Request, header};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;

use crate::body::JSON;

/// Longer than upstream's own limit, which is a minute.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Sender {
    client: Client,
}

pub struct Sent<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub content_type: &'a str,
    pub accept: &'a str,
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

pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    config.read_timeout = None;
    Ok(Client::try_from(config)?)
}

impl Sender {
    pub fn new(client: Client) -> Sender {
        Sender { client }
    }

    pub async fn send(&self, sent: Sent<'_>) -> Result<Answer> {
        let request = Request::builder()
            .method(sent.method)
            .uri(sent.path)
            .header(header::ACCEPT, sent.accept)
            .header(header::CONTENT_TYPE, sent.content_type)
            .body(Body::from(sent.body))?;
        let answer = async {
            let response = self.client.send(request).await?;
            let code = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok((code, body))
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await.context("there is no answer")?;
        let (code, body) = answer.with_context(|| format!("{} {}", sent.method, sent.path))?;
        let failure = match code {
            ..400 => Failure { reason: String::new(), message: String::new() },
            _ => serde_json::from_slice(&body).unwrap_or(Failure { reason: "NoStatus".into(), message: String::new() }),
        };
        let message = failure.message.chars().take(200).collect();
        Ok(Answer { code, reason: failure.reason, message })
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Sent { method: "GET", path, content_type: JSON, accept: JSON, body: Vec::new() }).await
    }
}
