//! Paths of selectable fields, which the schema must know.

use std::collections::HashSet;

use corten_api::field::{Error, Errors, Path};
use corten_object::tree::Items;
use corten_views::apiextensions_v1::SelectableField;

use crate::schema::{Kind, Schema};

const SELECTABLE_MAX: usize = 8;

pub fn validate_selectable(
    fields: Items<'_, SelectableField<'_>>,
    schema: Option<&Schema>,
    allow_too_many: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen: HashSet<String> = HashSet::new();
    for (index, field) in fields.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("jsonPath");
        let text = field.json_path();
        if text.is_empty() {
            errors.push(Error::required(&path, ""));
            continue;
        }
        let (names, found) = match resolve(text, schema) {
            Ok(found) => found,
            Err(message) => {
                errors.push(Error::invalid(&path, text, format!("is an invalid path: {message}")));
                continue;
            }
        };
        if names.first().is_some_and(|name| name == "metadata") {
            errors.push(Error::invalid(&path, text, "must not point to fields in metadata"));
        }
        if !found.is_some_and(|schema| matches!(schema.kind, Kind::String | Kind::Boolean | Kind::Integer)) {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(Error::invalid(&path, text, detail));
        }
        let names = names.join(".");
        if !seen.insert(names) {
            errors.push(Error::duplicate(&path, text));
        }
    }
    if seen.len() > SELECTABLE_MAX && !allow_too_many {
        errors.push(Error::too_many(path, seen.len(), SELECTABLE_MAX));
    }
}

/// More than there may be, which an older definition keeps.
pub fn too_many(fields: Items<'_, SelectableField<'_>>) -> bool {
    fields.len() > SELECTABLE_MAX
}

type Resolved<'s> = (Vec<String>, Option<&'s Schema>);

/// The names along a path, and the schema at its end.
fn resolve<'s>(path: &str, schema: Option<&'s Schema>) -> Result<Resolved<'s>, String> {
    let mut names = Vec::new();
    let mut schema = schema;
    let mut tokens = tokens(path).into_iter();
    while let Some(token) = tokens.next() {
        match token {
            "[" => return Err("array notation is not allowed".into()),
            "." => {
                let name = tokens.next().ok_or("unexpected end of JSON path")?;
                let Some(known) = schema else { return Err("does not refer to a valid field".into()) };
                schema = if !known.properties.is_empty() {
                    Some(known.property(name).ok_or("does not refer to a valid field")?)
                } else if !known.additional.is_absent() {
                    known.additional.schema()
                } else {
                    return Err("does not refer to a valid field".into());
                };
                names.push(name.to_owned());
            }
            other => return Err(format!("expected [ or . but got: {other}")),
        }
    }
    Ok((names, schema))
}

/// Dots and brackets, and what stands between them; what is quoted is one.
fn tokens(path: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let end = if rest.starts_with('\'') {
            let closing = rest.match_indices('\'').find(|(at, _)| *at > 0 && rest.as_bytes()[at - 1] != b'\\');
            closing.map_or(rest.len(), |(at, _)| at + 1)
        } else if rest.starts_with(['.', '[', ']']) {
            1
        } else {
            rest.find(['.', '[', ']']).unwrap_or(rest.len())
        };
        let (token, after) = rest.split_at(end);
        out.push(token);
        rest = after;
    }
    out
}
