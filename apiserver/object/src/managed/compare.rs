//! What changed between two values of a type: the paths that were added, modified and removed.

use std::fmt;

use corten_schema::{FieldId, Shape, TypeId};
use smallvec::SmallVec;

use super::element::Element;
use super::set::{ADDED, MODIFIED, REMOVED, Set};
use crate::json::is_written;
use crate::tree::Struct;
use crate::typing::{Atom, Fields, Form, List, Map, Relation, TypeRef, Val, field_value, parse_raw};

/// Takes what changed. Steps come in order, a path's own mark before what is below it.
pub trait Sink {
    fn open(&mut self, element: &Element<'_>);
    fn mark(&mut self, marks: u8);
    fn close(&mut self);
    /// How many steps are open.
    fn depth(&self) -> usize;
}

/// Down to this depth a value is compared as a whole before anything in it is: that passes over most of an object. Below
/// it is not, since each level would read all that is below it again.
const AS_A_WHOLE: usize = 32;

/// Whether nothing need be looked at, because both are known to be the same.
fn same(old: Val<'_>, new: Val<'_>, sink: &dyn Sink) -> bool {
    (sink.depth() < AS_A_WHOLE || old.is_scalar() || new.is_scalar()) && old.equals(new)
}

/// Why two values cannot be compared, and where.
#[derive(Debug)]
pub struct Mismatch {
    /// From the innermost.
    steps: Vec<String>,
    message: String,
}

impl Mismatch {
    fn within(mut self, element: &Element<'_>) -> Mismatch {
        self.steps.push(element.to_string());
        self
    }
}

impl From<String> for Mismatch {
    fn from(message: String) -> Self {
        Mismatch { steps: Vec::new(), message }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().rev().try_for_each(|step| f.write_str(step))?;
        f.write_str(&self.message)
    }
}

/// Which paths are looked at.
#[derive(Clone, Default)]
pub struct Filter<'f> {
    /// These, and all below them, are not.
    pub except: SmallVec<[&'f [&'f str]; 4]>,
    /// If not empty, only these and all below them, `*` being any step.
    pub only: SmallVec<[&'f [&'f str]; 4]>,
}

impl<'f> Filter<'f> {
    pub fn new(except: &[&'f [&'f str]], only: &[&'f [&'f str]]) -> Filter<'f> {
        Filter { except: except.iter().copied().collect(), only: only.iter().copied().collect() }
    }

    /// The same for another version of the object, in which other paths may be left out.
    pub fn of_version<'n>(&self, except: Option<&[&'n [&'n str]]>) -> Filter<'n>
    where
        'f: 'n,
    {
        let own = || self.except.iter().map(|&path| path as &[&str]).collect();
        Filter {
            except: except.map_or_else(own, |paths| paths.iter().copied().collect()),
            only: self.only.iter().map(|&path| path as &[&str]).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.except.is_empty() && self.only.is_empty()
    }

    /// What holds below a step; None where nothing there is looked at.
    pub fn below(&self, element: &Element<'_>) -> Option<Filter<'f>> {
        let mut below = Filter::default();
        for path in &self.except {
            match path.split_first() {
                Some((first, rest)) if element.field_name() == Some(first) => match rest.is_empty() {
                    true => return None,
                    false => below.except.push(rest),
                },
                _ => {}
            }
        }
        if self.only.is_empty() {
            return Some(below);
        }
        for path in &self.only {
            match path.split_first() {
                Some((first, rest)) if *first == "*" || element.field_name() == Some(first) => below.only.push(rest),
                _ => {}
            }
        }
        if below.only.is_empty() {
            return None;
        }
        // A path that ends here lets all below it through.
        if below.only.iter().any(|rest| rest.is_empty()) {
            below.only.clear();
        }
        Some(below)
    }

    /// The same of a set that is there already.
    pub fn apply(&self, set: &mut Set) {
        if self.is_empty() {
            return;
        }
        set.entries.retain_mut(|entry| match self.below(&entry.element) {
            None => false,
            Some(filter) => {
                filter.apply(&mut entry.below);
                entry.marks != 0 || !entry.below.is_empty()
            }
        });
    }
}

/// Compares two objects; an error says why they cannot be.
pub fn compare(
    ty: TypeRef<'_>,
    old: Option<Val<'_>>,
    new: Option<Val<'_>>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    if old.is_none() && new.is_none() {
        return Ok(());
    }
    if let TypeRef::Shape { shape, .. } = ty
        && is_scalar(shape)
        && old.is_none_or(Val::is_scalar)
        && new.is_none_or(Val::is_scalar)
    {
        leaf(old, new, sink);
        return Ok(());
    }
    let atom = ty.atom();
    let (of_old, of_new) = (atom.deduce(old), atom.deduce(new));
    let forms: SmallVec<[Form<'_>; 2]> = match (old, new) {
        (_, None) => of_old.form().into_iter().collect(),
        (None, _) => of_new.form().into_iter().collect(),
        _ if same_forms(of_old, of_new) => of_new.form().into_iter().collect(),
        // A value that changed its form is modified as a leaf, and its members come and go.
        _ => {
            let mut forms: SmallVec<[Form<'_>; 2]> = of_old.form().into_iter().chain(of_new.form()).collect();
            forms.sort_by_key(|form| match form {
                Form::Scalar(_) => 0,
                Form::Map(_) => 1,
                Form::List(_) => 2,
            });
            forms.dedup_by_key(|form| std::mem::discriminant(form));
            forms
        }
    };
    if raw(old).is_some() || raw(new).is_some() {
        return compare_raw(ty, old, new, filter, sink);
    }
    for form in forms {
        compare_form(form, old, new, filter, sink)?;
    }
    Ok(())
}

/// Most of what an object holds: it has one form, and nothing below it.
fn is_scalar(shape: &Shape) -> bool {
    matches!(shape, Shape::Bool | Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::String | Shape::Quantity)
}

fn same_forms(a: Atom<'_>, b: Atom<'_>) -> bool {
    (a.scalar.is_some(), a.list.is_some(), a.map.is_some()) == (b.scalar.is_some(), b.list.is_some(), b.map.is_some())
}

fn raw<'t>(value: Option<Val<'t>>) -> Option<&'t str> {
    match value {
        Some(Val::Raw(text)) => Some(text),
        _ => None,
    }
}

fn compare_raw(
    ty: TypeRef<'_>,
    old: Option<Val<'_>>,
    new: Option<Val<'_>>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    let old_tree = raw(old).and_then(parse_raw);
    let new_tree = raw(new).and_then(parse_raw);
    let old = old_tree.as_ref().map(|tree| Val::of(tree.root())).or(old);
    let new = new_tree.as_ref().map(|tree| Val::of(tree.root())).or(new);
    match raw(old).or(raw(new)) {
        Some(_) => Err(String::from("a value holds no JSON").into()),
        None => compare(ty, old, new, filter, sink),
    }
}

fn leaf(old: Option<Val<'_>>, new: Option<Val<'_>>, sink: &mut dyn Sink) {
    match (old, new) {
        (None, _) => sink.mark(ADDED),
        (_, None) => sink.mark(REMOVED),
        (Some(old), Some(new)) if !old.equals(new) => sink.mark(MODIFIED),
        _ => {}
    }
}

fn compare_form(
    form: Form<'_>,
    old: Option<Val<'_>>,
    new: Option<Val<'_>>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    let (atomic, empty) = match form {
        Form::Scalar(_) => (true, true),
        Form::List(list) => {
            let items = |value: Option<Val<'_>>| value.and_then(Val::items).map_or(0, |list| list.len());
            (matches!(list.relation, Relation::Atomic), items(old) == 0 && items(new) == 0)
        }
        Form::Map(map) => {
            let none = |value: Option<Val<'_>>| value.is_none_or(|value| value.members().next().is_none());
            (map.atomic, none(old) && none(new))
        }
    };
    if atomic || empty {
        leaf(old, new, sink);
        return Ok(());
    }
    match (old, new) {
        (None, _) => sink.mark(ADDED),
        (_, None) => sink.mark(REMOVED),
        _ => {}
    }
    match form {
        Form::Scalar(_) => Ok(()),
        Form::Map(map) => members(map, old, new, filter, sink),
        Form::List(list) => items(list, old, new, filter, sink),
    }
}

fn members(
    map: Map<'_>,
    old: Option<Val<'_>>,
    new: Option<Val<'_>>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    if let Some((ty, old, new)) = of_one_struct(&map, old, new) {
        return fields(ty, old, new, filter, sink);
    }
    let mut old = old.into_iter().flat_map(Val::members).peekable();
    let mut new = new.into_iter().flat_map(Val::members).peekable();
    loop {
        let (name, before, after) = match (old.peek(), new.peek()) {
            (None, None) => return Ok(()),
            (Some(&(a, x)), Some(&(b, y))) if a == b => {
                old.next();
                new.next();
                (a, Some(x), Some(y))
            }
            (Some(&(a, x)), next) if next.is_none_or(|&(b, _)| a < b) => {
                old.next();
                (a, Some(x), None)
            }
            (_, Some(&(b, y))) => {
                new.next();
                (b, None, Some(y))
            }
            (Some(_), None) => unreachable!("the arm before takes it"),
        };
        if let (Some(before), Some(after)) = (before, after)
            && same(before, after, sink)
        {
            continue;
        }
        let element = Element::Field(name.into());
        match (map.member(name), before, after) {
            (Some(ty), ..) => {
                child(&element, ty, before, after, filter, sink).map_err(|error| error.within(&element))?;
            }
            (None, Some(before), Some(after)) if before.equals(after) => {}
            (None, ..) => return Err(Mismatch::from(String::from(": field not declared in schema")).within(&element)),
        }
    }
}

/// Values of the struct that the map describes, which need no look-up of names.
fn of_one_struct<'t>(
    map: &Map<'_>,
    old: Option<Val<'t>>,
    new: Option<Val<'t>>,
) -> Option<(TypeId, Option<Struct<'t>>, Option<Struct<'t>>)> {
    let Fields::Struct(ty) = map.fields else { return None };
    let structure = |value: Option<Val<'t>>| match value {
        None => Some(None),
        Some(Val::Struct(own, structure)) if own == ty => Some(Some(structure)),
        _ => None,
    };
    Some((ty, structure(old)?, structure(new)?))
}

/// The fields of a struct, by name.
fn fields(
    ty: TypeId,
    old: Option<Struct<'_>>,
    new: Option<Struct<'_>>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    let present = Fieldset::of(old) | Fieldset::of(new);
    for &index in ty.get().by_name {
        let id = FieldId(index);
        // Of its many fields an object has few; most are passed over without a look into it.
        if !present.has(id) && !is_written(ty.field(id), None) {
            continue;
        }
        let before = old.and_then(|structure| field_value(ty, structure, id));
        let after = new.and_then(|structure| field_value(ty, structure, id));
        match (before, after) {
            (None, None) => continue,
            (Some(before), Some(after)) if same(before, after, sink) => continue,
            _ => {}
        }
        let field = ty.field(id);
        let element = Element::Field(field.name.into());
        let typing = TypeRef::of_field(field);
        child(&element, typing, before, after, filter, sink).map_err(|error| error.within(&element))?;
    }
    Ok(())
}

/// Which fields are there: a bit each, the last one shared by all behind it, so that some may seem to be there.
#[derive(Clone, Copy)]
struct Fieldset(u64);

impl Fieldset {
    fn of(structure: Option<Struct<'_>>) -> Fieldset {
        let fields = structure.into_iter().flat_map(Struct::fields);
        Fieldset(fields.fold(0, |set, (id, _)| set | Fieldset::bit(id)))
    }

    fn bit(id: FieldId) -> u64 {
        1 << id.0.min(63)
    }

    fn has(self, id: FieldId) -> bool {
        self.0 & Fieldset::bit(id) != 0
    }
}

impl std::ops::BitOr for Fieldset {
    type Output = Fieldset;

    fn bitor(self, other: Fieldset) -> Fieldset {
        Fieldset(self.0 | other.0)
    }
}

fn child(
    element: &Element<'_>,
    ty: TypeRef<'_>,
    old: Option<Val<'_>>,
    new: Option<Val<'_>>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    if filter.is_empty() {
        sink.open(element);
        compare(ty, old, new, filter, sink)?;
    } else {
        let Some(filter) = filter.below(element) else { return Ok(()) };
        sink.open(element);
        compare(ty, old, new, &filter, sink)?;
    }
    sink.close();
    Ok(())
}

/// The items of a list with what tells them apart, sorted by it; equal ones keep their order.
fn keyed<'t, 's: 't>(list: List<'s>, value: Option<Val<'t>>) -> Result<Vec<(Element<'t>, Val<'t>)>, String> {
    let mut keyed = Vec::new();
    for (i, item) in value.and_then(Val::items).into_iter().flat_map(|items| items.iter()).enumerate() {
        let item = Val::of(item);
        let element = Element::of_item(list, item).map_err(|error| format!(": element {i}: {error}"))?;
        keyed.push((element, item));
    }
    if !keyed.is_sorted_by(|a, b| a.0 <= b.0) {
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(keyed)
}

fn items(
    list: List<'_>,
    old: Option<Val<'_>>,
    new: Option<Val<'_>>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    let (old, new) = match (keyed(list, old), keyed(list, new), old, new) {
        (Ok(old), Ok(new), ..) => (old, new),
        // Items that cannot be told apart are well as long as nobody changes them.
        (.., Some(old), Some(new)) if old.equals(new) => return Ok(()),
        (Err(error), ..) | (_, Err(error), ..) => return Err(error.into()),
    };
    let (mut i, mut j) = (0, 0);
    loop {
        let element = match (old.get(i), new.get(j)) {
            (None, None) => return Ok(()),
            (Some((a, _)), Some((b, _))) => a.min(b),
            (Some((a, _)), None) => a,
            (None, Some((b, _))) => b,
        };
        let before = run(&old[i..], element);
        let after = run(&new[j..], element);
        (i, j) = (i + before.len(), j + after.len());
        run_of_items(list, element, before, after, filter, sink).map_err(|error| error.within(element))?;
    }
}

type Run<'r, 't> = &'r [(Element<'t>, Val<'t>)];

fn run<'r, 't>(items: Run<'r, 't>, element: &Element<'_>) -> Run<'r, 't> {
    let len = items.iter().take_while(|(other, _)| other == element).count();
    &items[..len]
}

/// Items with one key. Several on a side are owned as one.
fn run_of_items(
    list: List<'_>,
    element: &Element<'_>,
    old: Run<'_, '_>,
    new: Run<'_, '_>,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    match (old, new) {
        ([] | [_], [] | [_]) => {
            let (old, new) = (first(old), first(new));
            if let (Some(old), Some(new)) = (old, new)
                && same(old, new, sink)
            {
                return Ok(());
            }
            child(element, list.item, old, new, filter, sink)
        }
        ([_, _, ..], [_, _, ..]) => {
            if old.len() != new.len() || !old.iter().zip(new).all(|(a, b)| a.1.equals(b.1)) {
                mark(element, MODIFIED, filter, sink);
            }
            Ok(())
        }
        ([_, _, ..], _) => duplicates(list, element, (None, first(new)), REMOVED, filter, sink),
        (_, _) => duplicates(list, element, (first(old), None), ADDED, filter, sink),
    }
}

fn first<'t>(run: Run<'_, 't>) -> Option<Val<'t>> {
    run.first().map(|item| item.1)
}

fn mark(element: &Element<'_>, marks: u8, filter: &Filter<'_>, sink: &mut dyn Sink) {
    if filter.below(element).is_some() {
        sink.open(element);
        sink.mark(marks);
        sink.close();
    }
}

/// Duplicates that came or went, and the single item that was there or is.
fn duplicates(
    list: List<'_>,
    element: &Element<'_>,
    (old, new): (Option<Val<'_>>, Option<Val<'_>>),
    marks: u8,
    filter: &Filter<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Mismatch> {
    let Some(below) = filter.below(element) else { return Ok(()) };
    sink.open(element);
    sink.mark(marks);
    compare(list.item, old, new, &below, sink)?;
    sink.close();
    Ok(())
}

/// Keeps what changed as a set with marks.
#[derive(Default)]
pub struct Changes {
    stack: Vec<super::set::Entry>,
    pub set: Set,
}

impl Sink for Changes {
    fn open(&mut self, element: &Element<'_>) {
        let element = element.clone().into_owned();
        self.stack.push(super::set::Entry { element, marks: 0, below: Set::new() });
    }

    fn mark(&mut self, marks: u8) {
        if let Some(entry) = self.stack.last_mut() {
            entry.marks |= marks;
        }
    }

    fn close(&mut self) {
        let Some(entry) = self.stack.pop() else { return };
        if entry.marks == 0 && entry.below.is_empty() {
            return;
        }
        let set = self.stack.last_mut().map_or(&mut self.set, |parent| &mut parent.below);
        let mine = set.entry(entry.element);
        mine.marks |= entry.marks;
        mine.below.union(entry.below);
    }

    fn depth(&self) -> usize {
        self.stack.len()
    }
}
