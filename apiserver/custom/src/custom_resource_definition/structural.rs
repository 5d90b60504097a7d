//! What makes a schema structural: the shape of objects is said outside of logical junctors, completely.

use corten_api::field::{Error, Errors, Path};
use corten_object::tree::{Node, Value, View};
use corten_views::apiextensions_v1::JSONSchemaProps;

use super::walk::struct_of;
use crate::go_regex::Pattern;
use crate::schema::properties;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What keeps a schema from being structural, sorted by its text.
pub fn validate(schema: JSONSchemaProps<'_>, path: &Path<'_>) -> Errors {
    let mut errors = Errors::default();
    invariants(schema, Level::Root, path, &mut errors);
    complete_values(schema, Some(schema), path, path, &mut errors);
    errors.sort_by_message();
    errors
}

fn items_of(schema: JSONSchemaProps<'_>) -> Option<JSONSchemaProps<'_>> {
    schema.items().and_then(struct_of)
}

fn invariants(schema: JSONSchemaProps<'_>, level: Level, path: &Path<'_>, errors: &mut Errors) {
    if schema.type_() == "array" && items_of(schema).is_none() {
        errors.push(Error::required(&path.child("items"), "must be specified"));
    }
    if let Some(items) = items_of(schema) {
        invariants(items, Level::Item, &path.child("items"), errors);
    }
    let properties_path = path.child("properties");
    for (name, property) in properties(schema) {
        invariants(property, Level::Field, &properties_path.key(name), errors);
    }
    let additional_path = path.child("additionalProperties");
    if let Some(additional) = schema.additional_properties() {
        if level == Level::Root {
            errors.push(Error::forbidden(&additional_path, "must not be used at the root"));
        }
        if let Some(additional) = struct_of(additional) {
            invariants(additional, Level::Field, &additional_path, errors);
        }
    }
    extensions(schema, path, errors);
    let skip =
        Skip { any_of: is_int_or_string(schema), first_all_of: schema.all_of().get(0).is_some_and(is_int_or_string) };
    value_rules(schema, skip, path, errors);
    types(schema, level, path, errors);
    metadata_rules(schema, level, &properties_path, errors);
    let embedded = schema.x_kubernetes_embedded_resource();
    let preserves = schema.x_kubernetes_preserve_unknown_fields() == Some(true);
    if embedded && !preserves && schema.properties().is_empty() {
        let detail =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(Error::required(&properties_path, detail));
    }
}

fn extensions(schema: JSONSchemaProps<'_>, path: &Path<'_>, errors: &mut Errors) {
    if !schema.x_kubernetes_int_or_string() {
        return;
    }
    let detail = "must be false if x-kubernetes-int-or-string is true";
    if schema.x_kubernetes_preserve_unknown_fields() == Some(true) {
        errors.push(Error::invalid(&path.child("x-kubernetes-preserve-unknown-fields"), true, detail));
    }
    if schema.x_kubernetes_embedded_resource() {
        errors.push(Error::invalid(&path.child("x-kubernetes-embedded-resource"), true, detail));
    }
}

fn types(schema: JSONSchemaProps<'_>, level: Level, path: &Path<'_>, errors: &mut Errors) {
    let ty = schema.type_();
    let type_path = path.child("type");
    let preserves = schema.x_kubernetes_preserve_unknown_fields() == Some(true);
    if schema.x_kubernetes_embedded_resource() && ty != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match ty {
            "" => Error::required(&type_path, detail),
            ty => Error::invalid(&type_path, ty, detail),
        });
    } else if ty.is_empty() && !schema.x_kubernetes_int_or_string() && !preserves {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(Error::required(&type_path, detail));
    }
    if schema.x_kubernetes_embedded_resource() && schema.additional_properties().is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(Error::forbidden(&path.child("additionalProperties"), detail));
    }
    if level == Level::Root && !matches!(ty, "" | "object") {
        errors.push(Error::invalid(&type_path, ty, "must be object at the root"));
    }
}

/// Metadata has a schema of the server's own; only its names may be narrowed down.
fn metadata_rules(schema: JSONSchemaProps<'_>, level: Level, properties_path: &Path<'_>, errors: &mut Errors) {
    let is_resource = level == Level::Root || schema.x_kubernetes_embedded_resource();
    for name in ["kind", "apiVersion"] {
        if let Some((_, property)) = properties(schema).find(|(key, _)| *key == name)
            && is_resource
            && property.type_() != "string"
        {
            let path = properties_path.key(name);
            errors.push(Error::invalid(&path.child("type"), property.type_(), "must be string"));
        }
    }
    let Some((_, metadata)) = properties(schema).find(|(key, _)| *key == "metadata") else { return };
    let path = properties_path.key("metadata");
    if is_resource && metadata.type_() != "object" {
        errors.push(Error::invalid(&path.child("type"), metadata.type_(), "must be object"));
    }
    if level == Level::Root && !narrows_names_only(metadata) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(Error::forbidden(&path, detail));
    }
}

fn narrows_names_only(metadata: JSONSchemaProps<'_>) -> bool {
    metadata.as_struct().fields().all(|(field, node)| match field {
        JSONSchemaProps::TYPE_ | JSONSchemaProps::DEFAULT => true,
        JSONSchemaProps::PROPERTIES => node.as_map().iter().all(|(name, _)| matches!(name, "name" | "generateName")),
        _ => node.is_zero(),
    })
}

/// `anyOf: [{type: integer}, {type: string}]`, which int-or-string may say.
pub(crate) fn is_int_or_string(schema: JSONSchemaProps<'_>) -> bool {
    let any_of = schema.any_of();
    let only_type = |index: usize, name: &str| {
        any_of.get(index).is_some_and(|schema| schema.type_() == name && schema.as_struct().fields().len() == 1)
    };
    any_of.len() == 2 && only_type(0, "integer") && only_type(1, "string")
}

/// Which alternatives say int-or-string.
#[derive(Clone, Copy, Default)]
struct Skip {
    any_of: bool,
    first_all_of: bool,
}

fn value_rules(schema: JSONSchemaProps<'_>, skip: Skip, path: &Path<'_>, errors: &mut Errors) {
    if !skip.any_of {
        let path = path.child("anyOf");
        for (index, nested) in schema.any_of().iter().enumerate() {
            nested_rules(nested, Skip::default(), &path.index(index), errors);
        }
    }
    let all_of = path.child("allOf");
    for (index, nested) in schema.all_of().iter().enumerate() {
        let skip = Skip { any_of: skip.first_all_of && index == 0, first_all_of: false };
        nested_rules(nested, skip, &all_of.index(index), errors);
    }
    let one_of = path.child("oneOf");
    for (index, nested) in schema.one_of().iter().enumerate() {
        nested_rules(nested, Skip::default(), &one_of.index(index), errors);
    }
    if let Some(nested) = schema.not() {
        nested_rules(nested, Skip::default(), &path.child("not"), errors);
    }
    let pattern = schema.pattern();
    if !pattern.is_empty()
        && let Some(error) = &Pattern::shared(pattern).error
    {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(Error::invalid(&path.child("pattern"), pattern, detail));
    }
}

/// What stands under a junctor may only narrow values down.
fn nested_rules(schema: JSONSchemaProps<'_>, skip: Skip, path: &Path<'_>, errors: &mut Errors) {
    value_rules(schema, skip, path, errors);
    if let Some(items) = items_of(schema) {
        nested_rules(items, Skip::default(), &path.child("items"), errors);
    }
    let properties_path = path.child("properties");
    for (name, property) in properties(schema) {
        nested_rules(property, Skip::default(), &properties_path.key(name), errors);
    }
    let additional = schema.additional_properties().is_some_and(|node| match node.value() {
        Value::Bool(allows) => allows,
        _ => !Node::is_null(node),
    });
    let default = schema.default().is_some_and(|text| text != "null");
    let forbidden = [
        ("type", !schema.type_().is_empty(), "must be empty to be structural"),
        ("additionalProperties", additional, "must be undefined to be structural"),
        ("default", default, "must be undefined to be structural"),
        ("title", !schema.title().is_empty(), "must be empty to be structural"),
        ("description", !schema.description().is_empty(), "must be empty to be structural"),
        ("nullable", schema.nullable(), "must be false to be structural"),
        (
            "x-kubernetes-preserve-unknown-fields",
            schema.x_kubernetes_preserve_unknown_fields() == Some(true),
            "must be false to be structural",
        ),
        ("x-kubernetes-embedded-resource", schema.x_kubernetes_embedded_resource(), "must be false to be structural"),
        ("x-kubernetes-int-or-string", schema.x_kubernetes_int_or_string(), "must be false to be structural"),
        (
            "x-kubernetes-list-map-keys",
            !schema.x_kubernetes_list_map_keys().is_empty(),
            "must be empty to be structural",
        ),
        ("x-kubernetes-list-type", schema.x_kubernetes_list_type().is_some(), "must be undefined to be structural"),
        ("x-kubernetes-map-type", schema.x_kubernetes_map_type().is_some(), "must be undefined to be structural"),
        ("x-kubernetes-validations", !schema.x_kubernetes_validations().is_empty(), "must be empty to be structural"),
    ];
    for (name, present, detail) in forbidden {
        if present {
            errors.push(Error::forbidden(&path.child(name), detail));
        }
    }
    if schema.properties().get("metadata").is_some() {
        let detail = "must not be specified in a nested context";
        errors.push(Error::forbidden(&properties_path.key("metadata"), detail));
    }
}

/// Whatever a junctor speaks of must be specified outside of it.
fn complete_values(
    values: JSONSchemaProps<'_>,
    schema: Option<JSONSchemaProps<'_>>,
    schema_path: &Path<'_>,
    values_path: &Path<'_>,
    errors: &mut Errors,
) {
    if let Some(nested) = values.not() {
        complete_nested(nested, schema, schema_path, &values_path.child("not"), errors);
    }
    for (name, nested) in [("allOf", values.all_of()), ("anyOf", values.any_of()), ("oneOf", values.one_of())] {
        let values_path = values_path.child(name);
        for (index, nested) in nested.iter().enumerate() {
            complete_nested(nested, schema, schema_path, &values_path.index(index), errors);
        }
    }
}

fn complete_nested(
    values: JSONSchemaProps<'_>,
    schema: Option<JSONSchemaProps<'_>>,
    schema_path: &Path<'_>,
    values_path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(known) = schema else {
        errors.push(Error::required(schema_path, format!("because it is defined in {values_path}")));
        return;
    };
    complete_values(values, schema, schema_path, values_path, errors);
    if let Some(items) = items_of(values) {
        let (schema_path, values_path) = (schema_path.child("items"), values_path.child("items"));
        complete_nested(items, items_of(known), &schema_path, &values_path, errors);
    }
    let (schema_path, values_path) = (schema_path.child("properties"), values_path.child("properties"));
    for (name, property) in properties(values) {
        let known = known.properties().get(name).and_then(struct_of);
        let (schema_path, values_path) = (schema_path.key(name), values_path.key(name));
        complete_nested(property, known, &schema_path, &values_path, errors);
    }
}
