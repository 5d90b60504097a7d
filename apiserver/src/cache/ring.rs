//! The window of recent events of a resource.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Objects;
use crate::object::Object;

/// How many events lie between two marks. Copies of the objects share what they have in common, but each still has the
/// nodes of its own paths: one for each event would weigh more than the events.
const MARK_EVERY: u64 = 256;
/// A window never holds fewer events than this before it lets go of one, nor more than `EVENTS_MAX`.
const EVENTS_MIN: usize = 1_024;
const EVENTS_MAX: usize = 102_400;
/// Beyond the least number of events, the window is bounded by what its objects hold.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

#[derive(Debug)]
pub struct Event {
    pub revision: u64,
    pub kind: EventKind,
    /// As it is now; of a deleted one its last form, at the revision of the deletion.
    pub object: Arc<Object>,
    pub previous: Option<Arc<Object>>,
}

/// What was asked for is no longer in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOld {
    pub requested: u64,
    pub oldest: u64,
}

#[derive(Debug)]
pub struct Ring {
    events: VecDeque<Arc<Event>>,
    /// What the resource held right before the event of a number, now and then.
    marks: VecDeque<(u64, Objects)>,
    /// The number of the first event in the window, of all that ever were.
    first: u64,
    /// Every event after this revision is in the window.
    floor: u64,
    bytes: usize,
}

impl Ring {
    pub fn new(floor: u64) -> Ring {
        Ring { events: VecDeque::new(), marks: VecDeque::new(), first: 0, floor, bytes: 0 }
    }

    /// What the resource held at a revision, if the window reaches back to it; `now` is what it holds after the last
    /// event. Found from the next mark, by taking back the events between.
    pub fn objects_at(&self, revision: u64, now: &Objects) -> Option<Objects> {
        if revision < self.floor {
            return None;
        }
        let place = self.events.partition_point(|event| event.revision <= revision);
        let number = self.first + place as u64;
        let mark = self.marks.partition_point(|(known, _)| *known < number);
        let (end, mut objects) = match self.marks.get(mark) {
            Some((known, objects)) => ((known - self.first) as usize, objects.clone()),
            None => (self.events.len(), now.clone()),
        };
        for event in self.events.range(place..end).rev() {
            match &event.previous {
                Some(previous) => objects.insert(Arc::clone(&previous.key), Arc::clone(previous)),
                None => objects.remove(&*event.object.key),
            };
        }
        Some(objects)
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The cursor of the first event after a revision.
    pub fn after(&self, revision: u64) -> Result<u64, TooOld> {
        if revision < self.floor {
            return Err(TooOld { requested: revision, oldest: self.floor });
        }
        let place = self.events.partition_point(|event| event.revision <= revision);
        Ok(self.first + place as u64)
    }

    /// The cursor behind the last event.
    pub fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The event at a cursor; None if it is yet to come.
    pub fn get(&self, cursor: u64) -> Result<Option<&Arc<Event>>, TooOld> {
        match cursor.checked_sub(self.first) {
            Some(place) => Ok(self.events.get(place as usize)),
            None => Err(TooOld { requested: 0, oldest: self.floor }),
        }
    }

    /// Whether the next event comes with a mark: what the resource holds right before it.
    pub fn wants_mark(&self) -> bool {
        self.end().is_multiple_of(MARK_EVERY)
    }

    pub fn push(&mut self, event: Arc<Event>, mark: Option<Objects>) {
        self.marks.extend(mark.map(|objects| (self.end(), objects)));
        self.bytes += event.object.json.len();
        self.events.push_back(event);
        while self.events.len() > EVENTS_MAX || (self.bytes > BYTES_MAX && self.events.len() > EVENTS_MIN) {
            if let Some(gone) = self.events.pop_front() {
                self.bytes -= gone.object.json.len();
                self.first += 1;
                self.floor = gone.revision;
            }
        }
        while self.marks.front().is_some_and(|(number, _)| *number < self.first) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheId;
    use crate::object::Draft;
    use corten_object::json::{Form, parse};
    use corten_object::tree::View;

    fn object(key: &str, revision: u64) -> Arc<Object> {
        let json = format!("{{\"metadata\":{{\"name\":\"{key}\"}}}}");
        let tree = parse(json.into_bytes(), Form::Custom { metadata: corten_views::meta_v1::ObjectMeta::TYPE })
            .expect("an object")
            .tree;
        Draft::new(CacheId::new(), tree.root(), key.into(), Box::default()).object(revision)
    }

    /// What stood at each revision, as `key@revision`.
    fn shown(objects: &Objects) -> Vec<String> {
        objects.values().map(|object| format!("{}@{}", object.key, object.revision)).collect()
    }

    #[test]
    fn every_moment_of_the_window_is_found_again() {
        let (mut now, mut ring) = (Objects::new(), Ring::new(10));
        let mut history = vec![(10, shown(&now))];
        for revision in 11..1500 {
            let key = format!("o{}", revision * 7 % 13);
            let mark = ring.wants_mark().then(|| now.clone());
            let (kind, object, previous) = if revision % 3 == 0 && now.contains_key(&*key) {
                (EventKind::Deleted, object(&key, revision), now.remove(&*key))
            } else {
                let object = object(&key, revision);
                let previous = now.insert(Arc::clone(&object.key), Arc::clone(&object));
                (if previous.is_some() { EventKind::Modified } else { EventKind::Added }, object, previous)
            };
            ring.push(Arc::new(Event { revision, kind, object, previous }), mark);
            history.push((revision, shown(&now)));
        }
        for (revision, expected) in history {
            let found = ring.objects_at(revision, &now).expect("in the window");
            assert_eq!(shown(&found), expected, "at {revision}");
        }
        assert!(ring.objects_at(9, &now).is_none());
    }
}
