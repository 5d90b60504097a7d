//! What is done with a body costs as much more as the body is larger: time of the processor and bytes allocated.
//!
//! A case makes work of a size. It is measured at a size and at four times that size: work that grows with the square
//! of its size costs sixteen times as much then, and may cost eight times. A machine that is busy with something else
//! only makes a measurement larger, so a case that fails is measured again.

#[path = "growth/bodies.rs"]
mod bodies;
#[path = "growth/meter.rs"]
mod meter;

use bodies::{list, map, repeated};
use corten_object::json::{self, Form};
use corten_object::managed::{self, Manager, OneVersion};
use corten_object::tree::Tree;
use corten_object::typing::{Structural, TypeRef};
use corten_object::{patch, protobuf, yaml};
use corten_schema::ids::meta_v1::OBJECT_META;
use meter::{Case, Work, check, on_large_stack, work};

const CUSTOM: Form = Form::Custom { metadata: OBJECT_META };

fn parse(text: &str, form: Form) -> Tree {
    json::parse(text.as_bytes().to_vec(), form).unwrap_or_else(|error| panic!("{error}")).tree
}

fn custom(spec: &str) -> String {
    format!(r#"{{"apiVersion":"e.com/v1","kind":"W","metadata":{{"name":"a"}},"spec":{spec}}}"#)
}

fn typed(kind: &str, text: &str) -> Tree {
    parse(text, Form::Typed(corten_schema::type_named(kind).expect("a known type")))
}

fn config_map(data: &str) -> Tree {
    typed(
        "core.v1.ConfigMap",
        &format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"c"}},"data":{data}}}"#),
    )
}

fn from_yaml(text: String) -> Work {
    work(move || drop(yaml::to_json(&text)))
}

fn from_json(text: String, form: Form) -> Work {
    work(move || drop(json::parse(text.clone().into_bytes(), form)))
}

fn json_patch(object: Tree, patch: String) -> Work {
    work(move || drop(patch::json(&object, patch.as_bytes())))
}

fn merge_patch(object: Tree, patch: String) -> Work {
    work(move || drop(patch::merge(&object, patch.as_bytes())))
}

fn strategic(object: Tree, patch: String) -> Work {
    work(move || drop(patch::strategic(&object, patch.as_bytes())))
}

fn manager(api_version: &'static str) -> Manager<'static> {
    Manager { name: "test", api_version, subresource: "", time: "2024-01-02T03:04:05Z" }
}

/// An update of an object, by a schema that keeps everything.
fn update(live: Tree, new: Tree) -> Work {
    work(move || {
        managed::update(Some(&live), &mut new.clone(), TypeRef::deduced(), &manager("e.com/v1"), &[], &OneVersion);
    })
}

fn apply(live: Option<Tree>, config: &str, typing: TypeRef<'static>, api_version: &'static str) -> Work {
    let config = parse(config, Form::Plain);
    work(move || {
        drop(managed::apply(live.as_ref(), &config, typing, &manager(api_version), false, &[], &OneVersion));
    })
}

/// A config map of `data`, with an entry of managedFields for each of `entries`.
fn owned(data: &str, entries: &str) -> Tree {
    let text = format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"c","uid":"u","managedFields":{entries}}},"data":{data}}}"#
    );
    typed("core.v1.ConfigMap", &text)
}

fn entry(manager: &str, operation: &str, version: &str, fields: &str) -> String {
    format!(
        r#"{{"manager":"{manager}","operation":"{operation}","apiVersion":"{version}","fieldsType":"FieldsV1","fieldsV1":{fields}}}"#
    )
}

/// An update of a config map and an apply to it, with these managedFields.
fn by_managers(data: &str, entries: String) -> Work {
    let live = owned(data, &entries);
    let new = owned(&map(1, |_| r#""new":"1""#.into()), &entries);
    let config = parse(
        r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"},"data":{"k0":"x","other":"1"}}"#,
        Form::Plain,
    );
    let typing = TypeRef::built_in(corten_schema::type_named("core.v1.ConfigMap").expect("a known type"));
    work(move || {
        managed::update(Some(&live), &mut new.clone(), typing, &manager("v1"), &[], &OneVersion);
        for force in [false, true] {
            drop(managed::apply(Some(&live), &config, typing, &manager("v1"), force, &[], &OneVersion));
        }
    })
}

/// What is done with any value, as the spec of a custom object.
type Operations = &'static [(&'static str, fn(&str) -> Work)];

const DECODED: Operations = &[
    ("parsed as a custom object", |spec| from_json(custom(spec), CUSTOM)),
    ("parsed as YAML", |spec| from_yaml(custom(spec))),
];

const WRITTEN: Operations = &[("written as YAML", |spec| {
    let text = custom(spec);
    work(move || drop(yaml::from_json(text.as_bytes())))
})];

const PATCHED: Operations = &[
    ("merged into itself", |spec| merge_patch(parse(&custom(spec), CUSTOM), custom(spec))),
    ("merged into nothing", |spec| merge_patch(parse(&custom("{}"), CUSTOM), custom(spec))),
    ("merged as nulls", |spec| merge_patch(parse(&custom(spec), CUSTOM), custom(&spec.replace('7', "null")))),
    ("copied and tested by a JSON patch", |spec| {
        let test = format!(r#"{{"op":"test","path":"/b","value":{spec}}}"#);
        let patch = format!(r#"[{{"op":"copy","from":"/spec","path":"/b"}},{test},{{"op":"remove","path":"/spec"}}]"#);
        json_patch(parse(&custom(spec), CUSTOM), patch)
    }),
];

const OWNED: Operations = &[
    ("created", |spec| update(parse(&custom("{}"), CUSTOM), parse(&custom(spec), CUSTOM))),
    ("changed at its end", |spec| {
        let changed = match spec.rfind('7') {
            Some(at) => format!("{}8{}", &spec[..at], &spec[at + 1..]),
            None => spec.to_owned(),
        };
        update(parse(&custom(spec), CUSTOM), parse(&custom(&changed), CUSTOM))
    }),
    ("applied to nothing", |spec| apply(None, &custom(spec), TypeRef::deduced(), "e.com/v1")),
    ("applied to itself", |spec| {
        apply(Some(parse(&custom(spec), CUSTOM)), &custom(spec), TypeRef::deduced(), "e.com/v1")
    }),
];

/// Each operation with each value, of so many times its usual size.
fn on_all_values(operations: Operations, times: usize) {
    let mut cases = Vec::new();
    for (operation, make) in operations {
        for &(body, size, text) in bodies::ALL {
            let make = Box::new(move |n: usize| make(&text(n)));
            cases.push(Case { name: format!("{body}, {operation}"), size: size * times, make });
        }
    }
    check(cases);
}

#[test]
fn any_value_is_decoded_by_its_size() {
    on_large_stack(|| on_all_values(DECODED, 1));
}

/// Large ones, so that of each deep value even the smaller has more lines and levels than YAML indents: up to there
/// the columns grow by the square.
#[test]
fn any_value_is_written_as_yaml_by_its_size() {
    on_large_stack(|| on_all_values(WRITTEN, 3));
}

#[test]
fn any_value_is_patched_by_its_size() {
    on_large_stack(|| on_all_values(PATCHED, 1));
}

#[test]
fn any_value_is_owned_by_its_size() {
    on_large_stack(|| on_all_values(OWNED, 1));
}

/// A name, a size, and the work of a size.
type Row = (&'static str, usize, fn(usize) -> Work);

fn cases(rows: &[Row]) {
    check(rows.iter().map(|&(name, size, make)| Case { name: name.into(), size, make: Box::new(make) }).collect());
}

#[test]
fn yaml_costs_by_its_size() {
    on_large_stack(check_yaml);
}

fn check_yaml() {
    cases(&[
        ("aliases of one word", 2000, |n| from_yaml(format!("x: &a b\ny: [{}]", repeated(n, ",", |_| "*a".into())))),
        ("aliases among wide characters", 2000, |n| {
            from_yaml(format!("x: &a b\ny: [{}]", repeated(n, ",", |_| "é, *a".into())))
        }),
        ("aliases of a long text", 500, |n| {
            from_yaml(format!("x: &a {}\ny: [{}]", "b".repeat(n * 16), repeated(n, ",", |_| "*a".into())))
        }),
        ("aliases as keys", 500, |n| {
            let pairs = repeated(n, "\n", |i| format!("- {{*a : {i}}}"));
            from_yaml(format!("x: &a {}\ny:\n{pairs}", "b".repeat(n * 16)))
        }),
        ("aliases within aliases", 200, |n| {
            from_yaml(repeated(n, "\n", |i| match i {
                0 => "a0: &a0 [x]".into(),
                _ => format!("a{i}: &a{i} [*a{}]", i - 1),
            }))
        }),
        ("one anchor anew", 2000, |n| from_yaml(repeated(n, "\n", |i| format!("- &a {i}\n- *a")))),
        ("merge keys", 300, |n| {
            let all = repeated(n, "\n", |i| format!("  k{i}: 1"));
            from_yaml(format!("x: &a\n{all}\ny:\n{}", repeated(10, "\n", |_| "- <<: *a".into())))
        }),
        ("one key again and again", 2000, |n| from_yaml(repeated(n, "\n", |_| "a: 1".into()))),
        ("blocks without a last line break", 1000, |n| {
            from_yaml(repeated(n, "\n", |i| format!("k{i}: |\n  x\n")).trim_end().to_owned())
        }),
        ("comments", 4000, |n| from_yaml(repeated(n, "\n", |_| "# x".into()))),
        ("comments within a list", 2000, |n| from_yaml(format!("[\n{}\n]", repeated(n, "\n", |_| "# x\n1,".into())))),
        ("documents", 2000, |n| from_yaml(repeated(n, "\n---\n", |_| "a: 1".into()))),
        ("blank lines", 8000, |n| from_yaml("\n".repeat(n))),
        ("tabs", 8000, |n| from_yaml(format!("a:{}1", "\t".repeat(n)))),
        ("tags", 2000, |n| from_yaml(repeated(n, "\n", |_| "- !!str 1".into()))),
        ("directives of tags", 1000, |n| {
            from_yaml(format!("{}\n--- 1", repeated(n, "\n", |i| format!("%TAG !t{i}! x"))))
        }),
        ("a plain text of many lines", 4000, |n| from_yaml(format!("a: {}", repeated(n, "\n  ", |_| "x".into())))),
        ("a quoted text of many lines", 4000, |n| from_yaml(format!("a: \"{}\"", repeated(n, "\n  ", |_| "x".into())))),
        ("a block of many lines", 4000, |n| from_yaml(format!("a: |\n{}", repeated(n, "\n", |_| "  x".into())))),
        ("a folded block of blank lines", 4000, |n| from_yaml(format!("a: >\n  x{}\n  y", "\n".repeat(n)))),
        ("lists in brackets", 20, |n| from_yaml(format!("{}1,{}", "[".repeat(n), "]".repeat(n)).repeat(10))),
        ("many values deep in brackets", 1000, |n| {
            from_yaml(format!("{}{}{}", "[".repeat(200), repeated(n, ",", |_| "1".into()), "]".repeat(200)))
        }),
        ("maps in brackets as keys", 1000, |n| {
            from_yaml(format!("[{}]", repeated(n, ",", |i| format!("{{a: 1}}: {i}"))))
        }),
        ("a list of pairs", 2000, |n| from_yaml(format!("[{}]", repeated(n, ",", |i| format!("k{i}: 1"))))),
        ("written: a long key among short ones", 1000, |n| {
            let text = format!(r#"{{"{}":1,{}}}"#, "b".repeat(n * 16), repeated(n, ",", |i| format!(r#""b{i}":1"#)));
            work(move || drop(yaml::from_json(text.as_bytes())))
        }),
        ("written: keys of digits", 1000, |n| {
            let text = format!(r#"{{"{}":1,{}}}"#, "1".repeat(n * 16), repeated(n, ",", |i| format!(r#""1{i}":1"#)));
            work(move || drop(yaml::from_json(text.as_bytes())))
        }),
        ("written: many values deep down", 4000, |n| {
            let values = repeated(n, ",", |i| format!(r#""k{i}":"a b""#));
            let text = format!("{}{{{values}}}{}", r#"{"a":"#.repeat(n / 2), "}".repeat(n / 2));
            work(move || drop(yaml::from_json(text.as_bytes())))
        }),
        ("written: words deep down", 4000, |n| {
            let text = format!("{}\"\\u00a0{}\"{}", r#"{"a":"#.repeat(n / 2), "a ".repeat(n), "}".repeat(n / 2));
            work(move || drop(yaml::from_json(text.as_bytes())))
        }),
    ]);
}

#[test]
fn json_costs_by_its_size() {
    on_large_stack(check_json);
}

fn check_json() {
    cases(&[
        ("unknown fields", 4000, |n| from_json(map(n, |i| format!(r#""k{i}":1"#)), typed_as("core.v1.Pod"))),
        ("one unknown field", 4000, |n| from_json(map(n, |_| r#""k":1"#.into()), typed_as("core.v1.Pod"))),
        ("one field", 4000, |n| from_json(map(n, |_| r#""kind":"Pod""#.into()), typed_as("core.v1.Pod"))),
        ("two fields in turn", 4000, |n| {
            let field = |i: usize| format!(r#""{}":"Pod""#, if i.is_multiple_of(2) { "kind" } else { "apiVersion" });
            from_json(map(n, field), typed_as("core.v1.Pod"))
        }),
        ("one unknown field deep down", 2000, |n| {
            let schema =
                format!("{}{}{}", r#"{"not":"#.repeat(n / 2), map(n, |_| r#""k":1"#.into()), "}".repeat(n / 2));
            from_json(schema, typed_as("apiextensions.v1.JSONSchemaProps"))
        }),
        ("one key deep down", 2000, |n| {
            from_json(
                format!("{}{}{}", r#"{"not":"#.repeat(n / 2), map(n, |_| r#""k":1"#.into()), "}".repeat(n / 2)),
                Form::Plain,
            )
        }),
        ("values of the wrong type", 4000, |n| {
            from_json(format!(r#"{{"spec":{{"containers":{}}}}}"#, list(n, |_| "1".into())), typed_as("core.v1.Pod"))
        }),
        ("numbers of many digits", 4000, |n| from_json("1".repeat(n), Form::Plain)),
        ("quantities of many digits", 400, |n| {
            from_json(format!(r#"{{"hard":{{"a":"{}"}}}}"#, "1".repeat(n)), typed_as("core.v1.ResourceQuotaSpec"))
        }),
        ("quantities of many decimals", 400, |n| {
            from_json(format!(r#"{{"hard":{{"a":"0.{}"}}}}"#, "1".repeat(n)), typed_as("core.v1.ResourceQuotaSpec"))
        }),
        ("white space", 8000, |n| from_json(format!("[1{},1]", " ".repeat(n)), Form::Plain)),
    ]);
}

fn typed_as(name: &str) -> Form {
    Form::Typed(corten_schema::type_named(name).expect("a known type"))
}

#[test]
fn protobuf_costs_by_its_size() {
    on_large_stack(check_protobuf);
}

fn check_protobuf() {
    let message = |fields: String| {
        let ty = corten_schema::type_named("core.v1.ConfigMap").expect("a known type");
        let tree = parse(&fields, Form::Typed(ty));
        protobuf::encode_message(tree.root().as_struct())
    };
    fn decode(message: Vec<u8>) -> Work {
        let ty = corten_schema::type_named("core.v1.ConfigMap").expect("a known type");
        work(move || {
            let end = message.len();
            let tree = protobuf::decode_message(message.clone(), 0..end, ty).expect("it was encoded");
            drop(protobuf::encode_message(tree.root().as_struct()));
        })
    }
    let one = move |name: String| message(format!(r#"{{"data":{{"{name}":"1"}}}}"#));
    let two = move |name: String| {
        message(format!(r#"{{"data":{{"{name}":"1"}},"binaryData":{{"{name}":"eA=="}},"immutable":true}}"#))
    };
    let row = |name: &str, make: Box<dyn Fn(usize) -> Work>| Case { name: name.into(), size: 1000, make };
    check(vec![
        row("ascending", Box::new(move |n| decode((0..n).flat_map(|i| one(format!("{i:08}"))).collect()))),
        row("descending", Box::new(move |n| decode((0..n).rev().flat_map(|i| one(format!("{i:08}"))).collect()))),
        row("one key", Box::new(move |n| decode((0..n).flat_map(|_| one("k".into())).collect()))),
        row("fields in turn", Box::new(move |n| decode((0..n).flat_map(|i| two(format!("{i:08}"))).collect()))),
    ]);
}

#[test]
fn patches_cost_by_their_size() {
    on_large_stack(check_json_patches);
}

fn check_json_patches() {
    let data = |n: usize| map(n, |i| format!(r#""k{i:06}":"1""#));
    let many =
        move |n: usize, operation: fn(usize) -> String| json_patch(config_map(&data(n)), list(n.min(9000), operation));
    let items = |n: usize, operation: fn(usize) -> String| {
        json_patch(parse(&custom(&list(n * 8, |i| i.to_string())), CUSTOM), list(n / 4, operation))
    };
    let row = |name: &str, size: usize, make: Box<dyn Fn(usize) -> Work>| Case { name: name.into(), size, make };
    check(vec![
        row(
            "move of a large map",
            1000,
            Box::new(move |n| {
                many(n, |i| match i.is_multiple_of(2) {
                    true => r#"{"op":"move","from":"/data","path":"/metadata"}"#.into(),
                    false => r#"{"op":"move","from":"/metadata","path":"/data"}"#.into(),
                })
            }),
        ),
        row(
            "move within a map",
            1000,
            Box::new(move |n| many(n, |i| format!(r#"{{"op":"move","from":"/data/k{i:06}","path":"/data/a{i:06}"}}"#))),
        ),
        row(
            "test of a large map",
            1000,
            Box::new(move |n| many(n, |_| r#"{"op":"test","path":"/metadata","value":{"name":"c"}}"#.into())),
        ),
        row(
            "replace of a large map",
            1000,
            Box::new(move |n| many(n, |_| r#"{"op":"replace","path":"/data","value":{}}"#.into())),
        ),
        row(
            "copy of a large map",
            300,
            Box::new(move |n| many(n, |i| format!(r#"{{"op":"copy","from":"/data","path":"/a{i}"}}"#))),
        ),
        row(
            "add and remove of keys",
            1000,
            Box::new(move |n| {
                many(n, |i| match i.is_multiple_of(2) {
                    true => format!(r#"{{"op":"add","path":"/data/a{}","value":"1"}}"#, i / 2),
                    false => format!(r#"{{"op":"remove","path":"/data/a{}"}}"#, i / 2),
                })
            }),
        ),
        row(
            "items put at the head",
            1000,
            Box::new(move |n| items(n, |_| r#"{"op":"add","path":"/spec/0","value":1}"#.into())),
        ),
        row(
            "items put into the middle",
            1000,
            Box::new(move |n| items(n, |_| r#"{"op":"add","path":"/spec/1000","value":1}"#.into())),
        ),
        row(
            "items taken from the head",
            1000,
            Box::new(move |n| items(n, |_| r#"{"op":"remove","path":"/spec/0"}"#.into())),
        ),
        row(
            "items moved from the head to the middle",
            1000,
            Box::new(move |n| items(n, |_| r#"{"op":"move","from":"/spec/0","path":"/spec/1000"}"#.into())),
        ),
        row(
            "unknown members of operations",
            1000,
            Box::new(move |n| many(n, |i| format!(r#"{{"op":"test","path":"/x","value":null,"x{i}":1}}"#))),
        ),
    ]);
}

/// Lists with and without keys, with what a patch may say of them.
#[test]
fn strategic_patches_cost_by_their_size() {
    on_large_stack(check_strategic_patches);
}

fn check_strategic_patches() {
    fn spec(ports: &str) -> Tree {
        typed("core.v1.Service", &format!(r#"{{"kind":"Service","apiVersion":"v1","spec":{{"ports":{ports}}}}}"#))
    }
    fn ports(n: usize, from: usize) -> String {
        list(n, |i| format!(r#"{{"port":{}}}"#, from + i))
    }
    fn reversed(n: usize) -> String {
        list(n, |i| format!(r#"{{"port":{}}}"#, n - i))
    }
    fn finalizers(n: usize) -> Tree {
        config_map_with(&format!(r#""finalizers":{}"#, list(n, |i| format!(r#""f{i}""#))))
    }
    fn patch(ports: &str, order: &str) -> String {
        let order = if order.is_empty() { String::new() } else { format!(r#","$setElementOrder/ports":{order}"#) };
        format!(r#"{{"spec":{{"ports":{ports}{order}}}}}"#)
    }
    fn of_finalizers(directive: &str, items: &str) -> String {
        format!(r#"{{"metadata":{{"{directive}finalizers":{items}}}}}"#)
    }
    cases(&[
        ("ports beside others", 300, |n| strategic(spec(&ports(n, 0)), patch(&ports(n, n), ""))),
        ("ports in reverse", 300, |n| strategic(spec(&ports(n, 1)), patch(&reversed(n), ""))),
        ("ports in an order", 300, |n| strategic(spec(&ports(n, 1)), patch(&reversed(n), &reversed(n)))),
        ("one port again and again", 300, |n| {
            strategic(spec(&ports(n, 1)), patch(&list(n, |_| r#"{"port":7}"#.into()), ""))
        }),
        ("ports taken away", 300, |n| {
            let gone = list(n, |i| format!(r#"{{"port":{},"$patch":"delete"}}"#, n - i));
            strategic(spec(&ports(n, 1)), patch(&gone, ""))
        }),
        ("ports without keys", 300, |n| {
            strategic(spec(&ports(n, 1)), patch(&list(n, |_| r#"{"port":null}"#.into()), ""))
        }),
        ("finalizers beside others", 1000, |n| {
            strategic(finalizers(n), of_finalizers("", &list(n, |i| format!(r#""g{i}""#))))
        }),
        ("finalizers in reverse", 1000, |n| {
            strategic(finalizers(n), of_finalizers("", &list(n, |i| format!(r#""f{}""#, n - i))))
        }),
        ("one finalizer", 1000, |n| strategic(finalizers(n), of_finalizers("", &list(n, |_| r#""f""#.into())))),
        ("finalizers taken away", 1000, |n| {
            let gone = list(n, |i| format!(r#""f{}""#, n - i));
            strategic(finalizers(n), of_finalizers("$deleteFromPrimitiveList/", &gone))
        }),
        ("finalizers in an order", 1000, |n| {
            let order = list(n, |i| format!(r#""f{}""#, n - i));
            strategic(finalizers(n), of_finalizers("$setElementOrder/", &order))
        }),
        ("keys set", 8000, |n| {
            strategic(
                config_map(&map(n, |i| format!(r#""z{i:06}":"1""#))),
                format!(r#"{{"data":{}}}"#, map(n, |i| format!(r#""k{i}":"2""#))),
            )
        }),
        ("keys taken away", 16_000, |n| {
            strategic(
                config_map(&map(n, |i| format!(r#""k{i:06}":"1""#))),
                format!(r#"{{"data":{}}}"#, map(n, |i| format!(r#""k{i:06}":null"#))),
            )
        }),
        ("nulls in what is new", 8000, |n| {
            let nulls = map(n, |i| format!(r#""k{i:06}":null"#));
            strategic(config_map("null"), format!(r#"{{"data":{nulls}}}"#))
        }),
        ("directives in what is new", 2000, |n| {
            let items = map(n, |i| format!(r#""k{i:06}":{{"$patch":"delete"}}"#));
            strategic(config_map("null"), format!(r#"{{"data":{items}}}"#))
        }),
        ("keys retained", 2000, |n| {
            let (names, values) = (list(n, |i| format!(r#""k{i:06}""#)), map(n, |i| format!(r#""k{i:06}":"1""#)));
            let values = values.replacen('{', &format!(r#"{{"$retainKeys":{names},"#), 1);
            strategic(config_map(&map(n, |i| format!(r#""z{i:06}":"1""#))), format!(r#"{{"data":{values}}}"#))
        }),
    ]);
}

fn config_map_with(metadata: &str) -> Tree {
    typed("core.v1.ConfigMap", &format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{{metadata}}}}}"#))
}

#[test]
fn ownership_costs_by_its_size() {
    on_large_stack(check_ownership);
}

fn check_ownership() {
    fn data(n: usize) -> String {
        map(n, |i| format!(r#""k{i}":"1""#))
    }
    fn of_data(n: usize, name: impl Fn(usize) -> String) -> String {
        format!(r#"{{"f:data":{}}}"#, map(n, |i| format!(r#""f:{}":{{}}"#, name(i))))
    }
    const K0: &str = r#"{"f:data":{"f:k0":{}}}"#;
    cases(&[
        ("fields in reverse", 8000, |n| {
            let fields = of_data(n, |i| format!("k{:06}", n - i));
            by_managers(&data(n), list(1, |_| entry("a", "Update", "v1", &fields)))
        }),
        ("fields of values in reverse", 1000, |n| {
            let items = map(n, |i| format!(r#""v:\"f{:06}\"":{{}}"#, n - i));
            let fields = format!(r#"{{"f:metadata":{{"f:finalizers":{items}}}}}"#);
            by_managers(&data(1), list(1, |_| entry("a", "Update", "v1", &fields)))
        }),
        ("one field again and again", 2000, |n| {
            by_managers(&data(n), list(1, |_| entry("a", "Update", "v1", &of_data(n, |_| "k".into()))))
        }),
        ("managers that update", 2000, |n| {
            by_managers(&data(n), list(n, |i| entry(&format!("m{i}"), "Update", "v1", K0)))
        }),
        ("managers that apply", 500, |n| {
            by_managers(&data(n), list(n, |i| entry(&format!("m{i}"), "Apply", "v1", &of_data(1, |_| format!("k{i}")))))
        }),
        ("managers of a field each, in reverse", 500, |n| {
            by_managers(
                &data(n),
                list(n, |i| entry(&format!("m{}", n - i), "Update", "v1", &of_data(1, |_| format!("k{i}")))),
            )
        }),
        ("one manager again and again", 2000, |n| by_managers(&data(n), list(n, |_| entry("m", "Update", "v1", K0)))),
        ("versions", 1000, |n| {
            by_managers(&data(n), list(n, |i| entry(&format!("m{i}"), "Update", &format!("v{i}"), K0)))
        }),
        ("versions that apply", 500, |n| {
            by_managers(&data(n), list(n, |i| entry("test", "Apply", &format!("v{i}"), K0)))
        }),
        ("a manager of everything", 1000, |n| {
            by_managers(&data(n), list(1, |_| entry("test", "Apply", "v1", &of_data(n, |i| format!("k{i}")))))
        }),
        ("finalizers applied in reverse", 6000, |n| {
            let finalizers = |at: usize| list(n, |i| format!(r#""e.com/f{:06}""#, i.abs_diff(at)));
            let text = |at| {
                format!(
                    r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"c","finalizers":{}}}}}"#,
                    finalizers(at)
                )
            };
            let ty = corten_schema::type_named("core.v1.ConfigMap").expect("a known type");
            apply(Some(parse(&text(0), Form::Typed(ty))), &text(n), TypeRef::built_in(ty), "v1")
        }),
        ("ports applied in reverse", 200, |n| {
            let text = |at: usize| {
                format!(
                    r#"{{"kind":"Service","apiVersion":"v1","metadata":{{"name":"c"}},"spec":{{"ports":{}}}}}"#,
                    list(n, |i| format!(r#"{{"port":{}}}"#, i.abs_diff(at) + 1))
                )
            };
            let ty = corten_schema::type_named("core.v1.Service").expect("a known type");
            apply(Some(parse(&text(0), Form::Typed(ty))), &text(n), TypeRef::built_in(ty), "v1")
        }),
        ("conflicts deep down", 400, |n| {
            let nested = |value: &str| {
                let values = map(n, |i| format!(r#""k{i}":{value}"#));
                custom(&format!("{}{values}{}", r#"{"a":"#.repeat(n), "}".repeat(n)))
            };
            let mut live = parse(&nested("1"), CUSTOM);
            managed::update(
                None,
                &mut live,
                TypeRef::deduced(),
                &Manager { name: "b", ..manager("e.com/v1") },
                &[],
                &OneVersion,
            );
            apply(Some(live), &nested("2"), TypeRef::deduced(), "e.com/v1")
        }),
        ("errors deep down", 400, |n| {
            let values = list(n, |_| r#""x""#.into());
            let config = custom(&format!("{}{values}{}", r#"{"a":"#.repeat(n), "}".repeat(n)));
            apply(None, &config, TypeRef::custom(nested_schema(n)), "e.com/v1")
        }),
    ]);
}

/// A schema of so many levels of `a`, and a list of numbers in the last.
fn nested_schema(levels: usize) -> &'static Structural {
    use corten_object::typing::structural::Kind;
    let mut schema = Structural {
        kind: Kind::Array,
        items: Some(Box::new(Structural { kind: Kind::Number, ..Structural::default() })),
        ..Structural::default()
    };
    for _ in 0..levels {
        schema = Structural { kind: Kind::Object, properties: vec![("a".into(), schema)], ..Structural::default() };
    }
    // The walkers of a case need it for as long as they like.
    Box::leak(Box::new(Structural { properties: vec![("spec".into(), schema)], ..Structural::default() }))
}
