//! Go's `time.Duration` and the ages that kubectl prints.

use std::fmt;

use super::{ParseError, quote};

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The magnitude of the most negative duration.
const MAX_MAGNITUDE: u64 = 1 << 63;

impl Duration {
    pub const fn from_seconds(seconds: i64) -> Self {
        Duration(seconds.saturating_mul(SECOND as i64))
    }

    /// As `time.ParseDuration`: `1h15m30.918s`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let error = |what: &str| ParseError(format!("time: {what} {}", quote(text)));
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Duration(0));
        }
        if rest.is_empty() {
            return Err(error("invalid duration"));
        }
        let mut total = 0u64;
        while !rest.is_empty() {
            let (nanos, left) = parse_part(rest).map_err(|what| error(&what))?;
            rest = left;
            total = total.wrapping_add(nanos);
            if total > MAX_MAGNITUDE {
                return Err(error("invalid duration"));
            }
        }
        match (negative, i64::try_from(total)) {
            (true, _) => Ok(Duration((total as i64).wrapping_neg())),
            (false, Ok(nanos)) => Ok(Duration(nanos)),
            (false, Err(_)) => Err(error("invalid duration")),
        }
    }
}

/// One number with its unit, and what follows.
fn parse_part(text: &str) -> Result<(u64, &str), String> {
    let invalid = || "invalid duration".to_owned();
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, mut rest) = text.split_at(digits(text));
    let value = leading_int(whole).ok_or_else(invalid)?;
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = after.split_at(digits(after));
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let (unit_name, rest) = rest.split_at(rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len()));
    let unit = match unit_name {
        "" => return Err("missing unit in duration".to_owned()),
        "ns" => 1,
        "us" | "µs" | "μs" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return Err(format!("unknown unit {} in duration", quote(unit_name))),
    };
    if value > MAX_MAGNITUDE / unit {
        return Err(invalid());
    }
    let nanos = value * unit + fraction_of(fraction, unit);
    if nanos > MAX_MAGNITUDE { Err(invalid()) } else { Ok((nanos, rest)) }
}

fn leading_int(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0u64, |n, c| {
        if n > MAX_MAGNITUDE / 10 {
            return None;
        }
        Some(n * 10 + u64::from(c - b'0')).filter(|&n| n <= MAX_MAGNITUDE)
    })
}

/// Digits beyond what 63 bits hold are dropped. Go computes with a float here, and so must this: the last nanosecond
/// depends on it.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1f64);
    for c in digits.bytes() {
        if value > (MAX_MAGNITUDE - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(c - b'0');
        if next > MAX_MAGNITUDE {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// As `time.Duration.String`: `1h15m30.918s`, `1.5ms`, `0s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanos = self.0.unsigned_abs();
        match nanos {
            ..MICROSECOND => write!(f, "{nanos}ns"),
            MICROSECOND..MILLISECOND => write_decimal(f, nanos, MICROSECOND, "µs"),
            MILLISECOND..SECOND => write_decimal(f, nanos, MILLISECOND, "ms"),
            _ => {
                if nanos >= HOUR {
                    write!(f, "{}h", nanos / HOUR)?;
                }
                if nanos >= MINUTE {
                    write!(f, "{}m", nanos / MINUTE % 60)?;
                }
                write_decimal(f, nanos % MINUTE, SECOND, "s")
            }
        }
    }
}

/// `nanos` in `unit`, with as many digits after the point as it takes.
fn write_decimal(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", nanos % unit);
    match fraction.trim_end_matches('0') {
        "" => write!(f, "{}{name}", nanos / unit),
        fraction => write!(f, "{}.{fraction}{name}", nanos / unit),
    }
}

/// An age of two or three significant figures: `5m30s`, `3h`, `2d4h`, `420d`. A clock that is behind by less than two
/// seconds is forgiven.
pub fn human_duration(age: Duration) -> String {
    let seconds = age.0 / SECOND as i64;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let pair = |major: i64, major_unit: &str, minor: i64, minor_unit: &str| match minor {
        0 => format!("{major}{major_unit}"),
        _ => format!("{major}{major_unit}{minor}{minor_unit}"),
    };
    if seconds < -1 {
        "<invalid>".to_owned()
    } else if seconds < 0 {
        "0s".to_owned()
    } else if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        pair(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        pair(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 24 * 8 {
        pair(days, "d", hours % 24, "h")
    } else if hours < 24 * 365 * 2 {
        format!("{days}d")
    } else if hours < 24 * 365 * 8 {
        pair(years, "y", days % 365, "d")
    } else {
        format!("{years}y")
    }
}

/// An age of one unit: `5m`, `3h`, `420d`.
pub fn short_human_duration(age: Duration) -> String {
    let seconds = age.0 / SECOND as i64;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    if seconds < -1 {
        "<invalid>".to_owned()
    } else if seconds < 0 {
        "0s".to_owned()
    } else if seconds < 60 {
        format!("{seconds}s")
    } else if minutes < 60 {
        format!("{minutes}m")
    } else if hours < 24 {
        format!("{hours}h")
    } else if hours < 24 * 365 {
        format!("{}d", hours / 24)
    } else {
        format!("{}y", hours / 24 / 365)
    }
}
