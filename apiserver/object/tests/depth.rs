//! Deep objects: what is decoded can be walked on a thread of the server's, what is deeper is refused.

use std::thread;

use corten_object::json::{self, Form};
use corten_object::managed::{self, Manager, OneVersion};
use corten_object::tree::Tree;
use corten_object::typing::TypeRef;
use corten_object::typing::structural::Structural;
use corten_object::{DEPTH_MAX, patch, protobuf, yaml};
use corten_schema::Kind;
use corten_schema::ids::meta_v1::OBJECT_META;

/// The promise: how much stack a level takes at most, in whatever is done with it.
const LEVEL: usize = 10 * 1024;

/// Runs a check on so many levels, on a thread with as much stack as they are promised to need.
fn on_levels(levels: usize, check: impl FnOnce(usize) + Send + 'static) {
    let thread = thread::Builder::new().stack_size(levels * LEVEL).spawn(move || check(levels)).expect("a thread");
    thread.join().expect("the check holds");
}

/// On the most levels there may be, and on as many as a thread of 2 MiB takes.
fn on_all_levels(check: impl FnOnce(usize) + Send + Copy + 'static) {
    on_levels(DEPTH_MAX, check);
    on_levels((2 << 20) / LEVEL, check);
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

/// A custom object of so many levels: its own, and those of what is in it.
fn custom(levels: usize) -> [String; 3] {
    let value = |open: &str, close: &str, by: usize| {
        let value = nested(open, "1", close, (levels - 1) / by);
        format!(r#"{{"apiVersion":"e.com/v1","kind":"W","metadata":{{"name":"a"}},"spec":{value}}}"#)
    };
    [value(r#"{"a":"#, "}", 1), value("[", "]", 1), value(r#"[{"a":"#, "}]", 2)]
}

/// A definition whose schema has so many levels.
fn definition(levels: usize) -> (&'static Kind, String) {
    // The levels around the schema: object, spec, versions, version, schema.
    let schema = nested(r#"{"not":"#, r#"{"type":"object"}"#, "}", levels - 6);
    let text = format!(
        r#"{{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{{"name":"a"}},"spec":{{"versions":[{{"name":"v1","schema":{{"openAPIV3Schema":{schema}}}}}]}}}}"#
    );
    let kind = corten_schema::kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    (kind.expect("a kind of the tables"), text)
}

fn parse(text: &str, form: Form) -> Tree {
    json::parse(text.as_bytes().to_vec(), form).unwrap_or_else(|error| panic!("{error}")).tree
}

fn walk(tree: &Tree) {
    let written = json::to_vec(tree.root());
    let mut sorted = Vec::new();
    json::write_sorted(tree.root(), &mut sorted);
    assert!(!json::canonical(tree.root()).splice(7).is_empty());
    let mut copy = Tree::new();
    let root = copy.import(tree.root());
    let root = copy.duplicate(root);
    copy.set_root(root);
    assert!(copy.root().equals(tree.root()));
    assert_eq!(json::to_vec(copy.root()), written);
}

const MANAGER: Manager<'static> =
    Manager { name: "test", api_version: "e.com/v1", subresource: "", time: "2024-01-02T03:04:05Z" };

/// Created, changed, and applied twice, by somebody else.
fn own(tree: &Tree, typing: TypeRef<'_>, api_version: &str) {
    let manager = Manager { api_version, ..MANAGER };
    let mut created = tree.clone();
    managed::update(None, &mut created, typing, &manager, &[], &OneVersion);
    let mut changed = created.clone();
    let metadata = changed.get(changed.root_id(), "metadata").expect("every object has it");
    let name = changed.string("b");
    match changed.type_of(metadata) {
        Some(_) => changed.set_named(metadata, "name", name),
        None => changed.set_key(metadata, "name", name),
    };
    managed::update(Some(&created), &mut changed, typing, &manager, &[], &OneVersion);
    let config = parse(&json::to_string(tree.root()), Form::Plain);
    let applied = managed::apply(None, &config, typing, &manager, false, &[], &OneVersion);
    let applied = applied.unwrap_or_else(|status| panic!("{:.200}", status.message())).object;
    let again = managed::apply(Some(&applied), &config, typing, &manager, false, &[], &OneVersion);
    let again = again.unwrap_or_else(|status| panic!("{:.200}", status.message()));
    assert!(again.object.root().equals(applied.root()));
}

#[test]
fn plain_json_is_walked() {
    on_all_levels(|levels| {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let text = nested(open, "1", close, levels);
            json::check_syntax(text.as_bytes()).expect("valid");
            let tree = parse(&text, Form::Plain);
            assert_eq!(json::to_string(tree.root()), text);
            walk(&tree);
        }
    });
}

#[test]
fn custom_objects_are_walked() {
    on_all_levels(|levels| {
        for text in custom(levels) {
            walk(&parse(&text, Form::Custom { metadata: OBJECT_META }));
        }
    });
}

#[test]
fn custom_objects_are_patched() {
    // A patch takes an object apart level by level, and reads over the rest each time.
    on_levels(2000, |levels| {
        // The patch has two levels around a value.
        for text in custom(levels - 1) {
            let tree = parse(&text, Form::Custom { metadata: OBJECT_META });
            let patch = format!(r#"{{"spec":{}}}"#, nested(r#"{"a":"#, "2", "}", levels - 1));
            patch::merge(&tree, patch.as_bytes()).expect("a patch");
            let operations = format!(
                r#"[{{"op":"copy","from":"/spec","path":"/b"}},{{"op":"test","path":"/b","value":{}}}]"#,
                json::to_string(tree.root().get("spec").expect("a spec"))
            );
            patch::json(&tree, operations.as_bytes()).expect("a patch");
        }
    });
}

#[test]
fn patches_reach_down() {
    on_levels(2000, |levels| {
        let tree = parse(&custom(levels)[0], Form::Custom { metadata: OBJECT_META });
        let path = "/a".repeat(levels - 1);
        let operation = format!(r#"[{{"op":"replace","path":"/spec{path}","value":2}}]"#);
        let patched = patch::json(&tree, operation.as_bytes()).expect("a patch").tree;
        assert_eq!(json::to_string(patched.root()), json::to_string(tree.root()).replace('1', "2").replace("v2", "v1"));
    });
}

#[test]
fn custom_objects_are_owned() {
    on_all_levels(|levels| {
        // Owners' sets stand in metadata, two levels deeper than what they are of.
        for text in custom(levels - 8) {
            let tree = parse(&text, Form::Custom { metadata: OBJECT_META });
            own(&tree, TypeRef::deduced(), MANAGER.api_version);
            let schema = Structural { preserve_unknown: true, ..Structural::default() };
            own(&tree, TypeRef::custom(&schema), MANAGER.api_version);
        }
    });
}

#[test]
fn built_in_objects_are_walked_patched_and_owned() {
    on_all_levels(|levels| {
        let (kind, text) = definition(levels - 8);
        let tree = parse(&text, Form::Typed(kind.ty));
        walk(&tree);
        let decoded = protobuf::decode(protobuf::encode(tree.root()), kind.ty).expect("what was encoded");
        assert!(decoded.root().equals(tree.root()));
        patch::strategic(&tree, text.as_bytes()).expect("a patch");
        own(&tree, TypeRef::built_in(kind.ty), "apiextensions.k8s.io/v1");
    });
}

#[test]
fn yaml_is_converted() {
    on_all_levels(|levels| {
        for (open, close, levels) in [("[", "]", 255), ("{a: ", "}", 255), ("- ", "", levels)] {
            let text = nested(open, "1", close, levels);
            let converted = yaml::to_json(&text).unwrap_or_else(|error| panic!("{error}"));
            json::check_syntax(&converted.json).expect("JSON");
        }
        yaml::from_json(nested("[", "1", "]", levels).as_bytes());
    });
}

#[test]
fn what_is_deeper_is_refused() {
    on_levels(DEPTH_MAX, |_| {
        let levels = DEPTH_MAX + 1;
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let message = format!("invalid character '{}' exceeded max depth", &open[..1]);
            for text in [nested(open, "1", close, levels), open.repeat(1_000_000)] {
                let error = json::parse(text.clone().into_bytes(), Form::Plain).expect_err("too deep");
                assert_eq!(error.to_string(), message);
                let error = json::check_syntax(text.as_bytes()).expect_err("too deep");
                assert_eq!(error.0, message);
            }
        }
        let (kind, text) = definition(levels + 1);
        let error = json::parse(text.into_bytes(), Form::Typed(kind.ty)).expect_err("too deep");
        assert_eq!(error.to_string(), "invalid character '{' exceeded max depth");
        for (text, message) in [
            ("[".repeat(256), "yaml: exceeded max depth of 255"),
            (format!("\n\n{}", "- ".repeat(levels)), "yaml: line 3: exceeded max depth of 10000"),
        ] {
            assert_eq!(yaml::to_json(&text).expect_err("too deep").to_string(), message);
        }
    });
}

/// The deepest message of a definition that a message of one is put into, again and again.
#[test]
fn protobuf_that_is_deeper_is_refused() {
    on_levels(DEPTH_MAX, |_| {
        let (kind, text) = definition(DEPTH_MAX - 8);
        let tree = parse(&text, Form::Typed(kind.ty));
        let schema = ["spec", "versions"];
        let version = tree.root().at(&schema).and_then(|list| list.as_list().get(0)).expect("a version");
        let props = version.at(&["schema", "openAPIV3Schema"]).expect("a schema");
        let props_type = tree.type_of(props.id()).expect("typed");
        let not = props_type.get().field_named("not").expect("a field");
        let number = props_type
            .get()
            .proto
            .iter()
            .find(|item| matches!(item.item, corten_schema::ProtoItem::Field(field) if field == not));
        let number = number.expect("in protobuf").number;
        let mut message = protobuf::encode_message(props.as_struct());
        for _ in 0..20 {
            let mut writer = protobuf::wire::Writer::with_capacity(message.len() + 16);
            writer.string(number, &message);
            message = writer.into_vec();
        }
        let end = message.len();
        let error = protobuf::decode_message(message, 0..end, props_type).expect_err("too deep");
        assert_eq!(error.to_string(), "exceeded max depth");
    });
}

/// Each operation goes to the end of what the one before made.
#[test]
fn no_patch_makes_an_object_ever_deeper() {
    on_levels(DEPTH_MAX, |_| {
        let tree = parse(
            r#"{"apiVersion":"e.com/v1","kind":"W","metadata":{"name":"a"},"a":{"a":{}}}"#,
            Form::Custom { metadata: OBJECT_META },
        );
        let mut operations = Vec::new();
        let mut depth = 2;
        while depth < 200_000 {
            operations.push(format!(r#"{{"op":"copy","from":"/a","path":"{}"}}"#, "/a".repeat(depth + 1)));
            depth *= 2;
        }
        let status = patch::json(&tree, format!("[{}]", operations.join(",")).as_bytes()).expect_err("refused");
        assert_eq!(status.code(), 422);
    });
}
