//! The markers column of fields.tsv: words and `key=value`, apart by spaces, values being words or JSON.

use anyhow::{Context, Result, bail};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Markers {
    pub required: bool,
    pub patch_merge: bool,
    pub retain_keys: bool,
    pub merge_key: String,
    /// A variant of `ListType`, or "".
    pub list: String,
    pub list_map_keys: Vec<String>,
    pub map_atomic: bool,
    pub default: String,
    pub enumeration: Vec<String>,
    pub format: String,
    pub other: Vec<String>,
    /// Of a type: `unions`, `empty`, `no-openapi`.
    pub unions: String,
}

pub fn parse(text: &str) -> Result<Markers> {
    let mut markers = Markers::default();
    for word in words(text) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match (key, value) {
            ("required", "") => markers.required = true,
            ("patch", strategies) => {
                for strategy in strategies.split(',') {
                    match strategy {
                        "merge" => markers.patch_merge = true,
                        "retainKeys" => markers.retain_keys = true,
                        // What holds where nothing is said; OpenAPI tells it nevertheless.
                        "replace" => markers.other.push(word.to_owned()),
                        other => bail!("unknown patch strategy {other}"),
                    }
                }
            }
            ("merge-key", key) => markers.merge_key = key.to_owned(),
            ("list-type", kind) => markers.list = list_type(kind)?.to_owned(),
            ("list-map-keys", keys) => markers.list_map_keys = strings(keys)?,
            ("map-type", "atomic") => markers.map_atomic = true,
            ("default", json) => markers.default = checked_json(json)?,
            ("enum", values) => markers.enumeration = strings(values)?,
            ("format", format) => markers.format = format.to_owned(),
            ("unions", json) => markers.unions = checked_json(json)?,
            _ => markers.other.push(word.to_owned()),
        }
    }
    Ok(markers)
}

fn list_type(kind: &str) -> Result<&'static str> {
    Ok(match kind {
        "atomic" => "Atomic",
        "set" => "Set",
        "map" => "Map",
        other => bail!("unknown list type {other}"),
    })
}

fn strings(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).with_context(|| format!("not a list of strings: {json}"))
}

fn checked_json(json: &str) -> Result<String> {
    serde_json::from_str::<serde_json::Value>(json).with_context(|| format!("not JSON: {json}"))?;
    Ok(json.to_owned())
}

/// Apart by spaces outside of quotes.
fn words(text: &str) -> Vec<&str> {
    let (mut words, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b' ' if !quoted => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker() {
        let parsed = parse(r#"patch=merge,retainKeys merge-key=name required list-map-keys=["a","b"] list-type=map"#);
        let expected = Markers {
            required: true,
            patch_merge: true,
            retain_keys: true,
            merge_key: "name".into(),
            list: "Map".into(),
            list_map_keys: vec!["a".into(), "b".into()],
            ..Markers::default()
        };
        assert_eq!(parsed.unwrap(), expected);
        assert_eq!(parse(r#"default="a \" b" limit=3"#).unwrap().other, ["limit=3"]);
        assert!(parse("list-type=heap").is_err());
        assert!(parse("default=TCP").is_err());
    }
}
