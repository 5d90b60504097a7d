//! Deep custom objects and deep schemas, on threads with as much stack as `corten_object` says a level takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use corten_custom::schema::DEPTH_MAX as SCHEMA_DEPTH_MAX;
use corten_custom::{CustomStrategy, Definition, custom_resource_definition, publish};
use corten_kinds::strategy::{Context, Requester, Strategy};
use corten_object::DEPTH_MAX;
use corten_object::json::{self, Form};
use corten_object::tree::Tree;
use corten_schema::ids::meta_v1::OBJECT_META;

const LEVEL: usize = 10 * 1024;

fn on_stack(size: usize, check: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(size).spawn(check).expect("a thread");
    thread.join().expect("the check holds");
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

fn definition(schema: &str) -> Tree {
    let text = format!(
        r#"{{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{{"name":"widgets.example.com"}},"spec":{{"group":"example.com","scope":"Namespaced","names":{{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"}},"conversion":{{"strategy":"None"}},"versions":[{{"name":"v1","served":true,"storage":true,"schema":{{"openAPIV3Schema":{{"type":"object","properties":{{"spec":{schema}}}}}}}}}]}}}}"#
    );
    let kind = corten_schema::kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition").expect("a kind");
    let mut tree = json::parse(text.into_bytes(), Form::Typed(kind.ty)).expect("JSON").tree;
    let strategy = custom_resource_definition::ROWS[0].strategy;
    strategy.prepare_create(&mut tree.edit(), &context("apiextensions.k8s.io", "widgets.example.com"));
    tree
}

fn widget(spec: &str) -> Tree {
    let text = format!(r#"{{"apiVersion":"example.com/v1","kind":"Widget","metadata":{{"name":"w"}},"spec":{spec}}}"#);
    json::parse(text.into_bytes(), Form::Custom { metadata: OBJECT_META }).expect("JSON").tree
}

fn context<'c>(group: &'c str, name: &'c str) -> Context<'c> {
    static NO_EXTRA: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let user = Requester { name: "", uid: "", groups: &[], extra: &NO_EXTRA };
    Context { subresource: "", group, version: "v1", namespace: "", name, user, dry_run: false, now: (0, 0) }
}

/// What a create of an object does to it.
fn create(definition: &Arc<Definition>, object: &mut Tree) -> usize {
    let version = Arc::clone(definition.version("v1").expect("its version"));
    version.decode(object).expect("it can be read");
    version.default(object);
    version.row(object.root());
    CustomStrategy::new(Arc::clone(definition)).validate(object.root(), &context("example.com", "w")).len()
}

#[test]
fn the_deepest_objects_are_created() {
    on_stack(DEPTH_MAX * LEVEL, || {
        let open = r#"{"type":"object","x-kubernetes-preserve-unknown-fields":true}"#;
        let any = r#"{"x-kubernetes-preserve-unknown-fields":true}"#;
        let strings = r#"{"type":"array","items":{"type":"string"}}"#;
        for (schema, opening, closing, faults) in
            [(open, r#"{"a":"#, "}", 0), (any, "[", "]", 0), (strings, "[", "]", 1), (strings, r#"{"a":"#, "}", 1)]
        {
            let definition = Arc::new(Definition::compile(definition(schema).root()).expect("it compiles"));
            let mut object = widget(&nested(opening, "1", closing, DEPTH_MAX - 1));
            assert_eq!(create(&definition, &mut object), faults, "{opening} with {schema}");
        }
    });
}

#[test]
fn the_deepest_schemas_are_compiled_and_enforced() {
    on_stack(SCHEMA_DEPTH_MAX * LEVEL, || {
        let levels = SCHEMA_DEPTH_MAX - 2;
        let schema =
            nested(r#"{"type":"object","properties":{"a":"#, r#"{"type":"string","default":"x"}"#, "}}", levels);
        let tree = definition(&schema);
        let strategy = custom_resource_definition::ROWS[0].strategy;
        let errors = strategy.validate(tree.root(), &context("apiextensions.k8s.io", "widgets.example.com"));
        assert!(errors.is_empty(), "{:?}", errors.iter().map(|error| error.body()).collect::<Vec<_>>());
        assert!(publish::publish(tree.root(), "v1").is_some());
        let definition = Arc::new(Definition::compile(tree.root()).expect("it compiles"));
        let mut object = widget(&nested(r#"{"a":"#, "{}", "}", levels - 1));
        assert_eq!(create(&definition, &mut object), 0);
        assert!(json::to_string(object.root()).contains(r#"{"a":"x"}"#));
    });
}

#[test]
fn deeper_schemas_are_refused() {
    on_stack(SCHEMA_DEPTH_MAX * LEVEL, || {
        let tree = definition(&nested(r#"{"type":"array","items":"#, r#"{"type":"string"}"#, "}", SCHEMA_DEPTH_MAX));
        let strategy = custom_resource_definition::ROWS[0].strategy;
        let errors = strategy.validate(tree.root(), &context("apiextensions.k8s.io", "widgets.example.com"));
        assert_eq!(errors.len(), 1);
        assert!(Definition::compile(tree.root()).is_err());
    });
}
