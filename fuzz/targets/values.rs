//! Any text as a quantity, a duration and a time.
#![no_main]

use corten_api::quantity::Quantity;
use corten_api::time::{Duration, Timestamp};

libfuzzer_sys::fuzz_target!(|text: &str| {
    corten_fuzz::within_budget(text.len(), || {
        if let Ok(quantity) = Quantity::parse(text) {
            let shown = quantity.to_string();
            let again = Quantity::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
            assert_eq!(again.to_string(), shown);
            assert_eq!(Quantity::canonicalize(&shown).expect("a quantity"), shown);
            let _ = (quantity.value(), quantity.milli_value(), quantity.as_i64(), quantity.sign());
            let mut sum = quantity.clone();
            sum.add(&again);
            sum.sub(&again);
            assert_eq!(sum.cmp(&quantity), std::cmp::Ordering::Equal, "{text:?} + {shown:?} - {shown:?}");
        }
        if let Ok(duration) = Duration::parse(text) {
            let shown = duration.to_string();
            assert_eq!(Duration::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}")), duration);
        }
        if let Ok(time) = Timestamp::parse(text) {
            let shown = time.format();
            assert_eq!(Timestamp::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}")).format(), shown);
        }
        if let Ok(time) = Timestamp::parse_micro(text) {
            let shown = time.format_micro();
            let again = Timestamp::parse_micro(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
            assert_eq!(again.format_micro(), shown);
        }
    });
});
