//! Whether a value fits its schema; the errors are upstream's, paths and all.

use std::collections::BTreeSet;
use std::fmt;

use super::element::Element;
use crate::patch::show::{Go, GoSyntax, go_type};
use crate::tree::Tree;
use crate::typing::{Form, List, Map, Relation, Scalar, TypeRef, Val};

#[derive(Debug, Default)]
pub struct Errors(Vec<(String, String)>);

impl Errors {
    fn push(&mut self, message: impl Into<String>) {
        self.0.push((String::new(), message.into()));
    }

    fn append(&mut self, element: &Element<'_>, below: Errors) {
        self.0.extend(below.0.into_iter().map(|(path, message)| (format!("{element}{path}"), message)));
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(path, message): &(String, String)| match path.is_empty() {
            true => message.clone(),
            false => format!("{path}: {message}"),
        };
        match &self.0[..] {
            [error] => f.write_str(&one(error)),
            errors => {
                f.write_str("errors:")?;
                errors.iter().try_for_each(|error| write!(f, "\n  {}", one(error)))
            }
        }
    }
}

/// Checks a value. Duplicates in lists with keys are allowed in what is stored, never in what is applied.
pub fn validate(ty: TypeRef<'_>, value: Val<'_>, allow_duplicates: bool) -> Result<(), Errors> {
    let mut errors = Errors::default();
    check(ty, value, allow_duplicates, &mut errors);
    if errors.0.is_empty() { Ok(()) } else { Err(errors) }
}

fn check(ty: TypeRef<'_>, value: Val<'_>, allow_duplicates: bool, errors: &mut Errors) {
    // What is kept as text fits: it was checked as JSON, and its type knows no more.
    if value.is_null() || matches!(value, Val::Raw(_)) {
        return;
    }
    match ty.atom().deduce(Some(value)).form() {
        Some(Form::Scalar(scalar)) => check_scalar(scalar, value, errors),
        Some(Form::Map(_)) if !value.is_map() => {
            errors.push(format!("expected map, got &{{{}}}", shown(value, |node| Go(node).to_string())));
        }
        Some(Form::Map(map)) => check_members(map, value, allow_duplicates, errors),
        Some(Form::List(_)) if value.items().is_none() => {
            errors.push(format!("expected list, got &{{{}}}", shown(value, |node| Go(node).to_string())));
        }
        Some(Form::List(list)) => check_items(list, value, allow_duplicates, errors),
        None => errors.push("schema error: invalid atom: inlined"),
    }
}

fn shown(value: Val<'_>, show: impl Fn(crate::tree::Node<'_>) -> String) -> String {
    let mut tree = Tree::new();
    let id = tree.import_plain(value);
    show(tree.node(id))
}

fn check_scalar(scalar: Scalar, value: Val<'_>, errors: &mut Errors) {
    let fits = match scalar {
        Scalar::Numeric => matches!(value, Val::Int(_) | Val::Float(_)),
        Scalar::String => matches!(value, Val::Str(_)),
        Scalar::Boolean => matches!(value, Val::Bool(_)),
        Scalar::Untyped => matches!(value, Val::Int(_) | Val::Float(_) | Val::Str(_) | Val::Bool(_)),
    };
    if fits {
        return;
    }
    errors.push(match scalar {
        Scalar::Numeric => {
            let found = shown(value, |node| go_type(node).to_owned());
            format!("expected numeric (int or float), got {found}")
        }
        Scalar::String => {
            let found = shown(value, |node| GoSyntax(node).to_string());
            format!("expected string, got &value.valueUnstructured{{Value:{found}}}")
        }
        Scalar::Boolean => format!("expected boolean, got &{{{}}}", shown(value, |node| Go(node).to_string())),
        Scalar::Untyped => format!("expected any scalar, got &{{{}}}", shown(value, |node| Go(node).to_string())),
    });
}

fn check_members(map: Map<'_>, value: Val<'_>, allow_duplicates: bool, errors: &mut Errors) {
    for (name, member) in value.members() {
        let element = Element::Field(name.into());
        let mut below = Errors::default();
        let Some(ty) = map.member(name) else {
            below.push("field not declared in schema");
            errors.append(&element, below);
            return;
        };
        check(ty, member, allow_duplicates, &mut below);
        if !below.0.is_empty() {
            errors.append(&element, below);
        }
    }
}

fn check_items(list: List<'_>, value: Val<'_>, allow_duplicates: bool, errors: &mut Errors) {
    let mut seen: BTreeSet<Element<'_>> = BTreeSet::new();
    for (i, item) in value.items().into_iter().flat_map(|items| items.iter()).enumerate() {
        let item = Val::of(item);
        let element = match list.relation {
            Relation::Atomic => Element::Index(i as i64),
            _ => match Element::of_item(list, item) {
                Ok(element) => element,
                Err(error) => return errors.push(format!("element {i}: {error}")),
            },
        };
        if !matches!(list.relation, Relation::Atomic) && !seen.insert(element.clone()) && !allow_duplicates {
            errors.push(format!("duplicate entries for key {element}"));
        }
        let mut below = Errors::default();
        check(list.item, item, allow_duplicates, &mut below);
        if !below.0.is_empty() {
            errors.append(&element, below);
        }
    }
}
