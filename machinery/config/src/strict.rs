//! Strict decoding of configuration files into serde structs. YAML and JSON; unknown and duplicate fields are errors
//! that name the field by its path, and the file; so are fields whose type says that they are not supported.
//!
//! A null is an absent field, as in Go, so give fields their defaults by serde. Flattened and untagged types hide which
//! fields they know, so do not use them where strictness matters.

mod decode;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};

use crate::values;
use crate::yaml::Node;

/// A file that has an apiVersion and a kind.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    root: Node,
}

/// Everything that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub file: String,
    pub problems: Vec<String>,
}

/// The type of a field that upstream knows and that may not be set here: `field: Option<Unsupported>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {}

/// A duration in Go's form: `metav1.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

/// Reads a file that must be of one of these apiVersions and kinds. Which one decides `decode` on what is returned.
pub fn read(path: &Path, kinds: &[(&str, &str)]) -> Result<(usize, Document), Error> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| Error::new(&file, error.to_string()))?;
    let document = Document::parse(&file, &bytes)?;
    Ok((document.expect(kinds)?, document))
}

impl Document {
    /// `file` is for messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Document, Error> {
        let root = Node::parse(bytes).map_err(|problem| Error::new(file, problem))?;
        match root.entries() {
            Some(_) => Ok(Document { file: file.to_owned(), root }),
            None if root.is_null() => Err(Error::new(file, "it is empty".to_owned())),
            None => Err(Error::new(file, "it does not hold an object".to_owned())),
        }
    }

    /// Empty if it is missing.
    pub fn api_version(&self) -> &str {
        self.root.get("apiVersion").and_then(Node::as_str).unwrap_or_default()
    }

    /// Empty if it is missing.
    pub fn kind(&self) -> &str {
        self.root.get("kind").and_then(Node::as_str).unwrap_or_default()
    }

    /// Which of these the document is.
    pub fn expect(&self, kinds: &[(&str, &str)]) -> Result<usize, Error> {
        let (api_version, kind) = (self.api_version(), self.kind());
        if let Some(at) = kinds.iter().position(|known| *known == (api_version, kind)) {
            return Ok(at);
        }
        let known: Vec<_> = kinds.iter().map(|(version, kind)| format!("{kind} of {version}")).collect();
        let problem = match (kind, api_version) {
            ("", _) => "kind is not set".to_owned(),
            (_, "") => "apiVersion is not set".to_owned(),
            _ => format!("no kind {kind:?} is registered for version {api_version:?}"),
        };
        Err(Error::new(&self.file, format!("{problem}; expected {}", known.join(", or "))))
    }

    /// The whole document. Its apiVersion and kind need not be fields of the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode::decode(&self.root).map_err(|problems| Error { file: self.file.clone(), problems })
    }

    pub fn root(&self) -> &Node {
        &self.root
    }
}

impl Error {
    fn new(file: &str, problem: String) -> Error {
        Error { file: file.to_owned(), problems: vec![problem] }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problems.join(", "))
    }
}

impl std::error::Error for Error {}

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Unsupported, D::Error> {
        Err(D::Error::custom("this field is not supported"))
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GoDuration, D::Error> {
        let text = String::deserialize(deserializer)?;
        values::parse_duration(&text).map(GoDuration).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
