//! The data folder: known by a file that says in which format it is, so that nobody's other files are taken for it, and
//! held by one server at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

const FILE: &str = "format";
const LOCK: &str = "lock";
const FORMAT: u32 = 1;

/// The folder is this process's for as long as this lives. The kernel gives it back when the process is gone.
pub struct DataFolder {
    lock: File,
}

impl DataFolder {
    /// Makes the folder, or checks that it is one of this program's and nobody else's now.
    pub fn open(folder: &Path) -> Result<DataFolder> {
        std::fs::create_dir_all(folder).with_context(|| unusable(folder))?;
        let file = folder.join(FILE);
        let known = match corten_pki::read_if_exists(&file).with_context(|| unusable(folder))? {
            Some(text) => check(&String::from_utf8_lossy(&text), folder).map(|()| true)?,
            None => check_empty(folder).map(|()| false)?,
        };
        let lock = lock(folder)?;
        if !known {
            corten_pki::write_atomically(&file, format!("{FORMAT}\n").as_bytes(), 0o644)
                .with_context(|| unusable(folder))?;
        }
        Ok(DataFolder { lock })
    }
}

impl Drop for DataFolder {
    /// Closing the file would not do while a child that was forked a moment ago still has it open.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "could not unlock the data folder");
        }
    }
}

fn unusable(folder: &Path) -> String {
    format!(
        "the data folder {} cannot be used; make it a folder that this user may read and write, or choose another \
         with --data-dir",
        folder.display()
    )
}

fn check(text: &str, folder: &Path) -> Result<()> {
    let shown = folder.display();
    match text.trim().parse::<u32>() {
        Ok(format) if format <= FORMAT => Ok(()),
        Ok(format) => bail!(
            "data folder {shown} has format {format}, and this version of Corten knows formats up to {FORMAT}; use the version that wrote it, or a newer one"
        ),
        Err(_) => bail!(
            "folder {shown} is not a Corten data folder: its file {FILE} holds no number; choose an empty folder with --data-dir"
        ),
    }
}

fn check_empty(folder: &Path) -> Result<()> {
    let shown = folder.display();
    for entry in std::fs::read_dir(folder).with_context(|| unusable(folder))? {
        let name = entry.with_context(|| unusable(folder))?.file_name();
        // The lock of a first start that was cut short; and the root of a file system has a folder of its own.
        if name != LOCK && name != "lost+found" {
            bail!(
                "folder {shown} is not a Corten data folder: it holds {}; choose an empty folder with --data-dir",
                name.display()
            );
        }
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).with_context(|| unusable(folder))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let holder = match file.read_to_string(&mut holder) {
                Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                _ => "another process".to_owned(),
            };
            let shown = folder.display();
            bail!("data folder {shown} is in use by {holder}; stop that first, or choose another with --data-dir");
        }
        Err(error) => return Err(error).with_context(|| format!("lock {}", path.display())),
    }
    // On a full disk the message of a second process will name no number; that is no reason to refuse the first.
    if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
        tracing::warn!(path = %path.display(), %error, "could not write the process id");
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prepare: impl FnOnce(&Path), expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let shown = match DataFolder::open(folder.path()) {
            Ok(_) => "opened".to_owned(),
            Err(error) => format!("{error:#}").replace(&folder.path().display().to_string(), "DIR"),
        };
        assert!(shown.contains(expected), "{shown}");
    }

    fn put(name: &'static str, text: &'static str) -> impl FnOnce(&Path) {
        move |folder| std::fs::write(folder.join(name), text).unwrap()
    }

    #[test]
    fn a_folder_is_known_again_and_others_are_refused() {
        check(|_| {}, "opened");
        check(|folder| drop(DataFolder::open(folder).unwrap()), "opened");
        check(put("lock", "12\n"), "opened");
        check(
            put("format", "99\n"),
            "DIR has format 99, and this version of Corten knows formats up to 1; use the ver",
        );
        check(
            put("format", "x\n"),
            "DIR is not a Corten data folder: its file format holds no number; choose an empty",
        );
        check(put("letters.txt", "dear"), "DIR is not a Corten data folder: it holds letters.txt; choose an empty");
    }

    #[test]
    fn a_second_server_is_refused_while_the_first_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::open(folder.path()).unwrap();
        let refused = DataFolder::open(folder.path()).err().unwrap().to_string();
        assert!(
            refused.contains(&format!("is in use by process {}; stop that first", std::process::id())),
            "{refused}"
        );
        drop(first);
        DataFolder::open(folder.path()).unwrap();
    }
}
