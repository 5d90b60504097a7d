//! Any text as a label selector and as a field selector.
#![no_main]

use corten_api::selector::{fields, labels};

libfuzzer_sys::fuzz_target!(|text: &str| {
    corten_fuzz::within_budget(text.len(), || {
        if let Ok(selector) = labels::parse(text) {
            let shown = selector.to_string();
            let again = labels::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
            assert_eq!(again.to_string(), shown);
            let value = |key: &str| key.len().is_multiple_of(2).then_some("x");
            assert_eq!(again.matches(value), selector.matches(value), "{shown:?}");
        }
        if let Ok(selector) = fields::Selector::parse(text) {
            let shown = selector.to_string();
            let again = fields::Selector::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
            // Requirements stand in the order of what was written, as upstream sorts them: `a==c` before `a=b`.
            let sorted = again.to_string();
            let last = fields::Selector::parse(&sorted).unwrap_or_else(|error| panic!("{sorted:?}: {error}"));
            assert_eq!(last.to_string(), sorted);
        }
    });
});
