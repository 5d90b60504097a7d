use std::sync::Arc;

use corten_kinds::table::Cell;

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

/// `v1beta1` knows `a` and defaults it, `v1` is kept and knows `b`.
const TWO_VERSIONS: &str = r#"{"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},"versions":[{"name":"v1beta1","served":true,"storage":false,"deprecated":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"a":{"type":"string","default":"x"},"c":{"type":"string","maxLength":1}}}}},{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"b":{"type":"string","default":"y"},"c":{"type":"string"}}}}}]}}"#;

#[test]
fn versions_differ_in_what_they_know() {
    let definition = Arc::new(Definition::compile(definition(TWO_VERSIONS).root()).unwrap());
    let strategy = CustomStrategy::new(Arc::clone(&definition));
    let beta = definition.version("v1beta1").unwrap();
    assert_eq!(beta.deprecation_warning(), Some("example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget"));
    let stored = r#"{"apiVersion":"example.com/v1","b":"y","c":"long","kind":"Widget","metadata":{"name":"w"}}"#;
    let shown = beta.serve(custom(stored));
    assert_eq!(
        text(shown.root()),
        r#"{"apiVersion":"example.com/v1beta1","c":"long","kind":"Widget","metadata":{"name":"w"}}"#
    );
    let kept = beta.to_storage(shown, "example.com/v1");
    assert_eq!(
        text(kept.root()),
        r#"{"apiVersion":"example.com/v1","b":"y","c":"long","kind":"Widget","metadata":{"name":"w"}}"#
    );
    // What was stored in the other version is read by its schema, then kept by today's.
    let mut old = custom(r#"{"apiVersion":"example.com/v1beta1","kind":"Widget","metadata":{"name":"w"},"z":1}"#);
    strategy.default("v1", &mut old.edit());
    assert_eq!(text(old.root()), r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"}}"#);
    // Each is checked by the version of its request.
    let object = custom(stored);
    assert!(causes(&strategy.validate(object.root(), &context("v1", ""))).is_empty());
    assert_eq!(
        causes(&strategy.validate(object.root(), &context("v1beta1", ""))),
        ["c: Too long: may not be more than 1 byte"]
    );
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
