//! The data folder: who may use it, and which format it has.
//!
//! `format` names the format and says whether the folder was ever complete. It is written before anything else and
//! again when the database exists, so that a start that was cut short can be told from a database that somebody
//! removed. `lock` is held by flock for as long as the store is open; the kernel drops it with the process, however
//! that ends, and the process id in it is for the message only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::error::OpenError;

/// Since 2 there may be a journal.
const FORMAT: u32 = 2;
const MAGIC: &str = "corten-store";

pub(super) struct Folder {
    path: PathBuf,
    /// Whether the database has yet to be made.
    pub(super) fresh: bool,
    /// Whether it is of an earlier format, which this one takes over as it is.
    old: bool,
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

enum Format {
    Absent,
    Unfinished,
    Complete,
    /// Complete, as an earlier version left it.
    Old,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, OpenError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create data folder", path))?;
        let format = read_format(path)?;
        if let (Format::Absent, Some(stranger)) = (&format, stranger(path)?) {
            return Err(OpenError::Foreign { folder: path.into(), reason: format!("it holds {stranger}") });
        }
        let lock = lock(path)?;
        // Read again: it may have been made between the first look and the lock.
        let format = read_format(path)?;
        let fresh = matches!(format, Format::Absent | Format::Unfinished);
        let folder = Folder { path: path.into(), fresh, old: matches!(format, Format::Old), lock };
        let database = folder.database();
        if fresh {
            folder.write_format("new")?;
            remove_unfinished(&database)?;
            remove_unfinished(&folder.journal())?;
        } else if !database.exists() {
            let reason = format!("{} is missing", database.display());
            return Err(OpenError::Corrupt { folder: path.into(), reason });
        }
        Ok(folder)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("store.redb")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// To be called once the database is on disk, and before anything is written to it.
    pub(super) fn complete(&self) -> Result<(), OpenError> {
        if self.fresh || self.old { self.write_format("complete") } else { Ok(()) }
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

fn remove_unfinished(file: &Path) -> Result<(), OpenError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove the unfinished", file)(error)),
        _ => Ok(()),
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> OpenError + use<'a> {
    move |source| OpenError::Io { action, path: path.into(), source }
}

/// A file that no store put there.
fn stranger(folder: &Path) -> Result<Option<String>, OpenError> {
    for entry in fs::read_dir(folder).map_err(failed("read data folder", folder))? {
        let name = entry.map_err(failed("read data folder", folder))?.file_name();
        // The root of a file system has a folder of its own.
        if name != "lock" && name != "format.next" && name != "lost+found" {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
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
    let foreign = || OpenError::Foreign {
        folder: folder.into(),
        reason: format!("its file `format` says {:?}", text.trim_end()),
    };
    let mut words = text.split_whitespace();
    if words.next() != Some(MAGIC) {
        return Err(foreign());
    }
    let found: u32 = words.next().and_then(|word| word.parse().ok()).ok_or_else(foreign)?;
    match (found, words.next()) {
        (found, _) if found > FORMAT => Err(OpenError::Newer { folder: folder.into(), found, known: FORMAT }),
        (FORMAT, Some("complete")) => Ok(Format::Complete),
        (1, Some("complete")) => Ok(Format::Old),
        (1 | FORMAT, Some("new")) => Ok(Format::Unfinished),
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
            Ok(folder) => format!("fresh: {}", folder.fresh),
            Err(error) => error.to_string().replace(&folder.path().display().to_string(), "DIR"),
        };
        assert!(shown.contains(expected), "{shown}");
    }

    fn put(name: &'static str, text: &'static str) -> impl FnOnce(&Path) {
        move |folder| fs::write(folder.join(name), text).unwrap()
    }

    #[test]
    fn folders_are_told_apart() {
        check(|_| {}, "fresh: true");
        check(put("lock", "12\n"), "fresh: true");
        check(put("format", "corten-store 1 new\n"), "fresh: true");
        check(put("format", "corten-store 2 new\n"), "fresh: true");
        check(put("format", "corten-store 0 new\n"), "is not a Corten store");
        check(put("notes.txt", "hello"), "folder DIR is not a Corten store: it holds notes.txt");
        check(put("format", "something else\n"), "its file `format` says \"something else\"");
        check(put("format", "corten-store x\n"), "is not a Corten store");
        check(
            put("format", "corten-store 3 complete\n"),
            "DIR has format 3, and this version of Corten knows formats up to 2",
        );
        check(put("format", "corten-store 1 complete\n"), "DIR/store.redb is missing");
        check(put("format", "corten-store 2 complete\n"), "DIR/store.redb is missing");
    }

    #[test]
    fn an_old_format_becomes_the_present_one_once_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        put("format", "corten-store 1 complete\n")(folder.path());
        put("store.redb", "some database")(folder.path());
        let opened = Folder::open(folder.path()).unwrap();
        assert!(!opened.fresh);
        let format = || fs::read_to_string(folder.path().join("format")).unwrap();
        assert_eq!(format(), "corten-store 1 complete\n");
        opened.complete().unwrap();
        assert_eq!(format(), "corten-store 2 complete\n");
        assert_eq!(fs::read_to_string(opened.database()).unwrap(), "some database");
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
