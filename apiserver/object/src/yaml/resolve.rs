//! What a scalar without quotes means.

/// A scalar's value. Times are strings, but must be quoted when they are written.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// What an `i64` cannot hold.
    Uint(u64),
    Float(f64),
    Str,
}

/// The value of a plain scalar.
pub fn resolve(text: &str) -> Scalar {
    match text.as_bytes().first() {
        None => Scalar::Null,
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => word(text),
        Some(b'.') => dotted(text),
        Some(b'+' | b'-') if text.contains(".i") || text.contains(".I") => infinity(text),
        Some(b'+' | b'-' | b'0'..=b'9') => number(text),
        Some(_) => Scalar::Str,
    }
}

fn word(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => Scalar::Str,
    }
}

fn dotted(text: &str) -> Scalar {
    match text {
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" => Scalar::Float(f64::INFINITY),
        _ => finite(text),
    }
}

fn infinity(text: &str) -> Scalar {
    match text {
        "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => Scalar::Str,
    }
}

fn finite(text: &str) -> Scalar {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && is_decimal(text) => Scalar::Float(value),
        _ => Scalar::Str,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = digits(rest);
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if whole == 0 && count == 0 {
            return false;
        }
        rest = &fraction[count..];
    } else if whole == 0 {
        return false;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

fn number(text: &str) -> Scalar {
    let plain = text.replace('_', "");
    let (negative, signed, digits) = match plain.as_bytes().first() {
        Some(b'-') => (true, true, &plain[1..]),
        Some(b'+') => (false, true, &plain[1..]),
        _ => (false, false, plain.as_str()),
    };
    match magnitude(digits) {
        Some(value) if negative && value <= 1 << 63 => return Scalar::Int((value as i64).wrapping_neg()),
        Some(value) if !negative && i64::try_from(value).is_ok() => return Scalar::Int(value as i64),
        Some(value) if !signed => return Scalar::Uint(value),
        _ => {}
    }
    if is_decimal(&plain) { finite(&plain) } else { Scalar::Str }
}

/// Digits with Go's prefixes of base 2, 8 and 16; a leading zero is base 8.
fn magnitude(digits: &str) -> Option<u64> {
    let bytes = digits.as_bytes();
    let (base, rest) = match bytes {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if rest.starts_with('+') {
        return None;
    }
    u64::from_str_radix(rest, base).ok()
}

/// Whether a text is one of the forms of a time, which would be read as one.
pub fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let Some((month, rest)) = one_or_two(&text[5..]) else { return false };
    let Some((day, rest)) = rest.strip_prefix('-').and_then(one_or_two) else { return false };
    let year: u32 = text[..4].parse().unwrap_or(0);
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return false;
    }
    match rest.as_bytes().first() {
        None => true,
        Some(b'T' | b't') => clock(&rest[1..]).is_some_and(is_zone),
        Some(b' ') => clock(&rest[1..]).is_some_and(str::is_empty),
        _ => false,
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

fn one_or_two(text: &str) -> Option<(u32, &str)> {
    let len = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    Some((text[..len].parse().ok()?, &text[len..]))
}

/// Hours, minutes and seconds; what follows them.
fn clock(text: &str) -> Option<&str> {
    let (hour, rest) = one_or_two(text)?;
    let (minute, rest) = one_or_two(rest.strip_prefix(':')?)?;
    let (second, mut rest) = one_or_two(rest.strip_prefix(':')?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let len = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 {
            return None;
        }
        rest = &fraction[len..];
    }
    Some(rest)
}

fn is_zone(text: &str) -> bool {
    match text.as_bytes() {
        [b'Z'] => true,
        [b'+' | b'-', h @ .., b':', m1, m2] => {
            h.len() == 2 && h.iter().all(u8::is_ascii_digit) && m1.is_ascii_digit() && m2.is_ascii_digit()
        }
        _ => false,
    }
}
