//! `fields.Selector`: terms of equality over the fields that a kind declares selectable.

use std::fmt;

use super::{Error, Operator};

#[cfg(test)]
mod tests;

/// A conjunction of terms; without any it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    pub field: String,
    /// Without it, the field must not have the value.
    pub equal: bool,
    pub value: String,
}

impl Requirement {
    pub fn operator(&self) -> Operator {
        if self.equal { Operator::Equals } else { Operator::NotEquals }
    }
}

impl Selector {
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn nothing() -> Self {
        Selector { requirements: Vec::new(), nothing: true }
    }

    /// `field=value`.
    pub fn equal(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(vec![Requirement { field: field.into(), equal: true, value: value.into() }])
    }

    /// `field!=value`.
    pub fn not_equal(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(vec![Requirement { field: field.into(), equal: false, value: value.into() }])
    }

    pub fn new(requirements: Vec<Requirement>) -> Self {
        Selector { requirements, nothing: false }
    }

    /// Terms are sorted by their text; empty ones, and those without field and value, are dropped.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut terms = split_terms(text);
        terms.sort_unstable();
        let parse = |term: &&str| {
            let (field, equal, value) = split_term(term)
                .ok_or_else(|| Error(format!("invalid selector: '{text}'; can't understand '{term}'")))?;
            Ok(Requirement { field: field.to_owned(), equal, value: unescape_value(value)? })
        };
        let mut requirements =
            terms.iter().filter(|term| !term.is_empty()).map(parse).collect::<Result<Vec<_>, Error>>()?;
        requirements.retain(|requirement| !requirement.field.is_empty() || !requirement.value.is_empty());
        Ok(Self::new(requirements))
    }

    /// Field and value of each term as `convert` has them; a term that becomes empty is dropped.
    pub fn transform<E>(&self, mut convert: impl FnMut(&str, &str) -> Result<(String, String), E>) -> Result<Self, E> {
        let mut requirements = Vec::with_capacity(self.requirements.len());
        for requirement in &self.requirements {
            let (field, value) = convert(&requirement.field, &requirement.value)?;
            if !field.is_empty() || !value.is_empty() {
                requirements.push(Requirement { field, equal: requirement.equal, value });
            }
        }
        Ok(Selector { requirements, nothing: self.nothing })
    }

    /// A field that the object lacks counts as empty.
    pub fn matches<'l>(&self, lookup: impl Fn(&str) -> Option<&'l str>) -> bool {
        let holds = |requirement: &Requirement| {
            (lookup(&requirement.field).unwrap_or_default() == requirement.value) == requirement.equal
        };
        !self.nothing && self.requirements.iter().all(holds)
    }

    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub fn is_nothing(&self) -> bool {
        self.nothing
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The one value that `field` must have, if the selector says so.
    pub fn requires_exact_match(&self, field: &str) -> Option<&str> {
        let wanted = self.requirements.iter().find(|requirement| requirement.equal && requirement.field == field);
        wanted.map(|requirement| requirement.value.as_str())
    }
}

/// The canonical form, which parses to the same selector.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let operator = requirement.operator().as_str();
            write!(f, "{}{operator}{}", requirement.field, escape_value(&requirement.value))?;
        }
        Ok(())
    }
}

/// With a backslash before what would end a value.
pub fn escape_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

pub fn unescape_value(value: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let escape = other.map(String::from).unwrap_or_default();
                    return Err(Error(format!("invalid field selector: invalid escape sequence: \\{escape}")));
                }
            },
            // Go shows the character as its number.
            ',' | '=' => {
                return Err(Error(format!("invalid field selector: unescaped character in value: {}", c as u32)));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// What stands between commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in text.bytes().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Field, whether it must be equal, value.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let bytes = term.as_bytes();
    let operator = (0..bytes.len()).find(|&i| bytes[i] == b'=' || bytes[i..].starts_with(b"!="))?;
    let (field, rest) = term.split_at(operator);
    match rest.strip_prefix("!=") {
        Some(value) => Some((field, false, value)),
        None => rest.strip_prefix("==").or(rest.strip_prefix('=')).map(|value| (field, true, value)),
    }
}
