//! From protobuf to trees. Fields that the tables do not know are skipped, as upstream skips them.

use std::ops::Range;

use corten_schema::{FieldId, Proto, ProtoItem, SchemaOr, Shape, TypeId};

use super::wire::{FIXED64, LEN, Reader, VARINT};
use crate::DEPTH_MAX;
use crate::scalar;
use crate::tree::{Id, Link, Slot, Text, Tree, is_like_absent};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

type Result<T> = std::result::Result<T, DecodeError>;

/// Decodes an enveloped object of a type; its kind and apiVersion come from the envelope.
pub fn decode(bytes: Vec<u8>, ty: TypeId) -> Result<Tree> {
    let envelope = super::open(&bytes)?;
    let mut tree = decode_message(bytes, envelope.message, ty)?;
    let root = tree.root_id();
    for (name, value) in [("kind", &envelope.kind), ("apiVersion", &envelope.api_version)] {
        if let Some(field) = ty.get().field_named(name).filter(|_| !value.is_empty()) {
            let value = tree.string(value);
            tree.set_field(root, field, value);
        }
    }
    Ok(tree)
}

/// Decodes a message; its strings stay where they are in the bytes, which become the tree's text.
pub fn decode_message(bytes: Vec<u8>, message: Range<usize>, ty: TypeId) -> Result<Tree> {
    let mut decoder = Decoder { tree: Tree::new(), bytes: &bytes, depth: 0 };
    let root = decoder.structure(ty, Reader::new(&bytes, message))?;
    let mut tree = decoder.tree;
    tree.set_root(root);
    Ok(tree)
}

struct Decoder<'a> {
    tree: Tree,
    bytes: &'a [u8],
    depth: usize,
}

/// A struct's fields while its message is read. Repeated fields may come in several runs.
#[derive(Default)]
struct Pending {
    fields: Vec<(FieldId, Id)>,
    lists: Vec<(FieldId, Vec<Link>)>,
}

impl Pending {
    fn set(&mut self, field: FieldId, id: Id) {
        match self.fields.iter_mut().find(|(known, _)| *known == field) {
            Some(entry) => entry.1 = id,
            None => self.fields.push((field, id)),
        }
    }

    fn push(&mut self, field: FieldId, link: Link) {
        match self.lists.last_mut().filter(|(known, _)| *known == field) {
            Some((_, links)) => links.push(link),
            None => match self.lists.iter_mut().find(|(known, _)| *known == field) {
                Some((_, links)) => links.push(link),
                None => self.lists.push((field, vec![link])),
            },
        }
    }
}

impl Decoder<'_> {
    fn structure(&mut self, ty: TypeId, reader: Reader<'_>) -> Result<Id> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(DecodeError("exceeded max depth".into()));
        }
        let mut pending = Pending::default();
        self.message(ty, ty.get().proto, reader, &mut pending)?;
        self.depth -= 1;
        self.finish(ty, pending)
    }

    fn finish(&mut self, ty: TypeId, pending: Pending) -> Result<Id> {
        let mut entries = pending.fields;
        for (field, links) in pending.lists {
            let id = match ty.field(field).shape {
                Shape::Map(_) => {
                    let map = self.tree.map();
                    self.put_members(map, links);
                    map
                }
                _ => {
                    let span = self.tree.add_links(links.into_iter());
                    self.tree.push(Slot::List(span))
                }
            };
            entries.push((field, id));
        }
        let tree = &self.tree;
        entries.retain(|&(field, id)| !(is_like_absent(ty.field(field), tree.node(id))));
        entries.sort_by_key(|&(field, _)| field);
        let links =
            entries.into_iter().map(|(field, value)| Link { key: Text { start: u32::from(field.0), len: 0 }, value });
        let span = self.tree.add_links(links);
        Ok(self.tree.push(Slot::Struct(ty, span)))
    }

    /// Sorts a map's members; of those with one key the last counts.
    fn put_members(&mut self, map: Id, mut members: Vec<Link>) {
        let tree = &self.tree;
        members.sort_by(|a, b| tree.text(a.key).cmp(tree.text(b.key)));
        members.reverse();
        members.dedup_by(|next, kept| tree.text(next.key) == tree.text(kept.key));
        members.reverse();
        let span = self.tree.add_links(members.into_iter());
        self.tree.slots[map.0 as usize] = Slot::Map(span);
    }

    fn message(
        &mut self,
        ty: TypeId,
        items: &'static [Proto],
        mut reader: Reader<'_>,
        out: &mut Pending,
    ) -> Result<()> {
        while let Some((number, wire_type)) = reader.tag()? {
            let Ok(found) = items.binary_search_by_key(&number, |item| item.number) else {
                reader.skip(wire_type)?;
                continue;
            };
            match &items[found].item {
                ProtoItem::Embedded { items, .. } => {
                    expect(wire_type, LEN, "embedded")?;
                    self.message(ty, items, reader.nested()?, out)?;
                }
                ProtoItem::Field(id) => {
                    let field = ty.field(*id);
                    match &field.shape {
                        Shape::List(item) => {
                            let value = self.value(item, wire_type, &mut reader, field.name)?;
                            out.push(*id, Link { key: Text { start: 0, len: 0 }, value });
                        }
                        Shape::Map(item) => {
                            expect(wire_type, LEN, field.name)?;
                            let link = self.member(item, reader.nested()?, field.name)?;
                            out.push(*id, link);
                        }
                        shape => {
                            let value = self.value(shape, wire_type, &mut reader, field.name)?;
                            if !matches!(self.tree.slot(value), Slot::Null) {
                                out.set(*id, value);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn member(&mut self, item: &'static Shape, mut reader: Reader<'_>, name: &str) -> Result<Link> {
        let mut key = Text { start: 0, len: 0 };
        let mut value = None;
        while let Some((number, wire_type)) = reader.tag()? {
            match number {
                1 => {
                    expect(wire_type, LEN, name)?;
                    let text = reader.string()?;
                    key = self.tree.add_text(&text);
                }
                2 => value = Some(self.value(item, wire_type, &mut reader, name)?),
                _ => reader.skip(wire_type)?,
            }
        }
        let value = match (value, item) {
            (Some(value), _) => value,
            // What Go begins with.
            (None, Shape::Struct(ty)) => self.tree.structure(*ty),
            (None, Shape::String | Shape::Bytes) => self.tree.string(""),
            (None, Shape::Quantity) => self.tree.string("0"),
            (None, Shape::Duration) => self.tree.string("0s"),
            (None, Shape::Bool) => self.tree.bool(false),
            (None, Shape::Int32 | Shape::Int64 | Shape::IntOrString) => self.tree.int(0),
            (None, Shape::Float64) => self.tree.float(0.0),
            (None, _) => self.tree.null(),
        };
        Ok(Link { key, value })
    }

    /// Null where the field is to be left out (a zero time).
    fn value(&mut self, shape: &'static Shape, wire_type: u8, reader: &mut Reader<'_>, name: &str) -> Result<Id> {
        match shape {
            Shape::Bool | Shape::Int32 | Shape::Int64 => {
                expect(wire_type, VARINT, name)?;
                let value = reader.varint()?;
                Ok(match shape {
                    Shape::Bool => self.tree.bool(value != 0),
                    Shape::Int32 => self.tree.int(i64::from(value as i32)),
                    _ => self.tree.int(value as i64),
                })
            }
            Shape::Float64 => {
                expect(wire_type, FIXED64, name)?;
                let value = f64::from_bits(reader.fixed64()?);
                Ok(self.tree.float(value))
            }
            Shape::String => {
                expect(wire_type, LEN, name)?;
                let text = reader.string()?;
                Ok(self.tree.string(&text))
            }
            Shape::Bytes => {
                expect(wire_type, LEN, name)?;
                let range = reader.bytes()?;
                let text = scalar::encode_base64(&self.bytes[range]);
                Ok(self.tree.string(&text))
            }
            Shape::Struct(ty) => {
                expect(wire_type, LEN, name)?;
                let nested = reader.nested()?;
                self.structure(*ty, nested)
            }
            Shape::SchemaOr(form) => {
                expect(wire_type, LEN, name)?;
                self.schema_or(*form, reader.nested()?, name)
            }
            Shape::WrappedList(item) => {
                expect(wire_type, LEN, name)?;
                let mut nested = reader.nested()?;
                let mut items = Vec::new();
                while let Some((number, wire_type)) = nested.tag()? {
                    match number {
                        1 => items.push(self.value(item, wire_type, &mut nested, name)?),
                        _ => nested.skip(wire_type)?,
                    }
                }
                Ok(if items.is_empty() { self.tree.null() } else { self.tree.list(&items) })
            }
            Shape::List(_) | Shape::Map(_) => Err(DecodeError(format!("{name}: lists of lists have no protobuf form"))),
            _ => {
                expect(wire_type, LEN, name)?;
                self.scalar_message(shape, reader.nested()?)
            }
        }
    }

    /// Go's zero time is null.
    fn time(&mut self, text: Option<String>) -> Id {
        match text {
            Some(text) => self.tree.string(&text),
            None => self.tree.null(),
        }
    }

    /// What is a message though JSON writes a scalar (or any JSON).
    fn scalar_message(&mut self, shape: &Shape, mut reader: Reader<'_>) -> Result<Id> {
        let (mut ints, mut bytes) = ([0i64; 4], None);
        let mut any = false;
        while let Some((number, wire_type)) = reader.tag()? {
            any = true;
            match wire_type {
                VARINT => {
                    let value = reader.varint()? as i64;
                    if let Some(int) = ints.get_mut(number as usize) {
                        *int = value;
                    }
                }
                LEN if number == 1 || number == 3 => bytes = Some(reader.bytes()?),
                _ => reader.skip(wire_type)?,
            }
        }
        let text = bytes.map(|range| String::from_utf8_lossy(&self.bytes[range]));
        Ok(match shape {
            Shape::Time | Shape::MicroTime if !any => self.tree.null(),
            Shape::Time => self.time(scalar::format_time(ints[1])),
            Shape::MicroTime => self.time(scalar::format_micro_time(ints[1], ints[2] as i32)),
            Shape::Duration => self.tree.string(&scalar::format_duration(ints[1])),
            Shape::Quantity => {
                let text = text.unwrap_or_default();
                match scalar::canonical_quantity(&text).map_err(DecodeError)? {
                    Some(canonical) => self.tree.string(&canonical),
                    None => self.tree.string(&text),
                }
            }
            Shape::IntOrString if ints[1] == 1 => self.tree.string(&text.unwrap_or_default()),
            Shape::IntOrString => self.tree.int(i64::from(ints[2] as i32)),
            Shape::Raw(_) => match text {
                Some(json) if !json.is_empty() => {
                    crate::json::check_syntax(json.as_bytes()).map_err(|error| DecodeError(error.0))?;
                    let mut compact = Vec::with_capacity(json.len());
                    crate::json::write_compact(json.as_bytes(), &mut compact);
                    self.tree.raw(&String::from_utf8_lossy(&compact))
                }
                _ => self.tree.null(),
            },
            _ => self.tree.null(),
        })
    }

    fn schema_or(&mut self, form: SchemaOr, mut reader: Reader<'_>, name: &str) -> Result<Id> {
        let (SchemaOr::Bool(ty) | SchemaOr::Array(ty) | SchemaOr::Strings(ty)) = form;
        let (mut schema, mut allows, mut items) = (None, false, Vec::new());
        while let Some((number, wire_type)) = reader.tag()? {
            match (form, number) {
                (SchemaOr::Bool(_), 1) => {
                    expect(wire_type, VARINT, name)?;
                    allows = reader.varint()? != 0;
                }
                (SchemaOr::Bool(_), 2) | (SchemaOr::Array(_) | SchemaOr::Strings(_), 1) => {
                    expect(wire_type, LEN, name)?;
                    let nested = reader.nested()?;
                    schema = Some(self.structure(ty, nested)?);
                }
                (SchemaOr::Array(_), 2) => {
                    expect(wire_type, LEN, name)?;
                    let nested = reader.nested()?;
                    items.push(self.structure(ty, nested)?);
                }
                (SchemaOr::Strings(_), 2) => {
                    expect(wire_type, LEN, name)?;
                    let text = reader.string()?;
                    items.push(self.tree.string(&text));
                }
                _ => reader.skip(wire_type)?,
            }
        }
        Ok(match (schema, form) {
            (Some(schema), _) => schema,
            (None, SchemaOr::Bool(_)) => self.tree.bool(allows),
            (None, _) => self.tree.list(&items),
        })
    }
}

fn expect(wire_type: u8, wanted: u8, name: &str) -> Result<()> {
    if wire_type == wanted {
        Ok(())
    } else {
        Err(DecodeError(format!("wrong wireType = {wire_type} for field {name}")))
    }
}
