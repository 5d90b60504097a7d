//! What shaping a custom object costs as it grows: see the tests of `corten-object` of the same name.

#[path = "../../object/tests/growth/meter.rs"]
mod meter;

use corten_custom::Definition;
use corten_object::json::{self, Form};
use corten_object::tree::Tree;
use meter::{Case, Work, check, on_large_stack, work};

fn parse(text: &str, form: Form) -> Tree {
    json::parse(text.as_bytes().to_vec(), form).unwrap_or_else(|error| panic!("{error}")).tree
}

/// A definition of widgets with this schema.
fn definition(schema: &str) -> Definition {
    let text = format!(
        r#"{{"metadata":{{"name":"widgets.example.com"}},"spec":{{"group":"example.com","scope":"Namespaced","names":{{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"}},"conversion":{{"strategy":"None"}},"versions":[{{"name":"v1","served":true,"storage":true,"schema":{{"openAPIV3Schema":{schema}}}}}]}}}}"#
    );
    let ty = corten_schema::kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition").expect("a known kind").ty;
    Definition::compile(parse(&text, Form::Typed(ty)).root()).expect("it compiles")
}

/// Decodes a widget: prunes it, and drops its nulls.
fn decode(schema: &str, spec: &str) -> Work {
    let definition = definition(schema);
    let text = format!(r#"{{"apiVersion":"example.com/v1","kind":"Widget","metadata":{{"name":"w"}},"spec":{spec}}}"#);
    let metadata = corten_schema::ids::meta_v1::OBJECT_META;
    let object = parse(&text, Form::Custom { metadata });
    work(move || drop(definition.decode(&mut object.clone())))
}

fn members(n: usize, member: impl Fn(usize) -> String) -> String {
    format!("{{{}}}", (0..n).map(member).collect::<Vec<String>>().join(","))
}

/// A name, a size, and the work of a size.
type Row = (&'static str, usize, fn(usize) -> Work);

const CLOSED: &str = r#"{"type":"object","properties":{"spec":{"type":"object"}}}"#;
const OF_INTEGERS: &str =
    r#"{"type":"object","properties":{"spec":{"type":"object","additionalProperties":{"type":"integer"}}}}"#;

#[test]
fn custom_objects_are_shaped_by_their_size() {
    on_large_stack(|| {
        let rows: &[Row] = &[
            ("unknown fields", 20_000, |n| decode(CLOSED, &members(n, |i| format!(r#""k{i:06}":1"#)))),
            ("unknown fields deep down", 400, |n| {
                let values = members(n, |i| format!(r#""k{i:06}":1"#));
                decode(CLOSED, &format!(r#"{{"a":{}{values}{}}}"#, "[".repeat(n), "]".repeat(n)))
            }),
            ("unknown fields in items", 2000, |n| {
                let items: Vec<String> = (0..n).map(|i| format!(r#"{{"k{i}":1}}"#)).collect();
                let schema = r#"{"type":"object","properties":{"spec":{"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}}}}}}"#;
                decode(schema, &format!("[{}]", items.join(",")))
            }),
            ("nulls", 20_000, |n| decode(OF_INTEGERS, &members(n, |i| format!(r#""k{i:06}":null"#)))),
        ];
        let case = |&(name, size, make): &(&str, usize, fn(usize) -> Work)| Case {
            name: name.to_owned(),
            size,
            make: Box::new(make),
        };
        check(rows.iter().map(case).collect());
    });
}
