//! Any text as a label selector and as a field selector.
#![no_main]

use corten_api::selector::{fields, labels};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(selector) = labels::parse(text) {
        let shown = selector.to_string();
        let again = labels::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert_eq!(again.to_string(), shown);
        let value = |key: &str| (key.len() % 2 == 0).then_some("x");
        assert_eq!(again.matches(value), selector.matches(value), "{shown:?}");
    }
    if let Ok(selector) = fields::Selector::parse(text) {
        let shown = selector.to_string();
        let again = fields::Selector::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert_eq!(again.to_string(), shown);
    }
});
