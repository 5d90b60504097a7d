//! What writes of this process hold and have not settled yet. The repair loops leave it alone: no object has it, but
//! it is no leak.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Cheap to clone; clones share their contents.
#[derive(Clone, Debug)]
pub struct UnderWay<T>(Arc<Mutex<BTreeMap<T, usize>>>);

/// Some entries, which are taken out when this is dropped.
#[derive(Debug)]
pub struct Entered<T: Ord> {
    under_way: UnderWay<T>,
    entries: Vec<T>,
}

impl<T> Default for UnderWay<T> {
    fn default() -> Self {
        UnderWay(Arc::default())
    }
}

impl<T: Ord + Copy> UnderWay<T> {
    /// Two writes may hold the same for a moment, until the store has decided between them.
    pub fn enter(&self, entries: impl IntoIterator<Item = T>) -> Entered<T> {
        let entries: Vec<T> = entries.into_iter().collect();
        let mut known = self.0.lock();
        entries.iter().for_each(|entry| *known.entry(*entry).or_default() += 1);
        drop(known);
        Entered { under_way: self.clone(), entries }
    }

    pub fn has(&self, entry: T) -> bool {
        self.0.lock().contains_key(&entry)
    }

    pub fn all(&self) -> Vec<T> {
        self.0.lock().keys().copied().collect()
    }
}

impl<T: Ord> Drop for Entered<T> {
    fn drop(&mut self) {
        let mut known = self.under_way.0.lock();
        for entry in &self.entries {
            if let Some(count) = known.get_mut(entry) {
                *count -= 1;
                if *count == 0 {
                    known.remove(entry);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_as_long_as_somebody_holds_them() {
        let under_way = UnderWay::default();
        let first = under_way.enter([1, 2]);
        let second = under_way.enter([2, 3]);
        assert_eq!(under_way.all(), [1, 2, 3]);
        drop(first);
        assert_eq!(under_way.all(), [2, 3]);
        drop(second);
        assert!(!under_way.has(2) && under_way.all().is_empty());
    }
}
