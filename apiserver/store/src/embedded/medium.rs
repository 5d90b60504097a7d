//! What the store lies on: three files, or in tests something that loses power or runs full.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::StorageBackend;
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

/// Opens the same bytes again and again: after a failed write the database is opened anew.
pub trait Medium: Send + Sync + 'static {
    fn open(&self, part: Part) -> io::Result<Box<dyn StorageBackend>>;

    /// Whether what was opened is still what the next start would open; an error names what is not.
    fn is_in_place(&self) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Tables,
    Journal,
    Mark,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::Tables, Part::Journal, Part::Mark];

    /// The name of its file.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Tables => "store.redb",
            Part::Journal => "journal",
            Part::Mark => "mark",
        }
    }
}

/// The files of a folder. They are made as long as the store is; later, one that is missing is an error, and so is one
/// that is not the file it was before.
pub(super) struct FileMedium {
    folder: PathBuf,
    makes: AtomicBool,
    /// Device and inode of each part.
    seen: Mutex<[Option<(u64, u64)>; 3]>,
    /// The folder when everything was last found in place, unless it had changed shortly before.
    settled: Mutex<Option<FolderState>>,
}

/// Changes whenever a file of a folder is removed, renamed or replaced, or the folder itself, but for changes that follow
/// each other within a tick of the file system's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FolderState {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

/// No file system's clock ticks more rarely, in seconds.
const TICK_MAX: i64 = 3;

impl FolderState {
    fn of(folder: &Path) -> Option<FolderState> {
        let metadata = std::fs::metadata(folder).ok()?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Some(FolderState { device: metadata.dev(), inode: metadata.ino(), changed })
    }
}

impl FileMedium {
    pub(super) fn new(folder: &Path, makes: bool) -> FileMedium {
        let (makes, seen, settled) = (AtomicBool::new(makes), Mutex::default(), Mutex::default());
        FileMedium { folder: folder.into(), makes, seen, settled }
    }

    /// From now on no file is made.
    pub(super) fn stop_making(&self) {
        self.makes.store(false, Ordering::Release);
    }

    fn replaced(&self, part: Part) -> String {
        format!("{} was removed or replaced while the server runs", self.folder.join(part.name()).display())
    }
}

impl Medium for FileMedium {
    fn open(&self, part: Part) -> io::Result<Box<dyn StorageBackend>> {
        let path = self.folder.join(part.name());
        let makes = self.makes.load(Ordering::Acquire);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(makes).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let metadata = file.metadata()?;
        let place = (metadata.dev(), metadata.ino());
        if *self.seen.lock()[part as usize].get_or_insert(place) != place {
            return Err(io::Error::other(self.replaced(part)));
        }
        let has_holes = AtomicBool::new(metadata.blocks() * BLOCK < metadata.len());
        let in_small_pages = part == Part::Journal;
        if in_small_pages {
            // Where this is refused, only time is lost.
            let _ = fadvise(&file, 0, None, Advice::Random);
        }
        Ok(Box::new(FileStorage { file, has_holes, in_small_pages }))
    }

    fn is_in_place(&self) -> Result<(), String> {
        // Every commit asks, so the files are looked at only if the folder has changed.
        let folder = FolderState::of(&self.folder);
        let mut settled = self.settled.lock();
        if folder.is_some() && *settled == folder {
            return Ok(());
        }
        *settled = None;
        let seen = *self.seen.lock();
        let mut written = i64::MIN;
        for part in Part::ALL {
            let Some(expected) = seen[part as usize] else { continue };
            let found = std::fs::metadata(self.folder.join(part.name())).ok();
            let found = found.filter(|found| (found.dev(), found.ino()) == expected);
            written = written.max(found.ok_or_else(|| self.replaced(part))?.mtime());
        }
        // The last commit's file tells the time by the same clock.
        *settled = folder.filter(|folder| folder.changed.0.saturating_add(TICK_MAX) < written);
        Ok(())
    }
}

/// In which the system counts what a file takes.
const BLOCK: u64 = 512;

/// A plain file. The folder's lock stands for its own.
///
/// Blocks are taken before anything is written into them, so that a full disk shows where nothing is lost, and not in a
/// sync, after which nobody knows what the disk holds. The database grows by doubling; where there is no room for that
/// much at once, the file has holes for a while, and each write takes its own blocks.
#[derive(Debug)]
struct FileStorage {
    file: File,
    has_holes: AtomicBool,
    /// Whether small parts of it are written and synced again and again. Linux caches in one large page what was written
    /// or read ahead at once, and goes through all of that page's blocks each time a part of it is written and synced.
    in_small_pages: bool,
}

/// No page of a cache is smaller.
const PAGE: usize = 4096;
/// What is written of a file as a whole, when it is made.
const WHOLE: usize = 256 << 10;

impl FileStorage {
    /// True if the file system can do it.
    fn take(&self, flags: FallocateFlags, offset: u64, length: u64) -> io::Result<bool> {
        match fallocate(&self.file, flags, offset, length) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl StorageBackend for FileStorage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let present = self.len()?;
        if len > present {
            match self.take(FallocateFlags::empty(), present, len - present) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if is_full(error.kind()) => {
                    // What was taken before the room ran out is given back.
                    self.file.set_len(present)?;
                    self.has_holes.store(true, Ordering::Release);
                }
                Err(error) => return Err(error),
            }
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.has_holes.load(Ordering::Acquire) && !data.is_empty() {
            self.take(FallocateFlags::KEEP_SIZE, offset, data.len() as u64)?;
        }
        let piece = if self.in_small_pages && data.len() >= WHOLE { PAGE } else { data.len().max(1) };
        let mut pieces = data.chunks(piece).zip((offset..).step_by(piece));
        pieces.try_for_each(|(piece, offset)| self.file.write_all_at(piece, offset))
    }
}

pub(super) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What went wrong below the database, which itself only says that something did.
#[derive(Debug, Default)]
pub(super) struct Faults {
    sync: AtomicBool,
    first: Mutex<Option<(io::ErrorKind, String)>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No room, and nothing else.
    Full(String),
    /// A failed sync, after which the kernel may have dropped what it could not write, or any other error.
    Lost(String),
}

impl Faults {
    pub(super) fn found(&self) -> Option<Fault> {
        let (kind, text) = self.first.lock().clone()?;
        Some(if is_full(kind) && !self.sync.load(Ordering::Acquire) { Fault::Full(text) } else { Fault::Lost(text) })
    }

    fn note<T>(&self, action: &str, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            let mut first = self.first.lock();
            first.get_or_insert_with(|| (error.kind(), format!("{action}: {error}")));
        }
        result
    }
}

/// A storage whose faults are remembered.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) storage: Box<dyn StorageBackend>,
    pub(super) faults: Arc<Faults>,
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.faults.note("size", self.storage.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.storage.read(offset, out) {
            // The file is shorter than it says: damage, for the database to report.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error),
            result => self.faults.note("read", result),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.note("grow", self.storage.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let result = self.storage.sync_data();
        if result.is_err() {
            self.faults.sync.store(true, Ordering::Release);
        }
        self.faults.note("sync", result)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.faults.note("write", self.storage.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.storage.close()
    }
}
