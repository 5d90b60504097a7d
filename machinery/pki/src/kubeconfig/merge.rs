//! Putting a context into a kubeconfig that belongs to a user.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml_ng::{Mapping, Value};

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
    // A link is followed, or else renaming would put a file in its place.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::create_folder(folder)?;
    }
    let _lock = Lock::take(&path)?;
    let old = files::read_if_exists(&path)?.unwrap_or_default();
    let changed = parse(&old).and_then(|mut document| {
        let before = document.clone();
        put(&mut document, context, access)?;
        Ok((document != before).then_some(document))
    });
    let changed = changed.with_context(|| {
        format!("{} is no kubeconfig, and stays as it is; mend or move it, or name another file", path.display())
    })?;
    let Some(document) = changed else { return Ok(false) };
    let owner = fs::metadata(&path).ok();
    let mode = owner.as_ref().map_or(SECRET, |owner| owner.permissions().mode() & 0o777);
    files::write_atomically(&path, to_text(&document)?.as_bytes(), mode)?;
    if let Some(owner) = owner {
        // Root may write the file of another user, who wants to read it afterwards.
        let kept = std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid()));
        kept.with_context(|| format!("give {} back to its owner", path.display()))?;
    }
    Ok(true)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Mapping> {
    let document = match serde_yaml_ng::from_slice(bytes).map_err(|error| anyhow!("no YAML: {error}"))? {
        Value::Null => Mapping::new(),
        Value::Mapping(document) => document,
        _ => bail!("it does not hold an object"),
    };
    for (field, expected) in [("kind", "Config"), ("apiVersion", "v1")] {
        match document.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) if value == expected => {}
            Some(_) => bail!("its {field} is not {expected}"),
        }
    }
    for list in ["clusters", "contexts", "users"] {
        match document.get(list) {
            None | Some(Value::Null) => {}
            Some(Value::Sequence(items)) if items.iter().all(Value::is_mapping) => {}
            Some(_) => bail!("its {list} are no list of objects"),
        }
    }
    Ok(document)
}

pub(super) fn put(document: &mut Mapping, name: &str, access: &Access) -> Result<()> {
    set(document, "apiVersion", "v1");
    let cluster =
        [("certificate-authority-data", STANDARD.encode(&access.authority_pem)), ("server", access.server.clone())];
    *named(document, "clusters", name, "cluster")? = cluster.into_iter().map(string_pair).collect();
    let context = named(document, "contexts", name, "context")?;
    set(context, "cluster", name);
    set(context, "user", name);
    set(document, "current-context", name);
    set(document, "kind", "Config");
    let user = match &access.credential {
        Credential::Certificate { certificate_pem, key_pem } => vec![
            ("client-certificate-data", STANDARD.encode(certificate_pem)),
            ("client-key-data", STANDARD.encode(key_pem)),
        ],
        Credential::Token(token) => vec![("token", token.clone())],
    };
    *named(document, "users", name, "user")? = user.into_iter().map(string_pair).collect();
    Ok(())
}

/// YAML that reads the same under YAML 1.1, by which kubectl reads it.
pub(super) fn to_text(document: &Mapping) -> Result<String> {
    serde_yaml_ng::to_string(document).context("write YAML")
}

/// The object under `key` in the item of that name, both made where they are missing.
fn named<'d>(document: &'d mut Mapping, list: &str, name: &str, key: &str) -> Result<&'d mut Mapping> {
    let items = document.entry(list.into()).or_insert(Value::Null);
    if items.is_null() {
        *items = Value::Sequence(Vec::new());
    }
    let items = items.as_sequence_mut().with_context(|| format!("its {list} are no list"))?;
    let at = items.iter().position(|item| item.get("name").and_then(Value::as_str) == Some(name));
    let at = at.unwrap_or_else(|| {
        items.push(Value::Mapping([(key.into(), Value::Null), ("name".into(), name.into())].into_iter().collect()));
        items.len() - 1
    });
    let item = items[at].as_mapping_mut().with_context(|| format!("its {list} are no objects"))?;
    let object = item.entry(key.into()).or_insert(Value::Null);
    if !object.is_mapping() {
        *object = Value::Mapping(Mapping::new());
    }
    object.as_mapping_mut().with_context(|| format!("{key} {name:?} is no object"))
}

fn set(mapping: &mut Mapping, key: &str, value: &str) {
    mapping.insert(key.into(), value.into());
}

fn string_pair((key, value): (&str, String)) -> (Value, Value) {
    (key.into(), value.into())
}

/// kubectl's lock: a file that must not be there yet.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Result<Lock> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
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
