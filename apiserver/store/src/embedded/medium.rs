//! What the database lies on: a file, or in tests something that loses power or runs full.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::StorageBackend;
use rustix::fs::{FallocateFlags, fallocate};

/// Opens the same bytes again and again: after a failed write the database is opened anew.
pub trait Medium: Send + Sync + 'static {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>>;
}

pub(super) struct FileMedium(pub(super) PathBuf);

impl Medium for FileMedium {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.0)?;
        Ok(Box::new(FileStorage(file)))
    }
}

/// A plain file. The folder's lock stands for its own.
#[derive(Debug)]
struct FileStorage(File);

impl StorageBackend for FileStorage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    /// Growing takes the blocks at once, so that a full disk shows here, where nothing is lost, and not in a sync,
    /// after which nobody knows what the disk holds.
    fn set_len(&self, len: u64) -> io::Result<()> {
        let present = self.len()?;
        if len > present {
            match fallocate(&self.0, FallocateFlags::empty(), present, len - present) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
                Err(error) => {
                    // What was taken before the room ran out is given back.
                    let _ = self.0.set_len(present);
                    return Err(error.into());
                }
            }
        }
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
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
        let full = matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        Some(if full && !self.sync.load(Ordering::Acquire) { Fault::Full(text) } else { Fault::Lost(text) })
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
