//! Whether an answer can be explained by what happened while it was made.

use serde_json::Value;

use super::follower::Selector;
use super::kinds::Kind;
use super::requests::{Intent, Issue};
use super::sequence::{Finding, Judged, Sequence};
use super::timeline::Live;
use crate::fixture::Answer;

/// From the revision before a request to the one after its answer.
type Window = (u64, u64);

pub fn answer(sequence: &mut Sequence, issue: &Issue, answer: &Answer, window: Window) -> Judged {
    let told = || format!("{} is answered {} {}", issue.told(), answer.code, String::from_utf8_lossy(&answer.bytes));
    // Upstream has no better answer for two ports of a Service that ask for one number, and for managed fields in a
    // version that the definition no longer has.
    let is_upstream_s = answer.message().starts_with("duplicate nodePort: ")
        || answer.message().starts_with("request to convert CR to an invalid group/version: ");
    if answer.code >= 500 && !sequence.faulty && !is_upstream_s {
        return Err(Finding::new("server error", told()));
    }
    if answer.is_success() {
        success(sequence, issue, answer, window)
    } else if sequence.faulty {
        Ok(())
    } else {
        refusal(sequence, issue, answer, window)
    }
    .map_err(|text| Finding::new("answer", format!("{text}: {}", told())))?;
    if answer.is_success() { note(sequence, issue, answer) } else { Ok(()) }
}

/// Remembers what an answer showed.
fn note(sequence: &mut Sequence, issue: &Issue, answer: &Answer) -> Judged {
    let kind = issue.kind();
    match &issue.intent {
        Intent::List { .. } => {
            sequence.known.revisions.push(answer.revision());
            let items = answer.body["items"].as_array().cloned().unwrap_or_default();
            items.into_iter().try_for_each(|item| shown(sequence, kind, item))
        }
        Intent::Delete { .. } => {
            let gone = if answer.text("/kind") == "Status" { answer.text("/details/uid") } else { "" };
            if !gone.is_empty() && !issue.dry_run {
                sequence.deleted.insert(gone.to_owned(), issue.told());
            }
            Ok(())
        }
        Intent::Collection | Intent::Scale | Intent::Watch { .. } => Ok(()),
        _ if issue.dry_run => Ok(()),
        _ => {
            let meta = &answer.body["metadata"];
            if !meta["deletionTimestamp"].is_null() && meta["finalizers"].is_null() {
                // Its last finalizer went, and the object with it: it never was so at the revision that is told.
                return Ok(());
            }
            let path = format!("{}/{}", kind.collection(&issue.namespace), answer.name());
            sequence.known.objects.insert(path, answer.body.clone());
            shown(sequence, kind, answer.body.clone())
        }
    }
}

/// An object looks the same wherever it is shown at a revision.
pub fn shown(sequence: &mut Sequence, kind: &Kind, mut object: Value) -> Judged {
    if let Some(members) = object.as_object_mut() {
        members.remove("kind");
        members.remove("apiVersion");
    }
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    let key =
        format!("{}/{} {}/{}@{}", kind.root, kind.plural, text("namespace"), text("name"), text("resourceVersion"));
    let Some(before) = sequence.shown.get(&key) else {
        sequence.shown.insert(key, object);
        return Ok(());
    };
    if *before == object {
        return Ok(());
    }
    Err(Finding::new("two forms", format!("{key} was {before} and is {object}")))
}

fn success(sequence: &Sequence, issue: &Issue, answer: &Answer, window: Window) -> Result<(), String> {
    let timeline = &sequence.timeline;
    let (since, until) = window;
    match &issue.intent {
        Intent::List { scope, consistent, .. } => {
            let revision = answer.revision();
            if *consistent && revision < since || revision > until {
                return Err(format!("a list at {revision}, in {since} to {until}"));
            }
            if matches!(scope.selector, Selector::Color(_)) || revision < timeline.start {
                return Ok(());
            }
            let expected = scope.shown(timeline, revision);
            let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
            let found: Vec<String> = items.iter().map(item).collect();
            if found == expected {
                Ok(())
            } else {
                Err(format!("a list at {revision} of {found:?}, expected {expected:?}"))
            }
        }
        Intent::Get => {
            let states = timeline.states(&issue.key(), since, until);
            let is_it = |state: &Option<&Live>| state.is_some_and(|live| live.revision == answer.revision());
            if states.iter().any(is_it) { Ok(()) } else { Err(format!("it never was so in {states:?}")) }
        }
        Intent::Collection if issue.request.path.contains("limit=1") => {
            match answer.body["items"].as_array().map(Vec::len) {
                None | Some(0 | 1) => Ok(()),
                Some(count) => Err(format!("{count} are deleted, but 1 was the limit")),
            }
        }
        Intent::Watch { .. } | Intent::Scale | Intent::Collection => Ok(()),
        Intent::Replace { uid, .. } if !uid.is_empty() && answer.uid() != uid => {
            Err("another object took the place of the one that it names".to_owned())
        }
        Intent::Delete { revision, uid } => {
            let states = timeline.states(&issue.key(), since, until);
            let was = |live: &&Live| {
                (uid.is_empty() || live.uid.is_empty() || live.uid == *uid)
                    && revision.is_none_or(|wanted| live.revision == wanted)
            };
            if states.iter().flatten().any(was) {
                Ok(())
            } else {
                Err(format!("what it names was not there: {states:?}"))
            }
        }
        _ if issue.dry_run => Ok(()),
        _ => {
            let revision = answer.revision();
            let key = issue.kind().key(&issue.namespace, answer.name());
            if revision > since && revision <= until {
                return match timeline.change_at(revision) {
                    Some(change) if *change.key == *key => Ok(()),
                    other => Err(format!("nothing was written to {key} at {revision}, but {other:?}")),
                };
            }
            let states = timeline.states(&key, since, until);
            let unchanged = states.iter().flatten().any(|live| live.revision == revision);
            // The last finalizer of what is being deleted takes the object with it.
            let went = states.iter().any(Option::is_none);
            if unchanged || went {
                Ok(())
            } else {
                Err(format!("nothing was written, and it never was at {revision}: {states:?}"))
            }
        }
    }
}

fn item(item: &Value) -> String {
    let text = |name: &str| item["metadata"][name].as_str().unwrap_or_default();
    match text("namespace") {
        "" => format!("{}@{}", text("name"), text("resourceVersion")),
        namespace => format!("{namespace}/{}@{}", text("name"), text("resourceVersion")),
    }
}

/// Whether there was a moment at which the refusal was right.
fn refusal(sequence: &Sequence, issue: &Issue, answer: &Answer, (since, until): Window) -> Result<(), String> {
    let timeline = &sequence.timeline;
    let details = answer.text("/details/name");
    let is_own = details == issue.name && !issue.name.is_empty();
    let states = timeline.states(&issue.key(), since, until);
    match (answer.code, answer.reason()) {
        (404, _) if details.is_empty() => served(sequence, issue, (since, until)),
        (404, _) if is_own => {
            if states.iter().any(Option::is_none) {
                Ok(())
            } else {
                Err(format!("it was there all the time: {states:?}"))
            }
        }
        (404, _) => {
            let namespace = format!("/registry/namespaces/{}", issue.namespace);
            let namespaces = timeline.states(&namespace, since, until);
            match namespaces.iter().any(Option::is_none) || !answer.message().starts_with("namespaces") {
                true => Ok(()),
                false => Err("its namespace was there all the time".to_owned()),
            }
        }
        (409, "AlreadyExists") if is_own => {
            let is_create = matches!(issue.intent, Intent::Create);
            if !is_create {
                return Err("no create can be told that it exists".to_owned());
            }
            if states.iter().any(Option::is_some) { Ok(()) } else { Err("it was never there".to_owned()) }
        }
        (409, "Conflict") => conflict(issue, answer, &states),
        _ => Ok(()),
    }
}

fn conflict(issue: &Issue, answer: &Answer, states: &[Option<&Live>]) -> Result<(), String> {
    let (revision, uid) = match &issue.intent {
        Intent::Replace { revision, uid } | Intent::Delete { revision, uid } => (*revision, uid.as_str()),
        // Managers disagree; or the object was changed a hundred times.
        _ => return Ok(()),
    };
    if revision.is_none() && uid.is_empty() {
        let other_words = !answer.message().contains("has been modified") && !answer.message().contains("recondition");
        return if other_words { Ok(()) } else { Err("it names nothing that could be wrong".to_owned()) };
    }
    let differs = |state: &Option<&Live>| {
        state.is_none_or(|live| {
            revision.is_some_and(|wanted| wanted != live.revision) || (!uid.is_empty() && uid != live.uid)
        })
    };
    if states.iter().any(differs) { Ok(()) } else { Err(format!("what it names was right all the time: {states:?}")) }
}

/// A resource that is not served: its definition was missing, young, or on its way out.
fn served(sequence: &Sequence, issue: &Issue, (since, until): Window) -> Result<(), String> {
    let kind = issue.kind();
    if !kind.is_custom() {
        return Err("a built-in resource is not served".to_owned());
    }
    let _ = (sequence, since, until);
    Ok(())
}
