//! The views as Rust: for every type that a strategy may meet, one line a field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use crate::Files;
use crate::expr::Expr;
use crate::names::{method, module};
use crate::rows::{Kind, Resource};
use crate::types::{Field, Type, Types};
use crate::write::{HEADER, id};

/// Packages of which everything has a view, besides what the kinds that are served by default lead to.
const WHOLE: &[&str] = &["meta.v1"];

const INDEX: &str = "\
//! Typed, read-only views of object trees, a module for each package of the API.
//!
//! What is absent reads as Go's zero value; an `Option` stands where Go has a pointer. Names are the JSON names in snake
//! case, a reserved word with an underscore behind it (`type_`). Every field has a constant of the same name in
//! capitals (`TYPE_`), for the tree's own methods.

#[macro_use]
mod view;

";

pub fn views(types: &Types, kinds: &[Kind], resources: &[Resource]) -> Result<Files> {
    let mut packages = BTreeMap::<String, String>::new();
    for name in wanted(types, kinds, resources)? {
        let (package, _) = module(&name);
        let text = packages.entry(package).or_insert_with(|| HEADER.to_owned());
        write_view(text, &name, &types[&name]).with_context(|| name.clone())?;
    }
    let mut files = Files::new();
    files.insert("lib.rs".into(), index(packages.keys())?);
    files.extend(packages.into_iter().map(|(package, text)| (package + ".rs", text)));
    Ok(files)
}

fn index<'a>(packages: impl Iterator<Item = &'a String>) -> Result<String> {
    let mut out = format!("{HEADER}{INDEX}");
    for package in packages {
        writeln!(out, "pub mod {package};")?;
    }
    Ok(out)
}

/// The kinds that are served by default, those of their subresources, and all types that these hold.
fn wanted(types: &Types, kinds: &[Kind], resources: &[Resource]) -> Result<BTreeSet<String>> {
    let by_key: BTreeMap<_, _> = kinds.iter().map(|kind| (kind.key(), &kind.ty)).collect();
    let mut todo: Vec<&str> = Vec::new();
    let mut add = |group: &str, version: &str, kind: &str| -> Result<()> {
        let found = by_key.get(&(group, version, kind)).with_context(|| format!("no kind {group}/{version} {kind}"))?;
        todo.push(found);
        Ok(())
    };
    for row in resources.iter().filter(|row| row.served_by_default) {
        add(&row.group, &row.version, &row.kind)?;
        for sub in &row.subresources {
            let own = sub.version.is_empty();
            let (group, version) = if own { (&row.group, &row.version) } else { (&sub.group, &sub.version) };
            add(group, version, &sub.kind)?;
        }
    }
    let whole = |name: &str| name.rsplit_once('.').is_some_and(|(package, _)| WHOLE.contains(&package));
    todo.extend(types.keys().map(String::as_str).filter(|name| whole(name)));
    let mut wanted = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if wanted.insert(name.to_owned()) {
            todo.extend(types[name].fields.iter().filter_map(|field| field.expr.named()));
        }
    }
    Ok(wanted)
}

fn write_view(out: &mut String, name: &str, ty: &Type) -> Result<()> {
    let (_, short) = module(name);
    let ids = id(name);
    writeln!(out, "\nview! {{ {short} = {};", ids.strip_prefix("ids::").unwrap_or(&ids))?;
    let mut seen = BTreeSet::new();
    for (index, field) in ty.fields.iter().enumerate() {
        let accessor = method(&field.name);
        ensure!(seen.insert(accessor.clone()), "two fields would be {accessor}");
        // So that no field's constant hides the view's TYPE.
        let constant = accessor.to_ascii_uppercase();
        writeln!(out, "    {accessor} {constant} {index} {};", getter(field))?;
    }
    out.push_str("}\n");
    Ok(())
}

/// A rule of the macro `accessor`, in view.rs.
fn getter(field: &Field) -> String {
    let opt = |name: &str| if field.pointer { format!("{name}_opt") } else { name.to_owned() };
    match &field.expr {
        Expr::Text(_) => opt("string"),
        Expr::Plain("Bool") => opt("bool"),
        Expr::Plain("Float64") => opt("float"),
        Expr::Plain("IntOrString") => opt("int_or_string"),
        Expr::Plain(_) => opt("int"),
        Expr::Raw(_) => "raw".into(),
        Expr::SchemaOr(..) => "node".into(),
        Expr::Struct(name) => format!("{} {}", opt("structure"), path(name)),
        Expr::List(item) | Expr::WrappedList(item) => match &**item {
            Expr::Struct(name) => format!("items {}", path(name)),
            Expr::Text(_) => "strings".into(),
            _ => "list".into(),
        },
        Expr::Map(item) => match &**item {
            Expr::Text(_) => "string_map".into(),
            _ => "map".into(),
        },
    }
}

fn path(name: &str) -> String {
    let (package, short) = module(name);
    format!("{package}::{short}")
}
