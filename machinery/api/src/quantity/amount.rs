//! The compact form: 64 bits and a power of ten.

use std::cmp::Ordering;

/// `value * 10^scale`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small {
    pub value: i64,
    pub scale: i32,
}

impl Small {
    /// In units of `10^scale`, rounded away from zero; None if that needs more than 64 bits.
    pub fn at_scale(self, scale: i32) -> Option<i64> {
        if self.scale < scale { Some(self.round_up(scale).0.value) } else { self.scale_up(distance(self.scale, scale)) }
    }

    /// What upstream gives where `at_scale` does not: it multiplies by these powers at once, and by others step by step,
    /// until it notices.
    pub fn overflow_at_scale(self, scale: i32) -> i64 {
        match distance(self.scale, scale) {
            digits @ (1 | 2 | 3 | 6 | 9) => self.value.wrapping_mul(10i64.pow(digits)),
            _ => 0,
        }
    }

    /// To a multiple of `10^scale`, away from zero, and whether that is exact.
    pub fn round_up(self, scale: i32) -> (Small, bool) {
        if self.scale >= scale {
            return (self, true);
        }
        let (quotient, remainder) = match pow10(distance(scale, self.scale)) {
            Some(divisor) => (self.value / divisor, self.value % divisor),
            None => (0, self.value),
        };
        (Small { value: quotient + remainder.signum(), scale }, remainder == 0)
    }

    pub fn cmp(self, other: Small) -> Ordering {
        if self.scale < other.scale {
            return other.cmp(self).reverse();
        }
        // Of what 64 bits hold, nothing but zero times 10^19 is within them.
        match pow10(distance(self.scale, other.scale)) {
            Some(factor) => (i128::from(self.value) * i128::from(factor)).cmp(&i128::from(other.value)),
            None if self.value == 0 => 0.cmp(&other.value),
            None => self.value.cmp(&0),
        }
    }

    /// At the smaller of both scales; None if that needs more than 64 bits.
    pub fn checked_add(self, other: Small) -> Option<Small> {
        if other.value == 0 {
            return Some(self);
        }
        if self.value == 0 {
            return Some(other);
        }
        if self.scale < other.scale {
            return other.checked_add(self);
        }
        let value = self.scale_up(distance(self.scale, other.scale))?.checked_add(other.value)?;
        Some(Small { value, scale: other.scale })
    }

    pub fn checked_sub(self, other: Small) -> Option<Small> {
        self.checked_add(Small { value: other.value.checked_neg()?, scale: other.scale })
    }

    fn scale_up(self, digits: u32) -> Option<i64> {
        match digits {
            0 => Some(self.value),
            _ if self.value == 0 => Some(0),
            digits => self.value.checked_mul(pow10(digits)?),
        }
    }
}

pub(super) const fn pow10(exponent: u32) -> Option<i64> {
    10i64.checked_pow(exponent)
}

fn distance(larger: i32, smaller: i32) -> u32 {
    larger.abs_diff(smaller)
}
