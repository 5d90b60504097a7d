//! Looking keys up while a list is walked, at a cost that does not grow with the list: whether a key came before, and
//! what it stands for.
//!
//! Nearly every list is tiny. The first few keys are kept in place and compared one by one, which costs neither an
//! allocation nor a hash; longer lists get a hash table.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

const FEW: usize = 8;

/// The first few of a list, in place.
type Few<T> = [Option<T>; FEW];

fn none<T>() -> Few<T> {
    std::array::from_fn(|_| None)
}

/// Those that are there; the others come after them.
fn present<T>(few: &Few<T>) -> impl Iterator<Item = &T> {
    few.iter().map_while(Option::as_ref)
}

/// The keys that were seen.
#[derive(Clone, Debug)]
pub struct Seen<K> {
    few: Few<K>,
    /// All of them, once they are more than a few.
    many: HashSet<K>,
}

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Seen { few: none(), many: HashSet::new() }
    }
}

impl<K: Eq + Hash> Seen<K> {
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        match self.many.is_empty() {
            true => present(&self.few).any(|seen| seen.borrow() == key),
            false => self.many.contains(key),
        }
    }

    /// Says whether the key comes for the first time.
    pub fn insert(&mut self, key: K) -> bool {
        if self.many.is_empty() {
            for place in &mut self.few {
                match place {
                    Some(seen) if *seen == key => return false,
                    Some(_) => {}
                    None => {
                        *place = Some(key);
                        return true;
                    }
                }
            }
            self.many.extend(self.few.iter_mut().filter_map(Option::take));
        }
        self.many.insert(key)
    }

    pub fn is_empty(&self) -> bool {
        self.few[0].is_none() && self.many.is_empty()
    }

    pub fn sorted(&self) -> Vec<&K>
    where
        K: Ord,
    {
        let mut all: Vec<&K> = present(&self.few).chain(&self.many).collect();
        all.sort_unstable();
        all
    }
}

impl<K: Eq + Hash> FromIterator<K> for Seen<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut seen = Seen::default();
        keys.into_iter().for_each(|key| _ = seen.insert(key));
        seen
    }
}

/// Whether each key comes again later in the list.
pub fn come_again<K: Eq + Hash>(keys: impl DoubleEndedIterator<Item = K> + ExactSizeIterator) -> Vec<bool> {
    let mut seen = Seen::default();
    let mut again: Vec<bool> = keys.rev().map(|key| !seen.insert(key)).collect();
    again.reverse();
    again
}

/// Values by key.
#[derive(Clone, Debug)]
pub struct Index<K, V> {
    few: Few<(K, V)>,
    /// All of them, once they are more than a few.
    many: HashMap<K, V>,
}

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Index { few: none(), many: HashMap::new() }
    }
}

impl<K: Eq + Hash, V> Index<K, V> {
    /// Of values with the same key the first one counts.
    pub fn of_first(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut index = Index::default();
        for (key, value) in entries {
            index.entry(key, || value);
        }
        index
    }

    /// Of values with the same key the last one counts.
    pub fn of_last(entries: impl DoubleEndedIterator<Item = (K, V)>) -> Self {
        Index::of_first(entries.rev())
    }

    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self.many.is_empty() {
            true => present(&self.few).find(|(known, _)| known.borrow() == key).map(|(_, value)| value),
            false => self.many.get(key),
        }
    }

    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match self.many.is_empty() {
            true => self.few.iter_mut().flatten().find(|(known, _)| known.borrow() == key).map(|(_, value)| value),
            false => self.many.get_mut(key),
        }
    }

    /// The value of a key; made where the key is new.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if self.many.is_empty() {
            let place = self.few.iter().position(|place| place.as_ref().is_none_or(|(known, _)| *known == key));
            if let Some(place) = place {
                return &mut self.few[place].get_or_insert_with(|| (key, make())).1;
            }
            self.many.extend(self.few.iter_mut().filter_map(Option::take));
        }
        self.many.entry(key).or_insert_with(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 4] = [1, FEW, FEW + 1, 100];

    #[test]
    fn keys_are_seen_once() {
        for size in SIZES {
            let texts: Vec<String> = (0..size).map(|i| i.to_string()).collect();
            let mut seen: Seen<&str> = Seen::default();
            assert!(seen.is_empty());
            for text in &texts {
                assert!(!seen.contains(text.as_str()) && seen.insert(text) && seen.contains(text.as_str()));
            }
            assert!(texts.iter().all(|text| !seen.insert(text)), "{size}");
            assert!(!seen.contains("x") && !seen.is_empty());
            let mut sorted: Vec<&str> = texts.iter().map(String::as_str).collect();
            sorted.sort_unstable();
            assert!(seen.sorted().into_iter().eq(&sorted), "{size}");
        }
    }

    #[test]
    fn what_comes_again() {
        assert_eq!(come_again(["a", "b", "a", "c", "a"].into_iter()), [true, false, true, false, false]);
        assert!(come_again(std::iter::empty::<&str>()).is_empty());
    }

    #[test]
    fn values_by_key() {
        for size in SIZES {
            let entries = (0..size).chain(0..size).enumerate().map(|(place, key)| (key, place));
            let (first, last) = (Index::of_first(entries.clone().collect::<Vec<_>>()), {
                Index::of_last(entries.collect::<Vec<_>>().into_iter())
            });
            for key in 0..size {
                assert_eq!((first.get(&key), last.get(&key)), (Some(&key), Some(&(size + key))));
            }
            assert_eq!(first.get(&size), None);
        }
        let mut counts: Index<&str, usize> = Index::default();
        for key in ["a", "b", "a"] {
            *counts.entry(key, || 0) += 1;
        }
        assert_eq!((counts.get("a"), counts.get("b")), (Some(&2), Some(&1)));
    }
}
