//! What a schema in a definition may say.

use std::collections::HashSet;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::{Value, View};
use corten_views::apiextensions_v1::{CustomResourceValidation, JSONSchemaProps};

use super::internal::{bad_items, bad_schema};
use super::walk::struct_of;
use super::{defaults, structural, walk};
use crate::schema::{Schema, TOO_DEEP, properties};

/// What is asked of a schema; less of one that has been accepted when less was asked.
#[derive(Clone, Debug)]
pub struct Options {
    pub structural: bool,
    pub valid_types: bool,
    pub pruned_defaults: bool,
    pub atomic_sets: bool,
    pub map_list_keys: bool,
    /// Rules in CEL are refused: they would have no effect.
    pub refuse_rules: bool,
}

pub const RULES_NOT_SUPPORTED: &str = "validation rules (CEL) are not supported by this server yet";

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// The rules for `schema` of a version, or of all of them.
pub fn validate(
    validation: Option<CustomResourceValidation<'_>>,
    status_enabled: bool,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(schema) = validation.and_then(|validation| validation.open_api_v3_schema()) else { return };
    let path = path.child("openAPIV3Schema");
    if walk::is_too_deep(schema) {
        errors.push(Error::invalid(&path, "", TOO_DEEP));
        return;
    }
    let mut found = Errors::default();
    if status_enabled {
        root_fields(schema, &path, &mut found);
    }
    if schema.nullable() {
        found.push(Error::forbidden(&path.child("nullable"), "nullable cannot be true at the root"));
    }
    let mut unconvertible = None;
    if options.structural {
        match Schema::compile(schema) {
            Err(message) => unconvertible = Some(message),
            Ok(compiled) => {
                let structural = structural::validate(schema, &path);
                if structural.is_empty() {
                    defaults::validate(&compiled, options.pruned_defaults, &path, &mut found);
                } else {
                    found.append(structural);
                }
            }
        }
    }
    rules(schema, Place::root(), options, &path, &mut found);
    if let Some(message) = unconvertible.filter(|_| found.is_empty()) {
        // The rules say the same in more detail, where they know.
        found.push(Error::invalid(&path, "", message));
    }
    errors.append(found);
}

/// With a status subresource the status's schema is used alone, so the root may say only what is not lost by that.
fn root_fields(schema: JSONSchemaProps<'_>, path: &Path<'_>, errors: &mut Errors) {
    const ALLOWED: [&str; 22] = [
        "Description",
        "Type",
        "Format",
        "Title",
        "Maximum",
        "ExclusiveMaximum",
        "Minimum",
        "ExclusiveMinimum",
        "MaxLength",
        "MinLength",
        "Pattern",
        "MaxItems",
        "MinItems",
        "UniqueItems",
        "MultipleOf",
        "Required",
        "Items",
        "Properties",
        "ExternalDocs",
        "Example",
        "XPreserveUnknownFields",
        "XValidations",
    ];
    let fields = schema.as_struct();
    let is_allowed = |field| {
        use JSONSchemaProps as S;
        [
            S::DESCRIPTION,
            S::TYPE_,
            S::FORMAT,
            S::TITLE,
            S::MAXIMUM,
            S::EXCLUSIVE_MAXIMUM,
            S::MINIMUM,
            S::EXCLUSIVE_MINIMUM,
            S::MAX_LENGTH,
            S::MIN_LENGTH,
            S::PATTERN,
            S::MAX_ITEMS,
            S::MIN_ITEMS,
            S::UNIQUE_ITEMS,
            S::MULTIPLE_OF,
            S::REQUIRED,
            S::ITEMS,
            S::PROPERTIES,
            S::EXTERNAL_DOCS,
            S::EXAMPLE,
            S::X_KUBERNETES_PRESERVE_UNKNOWN_FIELDS,
            S::X_KUBERNETES_VALIDATIONS,
        ]
        .contains(&field)
    };
    // Fields are looked at in Go's order, in which only these come before the type.
    let before_type = [JSONSchemaProps::ID, JSONSchemaProps::SCHEMA, JSONSchemaProps::REF_];
    let refused =
        |early: bool| fields.fields().any(|(field, _)| before_type.contains(&field) == early && !is_allowed(field));
    let not_allowed = |errors: &mut Errors| {
        let names = ALLOWED.join(" ");
        let detail =
            format!("only [{names}] fields are allowed at the root of the schema if the status subresource is enabled");
        errors.push(Error::invalid(path, bad_schema(schema), detail));
    };
    if refused(true) {
        not_allowed(errors);
    } else if !matches!(schema.type_(), "" | "object") {
        let detail =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        errors.push(Error::invalid(&path.child("type"), schema.type_(), detail));
    } else if refused(false) {
        not_allowed(errors);
    }
}

/// Where in the whole schema another one stands.
#[derive(Clone, Copy)]
struct Place {
    root: bool,
    inside_meta: bool,
    /// Why there may be no default.
    no_default: Option<&'static str>,
}

impl Place {
    fn root() -> Place {
        Place { root: true, inside_meta: false, no_default: None }
    }

    fn below(self) -> Place {
        Place { root: false, ..self }
    }
}

fn rules(schema: JSONSchemaProps<'_>, place: Place, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    supported_fields(schema, place, options, path, errors);
    if schema.unique_items() {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(Error::forbidden(&path.child("uniqueItems"), detail));
    }
    below(schema, place, options, path, errors);
    if schema.x_kubernetes_preserve_unknown_fields() == Some(false) {
        let path = path.child("x-kubernetes-preserve-unknown-fields");
        errors.push(Error::invalid(&path, false, "must be true or undefined"));
    }
    map_type(schema, path, errors);
    list_type(schema, options, path, errors);
    list_map_keys(schema, path, errors);
    if options.map_list_keys {
        keys_of_lists(schema, path, errors);
    }
    if options.refuse_rules && !schema.x_kubernetes_validations().is_empty() {
        errors.push(Error::forbidden(&path.child("x-kubernetes-validations"), RULES_NOT_SUPPORTED));
    }
}

fn supported_fields(
    schema: JSONSchemaProps<'_>,
    place: Place,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let ty = schema.type_();
    if options.valid_types && !ty.is_empty() && !TYPES.contains(&ty) {
        errors.push(Error::not_supported(&path.child("type"), ty, &TYPES));
    }
    if let Some(reason) = place.no_default.filter(|_| has_default(schema)) {
        errors.push(Error::forbidden(&path.child("default"), format!("must not be set {reason}")));
    }
    let items_list = schema.items().is_some_and(|items| matches!(items.value(), Value::List(list) if !list.is_empty()));
    let forbidden = [
        ("id", !schema.id().is_empty(), "id is not supported"),
        ("additionalItems", schema.additional_items().is_some(), "additionalItems is not supported"),
        ("patternProperties", !schema.pattern_properties().is_empty(), "patternProperties is not supported"),
        ("definitions", !schema.definitions().is_empty(), "definitions is not supported"),
        ("dependencies", !schema.dependencies().is_empty(), "dependencies is not supported"),
        ("$ref", schema.ref_().is_some(), "$ref is not supported"),
        ("type", ty == "null", "type cannot be set to null, use nullable as an alternative"),
        ("items", items_list, "items must be a schema object and not an array"),
        (
            "x-kubernetes-embedded-resource",
            place.inside_meta && schema.x_kubernetes_embedded_resource(),
            "must not be used inside of resource meta",
        ),
    ];
    for (name, present, detail) in forbidden {
        if present {
            errors.push(Error::forbidden(&path.child(name), detail));
        }
    }
}

fn has_default(schema: JSONSchemaProps<'_>) -> bool {
    schema.default().is_some_and(|text| text != "null")
}

fn below(schema: JSONSchemaProps<'_>, place: Place, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let under = place.below();
    if let Some(additional) = schema.additional_properties() {
        let path = path.child("additionalProperties");
        let open = additional.as_bool() && struct_of(additional).is_none();
        if !schema.properties().is_empty() && !open {
            errors.push(Error::forbidden(&path, "additionalProperties and properties are mutual exclusive"));
        }
        if let Some(additional) = struct_of(additional) {
            let reason = "inside additionalProperties applying to object metadata";
            let no_default = if place.inside_meta { Some(reason) } else { place.no_default };
            rules(additional, Place { no_default, ..under }, options, &path, errors);
        }
    }
    let properties_path = path.child("properties");
    for (name, property) in properties(schema) {
        let mut under = under;
        if (place.root || schema.x_kubernetes_embedded_resource()) && matches!(name, "metadata" | "kind" | "apiVersion")
        {
            under.inside_meta = true;
            if place.root {
                under.no_default = Some(match name {
                    "metadata" => "in top-level metadata",
                    "kind" => "in top-level kind",
                    _ => "in top-level apiVersion",
                });
            }
        }
        rules(property, under, options, &properties_path.key(name), errors);
    }
    if let Some(nested) = schema.not() {
        rules(nested, under, options, &path.child("not"), errors);
    }
    for (name, nested) in [("allOf", schema.all_of()), ("oneOf", schema.one_of()), ("anyOf", schema.any_of())] {
        let path = path.child(name);
        for (index, nested) in nested.iter().enumerate() {
            rules(nested, under, options, &path.index(index), errors);
        }
    }
    let definitions = path.child("definitions");
    for (name, node) in schema.definitions().iter() {
        let nested = JSONSchemaProps::from_struct(node.as_struct());
        rules(nested, under, options, &definitions.key(name), errors);
    }
    let items_path = path.child("items");
    match schema.items().map(|items| items.value()) {
        Some(Value::Struct(items)) => {
            rules(JSONSchemaProps::from_struct(items), under, options, &items_path, errors);
        }
        Some(Value::List(list)) => {
            for (index, node) in list.iter().enumerate() {
                let nested = JSONSchemaProps::from_struct(node.as_struct());
                rules(nested, under, options, &items_path.index(index), errors);
            }
        }
        _ => {}
    }
    let dependencies = path.child("dependencies");
    for (name, node) in schema.dependencies().iter() {
        if let Some(nested) = struct_of(node) {
            rules(nested, under, options, &dependencies.key(name), errors);
        }
    }
}

fn map_type(schema: JSONSchemaProps<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(map_type) = schema.x_kubernetes_map_type() else { return };
    if schema.type_() != "object" {
        must_be(schema, "must be object if x-kubernetes-map-type is specified", path, errors);
    }
    if !matches!(map_type, "atomic" | "granular") {
        let path = path.child("x-kubernetes-map-type");
        errors.push(Error::not_supported(&path, map_type, &["atomic", "granular"]));
    }
}

fn must_be(schema: JSONSchemaProps<'_>, detail: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("type");
    errors.push(match schema.type_() {
        "" => Error::required(&path, detail),
        ty => Error::invalid(&path, ty, detail),
    });
}

/// Whether the items of a set can be compared as a whole.
fn set_of_parts(schema: JSONSchemaProps<'_>) -> Option<&'static str> {
    if schema.x_kubernetes_list_type() != Some("set") {
        return None;
    }
    let items = schema.items().and_then(struct_of)?;
    match items.type_() {
        "array" if !matches!(items.x_kubernetes_list_type(), None | Some("atomic")) => Some("x-kubernetes-list-type"),
        "object" if items.x_kubernetes_map_type() != Some("atomic") => Some("x-kubernetes-map-type"),
        _ => None,
    }
}

fn list_type(schema: JSONSchemaProps<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let list_type = schema.x_kubernetes_list_type();
    if list_type.is_some() && schema.type_() != "array" {
        must_be(schema, "must be array if x-kubernetes-list-type is specified", path, errors);
    } else if let Some(name) = set_of_parts(schema).filter(|_| options.atomic_sets) {
        let items = schema.items().and_then(struct_of);
        let value = items.and_then(|items| items.x_kubernetes_list_type());
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        errors.push(Error::invalid(&path.child("items").child(name), value, detail));
    }
    if let Some(list_type) = list_type.filter(|list_type| !matches!(*list_type, "atomic" | "set" | "map")) {
        let path = path.child("x-kubernetes-list-type");
        errors.push(Error::not_supported(&path, list_type, &["atomic", "set", "map"]));
    }
}

fn list_map_keys(schema: JSONSchemaProps<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (list_type, keys) = (schema.x_kubernetes_list_type(), schema.x_kubernetes_list_map_keys());
    let keys_path = path.child("x-kubernetes-list-map-keys");
    if !keys.is_empty() && list_type != Some("map") {
        let path = path.child("x-kubernetes-list-type");
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match list_type {
            None => Error::required(&path, detail),
            Some(list_type) => Error::invalid(&path, list_type, detail),
        });
    }
    if list_type != Some("map") {
        return;
    }
    if keys.is_empty() {
        errors.push(Error::required(&keys_path, "must not be empty if x-kubernetes-list-type is map"));
    }
    let items_path = path.child("items");
    let Some(node) = schema.items() else {
        errors.push(Error::required(&items_path, "must have a schema if x-kubernetes-list-type is map"));
        return;
    };
    let Some(items) = struct_of(node) else {
        let detail = "must only have a single schema if x-kubernetes-list-type is map";
        errors.push(Error::invalid(&items_path, bad_items(schema), detail));
        return;
    };
    if items.type_() != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(Error::invalid(&items_path.child("type"), items.type_(), detail));
        return;
    }
    let mut seen = HashSet::new();
    let all_keys = |detail: &str, errors: &mut Errors| {
        errors.push_with(|| Error::invalid(&keys_path, BadValue::strings(keys.iter()), detail));
    };
    for key in keys.iter() {
        match items.properties().get(key).and_then(struct_of) {
            Some(property) if matches!(property.type_(), "array" | "object") => {
                let properties_path = items_path.child("properties");
                let path = properties_path.key(key);
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                errors.push(Error::invalid(&path.child("type"), items.type_(), detail));
            }
            Some(_) => {}
            None => all_keys("entries must all be names of item properties", errors),
        }
        if !seen.insert(key) {
            all_keys("must not contain duplicate entries", errors);
        }
    }
}

/// Items of sets and maps are there, and so are their keys.
fn keys_of_lists(schema: JSONSchemaProps<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(items) = schema.items().and_then(struct_of) else { return };
    let Some(list_type @ ("set" | "map")) = schema.x_kubernetes_list_type() else { return };
    let items_path = path.child("items");
    if items.nullable() {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(Error::forbidden(&items_path.child("nullable"), detail));
    }
    if list_type != "map" {
        return;
    }
    let properties_path = items_path.child("properties");
    let required: HashSet<&str> = items.required().iter().collect();
    for key in schema.x_kubernetes_list_map_keys().iter() {
        let Some(property) = items.properties().get(key).and_then(struct_of) else { continue };
        let path = properties_path.key(key);
        if !required.contains(key) && !has_default(property) {
            let detail =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(Error::required(&path.child("default"), detail));
        }
        if property.nullable() {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(Error::forbidden(&path.child("nullable"), detail));
        }
    }
}

impl Options {
    /// Everything is asked of what is new.
    pub fn for_new() -> Options {
        Options {
            structural: true,
            valid_types: true,
            pruned_defaults: true,
            atomic_sets: true,
            map_list_keys: true,
            refuse_rules: true,
        }
    }

    /// Nothing is asked that the old schemas did not fulfil.
    pub fn for_change(old: &[JSONSchemaProps<'_>]) -> Options {
        let any = |is_such: &dyn Fn(JSONSchemaProps<'_>) -> bool| {
            old.iter().any(|schema| !walk::is_too_deep(*schema) && walk::any(*schema, is_such))
        };
        let bad_keys = |schema: JSONSchemaProps<'_>| {
            let mut errors = Errors::default();
            keys_of_lists(schema, &Path::root(), &mut errors);
            !errors.is_empty()
        };
        Options {
            // Pruning needs structure, and nothing is served without pruning.
            structural: true,
            valid_types: !any(&|schema| !schema.type_().is_empty() && !TYPES.contains(&schema.type_())),
            pruned_defaults: !old.iter().any(|schema| defaults::has_unpruned(*schema)),
            atomic_sets: !any(&|schema| set_of_parts(schema).is_some()),
            map_list_keys: !any(&bad_keys),
            refuse_rules: !any(&|schema| !schema.x_kubernetes_validations().is_empty()),
        }
    }
}
