//! `resource.Quantity`: a fixed-point number with a suffix, never a float.
//!
//! What fits in 64 bits and a power of ten, which is nearly everything, is kept so and parses without allocation; the
//! rest is decimal of any length. The form that a quantity is written in (`1Gi`, `1e3`) is remembered, and its text is
//! canonical, except where upstream keeps the text as it was given (`+1`, `1.500k`): the stored bytes depend on it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

mod amount;
mod canonical;
mod decimal;
mod parse;
mod suffix;
#[cfg(test)]
mod tests;

use amount::Small;
use decimal::Decimal;

#[derive(Clone, Debug)]
pub struct Quantity {
    amount: Amount,
    format: Format,
    /// The text it was given as, where upstream would write that again although it is not canonical.
    text: Option<Box<str>>,
}

#[derive(Clone, Debug)]
enum Amount {
    Small(Small),
    Large(Box<Decimal>),
}

/// The suffixes that a quantity is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `12e6`; also what upstream makes of a format that was never set.
    DecimalExponent,
    /// `12Mi`.
    BinarySI,
    /// `12M`.
    #[default]
    DecimalSI,
}

/// Powers of ten, for `scaled_value`.
pub const NANO: i32 = -9;
pub const MICRO: i32 = -6;
pub const MILLI: i32 = -3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    pub const ZERO: Quantity = Quantity::new(0, Format::DecimalSI);

    pub const fn new(value: i64, format: Format) -> Self {
        Self::scaled(value, 0, format)
    }

    pub const fn milli(value: i64, format: Format) -> Self {
        Self::scaled(value, MILLI, format)
    }

    /// `value * 10^scale`.
    pub const fn scaled(value: i64, scale: i32, format: Format) -> Self {
        Quantity { amount: Amount::Small(Small { value, scale }), format, text: None }
    }

    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text).map(|(mut quantity, kept)| {
            if kept && quantity.to_string() != text {
                quantity.text = Some(text.into());
            }
            quantity
        })
    }

    /// As JSON holds it, in a string or as a bare number: space around it is ignored.
    pub fn parse_json(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.trim())
    }

    /// What upstream writes for `text`; borrowed, if that is `text`.
    pub fn canonicalize(text: &str) -> Result<Cow<'_, str>, ParseError> {
        let (quantity, kept) = parse::parse(text)?;
        if kept {
            return Ok(Cow::Borrowed(text));
        }
        let canonical = quantity.to_string();
        Ok(if canonical == text { Cow::Borrowed(text) } else { Cow::Owned(canonical) })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn is_zero(&self) -> bool {
        self.sign() == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        match &self.amount {
            Amount::Small(small) => small.value.signum() as i32,
            Amount::Large(decimal) => decimal.sign(),
        }
    }

    /// The integer, if it is one that needs no more than 64 bits and was not parsed from a fraction.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.amount {
            Amount::Small(small) if small.scale >= 0 => small.at_scale(0),
            _ => None,
        }
    }

    /// Rounded up, away from zero.
    pub fn value(&self) -> i64 {
        self.scaled_value(0)
    }

    /// Thousandths, rounded up.
    pub fn milli_value(&self) -> i64 {
        self.scaled_value(MILLI)
    }

    /// Units of `10^scale`, rounded up, away from zero. Of what does not fit in 64 bits, it is upstream's remains: the
    /// low bits, or zero from a compact form with an unusual power.
    pub fn scaled_value(&self, scale: i32) -> i64 {
        match &self.amount {
            Amount::Small(small) => small.at_scale(scale).unwrap_or_else(|| small.overflow_at_scale(scale)),
            Amount::Large(decimal) => decimal.scaled_value(scale),
        }
    }

    /// Rounds away from zero to a multiple of `10^scale`; says whether nothing was lost.
    pub fn round_up(&mut self, scale: i32) -> bool {
        match &mut self.amount {
            Amount::Small(small) if small.scale >= scale => true,
            Amount::Small(small) => {
                let (rounded, exact) = small.round_up(scale);
                *small = rounded;
                self.text = None;
                exact
            }
            Amount::Large(decimal) => {
                self.text = None;
                decimal.round_up(scale)
            }
        }
    }

    /// Zero takes the other's format.
    pub fn add(&mut self, other: &Quantity) {
        self.combine(other, false);
    }

    /// Zero takes the other's format.
    pub fn sub(&mut self, other: &Quantity) {
        self.combine(other, true);
    }

    pub fn neg(&mut self) {
        self.text = None;
        match &mut self.amount {
            Amount::Small(small) => small.value = small.value.wrapping_neg(),
            Amount::Large(decimal) => decimal.negate(),
        }
    }

    pub fn cmp_i64(&self, value: i64) -> Ordering {
        match &self.amount {
            Amount::Small(small) => small.cmp(Small { value, scale: 0 }),
            Amount::Large(decimal) => decimal.cmp(&Decimal::from_small(Small { value, scale: 0 })),
        }
    }

    fn combine(&mut self, other: &Quantity, subtract: bool) {
        self.text = None;
        if self.is_zero() {
            self.format = other.format;
        }
        if let (Amount::Small(a), Amount::Small(b)) = (&self.amount, &other.amount)
            && let Some(sum) = if subtract { a.checked_sub(*b) } else { a.checked_add(*b) }
        {
            self.amount = Amount::Small(sum);
            return;
        }
        let mut other = other.decimal().into_owned();
        if subtract {
            other.negate();
        }
        self.amount = Amount::Large(Box::new(self.decimal().sum(&other)));
    }

    fn decimal(&self) -> Cow<'_, Decimal> {
        match &self.amount {
            Amount::Small(small) => Cow::Owned(Decimal::from_small(*small)),
            Amount::Large(decimal) => Cow::Borrowed(decimal),
        }
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Self::ZERO
    }
}

/// By value: `1Gi` equals `1073741824`.
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.amount, &other.amount) {
            (Amount::Small(a), Amount::Small(b)) => a.cmp(*b),
            _ => self.decimal().cmp(&other.decimal()),
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

/// The canonical text.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => canonical::write(self, f),
        }
    }
}

impl std::str::FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}
