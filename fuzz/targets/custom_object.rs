//! Any schema, and any object of it: pruned, defaulted, checked.
#![no_main]

use corten_api::field::Path;
use corten_custom::{Definition, values};
use corten_object::json::{self, Form};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        let Some((schema, object)) = corten_fuzz::pair(data) else { return };
        let Ok(schema) = std::str::from_utf8(schema) else { return };
        let definition = format!(
            r#"{{"metadata":{{"name":"widgets.example.com"}},"spec":{{"group":"example.com","scope":"Namespaced","names":{{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"}},"conversion":{{"strategy":"None"}},"versions":[{{"name":"v1","served":true,"storage":true,"schema":{{"openAPIV3Schema":{schema}}}}}]}}}}"#
        );
        let Some(definition) = corten_fuzz::definition(definition.as_bytes()) else { return };
        let definition = Definition::compile(definition.root()).expect("what is valid compiles");
        let version = definition.version("v1").expect("its version");
        let metadata = corten_schema::ids::meta_v1::OBJECT_META;
        let Ok(parsed) = json::parse(object.to_vec(), Form::Custom { metadata }) else { return };
        let mut tree = parsed.tree;
        if version.decode(&mut tree).is_err() {
            return;
        }
        version.default(&mut tree);
        let _ = values::validate(tree.root(), version.schema(), &Path::root());
        let _ = version.row(tree.root());
        let once = corten_fuzz::text(&tree);
        assert_eq!(version.decode(&mut tree), Ok(Vec::new()), "pruned once, there is nothing left to prune: {once}");
        version.default(&mut tree);
        assert_eq!(corten_fuzz::text(&tree), once, "defaults are set once");
    });
});
