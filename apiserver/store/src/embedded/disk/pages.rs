//! The database's file without the database: for a store that it does not open, or only in an older state.
//!
//! The database checks its pages after a crash and goes back to an older state, or refuses, for one damaged page. Here
//! each page is followed as it is, since rows and values have checksums of their own. Of the format (redb 4, "design.md")
//! this knows: a header with the size of a region and two commit slots, each with the root of a tree of tables; trees of
//! leaves and branches. Numbers are little-endian.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use redb::StorageBackend;

use super::Seal;
use crate::embedded::medium::{Medium, Part};
use crate::store::Revision;

const PAGE: u64 = 4096;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;
const DEPTH_MAX: usize = 64;
/// The largest page that is read, in terms of the smallest.
const ORDER_MAX: u64 = 20;
const ALL: u64 = 0x000F_FFFF;

pub(in crate::embedded) struct Pages {
    storage: Box<dyn StorageBackend>,
    length: u64,
    region_header: u64,
    region: u64,
}

/// What one state of the file has.
pub(in crate::embedded) struct State {
    pub(in crate::embedded) seal: Seal,
    log: Option<u64>,
    values: Option<u64>,
}

/// Where a value lies.
#[derive(Clone, Copy)]
pub(in crate::embedded) struct Place {
    offset: u64,
    length: usize,
}

/// A key with its value, and where that lies in the file.
struct Entry<'p> {
    key: &'p [u8],
    value: &'p [u8],
    at: u64,
}

/// How a tree has its keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Texts,
    Numbers,
}

impl Pages {
    pub(in crate::embedded) fn open(medium: &dyn Medium) -> io::Result<Pages> {
        let storage = medium.open(Part::Tables)?;
        let length = storage.len()?;
        let mut header = [0; 64];
        storage.read(0, &mut header)?;
        let number = |at: usize| u64::from(u32_at(&header, at).unwrap_or(0));
        let (region_header, data) = (number(16) * PAGE, number(20) * PAGE);
        Ok(Pages { storage, length, region_header, region: region_header + data })
    }

    /// The states that have a seal, newest first.
    pub(in crate::embedded) fn states(&self) -> Vec<State> {
        let mut states: Vec<State> = [64, 192].into_iter().filter_map(|slot| self.state(slot)).collect();
        states.sort_by_key(|state| std::cmp::Reverse(state.seal.generation));
        states
    }

    fn state(&self, slot: u64) -> Option<State> {
        let mut bytes = [0; 16];
        self.storage.read(slot, &mut bytes).ok()?;
        let root = u64_at(&bytes, 8).filter(|_| bytes[1] != 0)?;
        let mut tables = HashMap::new();
        self.walk(root, Keys::Texts, &mut |entry| {
            // The kind of table (1 byte), its length (8), whether it has a root (1), the root.
            let root = u64_at(entry.value, 10).filter(|_| entry.value.get(9) == Some(&1));
            tables.insert(entry.key.to_vec(), root);
        });
        let table = |name: &str| tables.get(name.as_bytes()).copied().flatten();
        let mut seal = None;
        self.walk(table("seal")?, Keys::Texts, &mut |entry| seal = Seal::decode(entry.value));
        Some(State { seal: seal?, log: table("log"), values: table("values") })
    }

    /// Calls `visit` with the rows of the log. Returns how many pages could not be read.
    pub(in crate::embedded) fn visit_log(&self, state: &State, mut visit: impl FnMut(Revision, &[u8])) -> u64 {
        let Some(root) = state.log else { return 0 };
        self.walk(root, Keys::Numbers, &mut |entry| visit(u64_at(entry.key, 0).unwrap_or(0), entry.value))
    }

    /// Where the values lie, by revision.
    pub(in crate::embedded) fn values(&self, state: &State) -> HashMap<Revision, Place> {
        let mut places = HashMap::new();
        let Some(root) = state.values else { return places };
        self.walk(root, Keys::Numbers, &mut |entry| {
            let place = Place { offset: entry.at, length: entry.value.len() };
            places.insert(u64_at(entry.key, 0).unwrap_or(0), place);
        });
        places
    }

    pub(in crate::embedded) fn read(&self, place: Place) -> Option<Bytes> {
        let mut value = vec![0; place.length];
        self.storage.read(place.offset, &mut value).ok()?;
        Some(value.into())
    }

    /// Calls `visit` with each entry below a page. Returns how many pages could not be read.
    fn walk(&self, root: u64, keys: Keys, visit: &mut dyn FnMut(Entry<'_>)) -> u64 {
        // A cycle would have more pages than the file.
        let (mut budget, mut unread) = (self.length / PAGE, 0);
        let mut open = vec![(root, 0)];
        while let Some((number, depth)) = open.pop() {
            let page = self.page(number).filter(|_| depth < DEPTH_MAX && budget > 0);
            budget = budget.saturating_sub(1);
            let whole = page.and_then(|(at, page)| match page.first() {
                Some(&LEAF) => visit_leaf(at, &page, keys, visit),
                Some(&BRANCH) => {
                    let mut children = children(&page)?;
                    children.reverse();
                    open.extend(children.into_iter().map(|child| (child, depth + 1)));
                    Some(())
                }
                _ => None,
            });
            unread += u64::from(whole.is_none());
        }
        unread
    }

    fn page(&self, number: u64) -> Option<(u64, Vec<u8>)> {
        let order = number >> 59;
        if order > ORDER_MAX {
            return None;
        }
        let (index, region, size) = (number & (ALL >> order), number >> 20 & ALL, PAGE << order);
        let at = PAGE + region.checked_mul(self.region)? + self.region_header + index * size;
        at.checked_add(size).filter(|end| *end <= self.length)?;
        let mut page = vec![0; size as usize];
        self.storage.read(at, &mut page).ok()?;
        Some((at, page))
    }
}

/// None if it is none.
fn visit_leaf(at_page: u64, page: &[u8], keys: Keys, visit: &mut dyn FnMut(Entry<'_>)) -> Option<()> {
    let count = usize::from(u16::from_le_bytes(*page.get(2..4)?.first_chunk()?));
    let key_ends = if keys == Keys::Texts { 4 * count } else { 0 };
    let start = 4 + key_ends + 4 * count;
    let end_of_key = |at: usize| match keys {
        Keys::Texts => u32_at(page, 4 + 4 * at).map(|end| end as usize),
        Keys::Numbers => Some(start + 8 * (at + 1)),
    };
    let (mut key, mut value) = (start, end_of_key(count.checked_sub(1)?)?);
    for at in 0..count {
        let (key_end, value_end) = (end_of_key(at)?, u32_at(page, 4 + key_ends + 4 * at)? as usize);
        let at = at_page + value as u64;
        visit(Entry { key: page.get(key..key_end)?, value: page.get(value..value_end)?, at });
        (key, value) = (key_end, value_end);
    }
    Some(())
}

fn children(page: &[u8]) -> Option<Vec<u64>> {
    let count = usize::from(u16::from_le_bytes(*page.get(2..4)?.first_chunk()?)) + 1;
    (0..count).map(|at| u64_at(page, 8 + 16 * count + 8 * at)).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
