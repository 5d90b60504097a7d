//! Any text as a JSON patch of any object.
#![no_main]

use corten_object::patch;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        let Some((object, body)) = corten_fuzz::pair(data) else { return };
        let Some(object) = corten_fuzz::object(object) else { return };
        if let Ok(patched) = patch::json(&object, body) {
            corten_fuzz::check_patched(&patched.tree);
        }
    });
});
