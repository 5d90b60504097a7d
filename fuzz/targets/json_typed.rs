//! Any text as an object of any kind.
#![no_main]

use corten_object::json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        let Some((kind, rest)) = corten_fuzz::kind(data) else { return };
        let Some(tree) = corten_fuzz::typed(rest, kind) else { return };
        let written = corten_fuzz::text(&tree);
        let again = corten_fuzz::typed(written.as_bytes(), kind).expect("what was written is parsed");
        assert_eq!(corten_fuzz::text(&again), written);
        if !tree.root().is_null() && corten_fuzz::has_metadata(kind) {
            let spliced = json::canonical(tree.root()).splice(4711);
            let spliced = corten_fuzz::typed(&spliced, kind).expect("canonical JSON is parsed");
            assert_eq!(spliced.root().at(&["metadata", "resourceVersion"]).map(|node| node.as_str()), Some("4711"));
        }
    });
});
