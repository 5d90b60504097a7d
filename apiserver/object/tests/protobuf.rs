//! Messages that no Go client sends often, and what upstream makes of them.

use corten_object::protobuf::{self, wire::Writer};
use corten_object::{json, protobuf::decode_message};

/// The field of a message, in front of what is there: writers go from the end to the beginning.
fn message(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    write(&mut writer);
    writer.into_vec()
}

#[track_caller]
fn check(kind: (&str, &str, &str), bytes: Vec<u8>, expected: &str) {
    let kind = corten_schema::kind(kind.0, kind.1, kind.2).expect("the kind");
    let end = bytes.len();
    let tree = decode_message(bytes.clone(), 0..end, kind.ty).expect("it is decoded");
    let mut shown = Vec::new();
    json::write(tree.root(), &mut shown);
    assert_eq!(String::from_utf8_lossy(&shown), expected);
    let encoded = protobuf::encode_message(tree.root().as_struct());
    let end = encoded.len();
    let again = decode_message(encoded, 0..end, kind.ty).expect("what was encoded");
    assert!(again.root().equals(tree.root()), "{expected}");
}

/// A ConfigMap made then.
fn made(seconds: i64, nanos: i64) -> Vec<u8> {
    let time = message(|time| {
        time.int(2, nanos);
        time.int(1, seconds);
    });
    let metadata = message(|metadata| metadata.string(8, &time));
    message(|object| object.string(1, &metadata))
}

#[test]
fn times_of_any_year() {
    for (seconds, shown) in [
        (0, r#""1970-01-01T00:00:00Z""#),
        (253_402_300_800, r#""10000-01-01T00:00:00Z""#),
        (i64::MAX, r#""292277026596-12-04T15:30:07Z""#),
        (-62_135_596_801, r#""0000-12-31T23:59:59Z""#),
        (-99_999_999_999, r#""-1199-02-15T14:13:21Z""#),
    ] {
        // The fraction of a second is not kept.
        let expected = format!(r#"{{"metadata":{{"creationTimestamp":{shown}}}}}"#);
        check(("", "v1", "ConfigMap"), made(seconds, 999), &expected);
    }
    check(("", "v1", "ConfigMap"), made(-62_135_596_800, 999), r#"{"metadata":{}}"#);
}

#[test]
fn fractions_of_seconds() {
    for (nanos, shown) in [(1_999, "00.000001"), (-1_999, "59.999999"), (1_000_000_000, "01.000000")] {
        let time = message(|time| {
            time.int(2, nanos);
            time.int(1, 0);
        });
        let spec = message(|spec| spec.string(4, &time));
        let minute = if nanos < 0 { "1969-12-31T23:59" } else { "1970-01-01T00:00" };
        let expected = format!(r#"{{"metadata":{{}},"spec":{{"renewTime":"{minute}:{shown}Z"}}}}"#);
        check(("coordination.k8s.io", "v1", "Lease"), message(|lease| lease.string(2, &spec)), &expected);
    }
}

#[test]
fn members_of_maps_without_a_value() {
    let member = message(|member| member.string(1, b"a"));
    let status = message(|status| status.string(2, &member));
    check(
        ("policy", "v1", "PodDisruptionBudget"),
        message(|object| object.string(3, &status)),
        r#"{"metadata":{},"spec":{},"status":{"disruptedPods":{"a":null},"disruptionsAllowed":0,"currentHealthy":0,"desiredHealthy":0,"expectedPods":0}}"#,
    );
    check(
        ("", "v1", "ConfigMap"),
        message(|object| {
            object.string(3, &member);
            object.string(2, &member);
        }),
        r#"{"metadata":{},"data":{"a":""},"binaryData":{"a":""}}"#,
    );
    let spec = message(|spec| spec.string(5, &member));
    check(
        ("authorization.k8s.io", "v1", "SubjectAccessReview"),
        message(|object| object.string(2, &spec)),
        r#"{"metadata":{},"spec":{"extra":{"a":null}},"status":{"allowed":false}}"#,
    );
}
