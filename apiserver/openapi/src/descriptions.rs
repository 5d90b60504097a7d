//! Descriptions of types and fields, as `build.rs` gathered them.
//!
//! They are deflated in the binary and inflated only while documents are made. A description is JSON text.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::DeflateDecoder;

static DEFLATED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.deflate"));

/// The inflated text.
pub(crate) struct Text(String);

/// The text with its types found.
pub(crate) struct Descriptions<'t> {
    /// For each type its description and the lines of its fields.
    types: HashMap<&'t str, (&'t str, &'t str)>,
}

impl Text {
    pub fn inflate() -> Text {
        let mut text = String::new();
        // The build wrote these bytes; were they damaged, the documents would lack descriptions and nothing else.
        let _ = DeflateDecoder::new(DEFLATED).read_to_string(&mut text);
        Text(text)
    }

    pub fn index(&self) -> Descriptions<'_> {
        let blocks = self.0.strip_prefix("T ").unwrap_or_default().split("\nT ");
        let types = blocks.filter_map(|block| {
            let (head, fields) = block.split_once('\n').unwrap_or((block, ""));
            let (name, description) = head.split_once(' ')?;
            Some((name, (description, fields)))
        });
        Descriptions { types: types.collect() }
    }
}

impl<'t> Descriptions<'t> {
    /// The description of a type, or of its field.
    pub fn of(&self, component: &str, field: Option<&str>) -> Option<&'t str> {
        let (description, fields) = self.types.get(component)?;
        let Some(field) = field else { return Some(*description).filter(|text| *text != "\"\"") };
        fields.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(' '))
    }
}
