//! The canonical text: no fraction, no loss, and the largest suffix that allows it.

use std::fmt;

use super::amount::Small;
use super::{Amount, Format, Quantity, suffix};

pub(super) fn write(quantity: &Quantity, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if quantity.is_zero() {
        return f.write_str("0");
    }
    if quantity.format == Format::BinarySI && shows_as_binary(quantity) {
        match &quantity.amount {
            Amount::Small(small) => {
                if let Some(value) = small.at_scale(0) {
                    let (value, times) = without_factors(value, 1024);
                    return write!(f, "{value}{}", suffix::binary(times));
                }
            }
            Amount::Large(_) => {}
        }
        if let Some((number, times)) = quantity.decimal().powers_of_1024() {
            return write!(f, "{number}{}", suffix::binary(times));
        }
    }
    if let Amount::Small(small) = &quantity.amount
        && let Some((value, exponent)) = engineering(*small)
    {
        write!(f, "{value}")?;
        return write_decimal_suffix(quantity.format, i64::from(exponent), f);
    }
    let (number, exponent) = quantity.decimal().engineering();
    write!(f, "{number}")?;
    write_decimal_suffix(quantity.format, exponent, f)
}

fn write_decimal_suffix(format: Format, exponent: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (format, i32::try_from(exponent)) {
        (Format::DecimalExponent, _) if exponent != 0 => write!(f, "e{exponent}"),
        (Format::DecimalExponent, _) | (_, Err(_)) => Ok(()),
        (_, Ok(exponent)) => f.write_str(suffix::decimal(exponent)),
    }
}

/// Below 1024 and with a fraction, a binary quantity would be rounded, and is shown as a decimal one.
fn shows_as_binary(quantity: &Quantity) -> bool {
    if quantity.cmp_i64(-1024).is_gt() && quantity.cmp_i64(1024).is_lt() {
        return false;
    }
    match &quantity.amount {
        Amount::Small(small) => small.round_up(0).1,
        Amount::Large(decimal) => decimal.is_integer(),
    }
}

/// With factors of ten in the exponent, but as few as make it a multiple of three; None if 64 bits do not hold that.
fn engineering(small: Small) -> Option<(i64, i32)> {
    let (value, times) = without_factors(small.value, 10);
    let exponent = small.scale.checked_add(times as i32)?;
    let down = exponent.rem_euclid(3);
    Some((value.checked_mul(10i64.pow(down as u32))?, exponent.checked_sub(down)?))
}

fn without_factors(mut value: i64, factor: i64) -> (i64, u32) {
    let mut times = 0;
    while value != 0 && value % factor == 0 {
        value /= factor;
        times += 1;
    }
    (value, times)
}
