//! Scalars with a form of their own: quantities, times, durations, bytes. Trees hold them as their canonical text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use corten_api::quantity::Quantity;
use corten_api::time::{Duration, Timestamp};
use corten_schema::{Field, Shape};

/// None if the text is canonical already; an error in Go's words.
pub type Canonical = Result<Option<String>, String>;

fn changed(text: &str, canonical: String) -> Canonical {
    Ok(if canonical == text { None } else { Some(canonical) })
}

pub fn canonical_quantity(text: &str) -> Canonical {
    match Quantity::parse(text.trim()) {
        Ok(quantity) => changed(text, quantity.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// `any_year` is for what this process has written itself.
pub fn canonical_time(shape: &Shape, text: &str, any_year: bool) -> Canonical {
    let other = |error: String| if any_year && is_written_time(shape, text) { Ok(None) } else { Err(error) };
    match shape {
        Shape::Time => match Timestamp::parse(text) {
            Ok(time) => changed(text, time.truncate_to_seconds().format()),
            Err(error) => other(error.to_string()),
        },
        Shape::MicroTime => match Timestamp::parse_micro(text) {
            Ok(time) => changed(text, time.truncate_to_micros().format_micro()),
            Err(error) => other(error.to_string()),
        },
        _ => match Duration::parse(text) {
            Ok(duration) => changed(text, duration.to_string()),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Whether this process writes a time so. It writes years that no client may send: protobuf holds any.
fn is_written_time(shape: &Shape, text: &str) -> bool {
    let written = Timestamp::parse_written(text);
    match shape {
        Shape::Time => written.is_some_and(|time| time.format() == text),
        Shape::MicroTime => written.is_some_and(|time| time.format_micro() == text),
        _ => false,
    }
}

/// Go takes line breaks inside base64 and nothing else.
pub fn canonical_base64(text: &str) -> Canonical {
    let stripped: String;
    let mut plain = text;
    if text.contains(['\n', '\r']) {
        stripped = text.replace(['\n', '\r'], "");
        plain = &stripped;
    }
    match STANDARD.decode(plain) {
        Ok(_) if plain.len() == text.len() => Ok(None),
        Ok(bytes) => Ok(Some(STANDARD.encode(bytes))),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => plain.len() - plain.len() % 4,
            };
            Err(format!("illegal base64 data at input byte {at}"))
        }
    }
}

pub fn decode_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}

pub fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Seconds and nanoseconds of a time's text.
pub fn time_parts(text: &str) -> Option<(i64, u32)> {
    let time = Timestamp::parse_written(text)?;
    if time.is_zero() { None } else { Some((time.seconds, time.nanos)) }
}

/// The text of a time in protobuf; None for Go's zero time.
pub fn format_time(seconds: i64) -> Option<String> {
    let time = Timestamp::from_seconds(seconds);
    (!time.is_zero()).then(|| time.format())
}

pub fn format_micro_time(seconds: i64, nanos: i32) -> Option<String> {
    let time = Timestamp::from_unix(seconds, i64::from(nanos / 1000 * 1000));
    (!time.is_zero()).then(|| time.format_micro())
}

pub fn duration_nanos(text: &str) -> i64 {
    Duration::parse(text).map_or(0, |duration| duration.0)
}

pub fn format_duration(nanos: i64) -> String {
    Duration(nanos).to_string()
}

/// What Go calls the type of a value of `field`, `level` lists and maps inside of it.
pub fn go_type(field: &Field, shape: &Shape, level: usize) -> String {
    if level == 0 {
        return if field.go_type.is_empty() { go_name(shape) } else { field.go_type.to_owned() };
    }
    let mut name = field.go_type;
    for _ in 0..level {
        match name.strip_prefix("[]").or_else(|| name.strip_prefix("map[string]")) {
            Some(rest) => name = rest.trim_start_matches('*'),
            None => return go_name(shape),
        }
    }
    name.to_owned()
}

pub fn go_name(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".into(),
        Shape::Int32 | Shape::IntOrString => "int32".into(),
        Shape::Int64 => "int64".into(),
        Shape::Float64 => "float64".into(),
        Shape::String | Shape::Time | Shape::MicroTime | Shape::Duration | Shape::Quantity => "string".into(),
        Shape::Bytes => "[]uint8".into(),
        Shape::Raw(corten_schema::RawKind::Json) => "v1.JSON".into(),
        Shape::Raw(_) | Shape::SchemaOr(_) => "interface {}".into(),
        Shape::Struct(ty) => {
            let name = ty.get().name;
            let start = name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
            name[start..].to_owned()
        }
        Shape::List(item) | Shape::WrappedList(item) => format!("[]{}", go_name(item)),
        Shape::Map(item) => format!("map[string]{}", go_name(item)),
    }
}
