//! Go's reading of simple values, with Go's messages: what upstream's flags and configuration files accept.

use std::time::Duration;

/// `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// `strconv.ParseInt(text, 0, bits)`: decimal, or another base by its prefix; underscores between digits then.
pub fn parse_int(text: &str, bits: u32) -> Result<i64, String> {
    let fail = |problem: &str| Err(format!("strconv.ParseInt: parsing {text:?}: {problem}"));
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match parse_digits(digits) {
        Digits::Number(magnitude) => i128::from(magnitude),
        Digits::TooLarge => return fail("value out of range"),
        Digits::Invalid => return fail("invalid syntax"),
    };
    let value = if negative { -magnitude } else { magnitude };
    let limit = 1i128 << (bits - 1);
    match i64::try_from(value) {
        Ok(value) if (-limit..limit).contains(&i128::from(value)) => Ok(value),
        _ => fail("value out of range"),
    }
}

/// `strconv.ParseUint(text, 0, bits)`.
pub fn parse_uint(text: &str, bits: u32) -> Result<u64, String> {
    let fail = |problem: &str| Err(format!("strconv.ParseUint: parsing {text:?}: {problem}"));
    match parse_digits(text) {
        Digits::Number(value) if u128::from(value) < 1u128 << bits => Ok(value),
        Digits::Number(_) | Digits::TooLarge => fail("value out of range"),
        Digits::Invalid => fail("invalid syntax"),
    }
}

/// `strconv.ParseFloat(text, 64)`, without hexadecimal.
pub fn parse_float(text: &str) -> Result<f64, String> {
    let fail = |problem: &str| Err(format!("strconv.ParseFloat: parsing {text:?}: {problem}"));
    match text.parse::<f64>() {
        Ok(value) if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => fail("value out of range"),
        Ok(value) => Ok(value),
        Err(_) => fail("invalid syntax"),
    }
}

/// `time.ParseDuration`, for durations that are not negative.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanos = parse_go_duration(text)?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| format!("duration {text:?} is negative"))
}

/// `time.ParseDuration`: `1h30m`, `-1.5s`, `0`; in nanoseconds.
pub fn parse_go_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let whole = &rest[..digits];
        rest = &rest[digits..];
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            fraction = &after[..digits];
            rest = &after[digits..];
        }
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..end];
        rest = &rest[end..];
        let nanos: i128 = match unit {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<i64>().map_err(|_| invalid())?.into() };
        // Digits beyond nanoseconds of the largest unit do not count.
        let kept = &fraction[..fraction.len().min(18)];
        let part = kept.parse::<i128>().unwrap_or(0) * nanos / 10i128.pow(kept.len() as u32);
        total += whole * nanos + part;
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return Err(invalid());
        }
    }
    let signed = if negative { -total } else { total };
    i64::try_from(signed).map_err(|_| invalid())
}

/// Go's text of a duration: `1h30m0s`, `1.5s`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let fraction = |nanos: u128, unit: u128| {
        let text = format!("{}.{:0width$}", nanos / unit, nanos % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => fraction(nanos, 1_000) + "µs",
        1_000_000..1_000_000_000 => fraction(nanos, 1_000_000) + "ms",
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = fraction(nanos % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

enum Digits {
    Number(u64),
    TooLarge,
    Invalid,
}

/// Go's rule for base 0: 0x, 0o, 0b, a leading 0 for octal; underscores only between digits, or after a prefix.
fn parse_digits(text: &str) -> Digits {
    let lower = text.to_ascii_lowercase();
    let (base, digits, prefixed) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..], true),
        [b'0', b'o', ..] => (8, &lower[2..], true),
        [b'0', b'b', ..] => (2, &lower[2..], true),
        [b'0', _, ..] => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    let bad_underscores = digits.ends_with('_') || digits.contains("__") || !prefixed && digits.starts_with('_');
    let digits = digits.replace('_', "");
    if digits.is_empty() || bad_underscores || !digits.chars().all(|c| c.is_digit(base)) {
        return Digits::Invalid;
    }
    u64::from_str_radix(&digits, base).map_or(Digits::TooLarge, Digits::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        fn check(text: &str, bits: u32, expected: Result<i64, &str>) {
            let expected = expected.map_err(|problem| format!("strconv.ParseInt: parsing {text:?}: {problem}"));
            assert_eq!(parse_int(text, bits), expected);
        }
        check("0", 64, Ok(0));
        check("-17", 64, Ok(-17));
        check("+17", 64, Ok(17));
        check("0x1F", 64, Ok(31));
        check("0b101", 64, Ok(5));
        check("0o17", 64, Ok(15));
        check("017", 64, Ok(15));
        check("1_000", 64, Ok(1000));
        check("0x_ff", 64, Ok(255));
        check("9223372036854775807", 64, Ok(i64::MAX));
        check("-9223372036854775808", 64, Ok(i64::MIN));
        check("9223372036854775808", 64, Err("value out of range"));
        check("99999999999999999999999", 64, Err("value out of range"));
        check("2147483648", 32, Err("value out of range"));
        check("-2147483648", 32, Ok(-2147483648));
        for text in ["", "-", "a", "1.5", "08", "1__0", "_1", "1_", "0x", "--1", " 1"] {
            check(text, 64, Err("invalid syntax"));
        }
        assert_eq!(parse_uint("65535", 16), Ok(65535));
        assert_eq!(parse_uint("65536", 16).unwrap_err(), "strconv.ParseUint: parsing \"65536\": value out of range");
        assert_eq!(parse_uint("-1", 16).unwrap_err(), "strconv.ParseUint: parsing \"-1\": invalid syntax");
    }

    #[test]
    fn durations() {
        fn check(text: &str, expected: Result<i64, &str>) {
            assert_eq!(parse_go_duration(text), expected.map_err(str::to_owned));
        }
        check("0", Ok(0));
        check("1h30m", Ok(5_400_000_000_000));
        check("-1.5s", Ok(-1_500_000_000));
        check("1.5ms2us3ns", Ok(1_502_003));
        check(".5s", Ok(500_000_000));
        check("1.s", Ok(1_000_000_000));
        check("0.1234567891234567891234s", Ok(123_456_789));
        check("2562047h47m16.854775807s", Ok(i64::MAX));
        check("-2562047h47m16.854775808s", Ok(i64::MIN));
        check("2562047h47m16.854775808s", Err("time: invalid duration \"2562047h47m16.854775808s\""));
        check("", Err("time: invalid duration \"\""));
        check("s", Err("time: invalid duration \"s\""));
        check(".s", Err("time: invalid duration \".s\""));
        check("10", Err("time: missing unit in duration \"10\""));
        check("10d", Err("time: unknown unit \"d\" in duration \"10d\""));
        assert_eq!(parse_duration("-1s").unwrap_err(), "duration \"-1s\" is negative");
    }

    #[test]
    fn durations_as_text() {
        for text in ["0s", "7ns", "1.5µs", "20ms", "1s", "1.5s", "1m0s", "10m0s", "1h0m0s", "24h0m0.25s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn booleans_and_floats() {
        assert_eq!((parse_bool("T"), parse_bool("0")), (Ok(true), Ok(false)));
        assert_eq!(parse_bool("yes").unwrap_err(), "strconv.ParseBool: parsing \"yes\": invalid syntax");
        assert_eq!((parse_float("1e3"), parse_float("-.5")), (Ok(1000.0), Ok(-0.5)));
        assert_eq!(parse_float("1e999").unwrap_err(), "strconv.ParseFloat: parsing \"1e999\": value out of range");
        assert_eq!(parse_float("x").unwrap_err(), "strconv.ParseFloat: parsing \"x\": invalid syntax");
    }
}
