//! The scanner: where a JSON text is wrong, in the words of Go's scanner.

use crate::DEPTH_MAX;

/// A syntax error's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError(pub String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("{0}")]
    Syntax(String),
    /// The text is JSON, but not of this type.
    #[error("{0}")]
    Type(String),
}

impl From<SyntaxError> for ParseError {
    fn from(error: SyntaxError) -> Self {
        ParseError::Syntax(error.0)
    }
}

/// Reads over JSON text without keeping anything of it.
pub struct Scanner<'a> {
    pub bytes: &'a [u8],
    pub pos: usize,
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// Checks a whole text.
pub fn check(bytes: &[u8]) -> Result<()> {
    let mut scanner = Scanner { bytes, pos: 0 };
    scanner.skip_value()?;
    scanner.end()
}

impl Scanner<'_> {
    pub fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.pos) {
            self.pos += 1;
        }
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    /// The error for what stands at the position now.
    pub fn error(&self, context: &str) -> SyntaxError {
        match self.peek() {
            None => SyntaxError("unexpected end of JSON input".into()),
            Some(byte) => SyntaxError(format!("invalid character {} {context}", quote_char(byte))),
        }
    }

    pub fn end(&mut self) -> Result<()> {
        self.skip_space();
        if self.pos < self.bytes.len() { Err(self.error("after top-level value")) } else { Ok(()) }
    }

    /// Skips a value with all that is in it, without recursion.
    pub fn skip_value(&mut self) -> Result<()> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'{') => {
                    self.enter(&mut open, b'}')?;
                    self.skip_space();
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter(&mut open, b']')?;
                    self.skip_space();
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            // A value has ended, or an empty list or object is about to.
            if !self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    fn enter(&mut self, open: &mut Vec<u8>, end: u8) -> Result<()> {
        open.push(end);
        if open.len() > DEPTH_MAX {
            return Err(self.error("exceeded max depth"));
        }
        self.pos += 1;
        Ok(())
    }

    /// Reads what follows a value. False when the outermost value has ended, true when another value follows.
    fn close(&mut self, open: &mut Vec<u8>) -> Result<bool> {
        while let Some(&end) = open.last() {
            self.skip_space();
            match self.peek() {
                Some(byte) if byte == end => {
                    self.pos += 1;
                    open.pop();
                }
                Some(b',') => {
                    self.pos += 1;
                    if end == b'}' {
                        self.skip_space();
                        self.key()?;
                    }
                    return Ok(true);
                }
                _ if end == b'}' => return Err(self.error("after object key:value pair")),
                _ => return Err(self.error("after array element")),
            }
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(self.error("looking for beginning of object key string"));
        }
        self.skip_string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.error("after object key"));
        }
        self.pos += 1;
        Ok(())
    }

    pub fn skip_scalar(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.skip_string().map(|_| ()),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.skip_number().map(|_| ()),
            _ => Err(self.error("looking for beginning of value")),
        }
    }

    pub fn literal(&mut self, word: &'static str) -> Result<()> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.error(&format!("in literal {word} (expecting {})", quote_char(expected))));
            }
            self.pos += 1;
        }
        Ok(())
    }

    /// Reads a string; true if it has escapes.
    pub fn skip_string(&mut self) -> Result<bool> {
        self.pos += 1;
        let mut escapes = false;
        loop {
            self.pos += plain_run(&self.bytes[self.pos..]);
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(escapes);
                }
                Some(b'\\') => {
                    escapes = true;
                    self.pos += 1;
                    self.skip_escape()?;
                }
                _ => return Err(self.error("in string literal")),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {
                self.pos += 1;
                Ok(())
            }
            Some(b'u') => {
                self.pos += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.error("in \\u hexadecimal character escape"));
                    }
                    self.pos += 1;
                }
                Ok(())
            }
            _ => Err(self.error("in string escape code")),
        }
    }

    /// Reads a number; true if it has a fraction or an exponent.
    pub fn skip_number(&mut self) -> Result<bool> {
        let mut float = false;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        match self.peek() {
            Some(b'0') => self.pos += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.error("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            float = true;
            self.pos += 1;
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.error("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.peek() {
            float = true;
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.error("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(float)
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.pos += 1;
        }
    }
}

/// How many bytes there are before the first that means something in a string: a quote, an escape or a control
/// character. Eight are looked at at once.
fn plain_run(bytes: &[u8]) -> usize {
    let mut run = 0;
    while let Some(eight) = bytes[run..].first_chunk() {
        let special = special(u64::from_le_bytes(*eight));
        if special != 0 {
            return run + (special.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    run + bytes[run..].iter().take_while(is_plain).count()
}

/// Has the highest bit of a byte set if that byte is special; of those above the lowest such byte it tells nothing.
fn special(bytes: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes;
    let equal = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
    (below(bytes, 0x20) | equal(b'"') | equal(b'\\')) & (EACH * 0x80)
}

/// A byte as Go's scanner quotes it: as the character of that number.
fn quote_char(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'"' => "'\"'".into(),
        b'\\' => r"'\\'".into(),
        b'\n' => r"'\n'".into(),
        b'\t' => r"'\t'".into(),
        b'\r' => r"'\r'".into(),
        7 => r"'\a'".into(),
        8 => r"'\b'".into(),
        12 => r"'\f'".into(),
        11 => r"'\v'".into(),
        byte if byte < 0x20 || byte == 0x7f => format!("'\\x{byte:02x}'"),
        byte @ (0x80..=0x9f | 0xa0 | 0xad) => format!("'\\u{byte:04x}'"),
        byte => format!("'{}'", byte as char),
    }
}

/// Appends a string literal's text, its escapes resolved as Go resolves them. `literal` is what stands between quotes.
pub fn unescape(literal: &[u8], out: &mut Vec<u8>) {
    let mut i = 0;
    while i < literal.len() {
        if literal[i] != b'\\' {
            let run = memchr::memchr(b'\\', &literal[i..]).unwrap_or(literal.len() - i);
            out.extend_from_slice(&literal[i..i + run]);
            i += run;
            continue;
        }
        i += 2;
        match literal[i - 1] {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (c, used) = unescape_unicode(&literal[i..]);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                i += used;
            }
            other => out.push(other),
        }
    }
}

/// Four hexadecimal digits, or a surrogate pair; half a pair becomes U+FFFD.
fn unescape_unicode(rest: &[u8]) -> (char, usize) {
    let first = hex4(rest);
    if let Some(c) = char::from_u32(first) {
        return (c, 4);
    }
    if first < 0xdc00 && rest.len() >= 10 && rest[4] == b'\\' && rest[5] == b'u' {
        let second = hex4(&rest[6..]);
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
        }
    }
    (char::REPLACEMENT_CHARACTER, 4)
}

fn hex4(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |code, &byte| code * 16 + (byte as char).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_ends_a_plain_run_or_does_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let is_special = matches!(byte, b'"' | b'\\' | 0..0x20);
            for length in 1..20 {
                for place in 0..length {
                    // What comes before and after it is near the limits.
                    for filler in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = byte;
                        let run = if is_special { place } else { length };
                        assert_eq!(plain_run(&bytes), run, "{byte:#x} at {place} of {length} of {filler:#x}");
                        bytes[place + 1..].fill(b'"');
                        let run = if is_special { place } else { place + 1 };
                        assert_eq!(
                            plain_run(&bytes),
                            run,
                            "{byte:#x} at {place} of {length} of {filler:#x}, then quotes"
                        );
                    }
                }
            }
        }
        assert_eq!(plain_run(b""), 0);
    }
}
