//! JSON text exactly as Go's encoding/json writes it, because clients and stored bytes are compared with upstream's.

pub(crate) mod float;
mod members;

pub use members::Members;

/// Appends `value` as a JSON string. Besides what JSON demands, Go escapes what HTML or JavaScript could misread:
/// `<`, `>`, `&`, U+2028 and U+2029.
pub fn write_string(out: &mut Vec<u8>, value: &str) {
    out.reserve(value.len() + 2);
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while let Some(offset) = find_special(&bytes[at..]) {
        let position = at + offset;
        match escape(&bytes[position..]) {
            None => at = position + 1,
            Some((escape, length)) => {
                out.extend_from_slice(&bytes[copied..position]);
                escape.write(out);
                copied = position + length;
                at = copied;
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// `value` as a JSON string.
pub fn string(value: &str) -> String {
    let mut out = Vec::new();
    write_string(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends a JSON array, each item as `write` has it.
pub fn write_array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Appends a list of strings, as a JSON array.
pub fn write_strings<S: AsRef<str>>(out: &mut Vec<u8>, values: impl IntoIterator<Item = S>) {
    write_array(out, values, |value, out| write_string(out, value.as_ref()));
}

/// Appends an integer.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a finite number. Go writes an exponent below 1e-6 and from 1e21 on. What JSON cannot say is written as
/// null, where Go refuses to encode the object.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        let has_exponent = value != 0.0 && !(1e-6..1e21).contains(&value.abs());
        float::write(out, value, has_exponent, 1);
    } else {
        out.extend_from_slice(b"null");
    }
}

enum Escape {
    Short(u8),
    Unicode(u16),
}

impl Escape {
    fn write(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match self {
            Escape::Short(letter) => out.extend_from_slice(&[b'\\', letter]),
            Escape::Unicode(unit) => {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(HEX[usize::from(unit >> shift & 0xf)]);
                }
            }
        }
    }
}

/// How the character that `rest` begins with is escaped, and its length in bytes; None if it is not.
fn escape(rest: &[u8]) -> Option<(Escape, usize)> {
    Some(match rest[0] {
        c @ (b'"' | b'\\') => (Escape::Short(c), 1),
        b'\n' => (Escape::Short(b'n'), 1),
        b'\r' => (Escape::Short(b'r'), 1),
        b'\t' => (Escape::Short(b't'), 1),
        0x08 => (Escape::Short(b'b'), 1),
        0x0c => (Escape::Short(b'f'), 1),
        c if c < 0x20 || matches!(c, b'<' | b'>' | b'&') => (Escape::Unicode(u16::from(c)), 1),
        0xe2 => match rest {
            [_, 0x80, 0xa8, ..] => (Escape::Unicode(0x2028), 3),
            [_, 0x80, 0xa9, ..] => (Escape::Unicode(0x2029), 3),
            _ => return None,
        },
        _ => return None,
    })
}

/// Where the first byte is that may need an escape. Blocks without one are passed over with vector instructions.
fn find_special(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let mut at = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(false, |found, &c| found | is_special(c)) {
            break;
        }
        at += BLOCK;
    }
    bytes[at..].iter().position(|&c| is_special(c)).map(|offset| at + offset)
}

fn is_special(c: u8) -> bool {
    (c < 0x20) | (c == b'"') | (c == b'\\') | (c == b'<') | (c == b'>') | (c == b'&') | (c == 0xe2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let check = |input: &str, expected: &str| assert_eq!(string(input), expected);
        check("", r#""""#);
        check("plain", r#""plain""#);
        check("a\"b\\c/d", r#""a\"b\\c/d""#);
        check("\n\r\t\u{8}\u{c}\u{b}\0\u{1f}\u{7f}", "\"\\n\\r\\t\\b\\f\\u000b\\u0000\\u001f\u{7f}\"");
        check("<a & b>", r#""\u003ca \u0026 b\u003e""#);
        check("x\u{2028}y\u{2029}z\u{202a}é€😀", "\"x\\u2028y\\u2029z\u{202a}é€😀\"");
        check(&"€".repeat(40), &format!("\"{}\"", "€".repeat(40)));
        for n in 0..80 {
            let run = "x".repeat(n);
            check(&format!("{run}<{run}"), &format!("\"{run}\\u003c{run}\""));
        }
    }

    #[test]
    fn numbers() {
        let check = |input: f64, expected: &str| {
            let mut out = Vec::new();
            write_f64(&mut out, input);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(0.1, "0.1");
        check(-1.5, "-1.5");
        check(1e20, "100000000000000000000");
        check(1e21, "1e+21");
        check(1.5e300, "1.5e+300");
        check(0.000001, "0.000001");
        check(0.000000999, "9.99e-7");
        check(1e-10, "1e-10");
        check(5e-324, "5e-324");
        check(f64::MAX, "1.7976931348623157e+308");
        check(123456789.125, "123456789.125");
    }
}
