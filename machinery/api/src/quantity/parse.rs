//! The text of a quantity, read as upstream reads it, oddities included: `k` and `.` are zero, `1.` is one.

use super::amount::{Small, pow10};
use super::decimal::Decimal;
use super::{Amount, Format, NANO, ParseError, Quantity, suffix};

/// The digits that a compact quantity may have.
const MAX_DIGITS: i64 = 18;

/// The parts of a text.
struct Parts<'t> {
    negative: bool,
    /// Digits before the point without leading zeros, `0` if none are left.
    whole: &'t str,
    fraction: &'t str,
    suffix: &'t str,
    has_digits: bool,
}

/// The quantity, and whether upstream keeps its text as it was given.
pub(super) fn parse(text: &str) -> Result<(Quantity, bool), ParseError> {
    match text {
        "" => return Err(ParseError::Format),
        "0" => return Ok((Quantity::ZERO, true)),
        _ => {}
    }
    let parts = split(text)?;
    let (base, exponent, format) = suffix::interpret(parts.suffix).ok_or(ParseError::Suffix)?;
    if let Some((small, kept)) = compact(&parts, exponent, format) {
        return Ok((Quantity { amount: Amount::Small(small), format, text: None }, kept));
    }
    if !parts.has_digits {
        return Err(ParseError::Numeric);
    }
    Ok((long(&parts, base, exponent, format), false))
}

fn split(text: &str) -> Result<Parts<'_>, ParseError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.trim_start_matches('0');
    let end = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, mut rest) = digits.split_at(end(digits));
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = after.split_at(end(after));
    }
    let has_digits = digits.len() < unsigned.len() || !whole.is_empty() || !fraction.is_empty();
    let letters = rest.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let exponent = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    if end(exponent) < exponent.len() {
        return Err(ParseError::Format);
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(Parts { negative: text.starts_with('-'), whole, fraction, suffix: rest, has_digits })
}

/// The compact form, where 64 bits are sure to hold it, and whether upstream takes the text for canonical.
fn compact(parts: &Parts<'_>, exponent: i32, format: Format) -> Option<(Small, bool)> {
    let whole = parts.whole.len() as i64;
    let fraction = parts.fraction.len() as i64;
    let (room, scale, factor) = match format {
        Format::BinarySI if fraction > 0 => return None,
        // A power of two has three decimal digits for ten binary ones.
        Format::BinarySI => (15 - whole - i64::from(exponent) * 3 / 10 - 1, 0, 1i64 << exponent),
        Format::DecimalSI | Format::DecimalExponent => (MAX_DIGITS - whole - fraction, i64::from(exponent), 1),
    };
    let scale = scale - fraction;
    if room < 0 || scale < i64::from(NANO) {
        return None;
    }
    let digits = parts.whole.bytes().chain(parts.fraction.bytes());
    let value = digits.fold(0, |n, c| n * 10 + i64::from(c - b'0'));
    let product = value.checked_mul(factor)?;
    let small = Small { value: if parts.negative { -product } else { product }, scale: scale as i32 };
    let kept = match format {
        Format::BinarySI => value & 7 != 0,
        _ => scale % 3 == 0 && !ends_in_thousand(parts) && !parts.whole.starts_with('0'),
    };
    Some((small, kept))
}

fn ends_in_thousand(parts: &Parts<'_>) -> bool {
    let mut last = parts.fraction.bytes().rev().chain(parts.whole.bytes().rev());
    (0..3).all(|_| last.next() == Some(b'0'))
}

/// The long form: at least a billionth if it is not zero, and as a binary quantity no more than 63 bits.
fn long(parts: &Parts<'_>, base: u32, exponent: i32, format: Format) -> Quantity {
    let digits = [parts.whole.as_bytes(), parts.fraction.as_bytes()].concat();
    let fraction = parts.fraction.len() as i64;
    let power_of_ten = if base == 10 { i64::from(exponent) } else { 0 };
    let mut amount = Decimal::from_digits(false, &digits, power_of_ten - fraction);
    if base == 2 {
        amount.multiply(1 << (exponent / 2));
        amount.multiply(1 << (exponent - exponent / 2));
    }
    amount.round_up(NANO);
    let mut format = format;
    if format == Format::BinarySI {
        let max = Decimal::from_small(Small { value: i64::MAX, scale: 0 });
        if amount.cmp(&max).is_gt() {
            amount = max;
        }
        let one = Decimal::from_small(Small { value: 1, scale: 0 });
        if amount.sign() > 0 && amount.cmp(&one).is_lt() {
            format = Format::DecimalSI;
        }
    }
    if parts.negative {
        amount.negate();
    }
    Quantity { amount: Amount::Large(Box::new(amount)), format, text: None }
}

const _: () = assert!(pow10(MAX_DIGITS as u32).is_some());
