//! Reading and writing of files that must never be seen half written.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// For keys, and for what holds keys.
pub const SECRET: u32 = 0o600;
/// For certificates.
pub const PUBLIC: u32 = 0o644;

/// None if there is no such file; any other failure is an error that names it.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Replaces the file, or creates it: after a crash it has either the old bytes or the new ones. The folder must exist.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let temporary = temporary_of(path);
    let written = write_and_sync(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is left of it helps nobody; that it cannot be removed either is no news.
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| sync_folder(path)).with_context(|| format!("write {}", path.display()))
}

/// Creates the folder, and those above it, for the owner alone; an existing one stays as it is.
pub fn create_folder(path: &Path) -> Result<()> {
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.with_context(|| format!("create the folder {}", path.display()))
}

/// Takes a key file from the group's and the others' reach, if it is in it. Its owner may do with it what he could.
pub fn make_private(path: &Path) -> Result<()> {
    let mode = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "others could read this key; now its owner alone can");
        let tightened = fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700));
        tightened.with_context(|| format!("make {} readable by its owner alone", path.display()))?;
    }
    Ok(())
}

fn temporary_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

fn write_and_sync(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    // One left by a crash may have another mode, which opening would keep.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The mode at creation is cut by the umask.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
