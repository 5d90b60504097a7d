//! A store's files as they are, with everything that is written to them kept in memory: who looks at a damaged store
//! changes nothing. The database would: opened, it writes, and after a crash it goes back to an older state where the
//! newer is damaged, and writes over that.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::StorageBackend;

use super::medium::{Medium, Part};

const PAGE: u64 = 4096;

pub(super) struct Overlay([Arc<Mutex<Layer>>; 3]);

#[derive(Debug)]
struct Layer {
    /// None where there is no such file.
    base: Option<Base>,
    /// How much of the base shows; what is beyond was cut off.
    shown: u64,
    length: u64,
    /// Pages that were written.
    pages: HashMap<u64, Box<[u8; PAGE as usize]>>,
}

#[derive(Debug)]
enum Base {
    File(File),
    Storage(Box<dyn StorageBackend>),
}

impl Base {
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Base::File(file) => file.read_exact_at(out, offset),
            Base::Storage(storage) => storage.read(offset, out),
        }
    }
}

impl Overlay {
    pub(super) fn over(medium: &dyn Medium) -> io::Result<Overlay> {
        let open = |part| {
            let storage = medium.open(part)?;
            let length = storage.len()?;
            let layer = Layer { base: Some(Base::Storage(storage)), shown: length, length, pages: HashMap::new() };
            Ok::<_, io::Error>(Arc::new(Mutex::new(layer)))
        };
        Ok(Overlay([open(Part::Tables)?, open(Part::Journal)?, open(Part::Mark)?]))
    }

    pub(super) fn of_files(paths: &[PathBuf; 3]) -> io::Result<Overlay> {
        let open = |path: &PathBuf| {
            let file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                file => Some(file?),
            };
            let length = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))?;
            let layer = Layer { base: file.map(Base::File), shown: length, length, pages: HashMap::new() };
            Ok::<_, io::Error>(Arc::new(Mutex::new(layer)))
        };
        let [tables, journal, mark] = paths;
        Ok(Overlay([open(tables)?, open(journal)?, open(mark)?]))
    }
}

impl Medium for Overlay {
    fn open(&self, part: Part) -> io::Result<Box<dyn StorageBackend>> {
        let layer = Arc::clone(&self.0[part as usize]);
        if layer.lock().base.is_none() && part == Part::Tables {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is missing", part.name())));
        }
        Ok(Box::new(Open(layer)))
    }
}

#[derive(Debug)]
struct Open(Arc<Mutex<Layer>>);

impl Layer {
    fn page(&self, number: u64) -> io::Result<Box<[u8; PAGE as usize]>> {
        if let Some(page) = self.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = Box::new([0; PAGE as usize]);
        let start = number * PAGE;
        let there = self.shown.saturating_sub(start).min(PAGE) as usize;
        if let (Some(base), true) = (&self.base, there > 0) {
            base.read(start, &mut page[..there])?;
        }
        Ok(page)
    }

    /// Calls `visit` with each part of a page that a range covers: its number, its place in the page, in the range.
    fn each(
        offset: u64,
        length: usize,
        mut visit: impl FnMut(u64, std::ops::Range<usize>, usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < length {
            let at = offset + done as u64;
            let start = (at % PAGE) as usize;
            let count = (PAGE as usize - start).min(length - done);
            visit(at / PAGE, start..start + count, done)?;
            done += count;
        }
        Ok(())
    }
}

impl StorageBackend for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let layer = self.0.lock();
        if offset + out.len() as u64 > layer.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Layer::each(offset, out.len(), |number, place, done| {
            out[done..done + place.len()].copy_from_slice(&layer.page(number)?[place]);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut layer = self.0.lock();
        if len < layer.length {
            layer.shown = layer.shown.min(len);
            layer.pages.retain(|number, _| number * PAGE < len);
            if let Some(page) = layer.pages.get_mut(&(len / PAGE)) {
                page[(len % PAGE) as usize..].fill(0);
            }
        }
        layer.length = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut layer = self.0.lock();
        Layer::each(offset, data.len(), |number, place, done| {
            let mut page = layer.page(number)?;
            page[place.clone()].copy_from_slice(&data[done..done + place.len()]);
            layer.pages.insert(number, page);
            Ok(())
        })?;
        layer.length = layer.length.max(offset + data.len() as u64);
        Ok(())
    }
}
