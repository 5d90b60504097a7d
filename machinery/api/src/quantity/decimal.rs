//! The long form: a whole number of any length and a power of ten.
//!
//! An exponent comes from the text, and may be of 31 bits. No operation writes out more than `MAX_EXPANSION` zeros for
//! it, where upstream would run out of memory: beyond that the smaller operand of a sum is lost in the larger.

use std::cmp::Ordering;
use std::fmt;

use super::amount::Small;

const MAX_EXPANSION: u64 = 10_000;

/// Base 10^9, least significant first, without leading zeros: a zero has no limbs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Magnitude(Vec<u32>);

const BASE: u64 = 1_000_000_000;
const BASE_DIGITS: usize = 9;

/// `± magnitude * 10^exponent`.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    negative: bool,
    magnitude: Magnitude,
    exponent: i64,
}

impl Decimal {
    pub fn from_small(small: Small) -> Self {
        let magnitude = Magnitude::from_u64(small.value.unsigned_abs());
        Decimal { negative: small.value < 0, magnitude, exponent: i64::from(small.scale) }
    }

    /// Of the digits of an integer, ASCII all of them.
    pub fn from_digits(negative: bool, digits: &[u8], exponent: i64) -> Self {
        let magnitude = Magnitude::from_digits(digits);
        Decimal { negative: negative && !magnitude.is_zero(), magnitude, exponent }
    }

    pub fn sign(&self) -> i32 {
        match (self.magnitude.is_zero(), self.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }

    pub fn negate(&mut self) {
        self.negative = !self.negative && !self.magnitude.is_zero();
    }

    pub fn multiply(&mut self, factor: u32) {
        self.magnitude.multiply(factor);
    }

    pub fn sum(&self, other: &Decimal) -> Decimal {
        if self.magnitude.is_zero() {
            return other.clone();
        }
        if other.magnitude.is_zero() {
            return self.clone();
        }
        if self.exponent.abs_diff(other.exponent) > MAX_EXPANSION {
            return if self.cmp_magnitude(other) == Ordering::Less { other.clone() } else { self.clone() };
        }
        let exponent = self.exponent.min(other.exponent);
        let (a, b) = (self.magnitude_at(exponent), other.magnitude_at(exponent));
        let (negative, magnitude) = match (self.negative == other.negative, a.cmp(&b)) {
            (true, _) => (self.negative, a.plus(&b)),
            (false, Ordering::Less) => (other.negative, b.minus(&a)),
            (false, _) => (self.negative, a.minus(&b)),
        };
        Decimal { negative: negative && !magnitude.is_zero(), magnitude, exponent }
    }

    pub fn cmp(&self, other: &Decimal) -> Ordering {
        match self.sign().cmp(&other.sign()) {
            Ordering::Equal if self.negative => other.cmp_magnitude(self),
            Ordering::Equal => self.cmp_magnitude(other),
            unequal => unequal,
        }
    }

    /// To a multiple of `10^scale`, away from zero; says whether that is exact.
    pub fn round_up(&mut self, scale: i32) -> bool {
        let scale = i64::from(scale);
        if self.exponent >= scale || self.magnitude.is_zero() {
            return true;
        }
        let exact = self.magnitude.cut(scale.abs_diff(self.exponent));
        if !exact {
            self.magnitude = self.magnitude.plus(&Magnitude::from_u64(1));
        }
        self.exponent = scale;
        exact
    }

    /// In units of `10^scale`, rounded away from zero: the low bits, if it is longer.
    pub fn scaled_value(&self, scale: i32) -> i64 {
        let mut rounded = self.clone();
        rounded.round_up(scale);
        let zeros = rounded.exponent.abs_diff(scale.into());
        // 10^64 is a multiple of 2^64.
        let factor = if zeros < 64 { 10i64.wrapping_pow(zeros as u32) } else { 0 };
        rounded.low_bits().wrapping_mul(factor)
    }

    /// Whether it is a whole number.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0 || self.magnitude.clone().cut(self.exponent.unsigned_abs())
    }

    /// With all factors of ten in the exponent, but as few as make it a multiple of three.
    pub fn engineering(&self) -> (Decimal, i64) {
        let mut result = self.clone();
        let zeros = result.magnitude.trailing_zeros();
        result.magnitude.cut(zeros);
        result.exponent += zeros as i64;
        while result.exponent % 3 != 0 {
            result.magnitude.multiply(10);
            result.exponent -= 1;
        }
        let exponent = result.exponent;
        result.exponent = 0;
        (result, exponent)
    }

    /// Rounded to a whole number, and the factors of 1024 taken out; None if that is too long to write.
    pub fn powers_of_1024(&self) -> Option<(Decimal, u32)> {
        let mut result = self.clone();
        result.round_up(0);
        if result.exponent.unsigned_abs() > MAX_EXPANSION {
            return None;
        }
        result.magnitude = result.magnitude_at(0);
        result.exponent = 0;
        let mut times = 0;
        while !result.magnitude.is_zero() && result.magnitude.remainder(1024) == 0 {
            result.magnitude.divide(1024);
            times += 1;
        }
        Some((result, times))
    }

    fn cmp_magnitude(&self, other: &Decimal) -> Ordering {
        if self.magnitude.is_zero() || other.magnitude.is_zero() {
            return other.magnitude.is_zero().cmp(&self.magnitude.is_zero());
        }
        // How many digits stand before the point decides, unless they are equal.
        let length = |decimal: &Decimal| decimal.magnitude.digits() as i64 + decimal.exponent;
        length(self).cmp(&length(other)).then_with(|| {
            let exponent = self.exponent.min(other.exponent);
            self.magnitude_at(exponent).cmp(&other.magnitude_at(exponent))
        })
    }

    /// With the exponent lowered to `exponent`.
    fn magnitude_at(&self, exponent: i64) -> Magnitude {
        let mut magnitude = self.magnitude.clone();
        magnitude.shift_left(self.exponent.abs_diff(exponent));
        magnitude
    }

    /// The magnitude, signed, modulo 2^64.
    fn low_bits(&self) -> i64 {
        let bits = self.magnitude.0.iter().rev().fold(0u64, |n, &limb| n.wrapping_mul(BASE).wrapping_add(limb.into()));
        if self.negative { bits.wrapping_neg() as i64 } else { bits as i64 }
    }
}

/// The whole number, without its exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let mut limbs = self.magnitude.0.iter().rev();
        write!(f, "{}", limbs.next().copied().unwrap_or(0))?;
        limbs.try_for_each(|limb| write!(f, "{limb:09}"))
    }
}

impl Magnitude {
    fn from_u64(mut value: u64) -> Self {
        let mut limbs = Vec::new();
        while value > 0 {
            limbs.push((value % BASE) as u32);
            value /= BASE;
        }
        Magnitude(limbs)
    }

    fn from_digits(digits: &[u8]) -> Self {
        let limb = |chunk: &[u8]| chunk.iter().fold(0, |n, c| n * 10 + u32::from(c - b'0'));
        Magnitude(digits.rchunks(BASE_DIGITS).map(limb).collect()).trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn digits(&self) -> usize {
        match self.0.last() {
            None => 0,
            Some(last) => (self.0.len() - 1) * BASE_DIGITS + last.ilog10() as usize + 1,
        }
    }

    /// How often ten divides it.
    fn trailing_zeros(&self) -> u64 {
        let whole = self.0.iter().take_while(|&&limb| limb == 0).count();
        let mut zeros = whole * BASE_DIGITS;
        let mut limb = self.0.get(whole).copied().unwrap_or(1);
        while limb % 10 == 0 {
            limb /= 10;
            zeros += 1;
        }
        zeros as u64
    }

    fn cmp(&self, other: &Magnitude) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn plus(&self, other: &Magnitude) -> Magnitude {
        let mut limbs = Vec::with_capacity(self.0.len().max(other.0.len()) + 1);
        let mut carry = 0u64;
        for i in 0..self.0.len().max(other.0.len()) {
            let limb = |magnitude: &Magnitude| u64::from(magnitude.0.get(i).copied().unwrap_or(0));
            let sum = limb(self) + limb(other) + carry;
            limbs.push((sum % BASE) as u32);
            carry = sum / BASE;
        }
        limbs.push(carry as u32);
        Magnitude(limbs).trimmed()
    }

    /// Of a magnitude that is not smaller than the other.
    fn minus(&self, other: &Magnitude) -> Magnitude {
        let mut borrow = 0;
        let subtract = |(i, &limb): (usize, &u32)| {
            let difference = i64::from(limb) - i64::from(other.0.get(i).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(difference < 0);
            (difference + borrow * BASE as i64) as u32
        };
        Magnitude(self.0.iter().enumerate().map(subtract).collect()).trimmed()
    }

    fn multiply(&mut self, factor: u32) {
        let mut carry = 0u64;
        for limb in &mut self.0 {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            *limb = (product % BASE) as u32;
            carry = product / BASE;
        }
        while carry > 0 {
            self.0.push((carry % BASE) as u32);
            carry /= BASE;
        }
    }

    fn divide(&mut self, divisor: u32) {
        let mut remainder = 0u64;
        for limb in self.0.iter_mut().rev() {
            let dividend = remainder * BASE + u64::from(*limb);
            *limb = (dividend / u64::from(divisor)) as u32;
            remainder = dividend % u64::from(divisor);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn remainder(&self, divisor: u32) -> u32 {
        let remainder = |n: u64, &limb: &u32| (n * BASE + u64::from(limb)) % u64::from(divisor);
        self.0.iter().rev().fold(0, remainder) as u32
    }

    /// Times `10^digits`.
    fn shift_left(&mut self, digits: u64) {
        if self.is_zero() {
            return;
        }
        self.multiply(10u32.pow((digits % BASE_DIGITS as u64) as u32));
        self.0.splice(0..0, std::iter::repeat_n(0, (digits / BASE_DIGITS as u64) as usize));
    }

    /// Drops the last digits; says whether they were all zero.
    fn cut(&mut self, digits: u64) -> bool {
        let limbs = usize::try_from(digits / BASE_DIGITS as u64).unwrap_or(usize::MAX).min(self.0.len());
        let mut exact = self.0.drain(..limbs).all(|limb| limb == 0);
        let divisor = 10u32.pow((digits % BASE_DIGITS as u64) as u32);
        exact &= self.remainder(divisor) == 0;
        self.divide(divisor);
        exact
    }
}
