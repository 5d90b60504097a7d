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
    json::parse_written(text.into_bytes(), storage.hub.form).expect("it parses").tree
}

fn told(tree: &Tree, step: &Step) -> String {
    let Step::Mark { tree: marked, then_remove } = step else { return format!("{step:?}").to_lowercase() };
    if marked.root().equals(tree.root()) {
        return "same".to_owned();
    }
    let meta = metadata::read(marked);
    let time = meta.deletion_timestamp().and_then(Timestamp::parse_written);
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
    check_at(0, plural, metadata, rest, options, expected);
}

/// The same so many nanoseconds after [`NOW`].
fn check_at(nanos: u32, plural: &str, metadata: &str, rest: &str, options: &Options, expected: &str) {
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
        now: (NOW, nanos),
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

/// Go counts a grace period in nanoseconds, which wrap.
#[test]
fn grace_periods_of_any_length() {
    const BOUND: &str = r#","spec":{"nodeName":"n","terminationGracePeriodSeconds":9223372036854775807}"#;
    const TRILLION: i64 = 1_000_000_000_000;
    let check = |metadata: &str, options: &Options, expected| check("pods", metadata, BOUND, options, expected);
    let (plain, fresh) = (Options::default(), r#""labels":{}"#);
    check(fresh, &plain, "-1 grace 9223372036854775807");
    check(fresh, &grace(i64::MAX), "-1 grace 9223372036854775807");
    check(fresh, &grace(TRILLION), "+3875820019 grace 1000000000000");
    check(fresh, &grace(9_223_372_036), "+9223372036 grace 9223372036");
    check(fresh, &grace(9_223_372_037), "-9223372037 grace 9223372037");
    check(fresh, &grace(-TRILLION), "+1 grace 1");
    check(fresh, &grace(i64::MIN), "+1 grace 1");
    let going = |left: i64| format!(r#""deletionTimestamp":"+30","deletionGracePeriodSeconds":{left}"#);
    check(&going(i64::MAX), &grace(5), "+36 grace 5");
    check(&going(i64::MAX), &grace(i64::MAX), "nothing");
    check(&going(i64::MAX), &grace(TRILLION), "+3875820050 grace 1000000000000");
    check(&going(TRILLION), &grace(5), "+0 grace 1");
    check(&going(TRILLION), &grace(0), "+0 grace 0 remove");
    // A negative one is kept by nobody but who writes to the store; it counts as a second.
    for left in [-7, i64::MIN] {
        check(&going(left), &plain, "nothing");
        check(&going(left), &grace(i64::MIN), "nothing");
        check(&going(left), &grace(0), "+29 grace 0 remove");
    }
}

#[test]
fn deadlines_of_any_year() {
    let pods = |metadata, options: &Options, expected| {
        check("pods", metadata, r#","spec":{"nodeName":"n"}"#, options, expected);
    };
    let far = r#""deletionTimestamp":"33715-01-01T00:00:00Z","deletionGracePeriodSeconds":30"#;
    pods(far, &Options::default(), "nothing");
    pods(far, &grace(5), "+1000008201575 grace 5");
    pods(far, &grace(0), "+1000008201570 grace 0 remove");
    let past = r#""deletionTimestamp":"-0001-12-31T23:59:59Z","deletionGracePeriodSeconds":30"#;
    pods(past, &grace(5), "+0 grace 1");
    let maps = |time: &str, expected| {
        let metadata = format!(r#""deletionTimestamp":"{time}","finalizers":["f"]"#);
        check("configmaps", &metadata, "", &Options::default(), expected);
    };
    maps("33715-01-01T00:00:00Z", "+0 grace 0 f");
    maps("-0001-12-31T23:59:59Z", "-63934444801 grace 0 f");
}

/// What has come to its end within this second has done so before now.
#[test]
fn fractions_of_a_second_count() {
    const BOUND: &str = r#","spec":{"nodeName":"n"}"#;
    let check =
        |nanos, metadata, options: &Options, expected| check_at(nanos, "pods", metadata, BOUND, options, expected);
    let going = r#""deletionTimestamp":"+10","deletionGracePeriodSeconds":30"#;
    check(0, going, &grace(20), "+0 grace 20");
    check(1, going, &grace(20), "+0 grace 1");
    check(1, going, &grace(0), "+0 grace 0 remove");
    check(999_999_999, r#""labels":{}"#, &grace(30), "+30 grace 30");
    check(500_000_000, r#""labels":{}"#, &grace(1_000_000_000_000), "+3875820020 grace 1000000000000");
}

/// The times of a store may be any.
#[test]
fn no_time_is_too_far_for_a_grace_period() {
    let at = |seconds, nanos| Timestamp { seconds, nanos };
    for (time, seconds, expected) in [
        (at(5, 0), 0, at(5, 0)),
        (at(5, 7), -30, at(-25, 7)),
        (at(5, 0), -1_000_000_000_000, at(-3_875_820_015, 315_787_264)),
        (at(5, 800_000_000), -1_000_000_000_000, at(-3_875_820_014, 115_787_264)),
        (at(5, 0), i64::MIN, at(5, 0)),
        (at(5, 0), i64::MIN + 1, at(6, 0)),
        (at(i64::MAX, 0), 30, at(i64::MAX, 0)),
        (at(i64::MIN, 0), -30, at(i64::MIN, 0)),
    ] {
        assert_eq!(after(time, seconds), expected, "{time:?} {seconds}");
    }
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
