//! Upstream's protobuf form of built-in objects, byte for byte: an envelope (`k8s\0` and runtime.Unknown) around a
//! message whose fields stand in ascending number, those that are no pointers written even when they are zero.

mod decode;
mod encode;

pub mod wire;

pub use decode::{DecodeError, decode, decode_message};
pub use encode::{encode, encode_kept, encode_message, envelope};

/// What every protobuf body and stored value begins with.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// runtime.Unknown, opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    pub api_version: String,
    pub kind: String,
    /// Where the message stands in the bytes.
    pub message: std::ops::Range<usize>,
    pub content_type: String,
}

/// Opens an envelope; the error says what is wrong with it.
pub fn open(bytes: &[u8]) -> Result<Envelope, DecodeError> {
    if !bytes.starts_with(MAGIC) {
        return Err(DecodeError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".into(),
        ));
    }
    let mut envelope = Envelope::default();
    let mut reader = wire::Reader::new(bytes, MAGIC.len()..bytes.len());
    while let Some((number, wire_type)) = reader.tag()? {
        match (number, wire_type) {
            (1, wire::LEN) => {
                let mut meta = reader.nested()?;
                while let Some((number, wire_type)) = meta.tag()? {
                    match (number, wire_type) {
                        (1, wire::LEN) => envelope.api_version = meta.string()?.into_owned(),
                        (2, wire::LEN) => envelope.kind = meta.string()?.into_owned(),
                        _ => meta.skip(wire_type)?,
                    }
                }
            }
            (2, wire::LEN) => envelope.message = reader.bytes()?,
            (4, wire::LEN) => envelope.content_type = reader.string()?.into_owned(),
            _ => reader.skip(wire_type)?,
        }
    }
    Ok(envelope)
}
