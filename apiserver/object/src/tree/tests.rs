use corten_schema::type_named;

use crate::json::{self, Form, parse, to_string};
use crate::tree::Tree;

fn pod(json: &str) -> Tree {
    let ty = type_named("core.v1.Pod").expect("a known type");
    parse(json.as_bytes().to_vec(), Form::Typed(ty)).expect("parses").tree
}

/// Parses as a Pod and writes again.
fn check(input: &str, expected: &str) {
    assert_eq!(to_string(pod(input).root()), expected);
}

#[test]
fn fields_are_written_in_declaration_order_and_zeros_left_out() {
    check(
        r#"{"spec":{"hostNetwork":false,"containers":[{"image":"i","name":"a","resources":{"limits":{"cpu":"1000m"}}}]},
            "metadata":{"name":"p","labels":{"b":"2","a":"1"},"creationTimestamp":null},"apiVersion":"v1","kind":"Pod"}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"a":"1","b":"2"}},"spec":{"containers":[{"name":"a","image":"i","resources":{"limits":{"cpu":"1"}}}]},"status":{}}"#,
    );
}

#[test]
fn text_is_escaped_as_go_does() {
    check(
        r#"{"metadata":{"annotations":{"a":"<b> & \u00e9 \n \"q\""}}}"#,
        r#"{"metadata":{"annotations":{"a":"\u003cb\u003e \u0026 é \n \"q\""}},"spec":{"containers":null},"status":{}}"#,
    );
}

#[test]
fn what_is_absent_equals_zero() {
    let a = pod(r#"{"metadata":{"name":"p"},"spec":{"containers":[]}}"#);
    let b = pod(r#"{"metadata":{"name":"p","labels":{}},"spec":{"hostPID":false},"status":{}}"#);
    assert!(a.root().equals(b.root()));
    let c = pod(r#"{"metadata":{"name":"p"},"spec":{"securityContext":{}}}"#);
    assert!(!a.root().equals(c.root()), "an empty struct behind a pointer is not an absent one");
}

#[test]
fn edits_keep_entries_sorted() {
    let mut tree = pod(r#"{"metadata":{"name":"p"}}"#);
    let root = tree.root_id();
    let metadata = tree.get(root, "metadata").expect("is there");
    let ty = tree.type_of(metadata).expect("is a struct").get();
    let uid = ty.field_named("uid").expect("a field");
    let namespace = ty.field_named("namespace").expect("a field");
    tree.edit_at(metadata).set(uid, "u");
    tree.edit_at(metadata).set(namespace, "n");
    tree.edit_at(metadata).set(uid, "");
    let labels = ty.field_named("labels").expect("a field");
    for i in (0..20).rev() {
        tree.edit_at(metadata).ensure(labels).set_key(&format!("k{i:02}"), "v");
    }
    let keys: Vec<String> = tree.node(metadata).as_struct().map(labels).iter().map(|(key, _)| key.to_owned()).collect();
    assert_eq!(keys, (0..20).map(|i| format!("k{i:02}")).collect::<Vec<_>>());
    assert!(to_string(tree.node(metadata)).starts_with(r#"{"name":"p","namespace":"n","labels":{"k00":"v""#));
}

#[test]
fn the_revision_is_spliced_into_canonical_json() {
    let tree = pod(
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","resourceVersion":"7","uid":"u","generation":1}}"#,
    );
    let canonical = json::canonical(tree.root());
    let spliced = String::from_utf8(canonical.splice(42)).expect("is UTF-8");
    assert!(spliced.contains(r#""uid":"u","resourceVersion":"42","generation":1"#), "{spliced}");
    assert_eq!(&spliced[1..canonical.prefix as usize], r#""kind":"Pod","apiVersion":"v1","#);
    assert!(!String::from_utf8_lossy(&canonical.json).contains("resourceVersion"));
}

fn error(input: &str) -> String {
    let ty = type_named("core.v1.Pod").expect("a known type");
    parse(input.as_bytes().to_vec(), Form::Typed(ty)).expect_err("is wrong").to_string()
}

#[test]
fn numbers_that_are_too_large_are_no_numbers() {
    let error =
        json::parse(br#"{"a":[1,6E6662]}"#.to_vec(), Form::Plain).map(|parsed| json::to_string(parsed.tree.root()));
    let expected = "json: cannot unmarshal number 6E6662 into Go value of type float64";
    assert_eq!(error.map_err(|error| error.to_string()), Err(expected.to_owned()));
}

#[test]
fn mismatches_are_told_in_gos_words() {
    for (input, expected) in [
        (
            r#"{"metadata":"x"}"#,
            "json: cannot unmarshal string into Go struct field Pod.metadata of type v1.ObjectMeta",
        ),
        (
            r#"{"spec":{"containers":[{"ports":[{"containerPort":1.5}]}]}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            r#"{"spec":{"containers":[{"livenessProbe":{"httpGet":"x"}}]}}"#,
            "json: cannot unmarshal string into Go struct field Probe.spec.containers.livenessProbe.ProbeHandler.httpGet of type v1.HTTPGetAction",
        ),
        (
            r#"{"spec":{"containers":["x"]}}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
        ),
        (
            r#"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (r#"{"a":1"#, "unexpected end of JSON input"),
        (r#"{"a":tru}"#, "invalid character '}' in literal true (expecting 'e')"),
        (r#"just"#, "invalid character 'j' looking for beginning of value"),
        (r#"{"a":1}}"#, "invalid character '}' after top-level value"),
        (r#"[1 2]"#, "invalid character '2' after array element"),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (r#"{"a":01}"#, "invalid character '1' after object key:value pair"),
        (r#"{"a":"\x"}"#, "invalid character 'x' in string escape code"),
    ] {
        assert_eq!(error(input), expected, "{input}");
    }
}

#[test]
fn unknown_and_duplicate_fields_are_noted() {
    let ty = type_named("core.v1.Pod").expect("a known type");
    let input = r#"{"nope":1,"metadata":{"nope":{},"name":"a","name":"b","labels":{"a":"1","a":"2"}},"spec":{"containers":[{},{"x":1}]}}"#;
    let parsed = parse(input.as_bytes().to_vec(), Form::Typed(ty)).expect("parses");
    assert_eq!(
        parsed.strict,
        [
            r#"unknown field "nope""#,
            r#"unknown field "metadata.nope""#,
            r#"duplicate field "metadata.name""#,
            r#"duplicate field "metadata.labels.a""#,
            r#"unknown field "spec.containers[1].x""#,
        ]
    );
    assert_eq!(parsed.tree.root().at(&["metadata", "name"]).map(|node| node.as_str()), Some("b"));
    assert_eq!(parsed.tree.root().at(&["metadata", "labels", "a"]).map(|node| node.as_str()), Some("2"));
}
