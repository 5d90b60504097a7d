//! Numbers: ranges, multiples, and the types that they must fit.
//!
//! Bounds are floating point numbers upstream. Where the schema's type is a whole one and so is the bound, both are
//! compared as whole numbers; a bound that does not fit the type is an error of its own, and compared as it is.

use corten_api::field::BadValue;
use corten_object::tree::{Node, Value};

use super::Check;
use crate::schema::{Kind, Schema};

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    fn bad_value(self) -> BadValue {
        match self {
            Number::Int(value) => BadValue::Int(value),
            Number::Float(value) => BadValue::Float(value),
        }
    }
}

/// What type and format ask of a number.
#[derive(Clone, Copy)]
struct Range {
    integer: bool,
    format: &'static str,
}

impl Range {
    fn of(schema: &Schema) -> Range {
        let format = schema.values.as_deref().and_then(|values| values.format).map_or("", |format| format.name());
        if schema.int_or_string {
            return Range { integer: false, format: "" };
        }
        match schema.kind {
            Kind::Integer => Range { integer: true, format },
            Kind::Number => Range { integer: false, format },
            _ => Range { integer: false, format: "" },
        }
    }

    fn holds(self, value: Number) -> bool {
        if self.integer {
            let whole = match value {
                Number::Int(value) => Some(value),
                Number::Float(value) if value.fract() == 0.0 && value >= -(2f64.powi(63)) && value < 2f64.powi(63) => {
                    Some(value as i64)
                }
                Number::Float(_) => None,
            };
            return whole.is_some_and(|value| self.format != "int32" || i32::try_from(value).is_ok());
        }
        self.format != "float" || value.float().abs() <= f32_limit()
    }

    fn check(self, value: Number, prefix: &str, place: &str, check: &mut Check) -> bool {
        if self.holds(value) {
            return true;
        }
        let kind = if self.integer { "integer" } else { "number" };
        check.composite(if self.format.is_empty() {
            format!("{prefix} value must be of type {kind} (default format) in {place}")
        } else {
            format!("{prefix} value must be of type {kind} with format {} in {place}", self.format)
        });
        false
    }
}

/// As Go converts on the machines that it mostly runs on: what does not fit is the smallest.
fn go_int(value: f64) -> i64 {
    if (-(2f64.powi(63))..2f64.powi(63)).contains(&value) { value as i64 } else { i64::MIN }
}

/// What still rounds to a finite number of 32 bits.
fn f32_limit() -> f64 {
    f64::from(f32::MAX) + 2f64.powi(102)
}

/// Whether JSON might have meant a whole number.
pub fn is_json_integer(value: f64) -> bool {
    const MAX_SAFE: f64 = ((1u64 << 53) - 1) as f64;
    const EPSILON: f64 = 1e-9;
    if !(-MAX_SAFE..=MAX_SAFE).contains(&value) {
        return false;
    }
    let rounded = value.round();
    value == rounded || rounded != 0.0 && (value - rounded).abs() < EPSILON * rounded.abs()
}

pub fn check(schema: &Schema, value: Node<'_>, place: &str) -> Check {
    let value = match value.value() {
        Value::Int(value) => Number::Int(value),
        _ => Number::Float(value.as_float()),
    };
    let range = Range::of(schema);
    let mut check = Check { matches: 1, ..Check::default() };
    range.check(value, "Checked", place, &mut check);
    let Some(values) = schema.values.as_deref() else { return check };
    if let Some(factor) = values.multiple_of {
        let native = range.check(Number::Float(factor), "MultipleOf", place, &mut check);
        multiple_of(value, factor, native, place, &mut check);
    }
    if let Some(min) = values.minimum {
        let native = range.check(Number::Float(min), "Minimum boundary", place, &mut check);
        bound(value, min, native, values.exclusive_minimum, "greater", place, &mut check);
    }
    if let Some(max) = values.maximum {
        let native = range.check(Number::Float(max), "Maximum boundary", place, &mut check);
        bound(value, max, native, values.exclusive_maximum, "less", place, &mut check);
    }
    check
}

fn bound(value: Number, bound: f64, native: bool, exclusive: bool, side: &str, place: &str, check: &mut Check) {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (order, shown) = match value {
        Number::Int(value) if native => {
            let bound = go_int(bound);
            (value.cmp(&bound), bound.to_string())
        }
        value => (value.float().partial_cmp(&bound).unwrap_or(Equal), BadValue::Float(bound).to_string()),
    };
    let beyond = if side == "less" { Greater } else { Less };
    if order != beyond && !(exclusive && order == Equal) {
        return;
    }
    let or_equal = if exclusive { "" } else { " or equal to" };
    let message = format!("{place} in body should be {side} than{or_equal} {shown}");
    check.invalid(place, value.bad_value(), message);
}

fn multiple_of(value: Number, factor: f64, native: bool, place: &str, check: &mut Check) {
    let (fits, factor) = match value {
        Number::Int(value) if native => {
            let factor = go_int(factor);
            ((factor > 0).then(|| value % factor == 0), BadValue::Int(factor))
        }
        value => {
            let value = value.float();
            let multiple = if factor < 1.0 { 1.0 / factor * value } else { value / factor };
            ((factor > 0.0).then(|| is_json_integer(multiple)), BadValue::Float(factor))
        }
    };
    match fits {
        Some(true) => {}
        Some(false) => {
            let message = format!("{place} in body should be a multiple of {factor}");
            let value = if native { value.bad_value() } else { BadValue::Float(value.float()) };
            check.invalid(place, value, message);
        }
        None => {
            let message = format!("factor MultipleOf declared for {place} must be positive: {factor}");
            check.invalid(place, factor, message);
        }
    }
}
