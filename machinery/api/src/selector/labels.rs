//! `labels.Selector`.

use std::fmt;

use super::{Error, Operator};
use crate::field::{self, BadValue, Path};
use crate::names;

mod parse;
#[cfg(test)]
mod tests;

pub use parse::{parse, parse_at};

/// A conjunction of requirements, sorted by key; without any it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl Selector {
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn nothing() -> Self {
        Selector { requirements: Vec::new(), nothing: true }
    }

    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Selector { requirements, nothing: false }
    }

    /// Pairs that were validated before, such as a ReplicationController's selector.
    pub fn from_set<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let equals = |(key, value): (&str, &str)| Requirement {
            key: key.to_owned(),
            operator: Operator::Equals,
            values: vec![value.to_owned()],
        };
        Self::new(labels.into_iter().map(equals).collect())
    }

    /// From the parts of a `metav1.LabelSelector` that is present: matchLabels, and matchExpressions as key, operator,
    /// values. An absent one selects nothing, which is the caller's to know.
    pub fn from_label_selector<'a, V: IntoIterator<Item = &'a str>>(
        match_labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        match_expressions: impl IntoIterator<Item = (&'a str, &'a str, V)>,
    ) -> Result<Self, Error> {
        let mut requirements = Vec::new();
        for (key, value) in match_labels {
            requirements.push(Requirement::new(key, Operator::Equals, vec![value.to_owned()])?);
        }
        for (key, operator, values) in match_expressions {
            let operator = match operator {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                _ => return Err(Error(format!("{} is not a valid label selector operator", field::quote(operator)))),
            };
            requirements.push(Requirement::new(key, operator, values.into_iter().map(str::to_owned).collect())?);
        }
        Ok(Self::new(requirements))
    }

    pub fn matches<'l>(&self, lookup: impl Fn(&str) -> Option<&'l str>) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(lookup(&requirement.key)))
    }

    /// Whether every object is selected.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub fn is_nothing(&self) -> bool {
        self.nothing
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// With further requirements; nothing stays nothing.
    pub fn with(mut self, requirements: impl IntoIterator<Item = Requirement>) -> Self {
        if self.nothing {
            return self;
        }
        self.requirements.extend(requirements);
        Self::new(self.requirements)
    }

    /// The one value that `key` must have, if the selector says so.
    pub fn requires_exact_match(&self, key: &str) -> Option<&str> {
        let requirement = self.requirements.iter().find(|requirement| requirement.key == key)?;
        match (requirement.operator, requirement.values.as_slice()) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => Some(value),
            _ => None,
        }
    }
}

impl Requirement {
    pub fn new(key: &str, operator: Operator, values: Vec<String>) -> Result<Self, Error> {
        Self::new_at(key, operator, values, &Path::root())
    }

    /// As `new`, with errors that are about the object at `path`.
    pub fn new_at(key: &str, operator: Operator, values: Vec<String>, path: &Path<'_>) -> Result<Self, Error> {
        let mut errors = field::Errors::default();
        errors.extend(validate_key(key, &path.child("key")));
        let values_path = path.child("values");
        if let Some(detail) = wrong_count(operator, values.len()) {
            // Without any, Go's slice is nil.
            let shown = if values.is_empty() { BadValue::Null } else { BadValue::strings(&values) };
            errors.push(field::Error::invalid(&values_path, shown, detail));
        }
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            for (i, value) in values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err()) {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                errors.push(field::Error::invalid(&values_path.index(i), value.as_str(), detail));
            }
        }
        for (i, value) in values.iter().enumerate() {
            let wrong = names::is_valid_label_value(value);
            if !wrong.is_empty() {
                let at = values_path.index(i);
                errors.push(field::Error::invalid(&at.key(key), value.as_str(), wrong.join("; ")));
            }
        }
        if errors.is_empty() {
            Ok(Requirement { key: key.to_owned(), operator, values })
        } else {
            Err(Error(errors.to_string()))
        }
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn operator(&self) -> Operator {
        self.operator
    }

    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether a label with this value, or its absence, will do.
    pub fn matches(&self, value: Option<&str>) -> bool {
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(|value| self.lists(value)),
            Operator::NotIn | Operator::NotEquals => value.is_none_or(|value| !self.lists(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.compare(value).is_some_and(|(value, bound)| value > bound),
            Operator::LessThan => self.compare(value).is_some_and(|(value, bound)| value < bound),
        }
    }

    fn lists(&self, value: &str) -> bool {
        self.values.iter().any(|listed| listed == value)
    }

    fn compare(&self, value: Option<&str>) -> Option<(i64, i64)> {
        let [bound] = self.values.as_slice() else { return None };
        Some((value?.parse().ok()?, bound.parse().ok()?))
    }
}

/// What is wrong with so many values for this operator.
fn wrong_count(operator: Operator, count: usize) -> Option<&'static str> {
    match (operator, count) {
        (Operator::In | Operator::NotIn, 0) => Some("for 'in', 'notin' operators, values set can't be empty"),
        (Operator::In | Operator::NotIn, _) => None,
        (Operator::Exists | Operator::DoesNotExist, 0) => None,
        (Operator::Exists | Operator::DoesNotExist, _) => {
            Some("values set must be empty for exists and does not exist")
        }
        (_, 1) => None,
        (Operator::GreaterThan | Operator::LessThan, _) => {
            Some("for 'Gt', 'Lt' operators, exactly one value is required")
        }
        (Operator::Equals | Operator::DoubleEquals | Operator::NotEquals, _) => {
            Some("exact-match compatibility requires one single value")
        }
    }
}

fn validate_key(key: &str, path: &Path<'_>) -> Option<field::Error> {
    let wrong = names::is_qualified_name(key);
    (!wrong.is_empty()).then(|| field::Error::invalid(path, key, wrong.join("; ")))
}

/// The canonical form, which parses to the same selector.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let (before, after) = match self.operator {
            Operator::Exists => return f.write_str(key),
            Operator::DoesNotExist => return write!(f, "!{key}"),
            Operator::Equals => ("=", ""),
            Operator::DoubleEquals => ("==", ""),
            Operator::NotEquals => ("!=", ""),
            Operator::GreaterThan => (">", ""),
            Operator::LessThan => ("<", ""),
            Operator::In => (" in (", ")"),
            Operator::NotIn => (" notin (", ")"),
        };
        let mut values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        write!(f, "{key}{before}{}{after}", values.join(","))
    }
}

/// Labels as a column shows them: `a=1,b=2`, or `<none>`.
pub fn format_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = labels.into_iter().collect();
    pairs.sort_unstable();
    match pairs.as_slice() {
        [] => "<none>".to_owned(),
        pairs => pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","),
    }
}

/// A parsed `metav1.LabelSelector` as a column shows it: upstream's `FormatLabelSelector`.
pub fn format_label_selector(selector: &Result<Selector, Error>) -> String {
    match selector {
        Err(_) => "<error>".to_owned(),
        Ok(selector) if selector.requirements.is_empty() => "<none>".to_owned(),
        Ok(selector) => selector.to_string(),
    }
}
