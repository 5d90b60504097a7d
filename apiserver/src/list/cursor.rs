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
    selection: Arc<Selection>,
    next: Bound<Arc<str>>,
    end: Bound<Arc<str>>,
    ended: bool,
}

impl Cursor {
    /// All whose keys begin with the prefix, from this key on.
    pub fn new(snapshot: Snapshot, prefix: &str, start: &str, selection: &Arc<Selection>) -> Cursor {
        let (next, end) = (Bound::Included(start.max(prefix).into()), end_of(prefix));
        Cursor { snapshot, selection: Arc::clone(selection), next, end, ended: false }
    }

    /// The object of this key alone, if it is selected.
    pub fn one(snapshot: Snapshot, key: &str, selection: &Arc<Selection>) -> Cursor {
        Cursor::new(snapshot, key, key, selection).up_to(&key.into())
    }

    /// The same, up to this key and no further.
    pub fn up_to(self, last: &Arc<str>) -> Cursor {
        Cursor { end: Bound::Included(Arc::clone(last)), ..self }
    }

    /// What comes after a key, selected or not.
    pub fn rest(&self, after: &Arc<str>) -> Cursor {
        let next = Bound::Excluded(Arc::clone(after));
        Cursor { selection: Arc::default(), next, ended: false, ..self.clone() }
    }

    /// How many comparisons it takes at most to look at all objects.
    pub fn cost(&self) -> usize {
        self.snapshot.objects.len().saturating_mul(self.selection.cost())
    }

    /// Looks at a slice of the objects, and gives those that are selected until `take` breaks. False if none are left.
    pub fn advance(&mut self, mut take: impl FnMut(&Arc<Object>) -> ControlFlow<()>) -> bool {
        let next = self.next.as_ref().map(|key| &**key);
        let end = self.end.as_ref().map(|key| &**key);
        self.ended |= is_empty(next, end);
        if self.ended {
            return false;
        }
        let slice = (COMPARISONS / (1 + self.selection.cost())).max(1);
        let mut place = None;
        for (looked, (key, object)) in self.snapshot.objects.range::<_, str>((next, end)).enumerate() {
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

/// The first key beyond all that begin with a prefix.
fn end_of(prefix: &str) -> Bound<Arc<str>> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Bound::Excluded(end.into());
        }
    }
    Bound::Unbounded
}

/// Whether no key can lie between the bounds.
fn is_empty(next: Bound<&str>, end: Bound<&str>) -> bool {
    match (next, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(next), Bound::Included(end)) => next > end,
        (Bound::Included(next) | Bound::Excluded(next), Bound::Included(end) | Bound::Excluded(end)) => next >= end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_of_its_length() {
        let cases = [
            ("", None),
            ("default/", Some("default0")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ];
        for (prefix, end) in cases {
            let expected = end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.into()));
            assert_eq!(end_of(prefix), expected, "{prefix:?}");
        }
    }

    #[test]
    fn bounds_may_leave_no_key() {
        use Bound::{Excluded, Included, Unbounded};
        let cases = [
            (Included("b"), Included("b"), false),
            (Included("b"), Excluded("b"), true),
            (Excluded("b"), Included("b"), true),
            (Excluded("b"), Included("c"), false),
            (Included("c"), Included("b"), true),
            (Included("c"), Unbounded, false),
            (Unbounded, Excluded("a"), false),
        ];
        for (next, end, empty) in cases {
            assert_eq!(is_empty(next, end), empty, "{next:?} {end:?}");
        }
    }
}
