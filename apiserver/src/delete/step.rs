//! What a delete does next to an object.

use corten_api::time::Timestamp;
use corten_kinds::strategy::{Context, Deletion};
use corten_object::tree::Tree;
use corten_views::meta_v1::ObjectMeta;

use super::Options;
use crate::metadata;
use crate::resource::Storage;

#[cfg(test)]
mod tests;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// One step that deleting an object takes.
#[derive(Debug)]
pub enum Step {
    Remove,
    /// Keep this first; then remove it if it holds nothing back.
    Mark {
        tree: Tree,
        then_remove: bool,
    },
    /// It is on its way already, and takes no other options.
    Nothing,
}

/// Decides, from the object and what was asked for, what is to be done next.
pub fn next_step(storage: &Storage, tree: &Tree, options: &Options, context: &Context<'_>) -> Step {
    let strategy = storage.strategy();
    let now = Timestamp { seconds: context.now.0, nanos: context.now.1 };
    let meta = metadata::read(tree);
    let asked = options.grace_seconds.map(some_grace);
    let deletion = strategy.deletion(tree.root(), asked);
    let mut marked = tree.clone();
    let finalizers = garbage_finalizers(storage, meta, options);
    let mut graceful = None;
    match deletion {
        Deletion::Finalize if meta.deletion_timestamp().is_some() && !strategy.is_finished(tree.root()) => {
            return Step::Nothing;
        }
        Deletion::Finalize if meta.deletion_timestamp().is_none() => {
            metadata::edit(&mut marked).set(ObjectMeta::DELETION_TIMESTAMP, now.format().as_str());
            if let Some(finalizers) = strategy.marks_dependents().then(|| marked_finalizers(meta, options)).flatten() {
                metadata::set_finalizers(&mut marked, finalizers.iter().map(String::as_str));
            }
            strategy.mark_deleting(&mut marked.edit(), context);
            return Step::Mark { tree: marked, then_remove: false };
        }
        Deletion::Graceful { seconds } => match begin_grace(now, &mut marked, meta, asked, seconds) {
            Grace::Pending => return Step::Nothing,
            Grace::Begun(seconds) => graceful = Some(seconds),
            Grace::Over => {}
        },
        Deletion::Finalize | Deletion::Immediate => {}
    }
    if let Some(finalizers) = &finalizers {
        metadata::set_finalizers(&mut marked, finalizers.iter().map(String::as_str));
    }
    let holds_back = !metadata::read(&marked).finalizers().is_empty();
    match graceful {
        Some(seconds) => Step::Mark { tree: marked, then_remove: seconds == 0 && !holds_back },
        None if holds_back => {
            mark_as_deleting(now, &mut marked);
            Step::Mark { tree: marked, then_remove: false }
        }
        None => Step::Remove,
    }
}

enum Grace {
    /// It is being deleted, with no more time than was asked for now.
    Pending,
    Begun(i64),
    /// It had its time.
    Over,
}

/// Sets the deletion time that a grace period ends at, or brings it forward.
fn begin_grace(now: Timestamp, marked: &mut Tree, meta: ObjectMeta<'_>, asked: Option<i64>, default: i64) -> Grace {
    if let Some(deadline) = meta.deletion_timestamp() {
        let left = match meta.deletion_grace_period_seconds() {
            None | Some(0) => return Grace::Over,
            Some(seconds) => some_grace(seconds),
        };
        let Some(mut period) = asked.filter(|&period| period < left) else { return Grace::Pending };
        let deadline = Timestamp::parse_written(deadline).unwrap_or(now);
        let mut sooner = after(after(deadline, -left), period);
        if sooner < now {
            sooner = now;
            // What asks for any grace at all leaves the removal to whoever sees the object marked.
            period = period.min(1);
        }
        let mut meta = metadata::edit(marked);
        meta.set(ObjectMeta::DELETION_TIMESTAMP, sooner.format().as_str());
        meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, period);
        return Grace::Begun(period);
    }
    let generation = meta.generation();
    let mut meta = metadata::edit(marked);
    meta.set(ObjectMeta::DELETION_TIMESTAMP, after(now, default).format().as_str());
    meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, default);
    if generation > 0 {
        meta.set(ObjectMeta::GENERATION, generation.wrapping_add(1));
    }
    Grace::Begun(default)
}

/// Upstream takes a negative grace period for the shortest.
fn some_grace(seconds: i64) -> i64 {
    if seconds < 0 { 1 } else { seconds }
}

/// The time so many seconds later. Go counts them in 64 bits of nanoseconds, which wrap: whatever is asked for, the time
/// is less than 293 years away.
fn after(time: Timestamp, seconds: i64) -> Timestamp {
    let whole = Timestamp::from_unix(time.seconds, seconds.wrapping_mul(1_000_000_000));
    Timestamp::from_unix(whole.seconds, i64::from(whole.nanos) + i64::from(time.nanos))
}

fn mark_as_deleting(now: Timestamp, tree: &mut Tree) {
    let meta = metadata::read(tree);
    let (generation, deadline) = (meta.generation(), meta.deletion_timestamp().map(str::to_owned));
    let mut meta = metadata::edit(tree);
    if deadline.is_none() && generation > 0 {
        meta.set(ObjectMeta::GENERATION, generation.wrapping_add(1));
    }
    let later = deadline.and_then(|time| Timestamp::parse_written(&time)).is_none_or(|time| time > now);
    if later {
        meta.set(ObjectMeta::DELETION_TIMESTAMP, now.format().as_str());
    }
    meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, 0);
}

/// The same for a kind that marks itself, where `orphanDependents: false` asks for the foreground.
fn marked_finalizers(meta: ObjectMeta<'_>, options: &Options) -> Option<Vec<String>> {
    let has = |finalizer: &str| meta.finalizers().contains(finalizer);
    let (orphan, foreground) = match (options.orphan_dependents, options.propagation.as_deref()) {
        (Some(orphan), _) => (orphan, !orphan),
        (None, Some(policy)) => (policy == "Orphan", policy == "Foreground"),
        (None, None) => (has(ORPHAN), has(FOREGROUND)),
    };
    with_garbage_finalizers(meta, orphan, foreground)
}

/// The finalizers that what was asked for adds or takes away; None if they stay as they are.
fn garbage_finalizers(storage: &Storage, meta: ObjectMeta<'_>, options: &Options) -> Option<Vec<String>> {
    let strategy = storage.strategy();
    if !strategy.collects_garbage() {
        return None;
    }
    let has = |finalizer: &str| meta.finalizers().contains(finalizer);
    let (orphan, foreground) = match (options.orphan_dependents, options.propagation.as_deref()) {
        (Some(orphan), _) => (orphan, false),
        (None, Some("Orphan")) => (true, false),
        (None, Some("Foreground")) => (false, true),
        (None, Some(_)) => (false, false),
        (None, None) if has(ORPHAN) || has(FOREGROUND) => (has(ORPHAN), has(FOREGROUND)),
        (None, None) => (strategy.orphans_by_default(), false),
    };
    with_garbage_finalizers(meta, orphan, foreground)
}

fn with_garbage_finalizers(meta: ObjectMeta<'_>, orphan: bool, foreground: bool) -> Option<Vec<String>> {
    let has = |finalizer: &str| meta.finalizers().contains(finalizer);
    if has(ORPHAN) == orphan && has(FOREGROUND) == foreground {
        return None;
    }
    let kept = meta.finalizers().iter().filter(|&finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    let mut finalizers: Vec<String> = kept.map(str::to_owned).collect();
    if orphan {
        finalizers.push(ORPHAN.to_owned());
    }
    if foreground {
        finalizers.push(FOREGROUND.to_owned());
    }
    Some(finalizers)
}
