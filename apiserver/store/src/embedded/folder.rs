//! The data folder: who may use it, and which format it has.
//!
//! `format` names the format, says whether the folder was ever complete, and then the store's identity. It is written
//! before anything else and again when the store exists, so that a start that was cut short can be told from files that
//! somebody removed. `lock` is held by flock for as long as the store is open; the kernel drops it with the process,
//! however that ends, and the process id in it is for the message only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::identity::Identity;
use super::medium::Part;
use super::opening::Permission;
use crate::error::OpenError;

/// Since 2 there may be a journal; since 3 everything has checksums, and there is a mark.
const FORMAT: u32 = 3;
const MAGIC: &str = "corten-store";

pub(super) struct Folder {
    path: PathBuf,
    format: Format,
    lock: File,
}

impl Drop for Folder {
    /// Closing the file would not do while a child that was forked a moment ago still has it open.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(path = %self.path.display(), %error, "could not unlock the folder");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Absent,
    Unfinished,
    Complete(Identity),
    /// As an earlier version left it.
    Old,
    /// A repair was cut short; what was there before it lies in the folder of this number.
    Repairing(u32),
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, OpenError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create data folder", path))?;
        if read_format(path)? == Format::Absent {
            check_is_empty(path)?;
        }
        let mut folder = Folder::lock(path)?;
        match folder.format {
            Format::Absent => {
                folder.write_format("new")?;
                folder.format = Format::Unfinished;
            }
            Format::Repairing(_) => {
                let reason = "a repair was cut short; run it again".to_owned();
                return Err(OpenError::Corrupt { folder: path.into(), reason });
            }
            _ => {}
        }
        Ok(folder)
    }

    /// Takes the lock of a folder, whatever is in it.
    pub(super) fn lock(path: &Path) -> Result<Folder, OpenError> {
        let lock = lock(path)?;
        // Read under the lock: it may have been made a moment ago.
        Ok(Folder { path: path.into(), format: read_format(path)?, lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// What may be made of what is there.
    pub(super) fn permission(&self) -> Permission {
        match self.format {
            Format::Complete(identity) => Permission { identity: Some(identity), ..Permission::default() },
            Format::Old => Permission { convert: true, ..Permission::default() },
            _ => Permission { create: true, ..Permission::default() },
        }
    }

    /// To be called once the store is on disk, and before anything is written to it.
    pub(super) fn complete(&self, identity: Identity) -> Result<(), OpenError> {
        match self.format {
            Format::Complete(_) => Ok(()),
            _ => self.write_format(&format!("complete {identity}")),
        }
    }

    pub(super) fn complete_repair(&self, identity: Identity) -> Result<(), OpenError> {
        self.write_format(&format!("complete {identity}"))
    }

    /// The files of before lie in the folder of this number, or are on their way there.
    pub(super) fn begin_repair(&self, number: u32) -> Result<(), OpenError> {
        self.write_format(&format!("repairing {number}"))
    }

    fn write_format(&self, state: &str) -> Result<(), OpenError> {
        let (path, next) = (self.path.join("format"), self.path.join("format.next"));
        let write = || -> io::Result<()> {
            let mut file = File::create(&next)?;
            writeln!(file, "{MAGIC} {FORMAT} {state}")?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed("write", &path))
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> OpenError + use<'a> {
    move |source| OpenError::Io { action, path: path.into(), source }
}

/// Without a file `format`, there may be nothing that somebody would miss.
fn check_is_empty(folder: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(folder).map_err(failed("read data folder", folder))? {
        let name = entry.map_err(failed("read data folder", folder))?.file_name();
        let reason = format!("it holds {}", name.to_string_lossy());
        if is_part(&name) {
            let reason = format!("its file `format` is missing, though {reason}");
            return Err(OpenError::Corrupt { folder: folder.into(), reason });
        }
        // The root of a file system has a folder of its own.
        if name != "lock" && name != "format.next" && name != "lost+found" {
            return Err(OpenError::Foreign { folder: folder.into(), reason });
        }
    }
    Ok(())
}

fn is_part(name: &std::ffi::OsStr) -> bool {
    Part::ALL.iter().any(|part| name == part.name())
}

fn read_format(folder: &Path) -> Result<Format, OpenError> {
    let path = folder.join("format");
    let mut text = Vec::new();
    match File::open(&path).and_then(|file| file.take(100).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Format::Absent),
        Err(error) => return Err(failed("read", &path)(error)),
    }
    let text = String::from_utf8_lossy(&text);
    let foreign = || {
        let (folder, reason) = (folder.to_owned(), format!("its file `format` says {:?}", text.trim_end()));
        let is_ours = Part::ALL.iter().any(|part| folder.join(part.name()).exists());
        if is_ours { OpenError::Corrupt { folder, reason } } else { OpenError::Foreign { folder, reason } }
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let [MAGIC, found, ref state @ ..] = words[..] else { return Err(foreign()) };
    let found: u32 = found.parse().map_err(|_| foreign())?;
    match (found, state) {
        (found, _) if found > FORMAT => Err(OpenError::Newer { folder: folder.into(), found, known: FORMAT }),
        (FORMAT, ["complete", identity]) => Identity::parse(identity).map(Format::Complete).ok_or_else(foreign),
        (FORMAT, ["repairing", number]) => number.parse().map(Format::Repairing).map_err(|_| foreign()),
        (1 | 2, ["complete" | "new"]) => Ok(if folder.join(Part::Tables.name()).exists() {
            Format::Old
        } else if *state == ["new"] {
            Format::Unfinished
        } else {
            let reason = format!("{} is missing", folder.join(Part::Tables.name()).display());
            return Err(OpenError::Corrupt { folder: folder.into(), reason });
        }),
        (FORMAT, ["new"]) => Ok(Format::Unfinished),
        _ => Err(foreign()),
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let holder = match file.read_to_string(&mut holder) {
                Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                _ => "another process".to_owned(),
            };
            return Err(OpenError::InUse { folder: folder.into(), holder });
        }
        Err(error) => return Err(failed("lock", &path)(error.into())),
    }
    let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    // On a full disk the message of a second process will name no number; that is no reason to refuse the first.
    if let Err(error) = write {
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
        let shown = match Folder::open(folder.path()) {
            Ok(folder) => format!("{:?}", folder.format()),
            Err(error) => error.to_string().replace(&folder.path().display().to_string(), "DIR"),
        };
        assert!(shown.contains(expected), "{shown}");
    }

    fn put(name: &'static str, text: &'static str) -> impl FnOnce(&Path) {
        move |folder| fs::write(folder.join(name), text).unwrap()
    }

    #[test]
    fn folders_are_told_apart() {
        check(|_| {}, "Unfinished");
        check(put("lock", "12\n"), "Unfinished");
        check(put("format", "corten-store 1 new\n"), "Unfinished");
        check(put("format", "corten-store 2 new\n"), "Unfinished");
        check(put("format", "corten-store 0 new\n"), "is not a Corten store");
        check(put("notes.txt", "hello"), "folder DIR is not a Corten store: it holds notes.txt");
        check(put("format", "something else\n"), "its file `format` says \"something else\"");
        check(put("format", "corten-store x\n"), "is not a Corten store");
        check(
            put("format", "corten-store 4 complete\n"),
            "DIR has format 4, and this version of Corten knows formats up to 3",
        );
        check(
            put("store.redb", ""),
            "the store in DIR is damaged: its file `format` is missing, though it holds store.redb",
        );
        check(put("format", "corten-store 3 complete\n"), "is not a Corten store");
        check(put("format", "corten-store 3 complete 0123456789abcdef0123456789abcdef\n"), "Complete(0123456789abcdef");
        check(put("format", "corten-store 3 repairing 2\n"), "a repair was cut short; run it again");
        check(put("format", "corten-store 1 complete\n"), "DIR/store.redb is missing");
        check(put("format", "corten-store 2 complete\n"), "DIR/store.redb is missing");
    }

    #[test]
    fn an_old_format_becomes_the_present_one_once_it_is_converted() {
        let folder = tempfile::tempdir().unwrap();
        put("format", "corten-store 1 complete\n")(folder.path());
        put("store.redb", "some database")(folder.path());
        let opened = Folder::open(folder.path()).unwrap();
        assert!(opened.permission().convert);
        let format = || fs::read_to_string(folder.path().join("format")).unwrap();
        assert_eq!(format(), "corten-store 1 complete\n");
        opened.complete(Identity([17; 16])).unwrap();
        assert_eq!(format(), "corten-store 3 complete 11111111111111111111111111111111\n");
        assert_eq!(fs::read_to_string(folder.path().join("store.redb")).unwrap(), "some database");
    }

    #[test]
    fn a_second_user_is_refused_while_the_first_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::open(folder.path()).unwrap();
        let refused = Folder::open(folder.path()).err().expect("the lock is held").to_string();
        assert!(refused.contains(&format!("is in use by process {}", std::process::id())), "{refused}");
        assert!(refused.contains(&folder.path().display().to_string()), "{refused}");
        drop(first);
        assert!(Folder::open(folder.path()).is_ok());
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Folder::open(&file).err().expect("it is a file").to_string();
        assert!(error.starts_with("cannot create data folder"), "{error}");
    }
}
