//! Defaults within a schema, which must be values of that schema themselves.

use corten_api::field::{Error, Errors, Path};
use corten_object::tree::{Id, Tree, Value};
use corten_views::apiextensions_v1::JSONSchemaProps;

use super::structural;
use crate::schema::{Additional, Schema};
use crate::{embedded, shape, values};

/// Drops from all defaults what the schema does not know. Inside of metadata, whose schema is the server's own, defaults
/// are let be.
pub fn prune_defaults(schema: &mut Schema) {
    prune_below(schema, true);
}

fn prune_below(schema: &mut Schema, resource: bool) {
    if let Some(mut value) = schema.default.take() {
        prune_value(&mut value, schema, resource);
        schema.default = Some(value);
    }
    if !schema.deep_defaults {
        return;
    }
    if let Some(items) = &mut schema.items {
        let embedded = items.embedded;
        prune_below(items, embedded);
    }
    if let Additional::Schema(below) = &mut schema.additional {
        let embedded = below.embedded;
        prune_below(below, embedded);
    }
    for (name, property) in &mut schema.properties {
        if resource && matches!(&**name, "metadata" | "apiVersion" | "kind") {
            continue;
        }
        let embedded = property.embedded;
        prune_below(property, embedded);
    }
}

/// Whether something was dropped.
fn prune_value(value: &mut Tree, schema: &Schema, resource: bool) -> bool {
    let before = value.clone();
    let root = value.root_id();
    shape::prune_at(value, root, schema, resource);
    !value.root().equals(before.root())
}

/// Whether a schema, well formed otherwise, has defaults that it would prune.
pub fn has_unpruned(schema: JSONSchemaProps<'_>) -> bool {
    if super::walk::is_too_deep(schema) || !structural::validate(schema, &Path::root()).is_empty() {
        return false;
    }
    Schema::compile(schema).is_ok_and(|schema| is_unpruned(&schema, true))
}

fn is_unpruned(schema: &Schema, resource: bool) -> bool {
    if !schema.deep_defaults {
        return false;
    }
    let own = schema.default.as_ref().is_some_and(|value| prune_value(&mut value.clone(), schema, resource));
    let below = |below: &Schema| is_unpruned(below, below.embedded);
    own || schema.items.as_deref().is_some_and(below)
        || schema.additional.schema().is_some_and(below)
        || schema.properties.iter().any(|(name, property)| {
            !(resource && matches!(&**name, "metadata" | "apiVersion" | "kind")) && below(property)
        })
}

/// Checks that defaults are values of their schemas, and of metadata's where they stand in it.
pub fn validate(schema: &Schema, pruned: bool, path: &Path<'_>, errors: &mut Errors) {
    let resource = Resource { schema, steps: &Steps::Root };
    check(schema, resource, true, false, pruned, path, errors);
}

/// The resource around a default, and the way from it to the default.
#[derive(Clone, Copy)]
struct Resource<'s> {
    schema: &'s Schema,
    steps: &'s Steps<'s>,
}

enum Steps<'s> {
    Root,
    Child(&'s Steps<'s>, &'s str),
    Index(&'s Steps<'s>),
}

fn check(
    schema: &Schema,
    resource: Resource<'_>,
    is_root: bool,
    inside_meta: bool,
    pruned: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if !schema.deep_defaults {
        return;
    }
    let embedded = is_root || schema.embedded;
    let inside_meta = inside_meta && !embedded;
    let own = Resource { schema, steps: &Steps::Root };
    let resource = if embedded { own } else { resource };
    if let Some(value) = &schema.default {
        let path = path.child("default");
        if inside_meta {
            check_meta(value, schema, resource, &path, errors);
        } else {
            check_value(value, schema, is_root, pruned, &path, errors);
        }
    }
    if let Some(items) = &schema.items {
        let steps = Steps::Index(resource.steps);
        let resource = Resource { steps: &steps, ..resource };
        check(items, resource, false, inside_meta, pruned, &path.child("items"), errors);
    }
    let properties = path.child("properties");
    for (name, property) in &schema.properties {
        let meta = embedded && matches!(&**name, "metadata" | "apiVersion" | "kind");
        let steps = Steps::Child(resource.steps, name);
        let resource = Resource { steps: &steps, ..resource };
        check(property, resource, false, inside_meta || meta, pruned, &properties.key(name), errors);
    }
}

fn check_value(value: &Tree, schema: &Schema, is_root: bool, pruned: bool, path: &Path<'_>, errors: &mut Errors) {
    let embedded = is_root || schema.embedded;
    let mut value = value.clone();
    if pruned && prune_value(&mut value.clone(), schema, embedded) {
        errors.push(Error::invalid(path, value.root().bad_value(), "must not have unknown fields"));
    }
    let root = value.root_id();
    if let Err(error) = embedded::coerce_root(&mut value, root, schema, path, embedded) {
        errors.push(error);
        return;
    }
    let mut found = Errors::default();
    embedded::validate(value.root(), schema, path, embedded, &mut found);
    if found.is_empty() {
        found = values::validate(value.root(), schema, path);
    }
    errors.append(found);
}

/// A default in metadata is checked with a resource around it.
fn check_meta(value: &Tree, schema: &Schema, resource: Resource<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut object = Tree::new();
    let leaf = object.import(value.root());
    let root = surround(&mut object, leaf, resource.steps);
    object.set_root(root);
    if !matches!(object.root().value(), Value::Map(_)) {
        return;
    }
    for (name, text) in [("kind", "Validation"), ("apiVersion", "validation/v1")] {
        if object.get(root, name).is_none() {
            let text = object.string(text);
            object.set_key(root, name, text);
        }
    }
    let shown = || value.root().bad_value();
    if let Err(error) = embedded::coerce_root(&mut object, root, resource.schema, &Path::root(), true) {
        errors.push(Error::invalid(path, shown(), format!("must result in valid metadata: {error}")));
        return;
    }
    let mut found = Errors::default();
    embedded::validate(object.root(), resource.schema, &Path::root(), true, &mut found);
    if found.is_empty() {
        errors.append(values::validate(value.root(), schema, path));
    } else {
        errors.push(Error::invalid(path, shown(), format!("must result in valid metadata: {found}")));
    }
}

fn surround(tree: &mut Tree, value: Id, steps: &Steps<'_>) -> Id {
    match steps {
        Steps::Root => value,
        Steps::Child(above, name) => {
            let map = tree.map();
            tree.set_key(map, name, value);
            surround(tree, map, above)
        }
        Steps::Index(above) => {
            let list = tree.list(&[value]);
            surround(tree, list, above)
        }
    }
}
