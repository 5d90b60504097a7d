//! The type expressions of fields.tsv.

use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A variant of `Shape` that names no other type, as Rust writes it.
    Plain(&'static str),
    /// Like text in a tree: its variant of `Shape`.
    Text(&'static str),
    /// Kept as JSON text: its variant of `RawKind`.
    Raw(&'static str),
    /// A variant of `SchemaOr`, and the schema's type.
    SchemaOr(&'static str, String),
    Struct(String),
    List(Box<Expr>),
    Map(Box<Expr>),
    WrappedList(Box<Expr>),
}

/// The expression and whether it is a pointer. `owner` is the type that holds the field: a schema-or-something means
/// the schema of the same package.
pub fn parse(text: &str, owner: &str) -> Result<(Expr, bool)> {
    let (text, pointer) = text.strip_prefix('?').map_or((text, false), |rest| (rest, true));
    Ok((value(text, owner).with_context(|| format!("type {text:?}"))?, pointer))
}

fn value(text: &str, owner: &str) -> Result<Expr> {
    if text.ends_with(')') {
        let (list, message) = text.split_once("(message ").context("no message")?;
        ensure!(!message.contains('['), "a message around a list only");
        let Expr::List(item) = value(list, owner)? else { bail!("a message around a list only") };
        return Ok(Expr::WrappedList(item));
    }
    if let Some(rest) = text.strip_prefix('[') {
        return Ok(Expr::List(Box::new(value(rest.strip_suffix(']').context("no ]")?, owner)?)));
    }
    if let Some(rest) = text.strip_prefix("{string:") {
        return Ok(Expr::Map(Box::new(value(rest.strip_suffix('}').context("no }")?, owner)?)));
    }
    let schema = || owner.rsplit_once('.').map(|(package, _)| format!("{package}.JSONSchemaProps")).unwrap_or_default();
    Ok(match text {
        "bool" => Expr::Plain("Bool"),
        "int32" => Expr::Plain("Int32"),
        "int64" => Expr::Plain("Int64"),
        "float64" => Expr::Plain("Float64"),
        "int-or-string" => Expr::Plain("IntOrString"),
        "string" => Expr::Text("String"),
        "bytes" => Expr::Text("Bytes"),
        "time" => Expr::Text("Time"),
        "microtime" => Expr::Text("MicroTime"),
        "duration" => Expr::Text("Duration"),
        "quantity" => Expr::Text("Quantity"),
        "raw" => Expr::Raw("RawExtension"),
        "fields-v1" => Expr::Raw("FieldsV1"),
        "any" | "any-json" => Expr::Raw("Json"),
        "schema-or-bool" => Expr::SchemaOr("Bool", schema()),
        "schema-or-array" => Expr::SchemaOr("Array", schema()),
        "schema-or-strings" => Expr::SchemaOr("Strings", schema()),
        _ if text.split('.').count() == 3 => Expr::Struct(text.to_owned()),
        _ => bail!("is not known"),
    })
}

impl Expr {
    /// Whether Go has a struct here, which `omitempty` never drops.
    pub fn is_go_struct(&self) -> bool {
        match self {
            Expr::Plain(shape) => *shape == "IntOrString",
            Expr::Text(shape) => !matches!(*shape, "String" | "Bytes"),
            Expr::Raw(_) | Expr::SchemaOr(..) | Expr::Struct(_) => true,
            Expr::List(_) | Expr::Map(_) | Expr::WrappedList(_) => false,
        }
    }

    /// The type of a struct, within lists and maps too.
    pub fn named(&self) -> Option<&str> {
        match self {
            Expr::Struct(name) | Expr::SchemaOr(_, name) => Some(name),
            Expr::List(item) | Expr::Map(item) | Expr::WrappedList(item) => item.named(),
            Expr::Plain(_) | Expr::Text(_) | Expr::Raw(_) => None,
        }
    }

    /// The `Shape`, with `S` for it and `id` giving the constant of a type.
    pub fn write(&self, out: &mut String, id: &dyn Fn(&str) -> String) -> Result<()> {
        match self {
            Expr::Plain(shape) | Expr::Text(shape) => write!(out, "S::{shape}")?,
            Expr::Raw(kind) => write!(out, "S::Raw(RawKind::{kind})")?,
            Expr::SchemaOr(form, name) => write!(out, "S::SchemaOr(SchemaOr::{form}({}))", id(name))?,
            Expr::Struct(name) => write!(out, "S::Struct({})", id(name))?,
            Expr::List(item) => item.write_in(out, "List", id)?,
            Expr::Map(item) => item.write_in(out, "Map", id)?,
            Expr::WrappedList(item) => item.write_in(out, "WrappedList", id)?,
        }
        Ok(())
    }

    fn write_in(&self, out: &mut String, around: &str, id: &dyn Fn(&str) -> String) -> Result<()> {
        write!(out, "S::{around}(&")?;
        self.write(out, id)?;
        out.push(')');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut out = String::new();
        let (expr, pointer) = parse(text, "a.v1.B").unwrap();
        expr.write(&mut out, &|name| name.to_owned()).unwrap();
        assert_eq!(format!("{}{out}", if pointer { "?" } else { "" }), expected, "{text}");
    }

    #[test]
    fn shapes() {
        check("?int32", "?S::Int32");
        check("[core.v1.Container]", "S::List(&S::Struct(core.v1.Container))");
        check("{string:[string](message ExtraValue)}", "S::Map(&S::WrappedList(&S::String))");
        check("?schema-or-bool", "?S::SchemaOr(SchemaOr::Bool(a.v1.JSONSchemaProps))");
        check("[any]", "S::List(&S::Raw(RawKind::Json))");
        assert!(parse("[?string]", "a.v1.B").is_err());
        assert!(parse("integer", "a.v1.B").is_err());
    }
}
