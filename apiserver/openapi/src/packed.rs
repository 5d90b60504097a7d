//! Parts of documents, kept compressed, and gzip streams that are joined from them.
//!
//! A part is deflated by itself and ends at a byte, so that a document costs no compression but that of its new parts.
//! Deflated parts may follow each other in one stream; its checksum is combined from theirs.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// The longest text that a stored block may hold.
const STORED_MAX: usize = 0xffff;
/// A last block, which is empty.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];
/// Deflate, no name, no time, any system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes that are kept deflated. Clones share them.
#[derive(Debug, Clone)]
pub struct Packed {
    deflated: Bytes,
    length: usize,
    crc: Arc<Crc>,
}

impl Packed {
    pub fn new(plain: &[u8]) -> Packed {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(plain.len() / 8 + 64), Compression::default());
        // Writing to memory cannot fail. A flush ends the last block at a byte, and leaves the stream open.
        let _ = encoder.write_all(plain);
        let _ = encoder.flush();
        let deflated = std::mem::take(encoder.get_mut());
        let mut crc = Crc::new();
        crc.update(plain);
        // What is left over of the vector's capacity is not kept.
        Packed { deflated: Bytes::from(deflated.into_boxed_slice()), length: plain.len(), crc: Arc::new(crc) }
    }

    /// The length of what was packed.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(self.length);
        // It was deflated here, so it can be read back.
        let _ = DeflateDecoder::new(&self.deflated[..]).take(self.length as u64).read_to_end(&mut plain);
        plain
    }
}

impl From<&str> for Packed {
    fn from(text: &str) -> Packed {
        Packed::new(text.as_bytes())
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Packed) -> bool {
        (self.length, &self.deflated) == (other.length, &other.deflated)
    }
}

impl Eq for Packed {}

/// A gzip stream as it grows.
pub(crate) struct Gzip {
    out: Vec<u8>,
    crc: Crc,
}

impl Gzip {
    pub fn new() -> Gzip {
        Gzip { out: GZIP_HEADER.to_vec(), crc: Crc::new() }
    }

    /// Adds a few bytes, as they are.
    pub fn plain(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(STORED_MAX) {
            let length = block.len() as u16;
            self.out.push(0);
            self.out.extend_from_slice(&length.to_le_bytes());
            self.out.extend_from_slice(&(!length).to_le_bytes());
            self.out.extend_from_slice(block);
        }
        self.crc.update(bytes);
    }

    pub fn packed(&mut self, part: &Packed) {
        self.out.extend_from_slice(&part.deflated);
        self.crc.combine(&part.crc);
    }

    pub fn finish(mut self) -> Bytes {
        self.out.extend_from_slice(&LAST_BLOCK);
        self.out.extend_from_slice(&self.crc.sum().to_le_bytes());
        self.out.extend_from_slice(&self.crc.amount().to_le_bytes());
        self.out.into_boxed_slice().into()
    }
}

/// What a gzip stream of this process holds.
pub(crate) fn unzip(gzip: &[u8]) -> Vec<u8> {
    // The last four bytes tell how much it is.
    let length = gzip.last_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
    let mut plain = Vec::with_capacity(length as usize);
    let _ = flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_one_stream() {
        let long: String = (0..40_000).map(|number| format!("{number},")).collect();
        let check = |parts: &[&str]| {
            let mut expected = String::new();
            let mut gzip = Gzip::new();
            for (place, part) in parts.iter().enumerate() {
                expected.push_str(part);
                match place % 2 {
                    0 => gzip.packed(&Packed::from(*part)),
                    _ => gzip.plain(part.as_bytes()),
                }
            }
            assert_eq!(String::from_utf8(unzip(&gzip.finish())).unwrap(), expected);
        };
        check(&[]);
        check(&[""]);
        check(&["", ""]);
        check(&["one"]);
        check(&["one", ",", "two", ",", "three"]);
        check(&["", ",", "", "", "a"]);
        check(&[&long, &long, &long]);
        assert!(Packed::from(long.as_str()).plain() == long.as_bytes());
        assert!(Packed::from("").plain().is_empty());
        assert_eq!(Packed::from("a"), Packed::from("a"));
        assert_ne!(Packed::from("a"), Packed::from("b"));
    }
}
