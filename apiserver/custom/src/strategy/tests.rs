use std::sync::Arc;

use corten_kinds::table::Cell;

use corten_object::tree::Tree;

use super::*;
use crate::testing::{causes, context, custom, definition, text, widget, widgets};

const SUBRESOURCES: &str = r#""subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas","labelSelectorPath":".status.selector"}},"selectableFields":[{"jsonPath":".spec.color"},{"jsonPath":".spec.replicas"}],"additionalPrinterColumns":[{"name":"Color","type":"string","jsonPath":".spec.color"},{"name":"Replicas","type":"integer","jsonPath":".spec.replicas","priority":1,"description":"How many."},{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}],"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"color":{"type":"string"},"replicas":{"type":"integer"}}},"status":{"type":"object","properties":{"replicas":{"type":"integer"},"selector":{"type":"string"},"phase":{"type":"string","enum":["a"]}}}}}}"#;

fn strategy() -> CustomStrategy {
    CustomStrategy::new(Arc::new(Definition::compile(widgets(SUBRESOURCES).root()).unwrap()))
}

#[track_caller]
fn updated(subresource: &str, new: &str, old: &str, expected: &str) {
    let strategy = strategy();
    let own =
        if subresource.is_empty() { &strategy as &dyn Strategy } else { strategy.subresource(subresource).unwrap() };
    let (mut new, old) = (widget(new), widget(old));
    own.prepare_update(&mut new.edit(), old.root(), &context("v1", subresource));
    let spec = |name: &str| new.root().get(name).map_or("none".into(), text);
    let raised = strategy.generation_changes(new.root(), old.root());
    assert_eq!(format!("{} {} {raised}", spec("spec"), spec("status")), expected);
}

#[test]
fn spec_and_status_are_written_apart() {
    let old = r#","spec":{"color":"red"},"status":{"replicas":1}"#;
    updated("", r#","spec":{"color":"blue"},"status":{"replicas":2}"#, old, r#"{"color":"blue"} {"replicas":1} true"#);
    updated("", r#","spec":{"color":"red"}"#, old, r#"{"color":"red"} {"replicas":1} false"#);
    updated(
        "",
        r#","spec":{"color":"red"},"status":{}"#,
        r#","spec":{"color":"red"}"#,
        r#"{"color":"red"} none false"#,
    );
    updated(
        "status",
        r#","spec":{"color":"blue"},"status":{"replicas":2}"#,
        old,
        r#"{"color":"red"} {"replicas":2} true"#,
    );
    updated("status", r#","other":1"#, old, r#"{"color":"red"} none true"#);
}

#[test]
fn a_new_object_has_no_status() {
    let mut object = widget(r#","status":{"replicas":1}"#);
    strategy().prepare_create(&mut object.edit(), &context("v1", ""));
    assert!(object.root().get("status").is_none());
}

#[test]
fn status_writes_keep_metadata_but_not_its_revision() {
    let old = custom(
        r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","labels":{"a":"b"},"generation":3}}"#,
    );
    let mut new = custom(
        r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","labels":{"c":"d"},"resourceVersion":"7","managedFields":[{"manager":"m"}]}}"#,
    );
    let strategy = strategy();
    let status = strategy.subresource("status").unwrap();
    status.prepare_update(&mut new.edit(), old.root(), &context("v1", "status"));
    assert_eq!(
        text(new.root().get("metadata").unwrap()),
        r#"{"name":"w","resourceVersion":"7","generation":3,"labels":{"a":"b"},"managedFields":[{"manager":"m"}]}"#
    );
}

#[track_caller]
fn errors(subresource: &str, rest: &str, expected: &[&str]) {
    let strategy = strategy();
    let object = widget(rest);
    let got = match subresource {
        "" => strategy.validate(object.root(), &context("v1", "")),
        name => {
            let own = strategy.subresource(name).unwrap();
            own.validate_update(object.root(), widget("").root(), &context("v1", name))
        }
    };
    assert_eq!(causes(&got), expected);
}

#[test]
fn scales_are_checked() {
    errors("", r#","spec":{"replicas":-1}"#, &[".spec.replicas: Invalid value: -1: should be a non-negative integer"]);
    errors(
        "",
        r#","spec":{"replicas":3000000000}"#,
        &[".spec.replicas: Invalid value: 3000000000: should be less than or equal to 2147483647"],
    );
    errors(
        "",
        r#","spec":{"replicas":null}"#,
        &[
            ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: <nil> is of the type <nil>, expected int64",
            "spec.replicas: Invalid value: \"null\": spec.replicas in body must be of type integer: \"null\"",
        ],
    );
    errors(
        "status",
        r#","spec":{"replicas":-1},"status":{"phase":"b","replicas":"x"}"#,
        &[
            ".status.replicas: Invalid value: 0: .status.replicas accessor error: x is of the type string, expected int64",
            "status.phase: Unsupported value: \"b\": supported values: \"a\"",
            "status.replicas: Invalid value: \"string\": replicas in body must be of type integer: \"string\"",
        ],
    );
}

#[test]
fn scale_reads_and_writes_by_path() {
    let strategy = strategy();
    let version = &strategy.definition().versions()[0];
    let scale = version.scale().unwrap();
    let mut object = widget(r#","status":{"replicas":2,"selector":"a=b"}"#);
    let read = scale.read(object.root()).unwrap();
    assert_eq!((read.spec_replicas, read.status_replicas, read.selector.as_str()), (None, 2, "a=b"));
    scale.set_replicas(&mut object, 5).unwrap();
    assert_eq!(scale.read(object.root()).unwrap().spec_replicas, Some(5));
    let mut odd = widget(r#","spec":[]"#);
    assert!(scale.set_replicas(&mut odd, 5).is_err());
    assert_eq!(
        scale.read(odd.root()).unwrap_err(),
        ".spec.replicas accessor error: [] is of the type []interface {}, expected map[string]interface{}"
    );
}

#[test]
fn tables_and_labels_show_what_columns_and_fields_name() {
    let strategy = strategy();
    let version = &strategy.definition().versions()[0];
    let object = custom(
        r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","creationTimestamp":"2020-01-02T03:04:05Z"},"spec":{"color":"red","replicas":3}}"#,
    );
    let row = version.row(object.root());
    assert_eq!(
        row.cells,
        [Cell::Str("w".into()), Cell::Str("red".into()), Cell::Int(3), Cell::Age(Some(1_577_934_245))]
    );
    assert_eq!(version.row(widget("").root()).cells[1..], [Cell::Null, Cell::Null, Cell::Null]);
    let mut columns = Vec::new();
    version.write_columns(&mut columns);
    assert!(
        String::from_utf8(columns)
            .unwrap()
            .contains(r#"{"name":"Replicas","type":"integer","format":"","description":"How many.","priority":1}"#)
    );
    let mut values = Vec::new();
    strategy.selectable(object.root(), &mut values);
    assert_eq!(values, ["red", "3"]);
    let labels: Vec<&str> = version.selectable().iter().map(|field| &*field.label).collect();
    assert_eq!(labels, ["spec.color", "spec.replicas"]);
}

/// `v1beta1` knows `a` and defaults it, `v1` is the storage version and knows `b`; `v1alpha1` is not served any more.
const VERSIONS: &str = r#"{"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},"versions":[{"name":"v1alpha1","served":false,"storage":false,"selectableFields":[{"jsonPath":".z"}],"schema":{"openAPIV3Schema":{"type":"object","properties":{"a":{"type":"string"},"z":{"type":"string","default":"w"}}}}},{"name":"v1beta1","served":true,"storage":false,"deprecated":true,"subresources":{"status":{}},"selectableFields":[{"jsonPath":".a"}],"schema":{"openAPIV3Schema":{"type":"object","required":["r"],"properties":{"a":{"type":"string","default":"x"},"c":{"type":"string","maxLength":1},"r":{"type":"string"},"status":{"type":"object","default":{"phase":"New"},"properties":{"phase":{"type":"string"}}}}}}},{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"b":{"type":"string","default":"y"},"c":{"type":"string"},"status":{"type":"object","default":{"phase":"Pending"},"properties":{"phase":{"type":"string"}}}}}}}]}}"#;

fn versions() -> Arc<Definition> {
    Arc::new(Definition::compile(definition(VERSIONS).root()).unwrap())
}

fn of_version(version: &str, rest: &str) -> Tree {
    custom(&format!(r#"{{"apiVersion":"example.com/{version}","kind":"Widget","metadata":{{"name":"w"}}{rest}}}"#))
}

/// The version, and everything but kind and metadata.
fn brief(object: &Tree) -> String {
    let version = object.root().get("apiVersion").map_or("", Node::as_str).rsplit('/').next().unwrap_or_default();
    let others = object.root().as_map().iter().filter(|(key, _)| !matches!(*key, "apiVersion" | "kind" | "metadata"));
    let others: Vec<String> = others.map(|(key, value)| format!("{key}:{}", text(value))).collect();
    format!("{version} {}", others.join(" "))
}

#[test]
fn objects_are_stored_in_the_storage_version_without_its_defaults() {
    let stored = |version: &str, rest: &str| brief(&versions().stored(&of_version(version, rest)));
    for (version, rest, expected) in [
        // What the storage version does not know is lost.
        ("v1beta1", r#","a":"1","b":"2","c":"long","r":"3""#, r#"v1 b:"2" c:"long""#),
        ("v1beta1", r#","c":null"#, r#"v1 "#),
        // The storage version's own objects are stored as they are.
        ("v1", r#","a":"1","c":null"#, r#"v1 a:"1" c:null"#),
    ] {
        assert_eq!(stored(version, rest), expected, "{version} {rest}");
    }
}

#[test]
fn what_was_stored_is_read_with_defaults() {
    let definition = versions();
    let reread = |rest: &str| brief(&definition.reread(&of_version("v1", rest)));
    assert_eq!(reread(r#","b":"1""#), r#"v1 b:"1" status:{"phase":"Pending"}"#);
    assert_eq!(reread(r#","a":"1","b":"1","status":{}"#), r#"v1 b:"1" status:{}"#);
    let whole = of_version("v1", r#","b":"1","c":"2","status":{"phase":"p"}"#);
    assert!(matches!(definition.reread(&whole), std::borrow::Cow::Borrowed(_)));
}

#[test]
fn objects_stay_in_the_version_they_were_stored_in() {
    let definition = versions();
    let read = |version: &str, rest: &str| {
        let mut object = of_version(version, rest);
        definition.read(&mut object);
        let served = |name: &str| brief(&definition.version(name).unwrap().serve(object.clone()));
        (brief(&object), served("v1beta1"), served("v1"))
    };
    let shown = |own: &str, beta: &str, storage: &str| (own.to_owned(), beta.to_owned(), storage.to_owned());
    // Each is read by its own schema, served or not, and then loses what the version of the request does not know; but
    // the storage version takes nothing away on the road between two others.
    assert_eq!(read("v1alpha1", r#","a":"1","b":"2""#), shown(r#"v1alpha1 a:"1" z:"w""#, r#"v1beta1 a:"1""#, r#"v1 "#));
    assert_eq!(
        read("v1beta1", r#","r":"1""#),
        shown(
            r#"v1beta1 a:"x" r:"1" status:{"phase":"New"}"#,
            r#"v1beta1 a:"x" r:"1" status:{"phase":"New"}"#,
            r#"v1 status:{"phase":"New"}"#
        )
    );
    assert_eq!(
        read("v1", r#","c":"long""#),
        shown(
            r#"v1 b:"y" c:"long" status:{"phase":"Pending"}"#,
            r#"v1beta1 c:"long" status:{"phase":"Pending"}"#,
            r#"v1 b:"y" c:"long" status:{"phase":"Pending"}"#
        )
    );
}

#[test]
fn each_version_has_rules_of_its_own() {
    let definition = versions();
    let beta = definition.version("v1beta1").unwrap();
    assert_eq!(beta.deprecation_warning(), Some("example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget"));
    let strategy = CustomStrategy::new(Arc::clone(&definition));
    let errors =
        |version: &str, rest: &str| causes(&strategy.validate(of_version(version, rest).root(), &context(version, "")));
    assert!(errors("v1", r#","c":"long""#).is_empty());
    assert_eq!(
        errors("v1beta1", r#","a":1,"c":"long""#),
        [
            "a: Invalid value: \"integer\": a in body must be of type string: \"integer\"",
            "c: Too long: may not be more than 1 byte",
            "r: Required value"
        ]
    );
    // Only v1beta1 has a status of its own.
    for (version, kept) in [("v1", true), ("v1beta1", false)] {
        let mut object = of_version(version, r#","status":{"phase":"p"}"#);
        strategy.prepare_create(&mut object.edit(), &context(version, ""));
        assert_eq!(object.root().get("status").is_some(), kept, "{version}");
        let resets = definition.version(version).unwrap().reset_fields("");
        assert_eq!(resets.is_empty(), kept, "{version}");
    }
    let labels: Vec<&str> = definition.selectable().iter().map(|field| &*field.label).collect();
    assert_eq!(labels, ["a"]);
}

#[test]
fn an_object_of_another_kind_is_left_alone_until_it_is_refused() {
    let definition = versions();
    let version = definition.version("v1").unwrap();
    let mut object = custom(r#"{"apiVersion":"example.com/v1","kind":"Gadget","metadata":{"name":"w"},"z":1}"#);
    assert_eq!(version.decode(&mut object), Ok(Vec::new()));
    version.default(&mut object);
    assert_eq!(text(object.root()), r#"{"apiVersion":"example.com/v1","kind":"Gadget","metadata":{"name":"w"},"z":1}"#);
}

#[test]
fn finalizers_that_name_no_domain_are_warned_of() {
    let warned = |finalizer: &str| {
        let object = custom(&format!(r#"{{"metadata":{{"finalizers":["{finalizer}"]}}}}"#));
        strategy().warn_create(object.root(), &context("v1", ""))
    };
    assert_eq!(
        warned("cleanup"),
        [
            "metadata.finalizers: \"cleanup\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
        ]
    );
    assert!(warned("example.com")[0].contains("including a path (/)"));
    assert!(warned("example.com/cleanup").is_empty());
    assert!(warned("foregroundDeletion").is_empty());
}
