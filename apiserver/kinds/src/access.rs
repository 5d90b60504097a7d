//! Small steps on trees that many kinds take.

use corten_api::field::BadValue;
use corten_object::tree::{Edit, Id, Node, Struct, Tree, Value, View};
use corten_schema::{FieldId, Shape, TypeId};
use corten_views::meta_v1::ObjectMeta;

/// A node as a view of its type.
pub fn view<'t, V: View<'t>>(node: Node<'t>) -> V {
    V::from_struct(node.as_struct())
}

/// Puts a field back to what it was in an older object.
pub fn put_back(object: &mut Edit<'_>, old: Struct<'_>, field: FieldId) {
    match old.node(field) {
        Some(value) => {
            let value = object.tree().import(value);
            object.put(field, value);
        }
        None => object.remove(field),
    }
}

/// Whether a field holds the same in both, what is absent and what Go reads as zero being one.
pub fn same<'a, 'b>(new: impl View<'a>, old: impl View<'b>, field: FieldId) -> bool {
    match (new.as_struct().node(field), old.as_struct().node(field)) {
        (Some(_), Some(_)) => new.as_struct().field_means(old.as_struct(), field),
        (None, None) => true,
        // A pointer to a zero is not an absent one, but an empty list is.
        (Some(value), None) | (None, Some(value)) => {
            let pointer = new.as_struct().ty().or(old.as_struct().ty()).is_some_and(|ty| ty.field(field).pointer);
            !pointer && value.is_zero()
        }
    }
}

/// A field's value, as an error shows it; of a string whose Go type has a name, or of a list. What is absent is null
/// where Go has a pointer, a list or a map, else its zero.
pub fn bad_field<'t>(view: impl View<'t>, field: FieldId) -> BadValue {
    if let Some(node) = view.as_struct().node(field) {
        return node.bad_value();
    }
    let Some(field) = view.as_struct().ty().map(|ty| ty.field(field)).filter(|field| !field.pointer) else {
        return BadValue::Null;
    };
    match field.shape {
        Shape::String => BadValue::Str(String::new()),
        Shape::Bool => BadValue::Bool(false),
        Shape::Int32 | Shape::Int64 => BadValue::Int(0),
        _ => BadValue::Null,
    }
}

/// The length of what a base64 text stands for.
pub fn decoded_length(base64: &str) -> usize {
    let digits = base64.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
    digits * 3 / 4
}

/// A struct of upstream's internal API, whose JSON shows Go's names for the fields.
pub fn go_struct(fields: &[(&str, BadValue)]) -> BadValue {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| match value {
            BadValue::Str(text) => format!("\"{name}\":{}", BadValue::typed(text)),
            value => format!("\"{name}\":{value}"),
        })
        .collect();
    BadValue::Json(format!("{{{}}}", fields.join(",")))
}

/// A time: null where it is not set.
pub fn go_time(time: &str) -> BadValue {
    if time.is_empty() { BadValue::Null } else { BadValue::typed(time) }
}

/// A deep copy of a struct as another type, field by field of the same name; what the type does not have is left out.
pub fn import_as(out: &mut Tree, node: Node<'_>, ty: TypeId) -> Id {
    let made = out.structure(ty);
    let from = node.as_struct();
    let Some(old_type) = from.ty() else { return made };
    for (field, value) in from.fields() {
        let name = old_type.field(field).name;
        let Some(target) = ty.get().field_named(name) else { continue };
        let value = match (ty.field(target).shape, value.value()) {
            (Shape::Struct(ty), Value::Struct(_)) => import_as(out, value, ty),
            (Shape::List(Shape::Struct(ty)), Value::List(list)) => {
                let items: Vec<Id> = list.iter().map(|item| import_as(out, item, *ty)).collect();
                out.list(&items)
            }
            _ => out.import(value),
        };
        out.set_field(made, target, value);
    }
    made
}

/// Puts back the metadata that a write of a kind's status may not change: all but managedFields and what identifies.
pub fn put_back_metadata(object: &mut Edit<'_>, old: Struct<'_>, metadata: FieldId) {
    let old = old.structure(metadata);
    let Some(mut meta) = object.field(metadata) else { return };
    for field in [
        ObjectMeta::DELETION_TIMESTAMP,
        ObjectMeta::GENERATION,
        ObjectMeta::SELF_LINK,
        ObjectMeta::LABELS,
        ObjectMeta::ANNOTATIONS,
        ObjectMeta::FINALIZERS,
        ObjectMeta::OWNER_REFERENCES,
    ] {
        put_back(&mut meta, old, field);
    }
}
