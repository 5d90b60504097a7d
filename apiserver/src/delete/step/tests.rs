//! Steps of deletes, a case a line. Times are seconds after [`NOW`].

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_api::time::Timestamp;
use corten_kinds::strategy::Requester;
use corten_object::json;

use super::*;
use crate::cache::{Cache, Objects};
use crate::resource::built_in;

const NOW: i64 = 1_767_225_600;

fn storage(plural: &str) -> Arc<Storage> {
    let cache = |_: Option<usize>| Arc::new(Cache::new(Objects::new(), 0, Arc::default(), None));
    let resources = built_in(&crate::server::rows(), &cache);
    let resource = resources.iter().find(|resource| &*resource.plural == plural).expect("it is served");
    Arc::clone(resource.storage.as_ref().expect("it is kept"))
}

/// `+30` and `-5` are times.
fn object(storage: &Storage, metadata: &str, rest: &str) -> Tree {
    let mut metadata = metadata.to_owned();
    for offset in [-60, -5, 0, 10, 30] {
        let time = Timestamp::from_seconds(NOW + offset).format();
        metadata = metadata.replace(&format!("{offset:+}"), &time);
    }
    let text = format!(r#"{{"metadata":{{"name":"a",{metadata}}}{rest}}}"#);
    json::parse(text.into_bytes(), storage.hub.form).expect("it parses").tree
}

fn told(tree: &Tree, step: &Step) -> String {
    let Step::Mark { tree: marked, then_remove } = step else { return format!("{step:?}").to_lowercase() };
    if marked.root().equals(tree.root()) {
        return "same".to_owned();
    }
    let meta = metadata::read(marked);
    let time = meta.deletion_timestamp().and_then(|time| Timestamp::parse(time).ok());
    let mut told = time.map_or("unmarked".to_owned(), |time| format!("{:+}", time.seconds - NOW));
    if let Some(seconds) = meta.deletion_grace_period_seconds() {
        told += &format!(" grace {seconds}");
    }
    for finalizer in meta.finalizers().iter() {
        told += &format!(" {finalizer}");
    }
    if meta.generation() > 0 {
        told += &format!(" generation {}", meta.generation());
    }
    told + if *then_remove { " remove" } else { "" }
}

fn check(plural: &str, metadata: &str, rest: &str, options: &Options, expected: &str) {
    let storage = storage(plural);
    let tree = object(&storage, metadata, rest);
    let context = Context {
        subresource: "",
        group: "",
        version: "v1",
        namespace: "default",
        name: "a",
        user: Requester { name: "", uid: "", groups: &[], extra: &BTreeMap::new() },
        dry_run: false,
        now: (NOW, 0),
    };
    let step = next_step(&storage, &tree, options, &context);
    assert_eq!(told(&tree, &step), expected, "{plural} {metadata} {options:?}");
}

fn grace(seconds: i64) -> Options {
    Options { grace_seconds: Some(seconds), ..Options::default() }
}

fn policy(policy: &str) -> Options {
    Options { propagation: Some(policy.to_owned()), ..Options::default() }
}

#[test]
fn finalizers_hold_objects() {
    let check = |metadata, options: &Options, expected| check("configmaps", metadata, "", options, expected);
    let (plain, held) = (Options::default(), r#""finalizers":["f"]"#);
    check(r#""labels":{}"#, &plain, "remove");
    check(held, &plain, "+0 grace 0 f");
    check(r#""generation":1,"finalizers":["f"]"#, &plain, "+0 grace 0 f generation 2");
    check(r#""labels":{}"#, &policy("Orphan"), "+0 grace 0 orphan");
    check(held, &policy("Foreground"), "+0 grace 0 f foregroundDeletion");
    check(r#""finalizers":["orphan","f"]"#, &policy("Background"), "+0 grace 0 f");
    check(r#""finalizers":["orphan"]"#, &policy("Background"), "remove");
}

#[test]
fn what_is_marked_already_stays_as_it_is() {
    let check = |metadata, options: &Options, expected| check("configmaps", metadata, "", options, expected);
    let marked = r#""deletionTimestamp":"-5","deletionGracePeriodSeconds":0,"generation":2,"finalizers":["f"]"#;
    let plain = Options::default();
    check(marked, &plain, "same");
    check(marked, &grace(0), "same");
    check(marked, &grace(30), "same");
    check(marked, &policy("Background"), "same");
    check(marked, &policy("Foreground"), "-5 grace 0 f foregroundDeletion generation 2");
    let foreground = r#""deletionTimestamp":"-5","deletionGracePeriodSeconds":0,"finalizers":["foregroundDeletion"]"#;
    check(foreground, &plain, "same");
    check(foreground, &policy("Foreground"), "same");
    check(foreground, &policy("Orphan"), "-5 grace 0 orphan");
    check(foreground, &policy("Background"), "remove");
    check(r#""deletionTimestamp":"+30","deletionGracePeriodSeconds":0,"finalizers":["f"]"#, &plain, "+0 grace 0 f");
    check(r#""deletionTimestamp":"-5","finalizers":["f"]"#, &plain, "-5 grace 0 f");
}

#[test]
fn pods_have_a_grace_period_that_only_shrinks() {
    const BOUND: &str = r#","spec":{"nodeName":"n","terminationGracePeriodSeconds":30}"#;
    let check = |metadata, options: &Options, expected| check("pods", metadata, BOUND, options, expected);
    let plain = Options::default();
    check(r#""generation":1"#, &plain, "+30 grace 30 generation 2");
    check(r#""generation":1"#, &grace(0), "+0 grace 0 generation 2 remove");
    check(r#""generation":1"#, &grace(-1), "+1 grace 1 generation 2");
    check(r#""finalizers":["f"]"#, &grace(0), "+0 grace 0 f");
    let going = r#""deletionTimestamp":"+10","deletionGracePeriodSeconds":30,"generation":2"#;
    for options in [&plain, &grace(30), &grace(60), &policy("Foreground")] {
        check(going, options, "nothing");
    }
    check(going, &grace(25), "+5 grace 25 generation 2");
    check(going, &grace(20), "+0 grace 20 generation 2");
    check(going, &grace(5), "+0 grace 1 generation 2");
    check(going, &grace(0), "+0 grace 0 generation 2 remove");
    let late = r#""deletionTimestamp":"-60","deletionGracePeriodSeconds":30"#;
    check(late, &plain, "nothing");
    check(late, &grace(5), "+0 grace 1");
    check(r#""deletionTimestamp":"-5","deletionGracePeriodSeconds":0"#, &plain, "remove");
    check(r#""deletionTimestamp":"-5","deletionGracePeriodSeconds":0,"finalizers":["f"]"#, &plain, "same");
    check(r#""deletionTimestamp":"-5","deletionGracePeriodSeconds":0,"finalizers":["f"]"#, &grace(0), "same");
}

#[test]
fn namespaces_end_by_their_own_finalizers() {
    const HELD: &str = r#","spec":{"finalizers":["kubernetes"]}"#;
    let plain = Options::default();
    check("namespaces", r#""generation":1"#, HELD, &plain, "+0 generation 1");
    check("namespaces", r#""deletionTimestamp":"-5""#, HELD, &plain, "nothing");
    check("namespaces", r#""deletionTimestamp":"-5""#, r#","spec":{}"#, &plain, "remove");
    check("namespaces", r#""deletionTimestamp":"-5","finalizers":["f"]"#, "", &plain, "-5 grace 0 f");
}
