//! The rules for definitions.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::Items;
use corten_views::apiextensions_v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionVersion, CustomResourceSubresources, CustomResourceValidation, SelectableField,
};

use super::internal::{self, Spec};
use super::schema_rules::{self, Options};
use super::{approval, field_path, walk};
use crate::lifecycle::is_true;
use crate::schema::Schema;

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

pub const WEBHOOK_NOT_SUPPORTED: &str = "conversion webhooks are not supported by this server yet";

/// What a change is measured against.
struct Ratchet<'t> {
    options: Options,
    requires_schema: bool,
    refuse_webhook: bool,
    old: Option<CustomResourceDefinition<'t>>,
}

pub fn validate(crd: CustomResourceDefinition<'_>) -> Errors {
    let mut errors = Errors::default();
    let ratchet = Ratchet { options: Options::for_new(), requires_schema: true, refuse_webhook: true, old: None };
    name(crd, &mut errors);
    spec(crd, &ratchet, &mut errors);
    validate_status(crd, &mut errors);
    stored_versions(crd, &mut errors);
    approval::validate(crd, None, &mut errors);
    preserve_unknown_fields(crd, None, &mut errors);
    errors
}

pub fn validate_update(crd: CustomResourceDefinition<'_>, old: CustomResourceDefinition<'_>) -> Errors {
    let mut errors = Errors::default();
    let old_spec = Spec::of(old.spec());
    let has_schema = |version: CustomResourceDefinitionVersion<'_>| {
        version.schema().is_some_and(|schema| schema.open_api_v3_schema().is_some())
    };
    let ratchet = Ratchet {
        options: Options::for_change(&old_spec.schemas()),
        requires_schema: old.spec().versions().iter().all(has_schema),
        refuse_webhook: old.spec().conversion().is_none_or(|conversion| conversion.strategy() != "Webhook"),
        old: Some(old),
    };
    spec(crd, &ratchet, &mut errors);
    immutable(crd, old, &mut errors);
    validate_status(crd, &mut errors);
    stored_versions(crd, &mut errors);
    approval::validate(crd, Some(old), &mut errors);
    preserve_unknown_fields(crd, Some(old), &mut errors);
    errors
}

/// The name follows from what is defined.
fn name(crd: CustomResourceDefinition<'_>, errors: &mut Errors) {
    let path = Path::new("metadata");
    let required = format!("{}.{}", crd.spec().names().plural(), crd.spec().group());
    let detail = "must be spec.names.plural+\".\"+spec.group";
    let generate = crd.metadata().generate_name();
    if !generate.is_empty() && generate != required {
        errors.push(Error::invalid(&path.child("generateName"), generate, detail));
    }
    let name = crd.metadata().name();
    if !name.is_empty() && name != required {
        errors.push(Error::invalid(&path.child("name"), name, detail));
    }
}

fn immutable(crd: CustomResourceDefinition<'_>, old: CustomResourceDefinition<'_>, errors: &mut Errors) {
    let (new, old_spec) = (crd.spec(), old.spec());
    let names = SPEC.child("names");
    let mut check = |new: &str, old: &str, typed: bool, path: &Path<'_>| {
        if new != old {
            let value = if typed { BadValue::typed(new) } else { BadValue::from(new) };
            errors.push(Error::invalid(path, value, "field is immutable"));
        }
    };
    if is_true(old, "Established") {
        check(new.scope(), old_spec.scope(), true, &SPEC.child("scope"));
        check(new.names().kind(), old_spec.names().kind(), false, &names.child("kind"));
    }
    check(new.group(), old_spec.group(), false, &SPEC.child("group"));
    check(new.names().plural(), old_spec.names().plural(), false, &names.child("plural"));
}

pub fn validate_status(crd: CustomResourceDefinition<'_>, errors: &mut Errors) {
    names_rules(crd.status().accepted_names(), &STATUS.child("acceptedNames"), errors);
}

fn stored_versions(crd: CustomResourceDefinition<'_>, errors: &mut Errors) {
    let path = STATUS.child("storedVersions");
    let stored = crd.status().stored_versions();
    if stored.is_empty() {
        errors.push(Error::invalid(&path, BadValue::Null, "must have at least one stored version"));
        return;
    }
    let known: Seen<&str> = stored.iter().collect();
    let mut found = Seen::default();
    for version in crd.spec().versions().iter() {
        // A name that comes twice has been found already.
        let first = found.insert(version.name());
        if version.storage() && !(first && known.contains(version.name())) {
            errors.push_with(|| {
                let detail = format!("must have the storage version {}", version.name());
                Error::invalid(&path, BadValue::strings(stored.iter()), detail)
            });
        }
    }
    for (index, name) in stored.iter().enumerate().filter(|(_, name)| !found.contains(*name)) {
        let detail = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        );
        errors.push(Error::invalid(&path.index(index), name, detail));
    }
}

fn preserve_unknown_fields(
    crd: CustomResourceDefinition<'_>,
    old: Option<CustomResourceDefinition<'_>>,
    errors: &mut Errors,
) {
    if crd.spec().preserve_unknown_fields() && !old.is_some_and(|old| old.spec().preserve_unknown_fields()) {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(Error::invalid(&SPEC.child("preserveUnknownFields"), true, detail));
    }
}

fn spec(crd: CustomResourceDefinition<'_>, ratchet: &Ratchet<'_>, errors: &mut Errors) {
    let view = crd.spec();
    let spec = Spec::of(view);
    group(view.group(), errors);
    scope(view.scope(), errors);
    required_schemas(&spec, ratchet, errors);
    let defaults = |schema| walk::any(schema, &|schema| schema.default().is_some());
    let has_defaults = || spec.schemas().into_iter().any(|schema| !walk::is_too_deep(schema) && defaults(schema));
    if view.preserve_unknown_fields() && has_defaults() {
        let detail = "must be false in order to use defaults in the schema";
        errors.push(Error::invalid(&SPEC.child("preserveUnknownFields"), true, detail));
    }
    versions(&spec, ratchet, errors);
    required_names(view.names(), errors);
    names_rules(view.names(), &SPEC.child("names"), errors);
    let any_status = view.versions().iter().any(|version| has_status(version.subresources()));
    schema_rules::validate(spec.validation(), any_status, &ratchet.options, &SPEC.child("validation"), errors);
    subresources(spec.subresources(), &SPEC.child("subresources"), errors);
    if let Some(own) = spec.columns() {
        columns(own, &SPEC.child("additionalPrinterColumns"), errors);
    }
    if let Some(fields) = spec.selectable().filter(|fields| !fields.is_empty()) {
        let path = SPEC.child("selectableFields");
        match spec.validation() {
            None => errors.push(Error::invalid(&path, "", "may only be set when validations.schema is included")),
            Some(validation) => {
                let allow = ratchet.keeps_too_many(view.versions().get(0));
                selectable(fields, validation, allow, &path, &SPEC, errors);
            }
        }
    }
    conversion(crd, ratchet, errors);
}

fn group(group: &str, errors: &mut Errors) {
    let path = SPEC.child("group");
    if group.is_empty() {
        errors.push(Error::required(&path, ""));
        return;
    }
    let wrong = names::is_dns1123_subdomain(group);
    if !wrong.is_empty() {
        errors.push(Error::invalid(&path, group, wrong.join(",")));
    } else if !group.contains('.') {
        errors.push(Error::invalid(&path, group, "should be a domain with at least one dot"));
    }
}

fn scope(scope: &str, errors: &mut Errors) {
    let path = SPEC.child("scope");
    match scope {
        "Cluster" | "Namespaced" => {}
        "" => errors.push(Error::required(&path, "")),
        scope => errors.push(Error::not_supported(&path, scope, &["Cluster", "Namespaced"])),
    }
}

fn required_schemas(spec: &Spec<'_>, ratchet: &Ratchet<'_>, errors: &mut Errors) {
    if spec.validation().is_some_and(|validation| validation.open_api_v3_schema().is_some()) {
        return;
    }
    let versions = SPEC.child("versions");
    for (index, version) in spec.view.versions().iter().enumerate() {
        let own = spec.schema_of(version).and_then(|schema| schema.open_api_v3_schema());
        if own.is_some() {
            continue;
        }
        let path = versions.index(index);
        let path = path.child("schema.openAPIV3Schema");
        if ratchet.requires_schema {
            errors.push(Error::required(&path, ""));
        } else if version.served() && !spec.view.preserve_unknown_fields() {
            errors.push(Error::required(&path, "because otherwise all fields are pruned"));
        }
    }
}

fn versions(spec: &Spec<'_>, ratchet: &Ratchet<'_>, errors: &mut Errors) {
    let path = SPEC.child("versions");
    let all = spec.view.versions();
    for (index, version) in all.iter().enumerate() {
        let path = path.index(index);
        let wrong = names::is_dns1035_label(version.name());
        if !wrong.is_empty() {
            errors.push(Error::invalid(&path.child("name"), version.name(), wrong.join(",")));
        }
        one_version(spec, version, ratchet, &path, errors);
    }
    let mut seen = Seen::default();
    if !all.iter().all(|version| seen.insert(version.name())) {
        errors.push(Error::invalid(&path, spec.bad_versions(), "must contain unique version names"));
    }
    if all.iter().filter(|version| version.storage()).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(Error::invalid(&path, spec.bad_versions(), detail));
    }
    if let Some(first) = all.get(0).map(|version| version.name()).filter(|name| !name.is_empty()) {
        let wrong = names::is_dns1035_label(first);
        if !wrong.is_empty() {
            errors.push(Error::invalid(&SPEC.child("version"), first, wrong.join(",")));
        }
    }
}

fn has_status(subresources: Option<CustomResourceSubresources<'_>>) -> bool {
    subresources.is_some_and(|subresources| subresources.status().is_some())
}

fn one_version(
    spec: &Spec<'_>,
    version: CustomResourceDefinitionVersion<'_>,
    ratchet: &Ratchet<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    deprecation(version, &path.child("deprecationWarning"), errors);
    let status = has_status(version.subresources());
    let schema = spec.schema_of(version);
    schema_rules::validate(schema, status, &ratchet.options, &path.child("schema"), errors);
    subresources(spec.subresources_of(version), &path.child("subresources"), errors);
    if let Some(own) = spec.columns_of(version) {
        columns(own, &path.child("additionalPrinterColumns"), errors);
    }
    let Some(fields) = spec.selectable_of(version).filter(|fields| !fields.is_empty()) else { return };
    let fields_path = path.child("selectableFields");
    match schema.filter(|schema| schema.open_api_v3_schema().is_some()) {
        None => {
            let detail = "may only be set when `version.schema.openAPIV3Schema` is not included";
            errors.push(Error::invalid(&fields_path, "", detail));
        }
        Some(schema) => {
            let allow = ratchet.keeps_too_many(Some(version));
            selectable(fields, schema, allow, &fields_path, path, errors);
        }
    }
}

impl Ratchet<'_> {
    /// Whether a version already had as many selectable fields, the same ones.
    fn keeps_too_many(&self, version: Option<CustomResourceDefinitionVersion<'_>>) -> bool {
        let (Some(old), Some(version)) = (self.old, version) else { return false };
        if !field_path::too_many(version.selectable_fields()) {
            return false;
        }
        old.spec().versions().iter().any(|old| {
            old.name() == version.name()
                && field_path::too_many(old.selectable_fields())
                && internal::same_selectable(old, version)
        })
    }
}

fn selectable(
    fields: Items<'_, SelectableField<'_>>,
    validation: CustomResourceValidation<'_>,
    allow_too_many: bool,
    path: &Path<'_>,
    owner: &Path<'_>,
    errors: &mut Errors,
) {
    let schema = match validation.open_api_v3_schema().map(Schema::compile).transpose() {
        Ok(schema) => schema,
        Err(message) => {
            errors.push(Error::invalid(&owner.child("schema.openAPIV3Schema"), "", message));
            None
        }
    };
    field_path::validate_selectable(fields, schema.as_ref(), allow_too_many, path, errors);
}

fn deprecation(version: CustomResourceDefinitionVersion<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(warning) = version.deprecation_warning() else { return };
    let mut push = |detail: String| errors.push(Error::invalid(path, Some(warning), detail));
    if !version.deprecated() {
        push("can only be set for deprecated versions".into());
        return;
    }
    if warning.len() > 256 {
        push("must be <= 256 characters long".into());
    }
    if warning.is_empty() {
        push("must not be an empty string".into());
    }
    let is_print = |c: char| c == ' ' || !c.is_control() && !c.is_whitespace() && c != '\u{feff}' && c != '\u{ad}';
    if let Some((index, _)) = warning.char_indices().find(|(_, c)| !is_print(*c)) {
        push(format!("must only contain printable UTF-8 characters; non-printable character found at index {index}"));
    }
}

fn required_names(names: CustomResourceDefinitionNames<'_>, errors: &mut Errors) {
    let path = SPEC.child("names");
    let required = [
        ("plural", names.plural()),
        ("singular", names.singular()),
        ("kind", names.kind()),
        ("listKind", names.list_kind()),
    ];
    for (name, _) in required.into_iter().filter(|(_, value)| value.is_empty()) {
        errors.push(Error::required(&path.child(name), ""));
    }
}

fn names_rules(names: CustomResourceDefinitionNames<'_>, path: &Path<'_>, errors: &mut Errors) {
    let label = |value: &str, mixed_case: bool, path: &Path<'_>, errors: &mut Errors| {
        let wrong =
            if mixed_case { names::is_dns1035_label(&value.to_lowercase()) } else { names::is_dns1035_label(value) };
        if !wrong.is_empty() {
            let prefix = if mixed_case { "may have mixed case, but should otherwise match: " } else { "" };
            errors.push(Error::invalid(path, value, format!("{prefix}{}", wrong.join(","))));
        }
    };
    let singles = [
        ("plural", names.plural(), false),
        ("singular", names.singular(), false),
        ("kind", names.kind(), true),
        ("listKind", names.list_kind(), true),
    ];
    for (name, value, mixed_case) in singles.into_iter().filter(|(_, value, _)| !value.is_empty()) {
        label(value, mixed_case, &path.child(name), errors);
    }
    let short_names = path.child("shortNames");
    for (index, name) in names.short_names().iter().enumerate() {
        label(name, false, &short_names.index(index), errors);
    }
    if !names.kind().is_empty() && names.kind() == names.list_kind() {
        let path = path.child("listKind");
        errors.push(Error::invalid(&path, names.list_kind(), "kind and listKind may not be the same"));
    }
    let categories = path.child("categories");
    for (index, category) in names.categories().iter().enumerate() {
        label(category, false, &categories.index(index), errors);
    }
}

fn columns(columns: Items<'_, CustomResourceColumnDefinition<'_>>, path: &Path<'_>, errors: &mut Errors) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    for (index, column) in columns.iter().enumerate() {
        let path = path.index(index);
        if column.name().is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        }
        let one_of = |values: &[&str]| format!("must be one of {}", values.join(","));
        match column.type_() {
            "" => errors.push(Error::required(&path.child("type"), one_of(&TYPES))),
            ty if !TYPES.contains(&ty) => errors.push(Error::invalid(&path.child("type"), ty, one_of(&TYPES))),
            _ => {}
        }
        let format = column.format();
        if !format.is_empty() && !FORMATS.contains(&format) {
            errors.push(Error::invalid(&path.child("format"), format, one_of(&FORMATS)));
        }
        let path = path.child("JSONPath");
        if column.json_path().is_empty() {
            errors.push(Error::required(&path, ""));
        } else {
            simple_path(column.json_path(), &path, errors);
        }
    }
}

/// Whether a path is one of names.
fn simple_path(text: &str, path: &Path<'_>, errors: &mut Errors) -> bool {
    let simple = text.starts_with('.');
    if !simple {
        errors.push(Error::invalid(path, text, "must be a simple json path starting with ."));
    }
    simple
}

fn subresources(subresources: Option<CustomResourceSubresources<'_>>, path: &Path<'_>, errors: &mut Errors) {
    let Some(scale) = subresources.and_then(|subresources| subresources.scale()) else { return };
    let replicas = [
        ("scale.specReplicasPath", scale.spec_replicas_path(), ".spec.", "should be a json path under .spec"),
        ("scale.statusReplicasPath", scale.status_replicas_path(), ".status.", "should be a json path under .status"),
    ];
    for (name, value, prefix, detail) in replicas {
        let path = path.child(name);
        if value.is_empty() {
            errors.push(Error::required(&path, ""));
        } else if simple_path(value, &path, errors) && !value.starts_with(prefix) {
            errors.push(Error::invalid(&path, value, detail));
        }
    }
    if let Some(selector) = scale.label_selector_path().filter(|selector| !selector.is_empty()) {
        let path = path.child("scale.labelSelectorPath");
        if simple_path(selector, &path, errors) && !selector.starts_with(".spec.") && !selector.starts_with(".status.")
        {
            let detail = "should be a json path under either .spec or .status";
            errors.push(Error::invalid(&path, Some(selector), detail));
        }
    }
}

fn conversion(crd: CustomResourceDefinition<'_>, ratchet: &Ratchet<'_>, errors: &mut Errors) {
    let Some(conversion) = crd.spec().conversion() else { return };
    let path = SPEC.child("conversion");
    let strategy_path = path.child("strategy");
    let strategy = conversion.strategy();
    if strategy != "None" && crd.spec().preserve_unknown_fields() {
        let detail = "must be None if spec.preserveUnknownFields is true";
        errors.push(Error::invalid(&strategy_path, BadValue::typed(strategy), detail));
    }
    match strategy {
        "" => errors.push(Error::required(&strategy_path, "")),
        "None" => {}
        "Webhook" => {
            if ratchet.refuse_webhook {
                errors.push(Error::forbidden(&strategy_path, WEBHOOK_NOT_SUPPORTED));
            }
            return;
        }
        other => errors.push(Error::not_supported(&strategy_path, other, &["None", "Webhook"])),
    }
    let Some(webhook) = conversion.webhook() else { return };
    let detail = "should not be set when strategy is not set to Webhook";
    if webhook.client_config().is_some() {
        errors.push(Error::forbidden(&path.child("webhookClientConfig"), detail));
    }
    if !webhook.conversion_review_versions().is_empty() {
        errors.push(Error::forbidden(&path.child("conversionReviewVersions"), detail));
    }
}

/// The formats of a definition's schemas that mean nothing, in upstream's order.
pub fn unknown_formats(crd: CustomResourceDefinition<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for schema in Spec::of(crd.spec()).schemas() {
        if walk::is_too_deep(schema) {
            continue;
        }
        walk::each(schema, &mut |schema| {
            let (format, ty) = (schema.format(), schema.type_());
            if !format.is_empty() && !crate::values::Format::is_recognized(format, ty) {
                found.push(format.to_owned());
            }
        });
    }
    found
}
