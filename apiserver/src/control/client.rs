//! The API as this process asks it: through the whole pipeline, as the server's own user.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use corten_api::json::string as quoted;
use corten_api::status::{Reason, Status};
use http::Method;
use serde::Deserialize;

use crate::api::Api;
use crate::bootstrap::ask_with;
use crate::negotiate;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// An answer that is no success.
#[derive(Clone, Debug)]
pub struct Refused {
    pub code: u16,
    pub reason: Reason,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Refused>;

pub async fn create(api: &Arc<Api>, collection: &str, body: impl Into<Vec<u8>>) -> Result<Bytes> {
    send(api, Method::POST, collection, JSON, body.into()).await
}

pub async fn update(api: &Arc<Api>, path: &str, body: impl Into<Vec<u8>>) -> Result<Bytes> {
    send(api, Method::PUT, path, JSON, body.into()).await
}

pub async fn merge(api: &Arc<Api>, path: &str, patch: impl Into<Vec<u8>>) -> Result<Bytes> {
    send(api, Method::PATCH, path, MERGE, patch.into()).await
}

/// Applies by force, as a manager of that name.
pub async fn apply(api: &Arc<Api>, path: &str, manager: &str, body: impl Into<Vec<u8>>) -> Result<Bytes> {
    let path = format!("{path}?fieldManager={manager}&force=true");
    send(api, Method::PATCH, &path, negotiate::APPLY, body.into()).await
}

pub async fn delete(api: &Arc<Api>, path: &str) -> Result<Bytes> {
    send(api, Method::DELETE, path, JSON, Vec::new()).await
}

/// Deletes the object of this uid; one of the same name that was made since is left alone, which is a conflict.
pub async fn delete_if(api: &Arc<Api>, path: &str, uid: &str) -> Result<Bytes> {
    let options = format!(r#"{{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{{"uid":{}}}}}"#, quoted(uid));
    send(api, Method::DELETE, path, JSON, options.into_bytes()).await
}

async fn send(api: &Arc<Api>, method: Method, path: &str, content_type: &'static str, body: Vec<u8>) -> Result<Bytes> {
    let (status, answer) = ask_with(api, method, path, content_type, body).await;
    if status.is_success() {
        return Ok(answer);
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Said {
        reason: String,
        message: String,
    }
    let said: Said = serde_json::from_slice(&answer).unwrap_or_default();
    Err(Refused { code: status.as_u16(), reason: Reason::parse(&said.reason), message: said.message })
}

impl Refused {
    pub fn is_not_found(&self) -> bool {
        self.reason == Reason::NotFound
    }

    pub fn is_already_exists(&self) -> bool {
        self.reason == Reason::AlreadyExists
    }

    pub fn is_conflict(&self) -> bool {
        self.reason == Reason::Conflict
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Refused {
        Refused { code: status.code(), reason: status.reason(), message: status.message().to_owned() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Refused {}
