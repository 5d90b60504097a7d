//! Any text as a configuration that is applied to nothing, then again: the second time nothing changes.
#![no_main]

use corten_object::managed::{self, Manager, OneVersion};
use corten_object::typing::TypeRef;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        let Some((kind, body)) = corten_fuzz::kind(data) else { return };
        let Ok((config, _)) = managed::decode_config(body) else { return };
        let version =
            if kind.group.is_empty() { kind.version.to_owned() } else { format!("{}/{}", kind.group, kind.version) };
        let manager =
            Manager { name: "fuzz", api_version: &version, time: "2024-01-02T03:04:05Z", ..Manager::default() };
        let typing = TypeRef::built_in(kind.ty);
        // An item whose key is null is another one each time, upstream too.
        if corten_fuzz::any(config.root(), &|node| node.as_list().iter().any(corten_fuzz::has_null)) {
            return;
        }
        let Ok(first) = managed::apply(None, &config, typing, &manager, false, &[], &OneVersion) else { return };
        let first = first.object;
        let again = managed::apply(Some(&first), &config, typing, &manager, false, &[], &OneVersion);
        let again = again.unwrap_or_else(|status| panic!("applied once, not twice: {}", status.message()));
        assert_eq!(corten_fuzz::text(&again.object), corten_fuzz::text(&first));
    });
});
