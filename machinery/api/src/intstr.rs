//! `intstr.IntOrString`: a port by number or name, a count by number or percentage.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IntOrString {
    Int(i32),
    String(String),
}

/// What is no count, as upstream says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl IntOrString {
    /// A number where `text` is one that fits, else a string.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int)
    }

    /// The number; of a string, what it says, or 0.
    pub fn int_value(&self) -> i64 {
        match self {
            IntOrString::Int(value) => i64::from(*value),
            IntOrString::String(text) => atoi(text).unwrap_or(0),
        }
    }

    /// The number, or the percentage of `total`. A string without `%` is an error.
    pub fn scaled_value(&self, total: i64, round_up: bool) -> Result<i64, Error> {
        let text = match self {
            IntOrString::Int(value) => return Ok(i64::from(*value)),
            IntOrString::String(text) => text,
        };
        let Some(digits) = text.strip_suffix('%') else {
            return Err(Error("invalid value for IntOrString: invalid type: string is not a percentage".to_owned()));
        };
        let percent = atoi(digits).map_err(|error| {
            let text = crate::field::quote(text);
            Error(format!("invalid value for IntOrString: invalid value {text}: {error}"))
        })?;
        let exact = i128::from(percent) * i128::from(total);
        let floor = exact.div_euclid(100);
        let scaled = if round_up && exact.rem_euclid(100) != 0 { floor + 1 } else { floor };
        Ok(scaled.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntOrString::Int(value) => value.fmt(f),
            IntOrString::String(text) => f.write_str(text),
        }
    }
}

impl From<i32> for IntOrString {
    fn from(value: i32) -> Self {
        IntOrString::Int(value)
    }
}

impl From<&str> for IntOrString {
    fn from(value: &str) -> Self {
        IntOrString::String(value.to_owned())
    }
}

/// Go's `strconv.Atoi`.
fn atoi(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map_err(|error: std::num::ParseIntError| {
        let why = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {why}", crate::field::quote(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled() {
        let check = |input: IntOrString, total: i64, round_up: bool, expected: Result<i64, &str>| {
            let actual = input.scaled_value(total, round_up).map_err(|error| error.to_string());
            assert_eq!(actual, expected.map_err(str::to_owned), "{input}");
        };
        check(123.into(), 0, true, Ok(123));
        check("90%".into(), 100, true, Ok(90));
        check("90%".into(), 95, true, Ok(86));
        check("90%".into(), 95, false, Ok(85));
        check("0%".into(), 95, true, Ok(0));
        check("-5%".into(), 10, false, Ok(-1));
        check("-5%".into(), 10, true, Ok(0));
        check("25%".into(), 10, true, Ok(3));
        check("25%".into(), 10, false, Ok(2));
        let prefix = "invalid value for IntOrString: ";
        check("10".into(), 1, true, Err(&format!("{prefix}invalid type: string is not a percentage")));
        check(
            "abc%".into(),
            1,
            true,
            Err(&format!("{prefix}invalid value \"abc%\": strconv.Atoi: parsing \"abc\": invalid syntax")),
        );
        check(
            "99999999999999999999%".into(),
            1,
            true,
            Err(&format!(
                "{prefix}invalid value \"99999999999999999999%\": strconv.Atoi: parsing \"99999999999999999999\": value out of range"
            )),
        );
    }

    #[test]
    fn parsed() {
        assert_eq!(IntOrString::parse("80"), IntOrString::Int(80));
        assert_eq!(IntOrString::parse("http"), IntOrString::from("http"));
        assert_eq!(IntOrString::parse("2147483648"), IntOrString::from("2147483648"));
        assert_eq!(IntOrString::from("42").int_value(), 42);
        assert_eq!(IntOrString::from("x").int_value(), 0);
        assert_eq!(IntOrString::from("x").to_string(), "x");
    }
}
