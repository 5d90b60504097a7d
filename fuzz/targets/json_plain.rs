//! Any text as JSON: what serde_json takes is taken, and what was parsed is written and parsed again.
#![no_main]

use corten_object::json::{self, Form};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        let parsed = json::parse(data.to_vec(), Form::Plain);
        let by_serde = serde_json::from_slice::<serde_json::Value>(data);
        let Ok(parsed) = parsed else {
            assert!(by_serde.is_err(), "serde_json takes it");
            return;
        };
        json::check_syntax(data).expect("what parses has no wrong syntax");
        let written = corten_fuzz::text(&parsed.tree);
        let again = json::parse(written.clone().into_bytes(), Form::Plain).expect("what was written is parsed").tree;
        assert!(again.root().equals(parsed.tree.root()), "{written}");
        // A float of negative zero is written `-0`, and that is read as the whole number 0, in Go as well.
        let rewritten = corten_fuzz::text(&again);
        let last = json::parse(rewritten.clone().into_bytes(), Form::Plain).expect("what was written is parsed").tree;
        assert_eq!(corten_fuzz::text(&last), rewritten);
        let _ = json::to_vec(parsed.tree.root());
    });
});
