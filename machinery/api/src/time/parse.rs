//! Go's `time.Parse` for the two layouts of the API.

use super::{ParseError, Timestamp, days_from_civil, days_in, quote};

/// A layout is its name in errors and whether it holds a fraction of six digits.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    name: &'static str,
    micros: bool,
}

pub(super) const SECONDS: Layout = Layout { name: "2006-01-02T15:04:05Z07:00", micros: false };
pub(super) const MICROS: Layout = Layout { name: "2006-01-02T15:04:05.000000Z07:00", micros: true };

/// The form that the API itself writes, `2006-01-02T15:04:05Z`; None for everything else, valid or not.
pub(super) fn canonical(text: &str) -> Option<Timestamp> {
    let b: &[u8; 20] = text.as_bytes().try_into().ok()?;
    if [b[4], b[7], b[10], b[13], b[16], b[19]] != *b"--T::Z" {
        return None;
    }
    let number =
        |digits: &[u8]| digits.iter().try_fold(0u32, |n, c| c.is_ascii_digit().then(|| n * 10 + u32::from(c - b'0')));
    let (year, month, day) = (number(&b[0..4])?, number(&b[5..7])?, number(&b[8..10])?);
    let (hour, minute, second) = (number(&b[11..13])?, number(&b[14..16])?, number(&b[17..19])?);
    let year = i64::from(year);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    Some(Timestamp::from_seconds(days * 86_400 + i64::from(hour * 3600 + minute * 60 + second)))
}

/// The forms that the API itself writes, with a year of any length. The calendar repeats itself every 400 years, so the
/// rest is read in a year of four digits.
pub(super) fn any_year(text: &str) -> Option<Timestamp> {
    let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (digits, rest) = unsigned.split_once('-')?;
    let year = digits.parse::<i64>().ok()?.checked_mul(sign)?;
    let near = year.rem_euclid(400) + 2000;
    let time = by_layout(&format!("{near}-{rest}"), SECONDS).ok()?;
    let far = (i128::from(year) - i128::from(near)) / 400 * 146_097 * 86_400;
    Some(Timestamp { seconds: (i128::from(time.seconds) + far).try_into().ok()?, ..time })
}

/// Why an element of the layout did not match.
enum Wrong {
    /// It is not there.
    Bad,
    /// It is there, and out of its range.
    Range(&'static str),
}

type Element<T> = Result<T, Wrong>;

pub(super) fn by_layout(text: &str, layout: Layout) -> Result<Timestamp, ParseError> {
    let mut parser = Parser { text, layout, rest: text.as_bytes() };
    let year = parser.element("2006", year)?;
    parser.literal('-')?;
    let month = parser.element("01", |rest| in_range(two_digits(rest)?, 1, 12, "month"))?;
    parser.literal('-')?;
    let day = parser.element("02", two_digits)?;
    parser.literal('T')?;
    let hour = parser.element("15", |rest| in_range(one_or_two_digits(rest)?, 0, 23, "hour"))?;
    parser.literal(':')?;
    let minute = parser.element("04", |rest| in_range(two_digits(rest)?, 0, 59, "minute"))?;
    parser.literal(':')?;
    let second = parser.element("05", |rest| in_range(two_digits(rest)?, 0, 59, "second"))?;
    let nanos = match layout.micros {
        true => parser.element(".000000", six_digit_fraction)?,
        false => any_fraction(&mut parser.rest),
    };
    let offset = parser.element("Z07:00", offset)?;
    if !parser.rest.is_empty() {
        let rest = quote(parser.text_of(parser.rest));
        return Err(parser.error(&format!(": extra text: {rest}")));
    }
    if day < 1 || day > days_in(year, month) {
        return Err(parser.error(": day out of range"));
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second) - offset;
    Ok(Timestamp { seconds: days_from_civil(year, month, day) * 86_400 + seconds, nanos })
}

struct Parser<'t> {
    text: &'t str,
    layout: Layout,
    rest: &'t [u8],
}

impl<'t> Parser<'t> {
    fn literal(&mut self, expected: char) -> Result<(), ParseError> {
        match self.rest.split_first() {
            Some((&c, rest)) if c == expected as u8 => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(self.cannot_parse(self.rest, expected.encode_utf8(&mut [0; 4]))),
        }
    }

    fn element<T>(&mut self, name: &str, parse: impl FnOnce(&mut &'t [u8]) -> Element<T>) -> Result<T, ParseError> {
        let before = self.rest;
        parse(&mut self.rest).map_err(|wrong| match wrong {
            Wrong::Bad => self.cannot_parse(before, name),
            Wrong::Range(what) => self.error(&format!(": {what} out of range")),
        })
    }

    fn cannot_parse(&self, rest: &[u8], element: &str) -> ParseError {
        let rest = quote(self.text_of(rest));
        self.error(&format!(" as {}: cannot parse {rest} as {}", quote(self.layout.name), quote(element)))
    }

    fn error(&self, message: &str) -> ParseError {
        ParseError(format!("parsing time {}{message}", quote(self.text)))
    }

    /// Only ASCII is ever taken, so what is left begins at a character.
    fn text_of(&self, rest: &[u8]) -> &'t str {
        self.text.get(self.text.len() - rest.len()..).unwrap_or_default()
    }
}

fn in_range(value: u32, min: u32, max: u32, what: &'static str) -> Element<u32> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(Wrong::Range(what)) }
}

fn take<'t>(rest: &mut &'t [u8], count: usize) -> Element<&'t [u8]> {
    let (taken, left) = rest.split_at_checked(count).ok_or(Wrong::Bad)?;
    *rest = left;
    Ok(taken)
}

fn number(digits: &[u8]) -> Element<u32> {
    digits
        .iter()
        .try_fold(0, |n, c| if c.is_ascii_digit() { Ok(n * 10 + u32::from(c - b'0')) } else { Err(Wrong::Bad) })
}

fn year(rest: &mut &[u8]) -> Element<i64> {
    Ok(i64::from(number(take(rest, 4)?)?))
}

fn two_digits(rest: &mut &[u8]) -> Element<u32> {
    number(take(rest, 2)?)
}

/// Go reads the hour of a 24-hour clock without insisting on its first zero.
fn one_or_two_digits(rest: &mut &[u8]) -> Element<u32> {
    let second_is_digit = rest.get(1).is_some_and(u8::is_ascii_digit);
    number(take(rest, if second_is_digit { 2 } else { 1 })?)
}

/// A fraction that the layout does not name, after a point or a comma; digits after the ninth are dropped.
fn any_fraction(rest: &mut &[u8]) -> u32 {
    let [b'.' | b',', digits @ ..] = *rest else { return 0 };
    let count = digits.iter().take_while(|c| c.is_ascii_digit()).count();
    if count == 0 {
        return 0;
    }
    let (fraction, left) = digits.split_at(count);
    *rest = left;
    let nanos = fraction.iter().take(9).fold(0, |n, c| n * 10 + u32::from(c - b'0'));
    nanos * 10u32.pow(9 - count.min(9) as u32)
}

fn six_digit_fraction(rest: &mut &[u8]) -> Element<u32> {
    let [b'.' | b',', digits @ ..] = take(rest, 7)? else { return Err(Wrong::Bad) };
    // Go reads the digits as a signed number.
    match digits {
        [b'-', digits @ ..] if number(digits)? > 0 => Err(Wrong::Range("fractional second")),
        [b'-' | b'+', digits @ ..] | digits => Ok(number(digits)? * 1000),
    }
}

/// `Z` or `+07:00`, in seconds east of UTC.
fn offset(rest: &mut &[u8]) -> Element<i64> {
    if let [b'Z', left @ ..] = *rest {
        *rest = left;
        return Ok(0);
    }
    let [_, _, _, b':', _, _, ..] = *rest else { return Err(Wrong::Bad) };
    let taken = take(rest, 6)?;
    // An hour out of range is told even where the minute is no number, and a minute before an hour.
    let hour = number(&taken[1..3])?;
    let minute = number(&taken[4..6]);
    if let Ok(minute) = minute
        && minute > 60
    {
        return Err(Wrong::Range("time zone offset minute"));
    }
    if hour > 24 {
        return Err(Wrong::Range("time zone offset hour"));
    }
    let seconds = i64::from((hour * 60 + minute?) * 60);
    match taken[0] {
        b'+' => Ok(seconds),
        b'-' => Ok(-seconds),
        _ => Err(Wrong::Bad),
    }
}
