//! Any text as YAML: what comes out is JSON, and as YAML again it means the same.
#![no_main]

use corten_object::json::{self, Form};
use corten_object::yaml;

libfuzzer_sys::fuzz_target!(|text: &str| {
    corten_fuzz::within_budget(text.len(), || {
        let Ok(converted) = yaml::to_json(text) else { return };
        let tree = json::parse(converted.json.clone(), Form::Plain).expect("YAML becomes JSON").tree;
        // A text alone is no document that anybody sends; upstream's library indents its lines as wrongly as ours.
        if tree.root().as_map().is_empty() && tree.root().as_list().is_empty() {
            return;
        }
        // Nor is a key `<<` quoted, by either, though it would merge what it is the key of.
        if corten_fuzz::any(tree.root(), &|node| node.get("<<").is_some()) {
            return;
        }
        // In a block, only a line feed ends a line for our scanner; upstream's knows two separators beside it.
        let ends_lines_otherwise = |text: &str| text.contains('\n') && text.contains(['\u{2028}', '\u{2029}']);
        if corten_fuzz::any(tree.root(), &|node| ends_lines_otherwise(node.as_str())) {
            return;
        }
        let written = yaml::from_json(corten_fuzz::text(&tree).as_bytes());
        let again = yaml::to_json(&written).expect("what was written is YAML").json;
        let again = json::parse(again, Form::Plain).expect("YAML becomes JSON").tree;
        assert_eq!(corten_fuzz::text(&again), corten_fuzz::text(&tree), "{written}");
    });
});
