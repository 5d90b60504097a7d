//! The rules of metadata, on ConfigMaps.

use corten_object::tree::Tree;

use super::{lines, meta, object};
use crate::config_map::ConfigMaps;
use crate::object_meta::{on_create, on_update};

fn config_map(metadata: &str) -> Tree {
    object("", "v1", "ConfigMap", &format!(r#"{{"metadata":{{{metadata}}}}}"#))
}

fn check(metadata: &str, expected: &str) {
    let tree = config_map(metadata);
    assert_eq!(lines(&on_create(&ConfigMaps, meta(tree.root()), true)), expected, "{metadata}");
}

#[test]
fn of_new_objects() {
    let named = |rest: &str| format!(r#""name":"n","namespace":"ns",{rest}"#);
    check(r#""name":"n","namespace":"ns""#, "");
    check("", "metadata.name: Required value: name or generateName is required\nmetadata.namespace: Required value");
    check(
        &named(r#""finalizers":["x"]"#),
        "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
    );
    check(
        &named(r#""finalizers":["orphan","foregroundDeletion"]"#),
        "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set",
    );
    check(
        &named(r#""ownerReferences":[{"apiVersion":"v1","kind":"Event","name":"e","uid":"u"}]"#),
        "metadata.ownerReferences: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"e\",\"uid\":\"u\"}: /v1, Kind=Event is disallowed from being an owner",
    );
    check(
        &named(r#""ownerReferences":[{}]"#),
        "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty\nmetadata.ownerReferences.kind: Invalid value: \"\": must not be empty\nmetadata.ownerReferences.name: Invalid value: \"\": must not be empty\nmetadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
    );
    let owner =
        |name: &str| format!(r#"{{"apiVersion":"v1","kind":"Pod","name":"{name}","uid":"u","controller":true}}"#);
    check(
        &named(&format!(r#""ownerReferences":[{},{}]"#, owner("a"), owner("b"))),
        &format!(
            "metadata.ownerReferences: Invalid value: [{},{}]: Only one reference can have Controller set to true. Found \"true\" in references for Pod/a and Pod/b",
            owner("a"),
            owner("b")
        ),
    );
    check(
        &named(r#""managedFields":[{"operation":"Odd","fieldsType":"Odd","manager":"a\u0007"}]"#),
        "metadata.managedFields[0].operation: Invalid value: \"Odd\": must be `Apply` or `Update`\nmetadata.managedFields[0].fieldsType: Invalid value: \"Odd\": must be `FieldsV1`\nmetadata.managedFields[0].manager: Invalid value: \"a\\a\": invalid character U+0007 (at position 1)",
    );
    check(
        &named(&format!(r#""annotations":{{"UPPER.example/a":"{}"}}"#, "x".repeat(256 * 1024))),
        "metadata.annotations: Too long: may not be more than 262144 bytes",
    );
    check(&named(r#""generation":-1"#), "metadata.generation: Invalid value: -1: must be greater than or equal to 0");
}

fn check_update(old: &str, new: &str, expected: &str) {
    let of = |rest: &str| config_map(&format!(r#""name":"n","namespace":"ns","resourceVersion":"1"{rest}"#));
    let (old, new) = (of(old), of(new));
    let errors = on_update(&ConfigMaps, meta(new.root()), meta(old.root()), true);
    assert_eq!(lines(&errors), expected, "{:?}", lines(&errors));
}

#[test]
fn of_changes() {
    check_update("", "", "");
    let uid = "metadata.uid: Invalid value: \"x\": field is immutable";
    check_update(r#","uid":"u""#, r#","uid":"x""#, &format!("{uid}\n{uid}"));
    let label = "metadata.labels: Invalid value: \"b!\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    check_update("", r#","labels":{"a":"b!"}"#, &[label; 4].join("\n"));
    let dying = r#","deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":0"#;
    let finalizers = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"a/b\", \"a/c\"}";
    check_update(dying, &format!(r#"{dying},"finalizers":["a/c","a/b"]"#), &format!("{finalizers}\n{finalizers}"));
}

/// Each error shows all owners: thousands of them are not shown thousands of times.
#[test]
fn of_thousands_of_controllers() {
    let owner =
        |i: usize| format!(r#"{{"apiVersion":"v1","kind":"Pod","name":"p{i}","uid":"u{i}","controller":true}}"#);
    let owners: Vec<String> = (0..5000).map(owner).collect();
    let tree = config_map(&format!(r#""name":"n","namespace":"ns","ownerReferences":[{}]"#, owners.join(",")));
    let errors = on_create(&ConfigMaps, meta(tree.root()), true);
    let (message, listed) = (errors.to_string(), errors.iter().count());
    assert!(errors.len() == 4999 && (1..10).contains(&listed), "{listed}");
    assert!(message.starts_with("[metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\""));
    assert!(message.contains("Found \"true\" in references for Pod/p0 and Pod/p1, "));
    assert!(message.ends_with(&format!(", and {} more errors]", 4999 - listed)));
}
