//! Blocks of headers of HTTP/2, as they come in.
//!
//! A head may be spread over several frames, and is kept decoded until the last of them is there. So the frames are
//! counted as they pass, by their own heads of nine bytes.

const PREFACE: usize = 24;
const HEAD: usize = 9;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

pub struct Blocks {
    /// How much of the payload of a frame is still to come.
    payload: usize,
    head: [u8; HEAD],
    /// How much of the next frame's head is there.
    filled: usize,
    open: Option<usize>,
}

impl Default for Blocks {
    fn default() -> Blocks {
        // What a connection begins with is no frame.
        Blocks { payload: PREFACE, head: [0; HEAD], filled: 0, open: None }
    }
}

impl Blocks {
    /// How long the block is so far that was begun and not ended.
    pub fn see(&mut self, mut read: &[u8]) -> Option<usize> {
        loop {
            let skipped = self.payload.min(read.len());
            self.payload -= skipped;
            let taken = (HEAD - self.filled).min(read.len() - skipped);
            self.head[self.filled..self.filled + taken].copy_from_slice(&read[skipped..skipped + taken]);
            self.filled += taken;
            read = &read[skipped + taken..];
            if self.filled < HEAD {
                return self.open;
            }
            self.filled = 0;
            let [high, middle, low, kind, flags, ..] = self.head;
            self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            match kind {
                HEADERS | CONTINUATION if flags & END_HEADERS == 0 => {
                    self.open = Some(self.open.unwrap_or_default() + self.payload);
                }
                HEADERS | CONTINUATION => self.open = None,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.extend(vec![0xff; usize::from(length)]);
        frame
    }

    #[test]
    fn a_block_is_open_until_its_last_frame() {
        const SETTINGS: u8 = 0x4;
        let frames = [
            (vec![b'P'; PREFACE], None),
            (frame(SETTINGS, 0, 18), None),
            (frame(HEADERS, END_HEADERS, 200), None),
            (frame(HEADERS, 0, 0), Some(0)),
            (frame(CONTINUATION, 0, 100), Some(100)),
            (frame(CONTINUATION, 0, 11), Some(111)),
            (frame(CONTINUATION, END_HEADERS, 11), None),
            (frame(0, 0, 0), None),
        ];
        // In one piece for each frame, and byte by byte.
        for length in [1000, 1] {
            let mut blocks = Blocks::default();
            for (frame, expected) in &frames {
                let seen = frame.chunks(length).map(|piece| blocks.see(piece)).last();
                assert_eq!(seen, Some(*expected), "{frame:?} in pieces of {length}");
            }
        }
    }
}
