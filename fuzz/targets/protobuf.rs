//! Any bytes as the message of any kind, and as an envelope.
#![no_main]

use corten_object::protobuf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    corten_fuzz::within_budget(data.len(), || {
        let Some((kind, rest)) = corten_fuzz::kind(data) else { return };
        let _ = protobuf::open(rest);
        let _ = protobuf::decode(rest.to_vec(), kind.ty);
        let message = rest.to_vec();
        let end = message.len();
        let Ok(tree) = protobuf::decode_message(message, 0..end, kind.ty) else { return };
        let _ = corten_fuzz::text(&tree);
        let encoded = protobuf::encode_message(tree.root().as_struct());
        let end = encoded.len();
        let again = protobuf::decode_message(encoded.clone(), 0..end, kind.ty).expect("what was encoded is decoded");
        assert_eq!(corten_fuzz::text(&again), corten_fuzz::text(&tree));
        assert_eq!(protobuf::encode_message(again.root().as_struct()), encoded);
    });
});
