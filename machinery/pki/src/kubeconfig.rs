//! Kubeconfig files: writing the cluster's own, putting a context into a user's, and reading one.
//!
//! A user's file is changed like kubectl does it: under the same lock file, every other entry kept in its place (but
//! not the comments), and replaced in one rename. A file that is no kubeconfig stays as it is.

mod merge;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use corten_config::yaml::Node;

pub use self::merge::{merge, renew, users_file};
use crate::certificate::Pair;
use crate::files::{self, SECRET};

/// How to reach one cluster as one user.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// https://HOST:PORT
    pub server: String,
    pub authority_pem: Vec<u8>,
    pub credential: Credential,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Certificate { certificate_pem: Vec<u8>, key_pem: Vec<u8> },
    Token(String),
}

impl Access {
    pub fn by_certificate(server: &str, authority_pem: &str, pair: &Pair) -> Access {
        Access {
            server: server.to_owned(),
            authority_pem: authority_pem.as_bytes().to_vec(),
            credential: Credential::Certificate {
                certificate_pem: pair.certificate_pem.as_bytes().to_vec(),
                key_pem: pair.key_pem.as_bytes().to_vec(),
            },
        }
    }
}

/// Writes a kubeconfig with one context, for the owner's eyes alone. The file is the caller's: what was in it is
/// replaced. Returns whether it changed.
pub fn write(path: &Path, context: &str, access: &Access) -> Result<bool> {
    let text = to_yaml(context, access)?;
    if files::read_if_exists(path)?.is_some_and(|old| old == text.as_bytes()) {
        return Ok(false);
    }
    files::write_atomically(path, text.as_bytes(), SECRET)?;
    Ok(true)
}

/// A kubeconfig with one context, as text.
pub fn to_yaml(context: &str, access: &Access) -> Result<String> {
    let mut document = Node::map();
    merge::put(&mut document, context, access)?;
    Ok(document.to_yaml())
}

/// What the file's current context says. Certificates and tokens may be in files of their own; a plugin that has to be
/// run for a credential is an error.
pub fn read(path: &Path) -> Result<Access> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&bytes, folder).with_context(|| format!("{} is no kubeconfig that can be used", path.display()))
}

fn parse(bytes: &[u8], folder: &Path) -> Result<Access> {
    let document = merge::parse(bytes)?;
    let current = text(&document, "current-context").filter(|name| !name.is_empty());
    let context = entry(&document, "contexts", "context", current.context("it has no current-context")?)?;
    let cluster_name = text(context, "cluster").context("the context names no cluster")?;
    let user_name = text(context, "user").context("the context names no user")?;
    let cluster = entry(&document, "clusters", "cluster", cluster_name)?;
    let user = entry(&document, "users", "user", user_name)?;
    if cluster.get("insecure-skip-tls-verify").and_then(Node::as_bool) == Some(true) {
        bail!("cluster {cluster_name:?} switches the check of the server's certificate off, which is not supported");
    }
    let authority = content(cluster, "certificate-authority", folder)?;
    Ok(Access {
        server: text(cluster, "server").with_context(|| format!("cluster {cluster_name:?} has no server"))?.to_owned(),
        authority_pem: authority.with_context(|| format!("cluster {cluster_name:?} has no certificate-authority"))?,
        credential: credential(user, folder).with_context(|| format!("user {user_name:?}"))?,
    })
}

fn credential(user: &Node, folder: &Path) -> Result<Credential> {
    let certificate = (content(user, "client-certificate", folder)?, content(user, "client-key", folder)?);
    if let (Some(certificate_pem), Some(key_pem)) = certificate {
        return Ok(Credential::Certificate { certificate_pem, key_pem });
    }
    // As client-go: the file wins over the token beside it.
    if let Some(file) = text(user, "tokenFile") {
        let token = read_beside(folder, file)?;
        return Ok(Credential::Token(String::from_utf8(token).context("the token is no text")?.trim().to_owned()));
    }
    match text(user, "token") {
        Some(token) => Ok(Credential::Token(token.to_owned())),
        None => bail!("neither a client certificate with its key nor a token; other credentials are not supported"),
    }
}

/// `NAME-data` in base64, or else the file that `NAME` names.
fn content(of: &Node, name: &str, folder: &Path) -> Result<Option<Vec<u8>>> {
    if let Some(data) = text(of, &format!("{name}-data")) {
        let decoded = STANDARD.decode(data.replace(['\n', '\r', ' '], ""));
        return decoded.map(Some).map_err(|error| anyhow!("{name}-data: {error}"));
    }
    text(of, name).map(|file| read_beside(folder, file)).transpose()
}

fn read_beside(folder: &Path, file: &str) -> Result<Vec<u8>> {
    let path: PathBuf = folder.join(file);
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}

fn entry<'d>(document: &'d Node, list: &str, key: &str, name: &str) -> Result<&'d Node> {
    let items = document.get(list).and_then(Node::items).unwrap_or_default();
    let item = items.iter().find(|item| text(item, "name") == Some(name));
    item.and_then(|item| item.get(key)).with_context(|| format!("{list} has no {name:?}"))
}

fn text<'m>(of: &'m Node, key: &str) -> Option<&'m str> {
    of.get(key)?.as_str()
}

impl std::fmt::Debug for Access {
    /// Without the credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access to {}", self.server)
    }
}

#[cfg(test)]
mod tests;
