//! Whether a value fits its schema; the errors are upstream's, paths and all.

use std::collections::BTreeSet;
use std::fmt;

use super::element::Element;
use crate::patch::show::{Go, GoSyntax, go_type};
use crate::tree::Tree;
use crate::typing::{Form, List, Map, Relation, Scalar, TypeRef, Val};

/// How many bytes of errors are listed. Upstream lists all, whose paths may be long and many.
const LISTED_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub struct Errors {
    list: Vec<(String, String)>,
    bytes: usize,
}

/// Where a value stands, as far as it is known: the steps to it from its end.
#[derive(Clone, Copy)]
struct Place<'p> {
    above: Option<&'p Place<'p>>,
    element: &'p Element<'p>,
}

impl Place<'_> {
    fn path(self) -> String {
        let mut steps = vec![self.element];
        let mut above = self.above;
        while let Some(place) = above {
            steps.push(place.element);
            above = place.above;
        }
        steps.into_iter().rev().map(Element::to_string).collect()
    }
}

type Above<'p> = Option<&'p Place<'p>>;

impl Errors {
    fn push(&mut self, at: Above<'_>, message: impl FnOnce() -> String) {
        if self.bytes < LISTED_MAX {
            let error = (at.map_or(String::new(), |place| place.path()), message());
            self.bytes += error.0.len() + error.1.len();
            self.list.push(error);
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(path, message): &(String, String)| match path.is_empty() {
            true => message.clone(),
            false => format!("{path}: {message}"),
        };
        match &self.list[..] {
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
    check(ty, value, allow_duplicates, None, &mut errors);
    if errors.list.is_empty() { Ok(()) } else { Err(errors) }
}

fn check(ty: TypeRef<'_>, value: Val<'_>, allow_duplicates: bool, at: Above<'_>, errors: &mut Errors) {
    // What is kept as text fits: it was checked as JSON, and its type knows no more.
    if value.is_null() || matches!(value, Val::Raw(_)) {
        return;
    }
    let got = |wanted: &str| format!("expected {wanted}, got &{{{}}}", shown(value, |node| Go(node).to_string()));
    match ty.atom().deduce(Some(value)).form() {
        Some(Form::Scalar(scalar)) => check_scalar(scalar, value, at, errors),
        Some(Form::Map(_)) if !value.is_map() => errors.push(at, || got("map")),
        Some(Form::Map(map)) => check_members(map, value, allow_duplicates, at, errors),
        Some(Form::List(_)) if value.items().is_none() => errors.push(at, || got("list")),
        Some(Form::List(list)) => check_items(list, value, allow_duplicates, at, errors),
        None => errors.push(at, || "schema error: invalid atom: inlined".into()),
    }
}

fn shown(value: Val<'_>, show: impl Fn(crate::tree::Node<'_>) -> String) -> String {
    let mut tree = Tree::new();
    let id = tree.import_plain(value);
    show(tree.node(id))
}

fn check_scalar(scalar: Scalar, value: Val<'_>, at: Above<'_>, errors: &mut Errors) {
    let fits = match scalar {
        Scalar::Numeric => matches!(value, Val::Int(_) | Val::Float(_)),
        Scalar::String => matches!(value, Val::Str(_)),
        Scalar::Boolean => matches!(value, Val::Bool(_)),
        Scalar::Untyped => matches!(value, Val::Int(_) | Val::Float(_) | Val::Str(_) | Val::Bool(_)),
    };
    if fits {
        return;
    }
    errors.push(at, || match scalar {
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

fn check_members(map: Map<'_>, value: Val<'_>, allow_duplicates: bool, at: Above<'_>, errors: &mut Errors) {
    for (name, member) in value.members() {
        let place = Place { above: at, element: &Element::Field(name.into()) };
        let Some(ty) = map.member(name) else {
            return errors.push(Some(&place), || "field not declared in schema".into());
        };
        check(ty, member, allow_duplicates, Some(&place), errors);
    }
}

fn check_items(list: List<'_>, value: Val<'_>, allow_duplicates: bool, at: Above<'_>, errors: &mut Errors) {
    let mut seen: BTreeSet<Element<'_>> = BTreeSet::new();
    for (i, item) in value.items().into_iter().flat_map(|items| items.iter()).enumerate() {
        let item = Val::of(item);
        let element = match list.relation {
            Relation::Atomic => Element::Index(i as i64),
            _ => match Element::of_item(list, item) {
                Ok(element) => element,
                Err(error) => return errors.push(at, || format!("element {i}: {error}")),
            },
        };
        if !matches!(list.relation, Relation::Atomic) && !seen.insert(element.clone()) && !allow_duplicates {
            errors.push(at, || format!("duplicate entries for key {element}"));
        }
        check(list.item, item, allow_duplicates, Some(&Place { above: at, element: &element }), errors);
    }
}
