//! Other forms of objects, kept beside them while that pays.
//!
//! All of a process together keep so many bytes at most. A form that finds no room is made anew each time it is asked
//! for; what it would need is known then without making it. An object that changes takes its forms with it, and so makes
//! room for others.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::table::{Cell, Row};

/// What the forms of one sort may take, in this process.
#[derive(Debug)]
pub struct Room {
    max: usize,
    taken: AtomicUsize,
}

impl Room {
    pub const fn of(max: usize) -> Room {
        Room { max, taken: AtomicUsize::new(0) }
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|&sum| sum <= self.max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Something that may be kept; it is cheap to clone.
pub trait Keepable: Clone {
    fn room() -> &'static Room;

    fn size(&self) -> usize;
}

/// Protobuf messages.
impl Keepable for Bytes {
    fn room() -> &'static Room {
        static ROOM: Room = Room::of(64 << 20);
        &ROOM
    }

    fn size(&self) -> usize {
        self.len()
    }
}

/// Rows of Tables.
impl Keepable for Arc<Row> {
    fn room() -> &'static Room {
        static ROOM: Room = Room::of(32 << 20);
        &ROOM
    }

    fn size(&self) -> usize {
        row_size(self)
    }
}

/// The size of a form that may not be kept, once it is known.
#[derive(Debug)]
pub struct Size(AtomicU32);

/// Of what was never made, or is larger than anything that is kept.
const UNKNOWN: u32 = u32::MAX;

impl Default for Size {
    fn default() -> Size {
        Size(AtomicU32::new(UNKNOWN))
    }
}

impl Size {
    pub fn get(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&size| size != UNKNOWN).map(|size| size as usize)
    }

    pub fn set(&self, size: usize) {
        self.0.store(u32::try_from(size).unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}

/// A form of one object.
#[derive(Debug)]
pub struct Kept<T: Keepable> {
    made: OnceLock<T>,
    size: Size,
}

impl<T: Keepable> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept { made: OnceLock::new(), size: Size::default() }
    }
}

impl<T: Keepable> Kept<T> {
    /// The form, kept or made.
    pub fn get(&self, make: impl FnOnce() -> T) -> T {
        if let Some(kept) = self.made.get() {
            return kept.clone();
        }
        let made = make();
        let size = made.size();
        self.size.set(size);
        if T::room().take(size) && self.made.set(made.clone()).is_err() {
            // Somebody else has kept it meanwhile.
            T::room().give_back(size);
        }
        made
    }

    pub fn is_kept(&self) -> bool {
        self.made.get().is_some()
    }

    /// How large it is, if it was ever made.
    pub fn size(&self) -> Option<usize> {
        self.size.get()
    }
}

impl<T: Keepable> Drop for Kept<T> {
    fn drop(&mut self) {
        if let Some(made) = self.made.get() {
            T::room().give_back(made.size());
        }
    }
}

/// About how much memory a row takes.
pub fn row_size(row: &Row) -> usize {
    let text = |cell: &Cell| match cell {
        Cell::Str(text) | Cell::Json(text) => text.capacity(),
        Cell::Around { before, after, .. } => before.capacity() + after.capacity(),
        Cell::Int(_) | Cell::Float(_) | Cell::Bool(_) | Cell::Null | Cell::Age(_) => 0,
    };
    let cells: usize = row.cells.iter().map(|cell| size_of::<Cell>() + text(cell)).sum();
    let conditions = row.conditions.iter().map(|condition| 64 + condition.reason.len() + condition.message.len());
    size_of::<Row>() + cells + conditions.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    static ROOM: Room = Room::of(10);

    #[derive(Clone)]
    struct Form(usize);

    impl Keepable for Form {
        fn room() -> &'static Room {
            &ROOM
        }

        fn size(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn what_finds_no_room_is_made_anew() {
        let mut made = 0;
        let mut get = |kept: &Kept<Form>, size: usize| {
            let form = kept.get(|| {
                made += 1;
                Form(size)
            });
            assert_eq!(form.0, size);
            made
        };
        let (first, second) = (Kept::default(), Kept::default());
        assert_eq!(first.size(), None);
        assert_eq!([get(&first, 6), get(&first, 6)], [1, 1], "kept");
        assert_eq!([get(&second, 6), get(&second, 6)], [2, 3], "no room");
        assert_eq!((second.size(), ROOM.taken.load(Ordering::Relaxed)), (Some(6), 6));
        drop(first);
        assert_eq!([get(&second, 6), get(&second, 6)], [4, 4]);
        drop(second);
        assert_eq!(ROOM.taken.load(Ordering::Relaxed), 0);
    }
}
