//! The selected objects of a snapshot, looked through in slices.
//!
//! A snapshot holds the objects of its moment without copying anything. So a cursor costs the same for any number of
//! objects, and whoever reads a list slowly, or not at all, holds little more than the snapshot.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::cache::Snapshot;
use crate::object::Object;
use crate::select::Selection;

/// So many comparisons of a selector with an object are made before others have their turn.
const COMPARISONS: usize = 4096;

#[derive(Clone)]
pub struct Cursor {
    snapshot: Snapshot,
    /// What the keys begin with.
    prefix: Box<str>,
    selection: Arc<Selection>,
    next: Bound<Arc<str>>,
    /// The last key that is looked at, if not all are.
    last: Option<Arc<str>>,
    ended: bool,
}

impl Cursor {
    /// From a key on, which begins with the prefix.
    pub fn new(snapshot: Snapshot, prefix: &str, start: &str, selection: &Arc<Selection>) -> Cursor {
        let next = Bound::Included(start.into());
        Cursor { snapshot, prefix: prefix.into(), selection: Arc::clone(selection), next, last: None, ended: false }
    }

    /// The object of this key alone, if it is selected.
    pub fn one(snapshot: Snapshot, key: &str, selection: &Arc<Selection>) -> Cursor {
        Cursor { last: Some(key.into()), ..Cursor::new(snapshot, key, key, selection) }
    }

    /// The same, up to this key and no further.
    pub fn up_to(self, last: &Arc<str>) -> Cursor {
        Cursor { last: Some(Arc::clone(last)), ..self }
    }

    /// Everything that comes after a key, selected or not.
    pub fn rest(&self, after: &Arc<str>) -> Cursor {
        let next = Bound::Excluded(Arc::clone(after));
        Cursor { selection: Arc::default(), next, last: None, ended: false, ..self.clone() }
    }

    /// How many comparisons it takes at most to look at all objects.
    pub fn cost(&self) -> usize {
        self.snapshot.objects.len().saturating_mul(self.selection.cost())
    }

    /// Looks at a slice of the objects, and gives those that are selected until `take` breaks. False if none are left.
    pub fn advance(&mut self, mut take: impl FnMut(&Arc<Object>) -> ControlFlow<()>) -> bool {
        if self.ended {
            return false;
        }
        let next = match &self.next {
            Bound::Included(key) => Bound::Included(&**key),
            Bound::Excluded(key) => Bound::Excluded(&**key),
            Bound::Unbounded => Bound::Unbounded,
        };
        let slice = (COMPARISONS / (1 + self.selection.cost())).max(1);
        let mut place = None;
        for (looked, (key, object)) in self.snapshot.objects.range::<_, str>((next, Bound::Unbounded)).enumerate() {
            if !key.starts_with(&*self.prefix) || self.last.as_ref().is_some_and(|last| key > last) {
                break;
            }
            if self.selection.matches(object) && take(object).is_break() || looked + 1 == slice {
                place = Some(Arc::clone(key));
                break;
            }
        }
        match place {
            Some(key) => self.next = Bound::Excluded(key),
            None => self.ended = true,
        }
        !self.ended
    }

    /// The next selected objects, so many at most; none at the end.
    pub async fn some(&mut self, max: usize) -> Vec<Arc<Object>> {
        let mut found = Vec::new();
        loop {
            let more = self.advance(|object| {
                found.push(Arc::clone(object));
                if found.len() == max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if !more || !found.is_empty() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// How many are left, and the key of the last of them. It stops at so many.
    pub async fn count(mut self, max: usize) -> (usize, Option<Arc<str>>) {
        let (mut count, mut last) = (0, None);
        loop {
            let more = self.advance(|object| {
                count += 1;
                if count == max {
                    last = Some(Arc::clone(&object.key));
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            if !more || count == max {
                return (count, last);
            }
            tokio::task::yield_now().await;
        }
    }
}
