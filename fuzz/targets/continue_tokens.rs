//! Any text as a continue token, and as the JSON of one.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corten_object::continue_token::Continue;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        if let Ok(token) = std::str::from_utf8(data) {
            check(token);
        }
        check(&URL_SAFE_NO_PAD.encode(data));
    });
});

fn check(token: &str) {
    let Ok(read) = Continue::decode(token) else { return };
    assert_ne!(read.revision, 0);
    assert!(!read.start.split('/').any(|step| step == ".."), "{:?} leads out of its prefix", read.start);
    // A start of `/` is everything, which no token of ours begins with.
    if !read.start.is_empty() {
        assert_eq!(Continue::decode(&read.encode()), Ok(read));
    }
}
