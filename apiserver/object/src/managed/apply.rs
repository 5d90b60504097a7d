//! Server-side apply.
//!
//! Objects are taken as maps and lists here, as JSON shows them: that is what upstream merges, and what a configuration
//! is. The result is read as an object again.

use std::collections::{HashMap, HashSet};

use corten_api::status::{Reason, Status};

use super::compare::{Changes, Filter, compare};
use super::conflicts::{self, Conflict};
use super::entries::{self, Entry};
use super::fields::{of_value, with_named_fields};
use super::set::{ADDED, MEMBER, MODIFIED, REMOVED, Set};
use super::validate::validate;
use super::{Manager, Reset, Versions, merge, reconcile, remove, update};
use crate::json::{self, Form};
use crate::patch::restore;
use crate::tree::Tree;
use crate::typing::{TypeRef, Val};
use crate::yaml;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// How long all annotations of an object may be.
const ANNOTATIONS_MAX: usize = 256 * 1024;
/// Whoever changed what nobody tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// A configuration as it was sent, and what strict decoding complains of: `error strict decoding YAML: ` goes before it
/// where it is an error, nothing where it is a warning.
pub fn decode_config(body: &[u8]) -> Result<(Tree, Option<String>), Status> {
    let bad = |error: String| Status::bad_request(format!("error decoding YAML: {error}"));
    let text = std::str::from_utf8(body)
        .map_err(|_| bad("error converting YAML to JSON: yaml: invalid leading UTF-8 octet".into()))?;
    let converted = yaml::to_json(text).map_err(|error| bad(format!("error converting YAML to JSON: {error}")))?;
    let parsed = json::parse(converted.json, Form::Plain);
    let mut tree = parsed.map_err(|error| bad(format!("error unmarshaling JSON: while decoding JSON: {error}")))?.tree;
    if tree.root().is_null() {
        let map = tree.map();
        tree.set_root(map);
    }
    if !Val::of(tree.root()).is_map() {
        let what = crate::patch::json_kind(tree.root());
        return Err(bad(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
        )));
    }
    Ok((tree, converted.strict.map(|strict| format!("error converting YAML to JSON: {strict}"))))
}

/// What an apply made of an object.
#[derive(Debug)]
pub struct Applied {
    /// Of the same form as objects of the type are kept, with managedFields.
    pub object: Tree,
    /// Whether anything but managedFields differs from before. Only then does upstream set defaults.
    pub changed: bool,
}

/// Merges a configuration into an object (`live` is None where there is none yet). Defaults are left to the caller.
pub fn apply(
    live: Option<&Tree>,
    config: &Tree,
    typing: TypeRef<'_>,
    manager: &Manager<'_>,
    force: bool,
    reset: Reset<'_>,
    versions: &dyn Versions,
) -> Result<Applied, Status> {
    check_header(live, config, typing, manager)?;
    let entries = match live.and_then(entries::list) {
        Some(list) => {
            entries::decode(list).map_err(|error| internal(format!("failed to decode managed fields: {error}")))?
        }
        None => Vec::new(),
    };
    let filter = Filter::new(reset, &[]);
    let mut apply =
        Apply { live: plain_live(live, config, typing), config, typing, manager, filter, versions, entries };
    apply.track_untracked()?;
    let applied = match apply.run(force) {
        Err(Failure::Conflicts(found)) if manager.name == "kubectl" => apply.upgrade_from_client(found),
        other => other,
    };
    let (result, entries) = applied.map_err(|failure| match failure {
        Failure::Conflicts(conflicts) => conflicts::status(conflicts),
        Failure::Status(status) => status,
    })?;
    let changed = result.is_some();
    let mut object = match (result, live) {
        (Some(result), _) => apply.object(&result)?,
        (None, Some(live)) => live.clone(),
        (None, None) => apply.object(&apply.live)?,
    };
    if manager.name == "kubectl" {
        set_last_applied(&mut object, config);
    }
    entries::encode(&mut object, &entries);
    Ok(Applied { object, changed })
}

fn internal(message: impl Into<String>) -> Status {
    Status::failure(500, Reason::Unknown, message)
}

fn text<'t>(tree: &'t Tree, path: &[&str]) -> &'t str {
    tree.root().at(path).map_or("", |node| node.as_str())
}

/// `apps/v1, Kind=Deployment`
fn gvk(tree: &Tree) -> String {
    let (api_version, kind) = (text(tree, &["apiVersion"]), text(tree, &["kind"]));
    match api_version.contains('/') {
        true => format!("{api_version}, Kind={kind}"),
        false => format!("/{api_version}, Kind={kind}"),
    }
}

/// `default/name; apps/v1, Kind=Deployment`
fn shown(tree: &Tree) -> String {
    format!("{}/{}; {}", text(tree, &["metadata", "namespace"]), text(tree, &["metadata", "name"]), gvk(tree))
}

/// The refusal of a configuration that is of another kind or version than the request.
pub fn wrong_type(config: &Tree) -> Status {
    Status::bad_request(format!("invalid object type: {}", gvk(config)))
}

fn check_header(live: Option<&Tree>, config: &Tree, typing: TypeRef<'_>, manager: &Manager<'_>) -> Result<(), Status> {
    let kind = match (live, typing) {
        (Some(live), _) => text(live, &["kind"]),
        (None, TypeRef::Struct { ty, .. }) => ty.get().name.rsplit('.').next().unwrap_or_default(),
        _ => "",
    };
    let wrong_kind = !kind.is_empty() && text(config, &["kind"]) != kind;
    if wrong_kind || text(config, &["apiVersion"]) != manager.api_version {
        return Err(wrong_type(config));
    }
    match config.root().at(&["metadata", "managedFields"]) {
        Some(list) if matches!(Val::of(list), Val::List(_)) => {
            Err(Status::bad_request("metadata.managedFields must be nil"))
        }
        _ => Ok(()),
    }
}

/// The object as it is, without managedFields, or an empty one.
fn plain_live(live: Option<&Tree>, config: &Tree, typing: TypeRef<'_>) -> Tree {
    let mut tree = Tree::new();
    let root = match (live, typing) {
        (Some(live), _) => tree.import_plain(Val::of(live.root())),
        (None, TypeRef::Struct { ty, .. }) => tree.import_plain(Val::empty(ty)),
        (None, _) => tree.map(),
    };
    tree.set_root(root);
    if live.is_none() {
        for key in ["apiVersion", "kind"] {
            let value = tree.string(text(config, &[key]));
            tree.set_key(root, key, value);
        }
    }
    if let Some(metadata) = tree.get(root, "metadata") {
        tree.remove_key(metadata, "managedFields");
    }
    tree
}

enum Failure {
    Conflicts(Vec<Conflict>),
    Status(Status),
}

impl Failure {
    /// Says what was being done when it failed.
    fn during(self, what: &str) -> Failure {
        match self {
            Failure::Status(status) => {
                let message = format!("{what}: {}", status.message());
                Failure::Status(status.with_message(message))
            }
            conflicts => conflicts,
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Status(status)
    }
}

type Outcome = Result<(Option<Tree>, Vec<Entry>), Failure>;

struct Apply<'a> {
    live: Tree,
    config: &'a Tree,
    typing: TypeRef<'a>,
    manager: &'a Manager<'a>,
    filter: Filter<'a>,
    versions: &'a dyn Versions,
    entries: Vec<Entry>,
}

impl Apply<'_> {
    /// What is there before anybody's fields were tracked belongs to a manager of its own.
    fn track_untracked(&mut self) -> Result<(), Status> {
        if !self.entries.is_empty() {
            return Ok(());
        }
        if self.typing.is_custom() {
            validate(self.typing, Val::of(self.live.root()), true).map_err(|errors| {
                let object = shown(&self.live);
                internal(format!(
                    "failed to create manager for existing fields: failed to convert new object ({object}) to smd typed: {errors}"
                ))
            })?;
        }
        let manager = Manager { name: BEFORE_FIRST_APPLY, ..*self.manager };
        self.entries = self.created_as(&manager).unwrap_or_default();
        Ok(())
    }

    fn created_as(&self, manager: &Manager<'_>) -> Option<Vec<Entry>> {
        let mut nothing = Tree::new();
        let root = match self.typing {
            TypeRef::Struct { ty, .. } => nothing.import_plain(Val::empty(ty)),
            _ => nothing.map(),
        };
        nothing.set_root(root);
        update::created(Some(&nothing), &self.live, self.typing, manager, &self.filter)
    }

    /// The merged object, None if it is what it was, and who owns what then.
    fn run(&self, force: bool) -> Outcome {
        let (live, config) = (Val::of(self.live.root()), Val::of(self.config.root()));
        validate(self.typing, config, false).map_err(|errors| {
            internal(format!("failed to create typed patch object ({}): {errors}", shown(self.config)))
        })?;
        validate(self.typing, live, true).map_err(|errors| {
            internal(format!("failed to create typed live object ({}): {errors}", shown(&self.live)))
        })?;
        let mut entries = self.entries.clone();
        self.check_versions(&entries)?;
        reconcile::entries(&mut entries, self.typing, self.manager.api_version, self.versions);
        let mut merged = Tree::new();
        let root = merge::merge(self.typing, Some(live), Some(config), &mut merged)
            .map_err(|error| internal(format!("failed to merge config: {error}")))?;
        set_root(&mut merged, root);
        let mut set = of_value(self.typing, config);
        self.filter.apply(&mut set);
        let mut own = Entry::new(self.manager, true, set);
        own.time = String::new();
        let last = entries.iter().position(|entry| entry.same_manager(&own)).map(|place| entries.remove(place));
        if let Some(last) = &last {
            own.time.clone_from(&last.time);
            merged =
                self.prune(merged, &entries, &own, last).map_err(|failure| failure.during("failed to prune fields"))?;
        }
        self.take(&mut entries, &merged, force)?;
        let mut set = own.take_set();
        if !set.is_empty() {
            set.subtract(update::stripped());
        }
        let changed = !live.equals(Val::of(merged.root()));
        if changed {
            own.time = self.manager.time.to_owned();
        }
        if !set.is_empty() {
            own.put_set(set);
            entries.push(own);
        }
        entries::sort(&mut entries);
        Ok((changed.then_some(merged), entries))
    }

    /// Upstream looks at the object in each version that somebody wrote it in, and refuses where it does not fit one.
    fn check_versions(&self, entries: &[Entry]) -> Result<(), Failure> {
        let mut seen = HashSet::from([self.manager.api_version]);
        for version in entries.iter().map(|entry| entry.api_version.as_str()) {
            if seen.insert(version) {
                self.to_version(&self.live, version)?;
            }
        }
        Ok(())
    }

    /// Takes what changed from others, if that is allowed.
    fn take(&self, entries: &mut Vec<Entry>, merged: &Tree, force: bool) -> Result<(), Failure> {
        let mut changes = Changes::default();
        compare(self.typing, Some(Val::of(self.live.root())), Some(Val::of(merged.root())), &self.filter, &mut changes)
            .map_err(|error| internal(format!("failed to compare objects: {error}")))?;
        let changes = changes.set;
        let mut of_versions: HashMap<String, Option<Set>> = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.api_version != self.manager.api_version) {
            if !of_versions.contains_key(&entry.api_version) {
                let changes = self.changes_in(&entry.api_version, merged)?;
                of_versions.insert(entry.api_version.clone(), changes);
            }
        }
        let changes_of = |entry: &Entry| {
            let other = of_versions.get(&entry.api_version);
            other.map_or(Some(&changes), Option::as_ref)
        };
        let mut found = Vec::new();
        for entry in entries.iter() {
            if let Some(changes) = changes_of(entry) {
                let taken = entry.set().intersection(changes, ADDED | MODIFIED);
                found.extend(conflicts::with(entry, taken));
            }
        }
        if !force && !found.is_empty() {
            return Err(Failure::Conflicts(found));
        }
        entries.retain_mut(|entry| {
            let Some(changes) = changes_of(entry) else { return false };
            if entry.set().meets(changes, ADDED | MODIFIED | REMOVED) {
                let mut set = entry.take_set();
                set.subtract(changes);
                entry.put_set(set);
            }
            !entry.set().is_empty()
        });
        Ok(())
    }

    /// Removes what this manager applied last time, does not apply now, and nobody else owns.
    fn prune(&self, merged: Tree, others: &[Entry], own: &Entry, last: &Entry) -> Result<Tree, Failure> {
        if last.set().is_empty() {
            return Ok(merged);
        }
        let converted = self.to_version(&merged, &last.api_version);
        let converted =
            converted.map_err(|failure| failure.during("failed to convert merged object to last applied version"))?;
        let Some((converted, typing)) = converted else { return Ok(merged) };
        let converted = converted.as_ref().unwrap_or(&merged);
        let ty = Some(typing);
        let mut pruned = removed(typing, converted, &with_named_fields(last.set(), ty));
        pruned = self
            .add_back_owned(converted, pruned, &last.api_version, typing, others, own)
            .map_err(|failure| failure.during("failed add back owned items"))?;
        pruned = add_back_dangling(typing, converted, &pruned, last);
        if last.api_version == self.manager.api_version {
            return Ok(pruned);
        }
        match self.between(&pruned, &last.api_version, self.manager.api_version)? {
            Some((Some(back), _)) => Ok(back),
            _ => Ok(merged),
        }
    }

    fn add_back_owned(
        &self,
        merged: &Tree,
        pruned: Tree,
        version: &str,
        typing: TypeRef<'_>,
        others: &[Entry],
        own: &Entry,
    ) -> Result<Tree, Failure> {
        let mut owned: Vec<(&str, Vec<Set>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for entry in others.iter().chain([own]) {
            let place = *places.entry(&entry.api_version).or_insert(owned.len());
            if place == owned.len() {
                owned.push((&entry.api_version, Vec::new()));
            }
            owned[place].1.push(entry.set().clone());
        }
        // The pruned version first: what other versions need to be converted is back then.
        owned.sort_by_key(|(owned_version, _)| *owned_version != version);
        let mut pruned = pruned;
        for (owned_version, sets) in owned {
            let set = Set::union_of(sets);
            if owned_version == version {
                pruned = add_back(typing, merged, &pruned, &set);
                continue;
            }
            let at = |what: &str, tree: &Tree| {
                self.between(tree, version, owned_version).map_err(|failure| {
                    failure.during(&format!("failed to convert {what} object at version {owned_version}"))
                })
            };
            let Some((Some(merged), typing)) = at("merged", merged)? else { continue };
            let Some((Some(there), _)) = at("pruned", &pruned)? else { continue };
            let kept = add_back(typing, &merged, &there, &set);
            if let Some((Some(back), _)) = self.between(&kept, owned_version, version)? {
                pruned = back;
            }
        }
        Ok(pruned)
    }

    /// An object of maps and lists in another version, None for the tree where it is in that version already; None for
    /// all where there is no such version.
    fn to_version(&self, tree: &Tree, version: &str) -> Result<Option<(Option<Tree>, TypeRef<'_>)>, Failure> {
        if version == self.manager.api_version {
            return Ok(Some((None, self.typing)));
        }
        self.between(tree, self.manager.api_version, version)
    }

    fn between(&self, tree: &Tree, from: &str, to: &str) -> Result<Option<(Option<Tree>, TypeRef<'_>)>, Failure> {
        let typing = if to == self.manager.api_version { Some(self.typing) } else { self.versions.typing(to) };
        let Some(typing) = typing else { return Ok(None) };
        let object = self.object_of(tree, from)?;
        let Some(converted) = self.versions.convert(&object, to) else { return Ok(None) };
        let converted = plain(&converted?);
        if typing.is_custom() {
            // A version may not know what another one does.
            validate(typing, Val::of(converted.root()), false).map_err(|errors| internal(errors.to_string()))?;
        }
        Ok(Some((Some(converted), typing)))
    }

    fn changes_in(&self, version: &str, merged: &Tree) -> Result<Option<Set>, Failure> {
        let in_version = |what: &str, tree: &Tree| {
            self.to_version(tree, version)
                .map_err(|failure| failure.during(&format!("failed to convert {what} object")))
        };
        let Some((Some(old), typing)) = in_version("old", &self.live)? else { return Ok(None) };
        let Some((Some(new), _)) = in_version("new", merged)? else { return Ok(None) };
        let filter = self.filter.of_version(self.versions.reset(version));
        let mut changes = Changes::default();
        compare(typing, Some(Val::of(old.root())), Some(Val::of(new.root())), &filter, &mut changes)
            .map_err(|error| internal(format!("failed to compare objects: {error}")))?;
        Ok(Some(changes.set))
    }

    /// An object of maps and lists, read as one of its version.
    fn object_of(&self, tree: &Tree, version: &str) -> Result<Tree, Failure> {
        match version == self.manager.api_version {
            true => Ok(self.object(tree)?),
            false => match self.versions.typing(version) {
                Some(typing) => Ok(self.read(tree, typing)?),
                None => Err(internal(format!("no corresponding type for {}", gvk(tree))).into()),
            },
        }
    }

    fn object(&self, tree: &Tree) -> Result<Tree, Status> {
        self.read(tree, self.typing)
    }

    fn read(&self, tree: &Tree, typing: TypeRef<'_>) -> Result<Tree, Status> {
        let failed = |error: String| {
            let (object, gvk) = (shown(self.config), gvk(self.config));
            internal(format!(
                "failed to convert new object ({object}) to proper version: unable to convert unstructured object to {gvk}: {error}"
            ))
        };
        let form = match typing {
            TypeRef::Struct { ty, .. } => {
                restore::check_struct(tree.root(), ty).map_err(failed)?;
                Form::Typed(ty)
            }
            _ => Form::Custom { metadata: corten_schema::ids::meta_v1::OBJECT_META },
        };
        json::parse(json::to_vec(tree.root()), form)
            .map(|parsed| parsed.tree)
            .map_err(|error| failed(error.to_string()))
    }

    /// Conflicts with what kubectl itself applied before, on the client's side, are none.
    fn upgrade_from_client(&self, found: Vec<Conflict>) -> Outcome {
        let Some(allowed) = self.applied_by_client() else { return Err(Failure::Conflicts(found)) };
        let mut left = found;
        left.retain_mut(|conflict| {
            conflict.taken.subtract(&allowed);
            !conflict.taken.is_empty()
        });
        if left.is_empty() { self.run(true) } else { Err(Failure::Conflicts(left)) }
    }

    fn applied_by_client(&self) -> Option<Set> {
        let annotation = text(&self.live, &["metadata", "annotations", LAST_APPLIED]);
        let last = json::parse(annotation.as_bytes().to_vec(), Form::Plain).ok()?.tree;
        if text(&last, &["apiVersion"]) != self.manager.api_version {
            return None;
        }
        let (live, applied) = (Val::of(self.live.root()), Val::of(last.root()));
        validate(self.typing, live, false).ok()?;
        validate(self.typing, applied, false).ok()?;
        let mut set = of_value(self.typing, applied);
        let mut changes = Changes::default();
        compare(self.typing, Some(applied), Some(live), &Filter::default(), &mut changes).ok()?;
        set.subtract(&changes.set);
        Some(set)
    }
}

fn set_root(tree: &mut Tree, root: Option<crate::tree::Id>) {
    let root = root.unwrap_or_else(|| tree.map());
    tree.set_root(root);
}

fn plain(object: &Tree) -> Tree {
    let mut tree = Tree::new();
    let root = tree.import_plain(Val::of(object.root()));
    tree.set_root(root);
    if let Some(metadata) = tree.get(root, "metadata") {
        tree.remove_key(metadata, "managedFields");
    }
    tree
}

fn removed(typing: TypeRef<'_>, object: &Tree, set: &Set) -> Tree {
    let mut out = Tree::new();
    let root = remove::remove(typing, Val::of(object.root()), set, &mut out);
    set_root(&mut out, root);
    out
}

fn named(typing: TypeRef<'_>, object: &Tree) -> Set {
    with_named_fields(&of_value(typing, Val::of(object.root())), Some(typing))
}

/// Takes from the merged object only what is pruned and not owned.
fn add_back(typing: TypeRef<'_>, merged: &Tree, pruned: &Tree, owned: &Set) -> Tree {
    let mut gone = named(typing, merged);
    let mut kept = named(typing, pruned);
    kept.union(with_named_fields(owned, Some(typing)));
    gone.subtract(&kept);
    removed(typing, merged, &gone)
}

/// Only what the manager applied last time may go.
fn add_back_dangling(typing: TypeRef<'_>, merged: &Tree, pruned: &Tree, last: &Entry) -> Tree {
    let mut gone = named(typing, merged);
    gone.subtract(&named(typing, pruned));
    let last = with_named_fields(last.set(), Some(typing));
    removed(typing, merged, &gone.intersection(&last, MEMBER))
}

/// Keeps the annotation of kubectl's client-side apply in step, where there is one.
fn set_last_applied(object: &mut Tree, config: &Tree) {
    let root = object.root_id();
    let Some(annotations) = object.at(root, &["metadata", "annotations"]) else { return };
    if object.get(annotations, LAST_APPLIED).is_none_or(|value| object.node(value).as_str().is_empty()) {
        return;
    }
    let mut config = config.clone();
    let config_root = config.root_id();
    if let Some(metadata) = config.get(config_root, "metadata")
        && let Some(own) = config.get(metadata, "annotations")
    {
        config.remove_key(own, LAST_APPLIED);
    }
    let mut text = json::to_string(config.root());
    text.push('\n');
    let value = object.string(&text);
    object.set_key(annotations, LAST_APPLIED, value);
    let size: usize =
        object.node(annotations).as_map().iter().map(|(key, value)| key.len() + value.as_str().len()).sum();
    if size > ANNOTATIONS_MAX {
        object.remove_key(annotations, LAST_APPLIED);
    }
}
