//! Putting a context into a kubeconfig that belongs to a user.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use corten_config::yaml::{Node, Value};

use super::{Access, Credential};
use crate::files::{self, SECRET};

/// The file that kubectl would write to: of $KUBECONFIG the first that exists, or else its last; without it
/// ~/.kube/config. None if there is no home either.
pub fn users_file(kubeconfig: Option<&OsStr>, home: Option<&Path>) -> Option<PathBuf> {
    let listed: Vec<_> =
        std::env::split_paths(kubeconfig.unwrap_or_default()).filter(|path| !path.as_os_str().is_empty()).collect();
    let existing = listed.iter().find(|path| path.exists());
    existing.or(listed.last()).cloned().or_else(|| home.map(|home| home.join(".kube/config")))
}

/// Puts the context, and a cluster and a user of the same name, into the file and makes it the current one. Everything
/// else in the file stays, a namespace that the user chose for the context too. Returns whether the file changed.
pub fn merge(path: &Path, context: &str, access: &Access) -> Result<bool> {
    edit(path, |document| {
        put(document, context, access)?;
        Ok(true)
    })
}

/// Replaces a certificate that has been renewed: in the user of that name, if the file still has a cluster of that name
/// with the same CA. Whatever else the file says stays, and a file that is gone stays gone. Returns whether the file
/// changed. One in which nothing is ours is not touched at all, and may be of any form.
pub fn renew(path: &Path, name: &str, access: &Access) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let is_foreign = |bytes: Vec<u8>| !parse(&bytes).is_ok_and(|document| is_ours(&document, name, access));
    if undisturbed(&resolved(path))?.is_some_and(is_foreign) {
        return Ok(false);
    }
    edit(path, |document| {
        let ours = is_ours(document, name, access);
        if ours {
            set_credential(named(document, "users", name, "user")?, &access.credential);
        }
        Ok(ours)
    })
}

/// Whether the file has a cluster of that name with our CA, and a user of that name with a key.
fn is_ours(document: &Node, name: &str, access: &Access) -> bool {
    let authority = STANDARD.encode(&access.authority_pem);
    let cluster = lookup(document, "clusters", name, "cluster");
    let kept = cluster.and_then(|cluster| cluster.get("certificate-authority-data"));
    kept.and_then(Node::as_str) == Some(authority.as_str())
        && lookup(document, "users", name, "user").is_some_and(|user| user.get("client-key-data").is_some())
}

/// The file's bytes, if nobody changes it meanwhile: kubectl writes in place, under its lock, and half of a kubeconfig
/// may look like a whole one.
fn undisturbed(path: &Path) -> Result<Option<Vec<u8>>> {
    let state = || fs::metadata(path).ok().map(|file| (file.ino(), file.size(), file.mtime(), file.mtime_nsec()));
    let before = state();
    let locked = lock_of(path).exists();
    let bytes = files::read_if_exists(path)?;
    Ok(bytes.filter(|_| !locked && state() == before))
}

/// A link is followed, or else renaming would put a file in its place.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Changes the file under its lock. `change` says whether a key of ours is in it then, which nobody but its owner may
/// read.
fn edit(path: &Path, change: impl FnOnce(&mut Node) -> Result<bool>) -> Result<bool> {
    let path = resolved(path);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::create_folder(folder)?;
    }
    let _lock = Lock::take(&path)?;
    let old = files::read_if_exists(&path)?.unwrap_or_default();
    let edited = parse(&old).and_then(|mut document| {
        let before = document.to_yaml();
        let ours = change(&mut document)?;
        let after = document.to_yaml();
        Ok(((before != after).then_some(after), ours))
    });
    let (changed, ours) = edited.with_context(|| {
        format!("{} is no kubeconfig, and stays as it is; mend or move it, or name another file", path.display())
    })?;
    let Some(text) = changed else {
        if ours {
            files::make_private(&path)?;
        }
        return Ok(false);
    };
    let owner = fs::metadata(&path).ok();
    // A key is in it now, whoever could read it before.
    let mode = owner.as_ref().map_or(SECRET, |owner| owner.permissions().mode() & 0o700);
    files::write_atomically(&path, text.as_bytes(), mode)?;
    if let Some(owner) = owner {
        // Root may write the file of another user, who wants to read it afterwards.
        let kept = std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid()));
        kept.with_context(|| format!("give {} back to its owner", path.display()))?;
    }
    Ok(true)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Node> {
    let document = Node::parse(bytes).map_err(|error| anyhow!(error))?;
    if document.is_null() {
        return Ok(Node::map());
    }
    let entries = document.entries().context("it does not hold an object")?;
    for (at, entry) in entries.iter().enumerate() {
        // kubectl refuses such a file too, and changing one of the two would be a guess.
        if entries[..at].iter().any(|earlier| earlier.key.text == entry.key.text) {
            bail!("it has {:?} twice", entry.key.text);
        }
    }
    for (field, expected) in [("kind", "Config"), ("apiVersion", "v1")] {
        match document.get(field) {
            Some(value) if !value.is_null() && value.as_str() != Some(expected) => {
                bail!("its {field} is not {expected}");
            }
            _ => {}
        }
    }
    for list in ["clusters", "contexts", "users"] {
        let Some(value) = document.get(list).filter(|value| !value.is_null()) else { continue };
        if !value.items().is_some_and(|items| items.iter().all(|item| item.entries().is_some())) {
            bail!("its {list} are no list of objects");
        }
    }
    Ok(document)
}

pub(super) fn put(document: &mut Node, name: &str, access: &Access) -> Result<()> {
    document.set("apiVersion", Node::string("v1"));
    let cluster = named(document, "clusters", name, "cluster")?;
    *cluster = Node::map();
    cluster.set("certificate-authority-data", Node::string(STANDARD.encode(&access.authority_pem)));
    cluster.set("server", Node::string(&access.server));
    let context = named(document, "contexts", name, "context")?;
    context.set("cluster", Node::string(name));
    context.set("user", Node::string(name));
    document.set("current-context", Node::string(name));
    document.set("kind", Node::string("Config"));
    let user = named(document, "users", name, "user")?;
    *user = Node::map();
    set_credential(user, &access.credential);
    Ok(())
}

fn set_credential(user: &mut Node, credential: &Credential) {
    match credential {
        Credential::Certificate { certificate_pem, key_pem } => {
            user.set("client-certificate-data", Node::string(STANDARD.encode(certificate_pem)));
            user.set("client-key-data", Node::string(STANDARD.encode(key_pem)));
        }
        Credential::Token(token) => user.set("token", Node::string(token)),
    }
}

/// The object under `key` in the item of that name, if there is one.
fn lookup<'d>(document: &'d Node, list: &str, name: &str, key: &str) -> Option<&'d Node> {
    let items = document.get(list)?.items()?;
    items.iter().find(|item| item.get("name").and_then(Node::as_str) == Some(name))?.get(key)
}

/// The object under `key` in the item of that name, both made where they are missing.
fn named<'d>(document: &'d mut Node, list: &str, name: &str, key: &str) -> Result<&'d mut Node> {
    let items = document.get_or_insert(list).context("it does not hold an object")?;
    if items.is_null() {
        *items = Node::list();
    }
    let items = items.items_mut().with_context(|| format!("its {list} are no list"))?;
    let at = items.iter().position(|item| item.get("name").and_then(Node::as_str) == Some(name));
    let at = at.unwrap_or_else(|| {
        let mut item = Node::map();
        item.set(key, Node::map());
        item.set("name", Node::string(name));
        items.push(item);
        items.len() - 1
    });
    let object = items[at].get_or_insert(key).with_context(|| format!("its {list} are no objects"))?;
    if !matches!(object.value, Value::Map(_)) {
        *object = Node::map();
    }
    Ok(object)
}

fn lock_of(path: &Path) -> PathBuf {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    PathBuf::from(lock)
}

/// kubectl's lock: a file that must not be there yet.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Result<Lock> {
        let lock = lock_of(path);
        match OpenOptions::new().write(true).create_new(true).open(&lock) {
            Ok(_file) => Ok(Lock(lock)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "{} is locked by somebody who changes it; if nobody does, remove {}",
                path.display(),
                lock.display()
            ),
            Err(error) => Err(error).with_context(|| format!("create {}", lock.display())),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "remove a lock file");
        }
    }
}
