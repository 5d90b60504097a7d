//! Instants and durations as Go reads and writes them: `metav1.Time`, `metav1.MicroTime`, `metav1.Duration`.
//!
//! Values are plain numbers. What Go accepts beyond RFC 3339 (a one-digit hour, a comma before the fraction, offsets of
//! 24 hours) is accepted here too, because objects that hold it exist; the texts of errors are Go's.

use std::fmt;

mod duration;
mod parse;
#[cfg(test)]
mod tests;

pub use duration::{Duration, human_duration, short_human_duration};

/// Seconds and nanoseconds since 1970, in UTC. `nanos` is below one second and counts forward even before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    pub seconds: i64,
    pub nanos: u32,
}

/// What does not parse, as Go says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub(crate) String);

impl Timestamp {
    /// The first instant of the year 1: Go's zero time, which JSON shows as null.
    pub const ZERO: Timestamp = Timestamp { seconds: -62_135_596_800, nanos: 0 };

    pub const fn from_seconds(seconds: i64) -> Self {
        Timestamp { seconds, nanos: 0 }
    }

    /// Of seconds and any number of nanoseconds, as protobuf may hold them.
    pub const fn from_unix(seconds: i64, nanos: i64) -> Self {
        let carry = nanos.div_euclid(1_000_000_000);
        Timestamp { seconds: seconds.saturating_add(carry), nanos: nanos.rem_euclid(1_000_000_000) as u32 }
    }

    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// As `metav1.Time` reads its string. The fraction is kept; `metav1.Time` never writes it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match parse::canonical(text) {
            Some(time) => Ok(time),
            None => parse::by_layout(text, parse::SECONDS),
        }
    }

    /// As `metav1.MicroTime` reads its string: six digits of fraction, no more, no fewer.
    pub fn parse_micro(text: &str) -> Result<Self, ParseError> {
        parse::by_layout(text, parse::MICROS)
    }

    /// As `write` and `write_micro` write it, whatever the year: protobuf holds years that have more than four digits,
    /// or a sign, which nobody may send as text.
    pub fn parse_written(text: &str) -> Option<Self> {
        parse::canonical(text).or_else(|| parse::any_year(text))
    }

    /// `2006-01-02T15:04:05Z`.
    pub fn write(self, out: &mut Vec<u8>) {
        self.write_date_time(out);
        out.push(b'Z');
    }

    /// `2006-01-02T15:04:05.000000Z`.
    pub fn write_micro(self, out: &mut Vec<u8>) {
        self.write_date_time(out);
        out.push(b'.');
        write_padded(out, u64::from(self.nanos) / 1000, 6);
        out.push(b'Z');
    }

    pub fn format(self) -> String {
        let mut out = Vec::with_capacity(20);
        self.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    pub fn format_micro(self) -> String {
        let mut out = Vec::with_capacity(27);
        self.write_micro(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Without what `metav1.Time` does not keep.
    pub fn truncate_to_seconds(self) -> Self {
        Timestamp { nanos: 0, ..self }
    }

    /// Without what `metav1.MicroTime` does not keep.
    pub fn truncate_to_micros(self) -> Self {
        Timestamp { nanos: self.nanos / 1000 * 1000, ..self }
    }

    /// The time from `earlier` to this, or the longest that a duration can say.
    pub fn since(self, earlier: Timestamp) -> Duration {
        let nanos = (i128::from(self.seconds) - i128::from(earlier.seconds)) * 1_000_000_000 + i128::from(self.nanos)
            - i128::from(earlier.nanos);
        Duration(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    fn write_date_time(self, out: &mut Vec<u8>) {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(86_400));
        let second = self.seconds.rem_euclid(86_400) as u32;
        if year < 0 {
            out.push(b'-');
        }
        write_padded(out, year.unsigned_abs(), 4);
        for (separator, value) in
            [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)]
        {
            out.push(separator);
            write_padded(out, u64::from(value), 2);
        }
    }
}

/// `metav1.Time`'s text.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format())
    }
}

fn write_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
    out.extend_from_slice(digits);
}

/// Days since 1970 of a date of the proleptic Gregorian calendar. Years are counted from March, so that the leap day
/// is a year's last, in eras of 400 years (146,097 days).
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of `days_from_civil`.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Quotes as Go's time package does: everything outside ASCII byte by byte.
fn quote(text: &str) -> String {
    use fmt::Write;
    let mut out = String::from("\"");
    for byte in text.bytes() {
        let _ = match byte {
            b'"' | b'\\' => write!(out, "\\{}", byte as char),
            b' '..=0x7f => write!(out, "{}", byte as char),
            _ => write!(out, "\\x{byte:02x}"),
        };
    }
    out.push('"');
    out
}
