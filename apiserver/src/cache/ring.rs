//! The window of recent events of a resource.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Objects;
use crate::object::Object;

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
    /// With what the resource held right after each: copies share all that they have in common.
    events: VecDeque<(Arc<Event>, Objects)>,
    /// The number of the first event in the window, of all that ever were.
    first: u64,
    /// Every event after this revision is in the window.
    floor: u64,
    /// What the resource held at the floor.
    floor_objects: Objects,
    bytes: usize,
}

impl Ring {
    pub fn new(floor: u64, floor_objects: Objects) -> Ring {
        Ring { events: VecDeque::new(), first: 0, floor, floor_objects, bytes: 0 }
    }

    /// What the resource held at a revision, if the window reaches back to it.
    pub fn objects_at(&self, revision: u64) -> Option<&Objects> {
        if revision < self.floor {
            return None;
        }
        match self.events.partition_point(|(event, _)| event.revision <= revision) {
            0 => Some(&self.floor_objects),
            place => self.events.get(place - 1).map(|(_, objects)| objects),
        }
    }

    /// The cursor of the first event after a revision.
    pub fn after(&self, revision: u64) -> Result<u64, TooOld> {
        if revision < self.floor {
            return Err(TooOld { requested: revision, oldest: self.floor });
        }
        let place = self.events.partition_point(|(event, _)| event.revision <= revision);
        Ok(self.first + place as u64)
    }

    /// The cursor behind the last event.
    pub fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The event at a cursor; None if it is yet to come.
    pub fn get(&self, cursor: u64) -> Result<Option<&Arc<Event>>, TooOld> {
        match cursor.checked_sub(self.first) {
            Some(place) => Ok(self.events.get(place as usize).map(|(event, _)| event)),
            None => Err(TooOld { requested: 0, oldest: self.floor }),
        }
    }

    /// Whether a key's change at a revision is in the window; a feed that starts over may bring changes again.
    pub fn has(&self, revision: u64, key: &str) -> bool {
        if revision <= self.floor {
            return true;
        }
        let recent = self.events.iter().rev().map(|(event, _)| event).take_while(|event| event.revision >= revision);
        recent.into_iter().any(|event| event.revision == revision && event.object.key.as_ref() == key)
    }

    pub fn push(&mut self, event: Arc<Event>, objects: Objects) {
        self.bytes += event.object.json.len();
        self.events.push_back((event, objects));
        while self.events.len() > EVENTS_MAX || (self.bytes > BYTES_MAX && self.events.len() > EVENTS_MIN) {
            if let Some((gone, objects)) = self.events.pop_front() {
                self.bytes -= gone.object.json.len();
                self.first += 1;
                self.floor = gone.revision;
                self.floor_objects = objects;
            }
        }
    }
}
