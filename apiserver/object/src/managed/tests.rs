use super::element::Element;
use super::set::Set;
use super::{Manager, OneVersion, apply, decode_config, update};
use crate::defaults::Plan;
use crate::json::{self, Form};
use crate::patch;
use crate::tree::{Id, Node, Tree};
use crate::typing::structural::{Kind, ListKind, Structural};
use crate::typing::{TypeRef, Val};

const TIME: &str = "2020-01-01T00:00:00Z";

fn plain(text: &str) -> Tree {
    json::parse(text.as_bytes().to_vec(), Form::Plain).expect("is JSON").tree
}

fn text<'t>(tree: &'t Tree, path: &[&str]) -> &'t str {
    tree.root().at(path).map_or("", Node::as_str)
}

fn built_in(tree: &Tree) -> (Tree, TypeRef<'static>) {
    let api_version = text(tree, &["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = corten_schema::kind(group, version, text(tree, &["kind"])).expect("a known kind");
    let parsed = json::parse(json::to_vec(tree.root()), Form::Typed(kind.ty)).expect("is of its type");
    (parsed.tree, TypeRef::built_in(kind.ty))
}

/// Fields that the recorded kinds' code defaults, not their tables.
const DEFAULTED: [&str; 12] = [
    "dnsPolicy",
    "imagePullPolicy",
    "protocol",
    "resources",
    "restartPolicy",
    "rollingUpdate",
    "schedulerName",
    "securityContext",
    "terminationGracePeriodSeconds",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "type",
];

/// Sets the defaults of the tables, and those of code as they are in the answer.
fn default(tree: &mut Tree, answer: &Tree) {
    let api_version = text(tree, &["apiVersion"]).to_owned();
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = text(tree, &["kind"]).to_owned();
    let row = corten_schema::kind(group, version, &kind).expect("a known kind");
    let rows =
        corten_schema::DEFAULTS.iter().filter(|row| (row.group, row.version, row.kind) == (group, version, &kind));
    let root = tree.root_id();
    Plan::new(row.ty, rows).apply(tree, root);
    if text(answer, &["kind"]) == kind {
        fill(tree, root, built_in(answer).0.root());
    }
}

fn fill(tree: &mut Tree, id: Id, answer: Node<'_>) {
    for (field, value) in answer.as_struct().fields() {
        let name = answer.as_struct().ty().expect("has fields").field(field).name;
        match tree.field(id, field) {
            Some(child) => fill(tree, child, value),
            None if DEFAULTED.contains(&name) => {
                let value = tree.import(value);
                tree.set_field(id, field, value);
            }
            None => {}
        }
    }
    let items: Vec<Id> = tree.items(id).collect();
    items.into_iter().zip(answer.as_list().iter()).for_each(|(item, answer)| fill(tree, item, answer));
}

fn managers(tree: &Tree) -> Vec<String> {
    let list = tree.root().at(&["metadata", "managedFields"]).map(Node::as_list);
    let mut shown: Vec<String> = list
        .into_iter()
        .flat_map(|list| list.iter())
        .map(|entry| {
            let field = |name: &str| entry.get(name).map_or("", Node::as_str);
            let fields = entry.get("fieldsV1").and_then(Node::as_raw).unwrap_or_default();
            format!("{} {} {} {}", field("manager"), field("operation"), field("apiVersion"), fields)
        })
        .collect();
    shown.sort();
    shown
}

/// Replays what upstream answered to sequences of writes: the objects, who owns what in them, and the errors.
#[test]
fn recorded_writes_are_answered_as_upstream_did() {
    let mut live: Option<Tree> = None;
    let mut case = String::new();
    let mut checked = 0;
    for line in include_str!("testdata/recorded.jsonl").lines() {
        let row = plain(line);
        let here = format!("{}: {}", text(&row, &["case"]), text(&row, &["body"]));
        if text(&row, &["case"]) != case {
            text(&row, &["case"]).clone_into(&mut case);
            live = None;
        }
        let answer = json::to_string(row.root().get("answer").expect("has an answer"));
        let answer = plain(&answer);
        let status = row.root().get("status").map_or(0, Node::as_int);
        let written = write(&row, &answer, live.as_ref());
        if status >= 400 {
            let wanted = text(&answer, &["message"]);
            // What validation finds is not found here.
            if let Err(error) = written {
                checked += 1;
                assert_eq!(error.message(), wanted, "{here}");
                assert_eq!(i64::from(error.code()), status, "{here}");
            } else {
                assert!(wanted.contains("is invalid") || wanted.contains("does not match") || status == 409, "{here}");
            }
            continue;
        }
        let mut written = written.unwrap_or_else(|error| panic!("{here}: {}", error.message()));
        default(&mut written, &answer);
        let (wanted, _) = built_in(&answer);
        assert_eq!(managers(&written), managers(&wanted), "{here}");
        for part in ["spec", "data"] {
            let show = |tree: &Tree| tree.root().get(part).map(json::to_string);
            assert_eq!(show(&written), show(&wanted), "{here}");
        }
        checked += 1;
        live = Some(wanted);
    }
    assert!(checked > 25, "only {checked} were checked");
}

fn write(row: &Tree, answer: &Tree, live: Option<&Tree>) -> Result<Tree, corten_api::status::Status> {
    let body = text(row, &["body"]);
    let kind = text(row, &["type"]);
    let force = row.root().get("force").is_some_and(Node::as_bool);
    let first = live.map_or_else(|| plain(body), Tree::clone);
    let api_version = text(&first, &["apiVersion"]).to_owned();
    let manager = Manager { name: text(row, &["manager"]), api_version: &api_version, subresource: "", time: TIME };
    let reset: &[&[&str]] = &[&["status"]];
    let mut new = match (kind, live) {
        ("application/apply-patch+yaml", _) => {
            let (config, _) = decode_config(body.as_bytes())?;
            let typing = built_in(&config).1;
            return apply(live, &config, typing, &manager, force, reset, &OneVersion).map(|applied| applied.object);
        }
        ("application/strategic-merge-patch+json", Some(live)) => patch::strategic(live, body.as_bytes())?.tree,
        ("application/merge-patch+json", Some(live)) => patch::merge(live, body.as_bytes())?.tree,
        ("application/json-patch+json", Some(live)) => patch::json(live, body.as_bytes())?.tree,
        _ => built_in(&plain(body)).0,
    };
    default(&mut new, answer);
    let ty = new.type_of(new.root_id()).expect("is built in");
    update(live, &mut new, TypeRef::built_in(ty), &manager, reset, &OneVersion);
    Ok(new)
}

#[test]
fn sets_are_written_as_they_were_read() {
    for text in [
        r#"{}"#,
        r#"{"f:a":{}}"#,
        r#"{"f:data":{".":{},"f:a":{},"f:b":{"f:c":{}}}}"#,
        r#"{"f:l":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:x":{}},"v:\"a\"":{},"v:1":{},"i:3":{}}}"#,
        r#"{"f:l":{"k:{\"name\":\"\\u003ca\\u003e\\\"\"}":{}}}"#,
    ] {
        let set = Set::parse(text).expect("parses");
        let again = Set::parse(&set.to_json()).expect("parses");
        assert_eq!(set, again);
        if !text.contains("i:3") {
            assert_eq!(set.to_json(), text);
        }
    }
    let sorted = Set::parse(
        r#"{"v:2":{},"v:1":{},"k:{\"n\":\"b\"}":{},"k:{\"n\":\"a\"}":{},"f:b":{},"f:a":{},"z:?":{"f:x":{}}}"#,
    );
    let expected = r#"{"f:a":{},"f:b":{},"k:{\"n\":\"a\"}":{},"k:{\"n\":\"b\"}":{},"v:1":{},"v:2":{}}"#;
    assert_eq!(sorted.expect("parses").to_json(), expected);
    for text in ["", "[]", r#"{"f:a":1}"#, r#"{"fa":{}}"#, r#"{"k:{":{}}"#, r#"{"f:a":{}"#] {
        assert!(Set::parse(text).is_err(), "{text}");
    }
    assert_eq!(Element::Field("a.b".into()).to_string(), ".a.b");
}

// Custom objects.

fn property(name: &str, schema: Structural) -> (Box<str>, Structural) {
    (name.into(), schema)
}

fn object(mut properties: Vec<(Box<str>, Structural)>) -> Structural {
    properties.sort_by(|a, b| a.0.cmp(&b.0));
    Structural { kind: Kind::Object, properties, ..Structural::default() }
}

fn scalar(kind: Kind) -> Structural {
    Structural { kind, ..Structural::default() }
}

fn list(list: ListKind, keys: &[&str], items: Structural) -> Structural {
    let list_map_keys = keys.iter().map(|&key| key.into()).collect();
    Structural { kind: Kind::Array, list, list_map_keys, items: Some(Box::new(items)), ..Structural::default() }
}

fn schema() -> Structural {
    let protocol = Structural { default: Some(r#""TCP""#.into()), ..scalar(Kind::String) };
    let port = vec![
        property("port", scalar(Kind::Number)),
        property("protocol", protocol),
        property("x", scalar(Kind::Number)),
    ];
    let free = Structural { preserve_unknown: true, ..object(vec![]) };
    object(vec![property(
        "spec",
        object(vec![
            property("n", scalar(Kind::Number)),
            property("s", scalar(Kind::String)),
            property("ports", list(ListKind::Map, &["port", "protocol"], object(port))),
            property("set", list(ListKind::Set, &[], scalar(Kind::String))),
            property("atomic", list(ListKind::Atomic, &[], scalar(Kind::Number))),
            property("free", free),
        ]),
    )])
}

fn custom(body: &str) -> String {
    format!(r#"{{"apiVersion":"e/v1","kind":"K","metadata":{{"name":"k"}},"spec":{body}}}"#)
}

fn apply_custom(live: Option<&Tree>, name: &str, force: bool, body: &str) -> Result<Tree, String> {
    let schema = schema();
    let manager = Manager { name, api_version: "e/v1", subresource: "", time: TIME };
    let config = plain(&custom(body));
    apply(live, &config, TypeRef::custom(&schema), &manager, force, &[], &OneVersion)
        .map(|applied| applied.object)
        .map_err(|status| status.message().to_owned())
}

/// Applies as one manager after the other; shows what the object is then, or the last error.
fn check(steps: &[(&str, &str)], expected: &str) {
    let mut live: Option<Tree> = None;
    let mut shown = String::new();
    for (name, body) in steps {
        let (name, force) = name.strip_suffix('!').map_or((*name, false), |name| (name, true));
        match apply_custom(live.as_ref(), name, force, body) {
            Ok(object) => {
                shown = object.root().get("spec").map_or("none".into(), json::to_string);
                live = Some(object);
            }
            Err(error) => shown = error,
        }
    }
    assert_eq!(shown, expected, "{steps:?}");
}

#[test]
fn what_is_applied_no_more_goes_if_nobody_else_owns_it() {
    check(&[("a", r#"{"n":1,"s":"x"}"#), ("a", r#"{"n":1}"#)], r#"{"n":1}"#);
    check(&[("a", r#"{"n":1}"#), ("b", r#"{"n":1,"s":"x"}"#), ("a", "{}")], r#"{"n":1,"s":"x"}"#);
    check(
        &[("a", r#"{"set":["x","y"]}"#), ("b", r#"{"set":["y","z"]}"#), ("a", r#"{"set":["x"]}"#)],
        r#"{"set":["x","y","z"]}"#,
    );
    check(&[("a", r#"{"set":["x","y"]}"#), ("a", r#"{"set":["x"]}"#)], r#"{"set":["x"]}"#);
    check(
        &[
            ("a", r#"{"ports":[{"port":1,"x":1},{"port":2}]}"#),
            ("b", r#"{"ports":[{"port":1}]}"#),
            ("a", r#"{"ports":[]}"#),
        ],
        r#"{"ports":[{"port":1}]}"#,
    );
    check(&[("a", r#"{"free":{"q":{"r":1,"t":2}}}"#), ("a", r#"{"free":{"q":{"t":2}}}"#)], r#"{"free":{"q":{"t":2}}}"#);
}

#[test]
fn others_are_not_overruled_unless_forced() {
    check(&[("a", r#"{"n":1}"#), ("b", r#"{"n":2}"#)], r#"Apply failed with 1 conflict: conflict with "a": .spec.n"#);
    check(&[("a", r#"{"n":1}"#), ("b!", r#"{"n":2}"#)], r#"{"n":2}"#);
    check(&[("a", r#"{"n":1}"#), ("b!", r#"{"n":2}"#), ("a", "{}")], r#"{"n":2}"#);
    check(
        &[("a", r#"{"atomic":[1],"ports":[{"port":1,"x":1}]}"#), ("b", r#"{"atomic":[2],"ports":[{"port":1,"x":2}]}"#)],
        "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.atomic\n- .spec.ports[port=1,protocol=\"TCP\"].x",
    );
}

#[test]
fn items_are_told_apart_by_keys_with_their_defaults() {
    check(
        &[
            ("a", r#"{"ports":[{"port":1,"x":1}]}"#),
            ("b", r#"{"ports":[{"port":1,"protocol":"TCP"},{"port":1,"protocol":"UDP"}]}"#),
        ],
        r#"{"ports":[{"port":1,"protocol":"TCP","x":1},{"port":1,"protocol":"UDP"}]}"#,
    );
    // The configuration's order counts among what it names.
    check(&[("a", r#"{"set":["a","b","c"]}"#), ("b", r#"{"set":["c","a"]}"#)], r#"{"set":["b","c","a"]}"#);
}

#[test]
fn what_does_not_fit_the_schema_is_told() {
    for (body, expected) in [
        (r#"{"q":1}"#, ".spec.q: field not declared in schema"),
        (r#"{"n":"x"}"#, ".spec.n: expected numeric (int or float), got string"),
        (r#"{"s":5}"#, ".spec.s: expected string, got &value.valueUnstructured{Value:5}"),
        (r#"{"set":{}}"#, ".spec.set: expected list, got &{map[]}"),
        (r#"[]"#, ".spec: expected map, got &{[]}"),
        (r#"{"set":["a","a"]}"#, r#".spec.set: duplicate entries for key [="a"]"#),
        (r#"{"ports":[{"x":1}]}"#, "none"),
    ] {
        let wanted = match expected {
            "none" => r#"{"ports":[{"x":1}]}"#.to_owned(),
            _ => format!("failed to create typed patch object (/k; e/v1, Kind=K): {expected}"),
        };
        check(&[("a", body)], &wanted);
    }
}

#[test]
fn an_apply_that_changes_nothing_keeps_its_time() {
    let first = apply_custom(None, "a", false, r#"{"n":1}"#).expect("applies");
    let schema = schema();
    let manager = Manager { name: "a", api_version: "e/v1", subresource: "", time: "2021-01-01T00:00:00Z" };
    let again =
        apply(Some(&first), &plain(&custom(r#"{"n":1}"#)), TypeRef::custom(&schema), &manager, false, &[], &OneVersion);
    let again = again.expect("applies");
    assert!(!again.changed);
    assert!(Val::of(again.object.root()).equals(Val::of(first.root())));
    assert_eq!(managers(&first), [r#"a Apply e/v1 {"f:spec":{"f:n":{}}}"#]);
}

#[test]
fn the_oldest_updates_are_merged_beyond_ten() {
    let mut live: Option<Tree> = None;
    for i in 0..13 {
        let mut new = live.clone().unwrap_or_else(|| {
            json::parse(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","uid":"u"}}"#.to_vec(), {
                Form::Typed(corten_schema::type_named("core.v1.ConfigMap").expect("a type"))
            })
            .expect("parses")
            .tree
        });
        let root = new.root_id();
        let field = new.type_of(root).expect("a struct").get().field_named("data").expect("a field");
        new.edit().ensure(field).set_key(&format!("k{i}"), "v");
        let (name, time) = (format!("m{i:02}"), format!("2020-01-01T00:00:{i:02}Z"));
        let manager = Manager { name: &name, api_version: "v1", subresource: "", time: &time };
        let ty = new.type_of(root).expect("a struct");
        update(live.as_ref(), &mut new, TypeRef::built_in(ty), &manager, &[], &OneVersion);
        live = Some(new);
    }
    let shown = managers(&live.expect("is there"));
    assert_eq!(shown.len(), 10);
    assert_eq!(shown[0], r#"ancient-changes Update v1 {"f:data":{".":{},"f:k0":{},"f:k1":{},"f:k2":{},"f:k3":{}}}"#);
}

/// Where the entry that others are merged into is not the oldest, the oldest stays as it is.
#[test]
fn old_updates_are_merged_into_the_entry_that_is_there() {
    let ty = corten_schema::type_named("core.v1.ConfigMap").expect("a type");
    let entry = |name: &str, second: usize, key: &str| {
        format!(
            r#"{{"manager":"{name}","operation":"Update","apiVersion":"v1","time":"2020-01-01T00:00:{second:02}Z","fieldsType":"FieldsV1","fieldsV1":{{"f:data":{{"f:{key}":{{}}}}}}}}"#
        )
    };
    let mut entries: Vec<String> = (0..10).map(|i| entry(&format!("m{i}"), i, &format!("k{i}"))).collect();
    entries.push(entry("ancient-changes", 30, "a"));
    let text = format!(
        r#"{{"metadata":{{"name":"c","uid":"u","managedFields":[{}]}},"data":{{"a":"1"}}}}"#,
        entries.join(",")
    );
    let live = json::parse(text.into_bytes(), Form::Typed(ty)).expect("parses").tree;
    let mut new = live.clone();
    let root = new.root_id();
    let field = ty.get().field_named("data").expect("a field");
    new.edit_at(root).ensure(field).set_key("b", "1");
    let manager = Manager { name: "now", api_version: "v1", subresource: "", time: "2020-01-01T00:01:00Z" };
    update(Some(&live), &mut new, TypeRef::built_in(ty), &manager, &[], &OneVersion);
    let shown = managers(&new);
    let of = |name: &str| shown.iter().find(|entry| entry.starts_with(&format!("{name} "))).map(String::as_str);
    assert_eq!(shown.len(), 10, "{shown:?}");
    assert_eq!(of("m0"), Some(r#"m0 Update v1 {"f:data":{"f:k0":{}}}"#));
    assert_eq!((of("m1"), of("m2")), (None, None));
    assert_eq!(of("ancient-changes"), Some(r#"ancient-changes Update v1 {"f:data":{"f:a":{},"f:k1":{},"f:k2":{}}}"#));
}

#[test]
fn a_client_may_empty_managed_fields_but_not_spoil_them() {
    let ty = corten_schema::type_named("core.v1.ConfigMap").expect("a type");
    let parse = |text: &str| json::parse(text.as_bytes().to_vec(), Form::Typed(ty)).expect("parses").tree;
    let manager = Manager { name: "m", api_version: "v1", subresource: "", time: TIME };
    let mut live = parse(r#"{"metadata":{"name":"c","uid":"u"},"data":{"a":"1"}}"#);
    update(None, &mut live, TypeRef::built_in(ty), &manager, &[], &OneVersion);
    let own = r#"m Update v1 {"f:data":{".":{},"f:a":{}}}"#;
    assert_eq!(managers(&live), [own]);
    for (sent, expected) in [
        (r#"[{}]"#, &[][..]),
        (r#"[{"manager":"x","operation":"Nope"}]"#, &[own][..]),
        (r#"[]"#, &[own][..]),
        (
            r#"[{"manager":"x","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}]"#,
            &[r#"x Apply v1 {"f:data":{"f:a":{}}}"#][..],
        ),
    ] {
        let mut new =
            parse(&format!(r#"{{"metadata":{{"name":"c","uid":"u","managedFields":{sent}}},"data":{{"a":"1"}}}}"#));
        update(Some(&live), &mut new, TypeRef::built_in(ty), &manager, &[], &OneVersion);
        assert_eq!(managers(&new), expected, "{sent}");
    }
}

/// What upstream says to configurations of a Deployment; what validation finds is left out.
#[test]
fn configurations_that_cannot_be_applied_are_refused_as_upstream_does() {
    let live = built_in(&plain(
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"p","uid":"u"},"spec":{"replicas":1}}"#,
    ));
    let misfit = "failed to create typed patch object (/p; apps/v1, Kind=Deployment): ";
    let unread = "failed to convert new object (/p; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured object to apps/v1, Kind=Deployment: ";
    let bad = "error decoding YAML: error converting YAML to JSON: yaml: ";
    let no_object = "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ";
    for (spec, before, expected) in [
        (r#"{"foo":1}"#, misfit, ".spec.foo: field not declared in schema"),
        (r#"{"replicas":"x"}"#, misfit, ".spec.replicas: expected numeric (int or float), got string"),
        (r#"{"selector":1}"#, misfit, ".spec.selector: expected map, got &{1}"),
        (
            r#"{"template":{"spec":{"containers":{}}}}"#,
            misfit,
            ".spec.template.spec.containers: expected list, got &{map[]}",
        ),
        (
            r#"{"template":{"metadata":{"labels":{"a":5}}}}"#,
            misfit,
            ".spec.template.metadata.labels.a: expected string, got &value.valueUnstructured{Value:5}",
        ),
        (
            r#"{"template":{"spec":{"dnsPolicy":5,"hostPID":"x","containers":[{"name":"a"},{"name":"a"}]}}}"#,
            misfit,
            "errors:\n  .spec.template.spec.containers: duplicate entries for key [name=\"a\"]\n  .spec.template.spec.dnsPolicy: expected string, got &value.valueUnstructured{Value:5}\n  .spec.template.spec.hostPID: expected boolean, got &{x}",
        ),
        (
            r#"{"strategy":{"rollingUpdate":{"maxSurge":{}}}}"#,
            unread,
            "json: cannot unmarshal object into Go value of type int32",
        ),
        (
            r#"{"template":{"spec":{"tolerations":[{"key":5}]}}}"#,
            misfit,
            ".spec.template.spec.tolerations[0].key: expected string, got &value.valueUnstructured{Value:5}",
        ),
        (
            r#"{"template":{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":{}}}}]}}}"#,
            misfit,
            ".spec.template.spec.containers[name=\"a\"].resources.limits.cpu: expected any scalar, got &{map[]}",
        ),
        (
            r#"{"template":{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"xx"}}}]}}}"#,
            unread,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            r#"{"template":{"spec":{"containers":[null]}}}"#,
            misfit,
            ".spec.template.spec.containers: element 0: associative list with keys may not have a null element",
        ),
        ("", "invalid object type: ", "/, Kind="),
        (r#"body:{"apiVersion":"v1","kind":"Pod"}"#, "invalid object type: ", "/v1, Kind=Pod"),
        (
            r#"body:{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"managedFields":[]}}"#,
            "",
            "metadata.managedFields must be nil",
        ),
        ("body:[]", no_object, "array into Go value of type map[string]interface {}"),
        (r#"body:"x""#, no_object, "string into Go value of type map[string]interface {}"),
        ("body:a: b: c", bad, "mapping values are not allowed in this context"),
        ("body:a: *x", bad, "unknown anchor 'x' referenced"),
        ("body:\ta: 1", bad, "found character that cannot start any token"),
        (r#"body:a: "\q""#, bad, "found unknown escape character"),
        (r#"body:{"a":1"#, bad, "line 1: did not find expected ',' or '}'"),
    ] {
        let body = match spec.strip_prefix("body:") {
            Some(body) => body.to_owned(),
            None if spec.is_empty() => String::new(),
            None => {
                format!(r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"p"}},"spec":{spec}}}"#)
            }
        };
        let manager = Manager { name: "x", api_version: "apps/v1", subresource: "", time: TIME };
        let result = decode_config(body.as_bytes())
            .and_then(|(config, _)| apply(Some(&live.0), &config, live.1, &manager, true, &[], &OneVersion));
        let error = result.map(|_| ()).expect_err(&body);
        assert_eq!(error.message(), format!("{before}{expected}"), "{body}");
        assert_eq!(error.code(), if before.starts_with("failed") { 500 } else { 400 }, "{body}");
    }
    let (_, strict) = decode_config(br#"{"a":1,"a":2}"#).expect("decodes");
    let expected = "error converting YAML to JSON: yaml: unmarshal errors:\n  line 1: key \"a\" already set in map";
    assert_eq!(strict.as_deref(), Some(expected));
}
