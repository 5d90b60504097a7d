//! Defaults within a schema, which must be values of that schema themselves.

use corten_object::tree::Tree;

use crate::schema::{Additional, Schema};
use crate::shape;

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
pub fn prune_value(value: &mut Tree, schema: &Schema, resource: bool) -> bool {
    let root = value.root_id();
    !shape::prune_at(value, root, schema, resource).is_empty()
}
