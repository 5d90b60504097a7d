//! Upstream's continue tokens: where a paged list goes on, as JSON in base64.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use crate::json::{self, Form};
use crate::tree::{Node, Value};

const VERSION: &str = "meta.k8s.io/v1";
/// Without padding. Go does not mind what stands in the last character beyond the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continue {
    /// What the whole list is read at; negative for the latest there is.
    pub revision: i64,
    /// The first key that may follow, below the list's prefix. No step of it leads out of there.
    pub start: String,
}

impl Continue {
    /// Behind a key.
    pub fn after(revision: i64, key: &str) -> Continue {
        Continue { revision, start: format!("{key}\0") }
    }

    pub fn encode(&self) -> String {
        let start = corten_api::json::string(&self.start);
        let json = format!(r#"{{"v":"{VERSION}","rv":{},"start":{start}}}"#, self.revision);
        BASE64.encode(json)
    }

    pub fn decode(token: &str) -> Result<Continue, Error> {
        // Go's decoder passes over line breaks.
        let text: String = token.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        let bytes = BASE64.decode(&text).map_err(|_| Error::Invalid(base64_error(token)))?;
        let parsed = json::parse(bytes, Form::Plain).map_err(|error| Error::Invalid(error.to_string()))?;
        let fields = Fields::read(parsed.tree.root()).map_err(Error::Invalid)?;
        if fields.version != VERSION {
            return Err(Error::Version(fields.version));
        }
        if fields.revision == 0 {
            return Err(Error::Revision);
        }
        if fields.start.is_empty() {
            return Err(Error::Start);
        }
        if !is_clean(&fields.start) {
            return Err(Error::Invalid(fields.start));
        }
        let start = fields.start.strip_prefix('/').unwrap_or(&fields.start).to_owned();
        Ok(Continue { revision: fields.revision, start })
    }
}

/// What upstream says of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("continue key is not valid: {0}")]
    Invalid(String),
    #[error("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")]
    Revision,
    #[error("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")]
    Start,
    #[error("continue key is not valid: server does not recognize this encoded version {0}")]
    Version(String),
}

#[derive(Default)]
struct Fields {
    version: String,
    revision: i64,
    start: String,
}

impl Fields {
    fn read(root: Node<'_>) -> Result<Fields, String> {
        let mut fields = Fields::default();
        match root.value() {
            Value::Null => {}
            Value::Map(map) => {
                // A null leaves what is there.
                for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                    match name.to_ascii_lowercase().as_str() {
                        "v" => fields.version = text(value, "v")?.to_owned(),
                        "rv" => fields.revision = number(value)?,
                        "start" => fields.start = text(value, "start")?.to_owned(),
                        _ => {}
                    }
                }
            }
            _ => {
                return Err(format!(
                    "json: cannot unmarshal {} into Go value of type storage.continueToken",
                    kind(root)
                ));
            }
        }
        Ok(fields)
    }
}

fn text<'t>(value: Node<'t>, field: &str) -> Result<&'t str, String> {
    value.as_string().ok_or_else(|| mismatch(value, field, "string"))
}

fn number(value: Node<'_>) -> Result<i64, String> {
    match value.value() {
        Value::Int(revision) => Ok(revision),
        _ => Err(mismatch(value, "rv", "int64")),
    }
}

fn mismatch(value: Node<'_>, field: &str, go_type: &str) -> String {
    let what = match value.value() {
        Value::Int(_) | Value::Float(_) if go_type == "int64" => format!("number {}", json::to_string(value)),
        _ => kind(value).to_owned(),
    };
    format!("json: cannot unmarshal {what} into Go struct field continueToken.{field} of type {go_type}")
}

fn kind(value: Node<'_>) -> &'static str {
    match value.value() {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Raw(_) | Value::Map(_) | Value::Struct(_) => "object",
    }
}

/// Whether Go's `path.Clean` would leave it: no step is empty or leads up.
fn is_clean(start: &str) -> bool {
    let steps = start.strip_prefix('/').unwrap_or(start);
    steps.is_empty() || steps.split('/').all(|step| !matches!(step, "" | "." | ".."))
}

/// Go names the byte of the token that does not belong there, or where the four characters begin that are not whole.
fn base64_error(token: &str) -> String {
    let kept: Vec<(usize, char)> = token.char_indices().filter(|(_, c)| !matches!(c, '\n' | '\r')).collect();
    let foreign = kept.iter().find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
    let at = foreign.or_else(|| kept.get(kept.len() - kept.len() % 4)).map_or(token.len(), |(at, _)| *at);
    format!("illegal base64 data at input byte {at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<(i64, &str), &str>) {
        let decoded = Continue::decode(&BASE64.encode(json));
        let decoded = decoded.map(|token| (token.revision, token.start)).map_err(|error| error.to_string());
        let expected = expected.map(|(revision, start)| (revision, start.to_owned()));
        assert_eq!(decoded, expected.map_err(|error| format!("continue key is not valid: {error}")), "{json}");
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for (revision, key) in [(1, "a"), (i64::MAX, "default/b"), (-1, "ns/é\"\\<")] {
            let token = Continue::after(revision, key);
            assert_eq!(Continue::decode(&token.encode()), Ok(token));
        }
        let text = BASE64.decode(Continue::after(7, "a/b").encode()).expect("base64");
        assert_eq!(String::from_utf8_lossy(&text), r#"{"v":"meta.k8s.io/v1","rv":7,"start":"a/b\u0000"}"#);
    }

    #[test]
    fn fields_are_read_as_go_reads_them() {
        check(r#"{"v":"meta.k8s.io/v1","rv":5,"start":"a"}"#, Ok((5, "a")));
        check(r#"{"V":"meta.k8s.io/v1","RV":5,"Start":"/a/b","more":[1]}"#, Ok((5, "a/b")));
        check(r#"{"v":"meta.k8s.io/v1","rv":5,"start":"/"}"#, Ok((5, "")));
        check(
            r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#,
            Err("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        );
        check(r#"{"v":"meta.k8s.io/v1","rv":1}"#, Err("encoded start key empty (version meta.k8s.io/v1)"));
        check(r#"{"v":"v2","rv":1,"start":"a"}"#, Err("server does not recognize this encoded version v2"));
        check("null", Err("server does not recognize this encoded version "));
        check("[]", Err("json: cannot unmarshal array into Go value of type storage.continueToken"));
        check(
            r#"{"rv":"1"}"#,
            Err("json: cannot unmarshal string into Go struct field continueToken.rv of type int64"),
        );
        check(
            r#"{"rv":1.5}"#,
            Err("json: cannot unmarshal number 1.5 into Go struct field continueToken.rv of type int64"),
        );
        check(r#"{"v":1}"#, Err("json: cannot unmarshal number into Go struct field continueToken.v of type string"));
        check("{", Err("unexpected end of JSON input"));
        let no_text = Error::Invalid("invalid character '\\u008e' looking for beginning of value".into());
        assert_eq!(Continue::decode("junk"), Err(no_text));
    }

    #[test]
    fn no_key_leads_out_of_its_prefix() {
        for start in ["../a", "a/../b", "a/./b", "a//b", "a/", "//a", ".", ".."] {
            check(&format!(r#"{{"v":"meta.k8s.io/v1","rv":1,"start":"{start}"}}"#), Err(start));
        }
    }

    #[test]
    fn base64_is_read_as_go_reads_it() {
        for (token, at) in [("~", 0), ("ab\n~", 3), ("a", 0), ("abc+", 3), ("YQ==", 2), ("ab\r\ncde", 6)] {
            let expected = Error::Invalid(format!("illegal base64 data at input byte {at}"));
            assert_eq!(Continue::decode(token), Err(expected), "{token:?}");
        }
        let loose = BASE64.encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"ab"}"#).replace("In0", "In1\n");
        assert_eq!(Continue::decode(&loose).map(|token| token.start), Ok("ab".into()));
    }
}
