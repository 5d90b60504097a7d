//! The wire format: a reader over a range of bytes, and a writer that fills a buffer from its end, so that a message's
//! length is known when its head is written.

use std::borrow::Cow;
use std::ops::Range;

use super::DecodeError;

pub const VARINT: u8 = 0;
pub const FIXED64: u8 = 1;
pub const LEN: u8 = 2;
pub const FIXED32: u8 = 5;

type Result<T> = std::result::Result<T, DecodeError>;

pub struct Reader<'a> {
    bytes: &'a [u8],
    range: Range<usize>,
}

fn truncated() -> DecodeError {
    DecodeError("unexpected EOF".into())
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], range: Range<usize>) -> Self {
        Reader { bytes, range }
    }

    pub fn at_end(&self) -> bool {
        self.range.start >= self.range.end
    }

    pub fn position(&self) -> usize {
        self.range.start
    }

    /// The next field's number and wire type, or None at the end.
    pub fn tag(&mut self) -> Result<Option<(u32, u8)>> {
        if self.at_end() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|&number| number > 0);
        match number {
            Some(number) => Ok(Some((number, (tag & 7) as u8))),
            None => Err(DecodeError(format!("illegal tag {} (wire type {})", (tag >> 3) as i32, tag & 7))),
        }
    }

    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            if self.at_end() {
                return Err(truncated());
            }
            let byte = self.bytes[self.range.start];
            self.range.start += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError("integer overflow".into()))
    }

    pub fn fixed64(&mut self) -> Result<u64> {
        let end = self.range.start + 8;
        if end > self.range.end {
            return Err(truncated());
        }
        let mut raw = [0; 8];
        raw.copy_from_slice(&self.bytes[self.range.start..end]);
        self.range.start = end;
        Ok(u64::from_le_bytes(raw))
    }

    /// Where the bytes of a length-delimited field stand.
    pub fn bytes(&mut self) -> Result<Range<usize>> {
        let len = usize::try_from(self.varint()?).map_err(|_| truncated())?;
        let start = self.range.start;
        if len > self.range.end - start {
            return Err(truncated());
        }
        self.range.start = start + len;
        Ok(start..start + len)
    }

    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        let range = self.bytes()?;
        Ok(String::from_utf8_lossy(&self.bytes[range]))
    }

    pub fn nested(&mut self) -> Result<Reader<'a>> {
        let range = self.bytes()?;
        Ok(Reader { bytes: self.bytes, range })
    }

    pub fn skip(&mut self, wire_type: u8) -> Result<()> {
        match wire_type {
            VARINT => self.varint().map(|_| ()),
            FIXED64 => self.fixed64().map(|_| ()),
            LEN => self.bytes().map(|_| ()),
            FIXED32 if self.range.end - self.range.start >= 4 => {
                self.range.start += 4;
                Ok(())
            }
            FIXED32 => Err(truncated()),
            other => Err(DecodeError(format!("illegal wireType {other}"))),
        }
    }
}

/// A buffer that is filled from its end towards its start.
pub struct Writer {
    buffer: Vec<u8>,
    start: usize,
}

impl Writer {
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.max(64);
        Writer { buffer: vec![0; capacity], start: capacity }
    }

    /// How much has been written.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn into_vec(mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.buffer
    }

    fn reserve(&mut self, more: usize) {
        if self.start >= more {
            return;
        }
        let written = self.len();
        let capacity = (self.buffer.len() * 2).max(written + more);
        let mut grown = vec![0; capacity];
        grown[capacity - written..].copy_from_slice(&self.buffer[self.start..]);
        self.start = capacity - written;
        self.buffer = grown;
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let end = self.start;
        self.start -= bytes.len();
        self.buffer[self.start..end].copy_from_slice(bytes);
    }

    pub fn varint(&mut self, mut value: u64) {
        let mut raw = [0; 10];
        let mut len = 0;
        loop {
            raw[len] = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                break;
            }
            raw[len] |= 0x80;
            len += 1;
        }
        self.bytes(&raw[..=len]);
    }

    pub fn tag(&mut self, number: u32, wire_type: u8) {
        self.varint(u64::from(number) << 3 | u64::from(wire_type));
    }

    /// A length-delimited field.
    pub fn string(&mut self, number: u32, value: &[u8]) {
        self.bytes(value);
        self.head(number, value.len());
    }

    /// The head of a field whose body was written since `end` (a former `len`).
    pub fn head_since(&mut self, number: u32, end: usize) {
        let body = self.len() - end;
        self.head(number, body);
    }

    fn head(&mut self, number: u32, body: usize) {
        self.varint(body as u64);
        self.tag(number, LEN);
    }

    pub fn int(&mut self, number: u32, value: i64) {
        self.varint(value as u64);
        self.tag(number, VARINT);
    }
}
