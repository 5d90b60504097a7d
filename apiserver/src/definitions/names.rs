//! The names that definitions have been given, so that a definition's names can be judged without reading the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use corten_custom::lifecycle::{self, AcceptedNames, Taken};
use corten_views::apiextensions_v1::CustomResourceDefinition;

#[derive(Default)]
pub struct Names {
    /// Group by definition.
    groups: HashMap<Arc<str>, Arc<str>>,
    /// What the definitions of a group have, by definition.
    of_group: HashMap<Arc<str>, BTreeMap<Arc<str>, Has>>,
}

struct Has {
    /// None of a definition that was never read.
    names: Option<AcceptedNames>,
    /// Whether it lacks a name that it wants.
    wants_more: bool,
}

impl Names {
    /// Notes what a definition has. Those come back that lack a name, and may have it now.
    pub fn note(&mut self, definition: &Arc<str>, crd: CustomResourceDefinition<'_>) -> Vec<Arc<str>> {
        let group: Arc<str> = crd.spec().group().into();
        let mut free = match self.groups.get(definition) {
            Some(before) if **before != *group => self.forget(definition),
            _ => Vec::new(),
        };
        self.groups.insert(Arc::clone(definition), Arc::clone(&group));
        let names = AcceptedNames::of(crd);
        let has = Has { names: Some(names), wants_more: !lifecycle::has_its_names(crd) };
        let all = self.of_group.entry(group).or_default();
        let before = all.insert(Arc::clone(definition), has);
        if before.is_some_and(|before| before.names != all[definition].names) {
            free.extend(wanting(all, definition));
        }
        free
    }

    /// The definition cannot be read. It keeps the names that it had. Those of one that was never read may be any, so no
    /// other definition of its group gets a name meanwhile.
    pub fn note_unreadable(&mut self, definition: &Arc<str>) {
        // It is named after its resource and its group.
        let Some((_, group)) = definition.split_once('.').filter(|_| !self.groups.contains_key(definition)) else {
            return;
        };
        let group: Arc<str> = group.into();
        self.groups.insert(Arc::clone(definition), Arc::clone(&group));
        let all = self.of_group.entry(group).or_default();
        all.insert(Arc::clone(definition), Has { names: None, wants_more: false });
    }

    /// The definition is gone. Those come back that lack a name, and may have it now.
    pub fn forget(&mut self, definition: &Arc<str>) -> Vec<Arc<str>> {
        let Some(group) = self.groups.remove(definition) else { return Vec::new() };
        let Some(all) = self.of_group.get_mut(&group) else { return Vec::new() };
        all.remove(definition);
        let free = wanting(all, definition);
        if all.is_empty() {
            self.of_group.remove(&group);
        }
        free
    }

    /// The names that are taken in the group of a definition that wants more, its own as well. None if they are not
    /// known.
    pub fn taken_for(&self, definition: &Arc<str>) -> Option<Taken<'_>> {
        let all = self.groups.get(definition).and_then(|group| self.of_group.get(group));
        let all = all.filter(|all| all.get(definition).is_some_and(|has| has.wants_more));
        all.into_iter().flat_map(BTreeMap::values).map(|has| has.names.as_ref()).collect()
    }
}

fn wanting(all: &BTreeMap<Arc<str>, Has>, but: &Arc<str>) -> Vec<Arc<str>> {
    all.iter().filter(|(name, has)| has.wants_more && *name != but).map(|(name, _)| Arc::clone(name)).collect()
}

#[cfg(test)]
mod tests {
    use corten_object::json::{Form, parse};
    use corten_object::tree::{Tree, View};

    use super::*;

    fn definition(group: &str, wanted: &str, accepted: &str) -> Tree {
        let json = format!(
            r#"{{"spec":{{"group":"{group}","names":{{"plural":"{wanted}"}}}},"status":{{"acceptedNames":{{"plural":"{accepted}"}}}}}}"#
        );
        parse(json.into_bytes(), Form::Typed(CustomResourceDefinition::TYPE)).expect("a definition").tree
    }

    #[test]
    fn names_that_become_free_are_offered_to_who_lacks_one_in_the_group() {
        let mut names = Names::default();
        let mut note = |name: &str, group: &str, wanted: &str, accepted: &str| {
            let free = names.note(&name.into(), definition(group, wanted, accepted).view());
            free.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(",")
        };
        assert_eq!(note("a", "g.io", "x", "x"), "");
        assert_eq!(note("b", "g.io", "x", ""), "");
        assert_eq!(note("c", "g.io", "z", "z"), "");
        assert_eq!(note("d", "h.io", "x", ""), "");
        assert_eq!(note("a", "g.io", "x", "x"), "", "nothing changed");
        assert_eq!(note("a", "g.io", "y", "y"), "b");
        assert_eq!(names.forget(&"c".into()), ["b".into()]);
        assert_eq!(names.forget(&"c".into()), []);
        assert_eq!(names.forget(&"b".into()), []);
    }

    #[test]
    fn names_that_cannot_be_read_may_be_any() {
        let mut names = Names::default();
        let (read, unread, wanting): (Arc<str>, Arc<str>, Arc<str>) =
            ("a.g.io".into(), "b.g.io".into(), "c.g.io".into());
        names.note(&read, definition("g.io", "x", "x").view());
        names.note(&wanting, definition("g.io", "y", "").view());
        names.note_unreadable(&read);
        assert!(names.taken_for(&wanting).is_some(), "its names are known from before");
        names.note_unreadable(&unread);
        assert!(names.taken_for(&wanting).is_none());
        assert!(names.taken_for(&read).is_some(), "it wants no more");
        assert_eq!(names.note(&unread, definition("g.io", "z", "z").view()), [Arc::clone(&wanting)]);
        assert!(names.taken_for(&wanting).is_some());
        names.forget(&unread);
        names.note_unreadable(&unread);
        assert_eq!(names.forget(&unread), [wanting]);
    }
}
