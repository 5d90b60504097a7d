//! The types of fields.tsv, embedded structs flattened.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::expr::{self, Expr};
use crate::facts::Table;
use crate::markers::{self, Markers};

/// By package and name, in the order of the names, which numbers them.
pub type Types = BTreeMap<String, Type>;

#[derive(Default)]
pub struct Type {
    /// In the order of JSON.
    pub fields: Vec<Field>,
    pub proto: Vec<Proto>,
    pub atomic: bool,
    pub unions: String,
}

#[derive(Clone)]
pub struct Field {
    pub name: String,
    pub expr: Expr,
    pub pointer: bool,
    pub omit_empty: bool,
    pub omit_zero: bool,
    /// Go's names of the embedded structs around it, joined by dots.
    pub embedded: String,
    pub go_type: String,
    pub markers: Markers,
}

/// A member of a protobuf message; indexes count in the flattened fields.
#[derive(Clone)]
pub enum Proto {
    Field { number: u32, index: usize },
    Embedded { number: u32, pointer: bool, items: Vec<Proto> },
}

/// A type as its rows say it.
#[derive(Default)]
struct Declared {
    markers: Markers,
    rows: Vec<Member>,
}

struct Member {
    field: Field,
    embedded: bool,
    /// `None` where protobuf does not know it.
    number: Option<u32>,
}

pub fn resolve(fields: &Table, go_types: &Table) -> Result<Types> {
    let mut declared = declared(fields)?;
    name_go_types(&mut declared, go_types)?;
    let mut types = Types::new();
    for (name, own) in &declared {
        let mut ty = Type { atomic: own.markers.map_atomic, unions: own.markers.unions.clone(), ..Type::default() };
        ty.proto = flatten(own, &declared, &mut Vec::new(), &mut ty.fields).with_context(|| name.clone())?;
        check(&ty, &declared).with_context(|| name.clone())?;
        types.insert(name.clone(), ty);
    }
    Ok(types)
}

fn declared(table: &Table) -> Result<BTreeMap<String, Declared>> {
    let mut types = BTreeMap::<String, Declared>::new();
    for row in table.rows() {
        let ty = row.cell("type")?;
        let own = types.entry(ty.to_owned()).or_default();
        let name = row.cell("field")?;
        let at = || format!("{ty} {name}");
        let markers = markers::parse(row.cell("markers")?).with_context(at)?;
        if name.is_empty() {
            own.markers = markers;
            continue;
        }
        let (expr, pointer) = expr::parse(row.cell("expr")?, ty).with_context(at)?;
        let json: Vec<_> = row.cell("json")?.split_whitespace().collect();
        if let Some(unknown) = json.iter().find(|tag| !["omitempty", "omitzero", "inline"].contains(tag)) {
            bail!("{}: unknown tag {unknown}", at());
        }
        let number = match row.cell("proto")? {
            "-" => None,
            number => Some(number.parse().with_context(at)?),
        };
        let omit_empty = json.contains(&"omitempty") && (pointer || !expr.is_go_struct());
        let omit_zero = json.contains(&"omitzero");
        let embedded = name.starts_with('.');
        ensure!(embedded == json.contains(&"inline"), "{}: inline is for embedded structs", at());
        let (embedded_in, go_type) = (String::new(), String::new());
        let field = Field {
            name: name.to_owned(),
            expr,
            pointer,
            omit_empty,
            omit_zero,
            embedded: embedded_in,
            go_type,
            markers,
        };
        own.rows.push(Member { field, embedded, number });
    }
    Ok(types)
}

fn name_go_types(declared: &mut BTreeMap<String, Declared>, table: &Table) -> Result<()> {
    for row in table.rows() {
        let (ty, name) = (row.cell("type")?, row.cell("field")?);
        let own = declared.get_mut(ty).with_context(|| format!("gotypes.tsv: there is no {ty}"))?;
        let member = own.rows.iter_mut().find(|member| member.field.name == name);
        let member = member.with_context(|| format!("gotypes.tsv: there is no {ty} {name}"))?;
        member.field.go_type = row.cell("go_type")?.to_owned();
    }
    Ok(())
}

/// Adds the type's fields to `fields` where they stand, and gives its protobuf message. `path` names the structs that
/// the type is embedded in, itself included.
fn flatten<'a>(
    own: &'a Declared,
    declared: &'a BTreeMap<String, Declared>,
    path: &mut Vec<&'a str>,
    fields: &mut Vec<Field>,
) -> Result<Vec<Proto>> {
    let mut proto = Vec::new();
    for Member { field, embedded, number } in &own.rows {
        if !embedded {
            proto.extend(number.map(|number| Proto::Field { number, index: fields.len() }));
            fields.push(Field { embedded: path.join("."), ..field.clone() });
            continue;
        }
        let Expr::Struct(name) = &field.expr else { bail!("{} is not a struct", field.name) };
        let inner = declared.get(name).with_context(|| format!("there is no {name}"))?;
        path.push(field.name.trim_start_matches('.'));
        let items = flatten(inner, declared, path, fields)?;
        path.pop();
        // An embedded struct without a number (TypeMeta) is not in the message at all.
        proto.extend(number.map(|number| Proto::Embedded { number, pointer: field.pointer, items }));
    }
    proto.sort_by_key(Proto::number);
    Ok(proto)
}

fn check(ty: &Type, declared: &BTreeMap<String, Declared>) -> Result<()> {
    ensure!(ty.fields.len() <= 256, "{} fields are too many", ty.fields.len());
    let mut names: Vec<_> = ty.fields.iter().map(|field| &field.name).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        // Go would prefer the outer one; no type has such a pair, and the flattening above does not know the rule.
        bail!("two fields are named {}", twice[0]);
    }
    for field in &ty.fields {
        if let Some(name) = field.expr.named() {
            ensure!(declared.contains_key(name), "{}: there is no {name}", field.name);
        }
    }
    check_numbers(&ty.proto)
}

fn check_numbers(proto: &[Proto]) -> Result<()> {
    for pair in proto.windows(2) {
        ensure!(pair[0].number() < pair[1].number(), "number {} stands twice", pair[0].number());
    }
    for item in proto {
        if let Proto::Embedded { items, .. } = item {
            check_numbers(items)?;
        }
    }
    Ok(())
}

impl Proto {
    pub fn number(&self) -> u32 {
        match self {
            Proto::Field { number, .. } | Proto::Embedded { number, .. } => *number,
        }
    }
}
