//! Any text as a CustomResourceDefinition, checked, and compiled if it passes.
#![no_main]

use corten_custom::Definition;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        if let Some(definition) = corten_fuzz::definition(data) {
            Definition::compile(definition.root()).expect("what is valid compiles");
        }
    });
});
