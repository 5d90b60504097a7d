//! Writes that are no apply.

use std::collections::HashMap;

use super::compare::{Changes, Filter, Sink, compare};
use super::element::Element;
use super::entries::{self, Entry};
use super::set::{ADDED, MODIFIED, REMOVED, Set};
use super::{Manager, Reset, Versions};
use crate::tree::Tree;
use crate::typing::{TypeRef, Val};

/// How many entries of updates there may be; the oldest are merged beyond it.
const UPDATES_MAX: usize = 10;
const MERGED_MANAGER: &str = "ancient-changes";

/// What nobody owns.
const STRIPPED: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Sets `new`'s managedFields after an update, patch or create (`live` is None then). What cannot be compared loses them
/// all, as upstream does it: a write never fails for them.
pub fn update(
    live: Option<&Tree>,
    new: &mut Tree,
    typing: TypeRef<'_>,
    manager: &Manager<'_>,
    reset: Reset<'_>,
    versions: &dyn Versions,
) {
    update_filtered(live, new, typing, manager, &Filter::new(reset, &[]), versions);
}

/// The same for a write that can own nothing but what lies below some paths; `*` stands for any name or item.
pub fn update_within(
    live: Option<&Tree>,
    new: &mut Tree,
    typing: TypeRef<'_>,
    manager: &Manager<'_>,
    only: Reset<'_>,
    versions: &dyn Versions,
) {
    update_filtered(live, new, typing, manager, &Filter::new(&[], only), versions);
}

fn update_filtered(
    live: Option<&Tree>,
    new: &mut Tree,
    typing: TypeRef<'_>,
    manager: &Manager<'_>,
    filter: &Filter<'_>,
    versions: &dyn Versions,
) {
    let base = base(live, new, manager.subresource);
    entries::encode(new, &[]);
    let live_has_uid = live.and_then(|live| live.root().at(&["metadata", "uid"])).is_some_and(|uid| !uid.is_zero());
    if base.is_empty() && live_has_uid {
        return;
    }
    let fits = |tree: &Tree| super::validate::validate(typing, Val::of(tree.root()), true).is_ok();
    let misfit = typing.is_custom() && !(fits(new) && live.is_none_or(fits));
    let updated = match (misfit, base.is_empty()) {
        (true, _) => None,
        (false, true) => created(live, new, typing, manager, filter),
        (false, false) => updated(base, live, new, typing, manager, filter, versions),
    };
    entries::encode(new, &updated.unwrap_or_default());
}

/// The entries that the write starts from: the request's own, unless they are none, invalid or of a subresource.
fn base(live: Option<&Tree>, new: &Tree, subresource: &str) -> Vec<Entry> {
    let of_live = || live.and_then(entries::list).and_then(|list| entries::decode(list).ok()).unwrap_or_default();
    match entries::list(new) {
        Some(list) if subresource.is_empty() => {
            if entries::is_reset(list) {
                return Vec::new();
            }
            match entries::decode(list) {
                Ok(decoded) if !decoded.is_empty() => decoded,
                _ => of_live(),
            }
        }
        _ => of_live(),
    }
}

/// What an object is before it is created.
fn nothing<'t>(typing: TypeRef<'_>, new: &'t Tree) -> NothingOf<'t> {
    match typing {
        TypeRef::Struct { ty, .. } => NothingOf::Struct(Val::empty(ty)),
        _ => {
            let mut tree = Tree::new();
            let map = tree.map();
            tree.set_root(map);
            for key in ["apiVersion", "kind"] {
                if let Some(node) = new.root().get(key) {
                    let value = tree.import(node);
                    tree.set_key(map, key, value);
                }
            }
            NothingOf::Map(tree)
        }
    }
}

enum NothingOf<'t> {
    Struct(Val<'t>),
    Map(Tree),
}

impl NothingOf<'_> {
    pub fn value(&self) -> Val<'_> {
        match self {
            NothingOf::Struct(value) => *value,
            NothingOf::Map(tree) => Val::of(tree.root()),
        }
    }
}

/// Nobody owned anything before: the text is written while walking.
pub(super) fn created(
    live: Option<&Tree>,
    new: &Tree,
    typing: TypeRef<'_>,
    manager: &Manager<'_>,
    filter: &Filter<'_>,
) -> Option<Vec<Entry>> {
    let nothing = nothing(typing, new);
    let old = live.map_or(nothing.value(), |live| Val::of(live.root()));
    let mut text = Text::new();
    compare(typing, Some(old), Some(Val::of(new.root())), filter, &mut text).ok()?;
    let text = text.finish();
    Some(text.map(|text| Entry::of_text(manager, text)).into_iter().collect())
}

fn updated(
    mut entries: Vec<Entry>,
    live: Option<&Tree>,
    new: &Tree,
    typing: TypeRef<'_>,
    manager: &Manager<'_>,
    filter: &Filter<'_>,
    versions: &dyn Versions,
) -> Option<Vec<Entry>> {
    let nothing = nothing(typing, new);
    let old = live.map_or(nothing.value(), |live| Val::of(live.root()));
    super::reconcile::entries(&mut entries, typing, manager.api_version, versions);
    let mut changes = Changes::default();
    compare(typing, Some(old), Some(Val::of(new.root())), filter, &mut changes).ok()?;
    let changes = changes.set;
    take_changed(&mut entries, &changes, live, new, manager.api_version, filter, versions)?;
    let mut own = changes.marked(ADDED | MODIFIED);
    own.subtract(stripped());
    if !own.is_empty() {
        let mut entry = Entry::new(manager, false, Set::new());
        if let Some(place) = entries.iter().position(|other| other.same_manager(&entry)) {
            own.union(entries.remove(place).take_set());
        }
        entry.put_set(own);
        entries.push(entry);
    }
    cap(&mut entries);
    entries::sort(&mut entries);
    Some(entries)
}

/// Takes what changed from those who owned it, each in its own version.
fn take_changed(
    entries: &mut Vec<Entry>,
    changes: &Set,
    live: Option<&Tree>,
    new: &Tree,
    api_version: &str,
    filter: &Filter<'_>,
    versions: &dyn Versions,
) -> Option<()> {
    let mut of_versions: HashMap<String, Option<Set>> = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.api_version != api_version) {
        if !of_versions.contains_key(&entry.api_version) {
            let changes = changes_in(&entry.api_version, live, new, filter, versions)?;
            of_versions.insert(entry.api_version.clone(), changes);
        }
    }
    entries.retain_mut(|entry| {
        let changes = match of_versions.get(&entry.api_version) {
            Some(Some(changes)) => changes,
            Some(None) => return false,
            None => changes,
        };
        if entry.set().meets(changes, ADDED | MODIFIED | REMOVED) {
            let mut set = entry.take_set();
            set.subtract(changes);
            entry.put_set(set);
        }
        !entry.set().is_empty()
    });
    Some(())
}

/// What changed, seen in another version; an inner None where there is no such version any more.
fn changes_in(
    api_version: &str,
    live: Option<&Tree>,
    new: &Tree,
    filter: &Filter<'_>,
    versions: &dyn Versions,
) -> Option<Option<Set>> {
    let Some(typing) = versions.typing(api_version) else { return Some(None) };
    let Some(new) = versions.convert(new, api_version) else { return Some(None) };
    let new = new.ok()?;
    let live = match live {
        Some(live) => Some(versions.convert(live, api_version)?.ok()?),
        None => None,
    };
    // A version may not know what another one does; then nothing can be said of it. Unlike what is written, what is
    // converted may not have duplicates.
    let fits =
        |tree: &Tree| !typing.is_custom() || super::validate::validate(typing, Val::of(tree.root()), false).is_ok();
    if !fits(&new) || !live.as_ref().is_none_or(fits) {
        return None;
    }
    let nothing = nothing(typing, &new);
    let old = live.as_ref().map_or(nothing.value(), |live| Val::of(live.root()));
    let filter = filter.of_version(versions.reset(api_version));
    let mut changes = Changes::default();
    compare(typing, Some(old), Some(Val::of(new.root())), &filter, &mut changes).ok()?;
    Some(Some(changes.set))
}

pub(super) fn stripped() -> &'static Set {
    static SET: std::sync::LazyLock<Set> = std::sync::LazyLock::new(|| {
        let mut set = Set::new();
        STRIPPED.iter().for_each(|path| set.insert_fields(path));
        set
    });
    &SET
}

/// Merges the oldest entries of updates, version by version, until there are few enough.
fn cap(entries: &mut Vec<Entry>) {
    let mut updates: Vec<usize> = (0..entries.len()).filter(|&i| !entries[i].applied).collect();
    let mut count = updates.len();
    if count <= UPDATES_MAX {
        return;
    }
    updates.sort_by_cached_key(|&i| (entries[i].sort_time().to_owned(), entries[i].identifier()));
    let mut buckets: HashMap<String, Bucket> = HashMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if is_bucket(entry) {
            buckets.entry(entry.api_version.clone()).or_default().place = Some(i);
        }
    }
    let mut slots: Vec<Option<Entry>> = entries.drain(..).map(Some).collect();
    for i in updates {
        if count <= UPDATES_MAX {
            break;
        }
        let Some(version) = slots[i].as_ref().map(|entry| &entry.api_version) else { continue };
        let bucket = match buckets.get_mut(version) {
            Some(bucket) => bucket,
            None => buckets.entry(version.clone()).or_default(),
        };
        let Some(first) = bucket.first else {
            bucket.first = Some(i);
            continue;
        };
        count -= 1;
        let Some(mut entry) = slots[i].take() else { continue };
        if bucket.place == Some(i) {
            // Upstream merges it into itself, and drops it as one that was merged.
            (bucket.place, bucket.merged) = (None, Vec::new());
            continue;
        }
        let place = *bucket.place.get_or_insert(first);
        let Some(into) = &mut slots[place] else { continue };
        bucket.merged.push(entry.take_set());
        into.manager = MERGED_MANAGER.to_owned();
        into.subresource = String::new();
        into.time = entry.time;
    }
    for bucket in buckets.into_values() {
        if let Some(into) = bucket.place.and_then(|place| slots[place].as_mut()).filter(|_| !bucket.merged.is_empty()) {
            let mut sets = bucket.merged;
            sets.push(into.take_set());
            into.put_set(Set::union_of(sets));
        }
    }
    entries.extend(slots.into_iter().flatten());
}

/// Where the oldest entries of a version are merged.
#[derive(Default)]
struct Bucket {
    /// The entry that was seen first; it becomes the one that others are merged into, unless there was one before.
    first: Option<usize>,
    /// The entry that others are merged into.
    place: Option<usize>,
    /// What they own, put together at the end.
    merged: Vec<Set>,
}

fn is_bucket(entry: &Entry) -> bool {
    !entry.applied && entry.manager == MERGED_MANAGER && entry.subresource.is_empty()
}

/// Writes the text of what was added or modified, but for what nobody owns.
struct Text {
    out: Vec<u8>,
    open: Vec<Open>,
    /// How deep the walk is within `apiVersion`, `kind` and the first two steps below `metadata`.
    strip: Option<&'static Set>,
    strips: Vec<Option<&'static Set>>,
}

struct Open {
    /// The length of the text before the step.
    before: usize,
    /// The length when nothing had been put into it yet.
    start: usize,
    marked: bool,
    stripped: bool,
}

impl Text {
    fn new() -> Text {
        let mut out = Vec::with_capacity(1024);
        out.push(b'{');
        let root = Open { before: 0, start: 1, marked: false, stripped: false };
        Text { out, open: vec![root], strip: Some(stripped()), strips: Vec::new() }
    }

    /// None where there is nothing.
    fn finish(mut self) -> Option<String> {
        if self.out.len() == 1 {
            return None;
        }
        self.out.push(b'}');
        String::from_utf8(self.out).ok()
    }
}

impl Sink for Text {
    fn open(&mut self, element: &Element<'_>) {
        let before = self.out.len();
        if self.open.last().is_some_and(|parent| before > parent.start) {
            self.out.push(b',');
        }
        element.write(&mut self.out);
        self.out.extend_from_slice(b":{");
        let strip = self.strip.and_then(|set| set.get(element));
        self.strips.push(self.strip);
        let stripped = strip.is_some_and(|entry| entry.marks != 0);
        self.strip = strip.map(|entry| &entry.below).filter(|below| !below.is_empty());
        self.open.push(Open { before, start: self.out.len(), marked: false, stripped });
    }

    fn mark(&mut self, marks: u8) {
        let Some(open) = self.open.last_mut() else { return };
        if marks & (ADDED | MODIFIED) == 0 || open.stripped || open.marked || self.open.len() == 1 {
            return;
        }
        if let Some(open) = self.open.last_mut() {
            open.marked = true;
            self.out.extend_from_slice(b"\".\":{}");
        }
    }

    fn close(&mut self) {
        self.strip = self.strips.pop().flatten();
        let Some(open) = self.open.pop() else { return };
        let alone = open.marked && self.out.len() == open.start + br#"".":{}"#.len();
        if alone {
            self.out.truncate(open.start);
        }
        if !open.marked && self.out.len() == open.start {
            self.out.truncate(open.before);
        } else {
            self.out.push(b'}');
        }
    }

    fn depth(&self) -> usize {
        self.strips.len()
    }
}
