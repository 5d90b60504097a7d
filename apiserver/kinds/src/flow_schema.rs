//! FlowSchema.

use std::sync::LazyLock;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::json::{Form, parse};
use corten_object::tree::{Edit, Node, Strings, Tree, View};
use corten_views::flowcontrol_v1::{
    FlowSchema, FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};

use crate::access::{bad_field, go_struct, put_back, put_back_metadata, same, view};
use crate::object_meta::invalid_each;
use crate::strategy::{Context, MetadataRun, Strategy};

const PRECEDENCE_MAX: i64 = 10_000;
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// The schemas that every server needs, by name.
const MANDATORY: &[(&str, &str)] = &[
    (
        "exempt",
        r#"{"priorityLevelConfiguration":{"name":"exempt"},"matchingPrecedence":1,"rules":[{"subjects":[{"kind":"Group","group":{"name":"system:masters"}}],"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"clusterScope":true,"namespaces":["*"]}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}]}"#,
    ),
    (
        "catch-all",
        r#"{"priorityLevelConfiguration":{"name":"catch-all"},"matchingPrecedence":10000,"distinguisherMethod":{"type":"ByUser"},"rules":[{"subjects":[{"kind":"Group","group":{"name":"system:unauthenticated"}},{"kind":"Group","group":{"name":"system:authenticated"}}],"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"clusterScope":true,"namespaces":["*"]}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}]}"#,
    ),
];

static MANDATORY_SPECS: LazyLock<Vec<(&str, Tree)>> = LazyLock::new(|| fixed_specs(MANDATORY, FlowSchemaSpec::TYPE));

pub struct FlowSchemas;
pub struct Status;

/// Specs that are fixed, parsed.
pub fn fixed_specs(rows: &[(&'static str, &str)], ty: corten_schema::TypeId) -> Vec<(&'static str, Tree)> {
    let specs = rows.iter().map(|(name, json)| (*name, parse(json.as_bytes().to_vec(), Form::Typed(ty))));
    specs.filter_map(|(name, parsed)| parsed.ok().map(|parsed| (name, parsed.tree))).collect()
}

impl Strategy for FlowSchemas {
    fn table_order(&self) -> Option<fn(Node<'_>) -> i64> {
        Some(|object| view::<FlowSchema<'_>>(object).spec().matching_precedence())
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(FlowSchema::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), FlowSchema::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let schema: FlowSchema<'_> = view(object);
        let (name, path) = (schema.metadata().name(), Path::new("spec"));
        validate_spec(schema.spec(), name, &path, &mut errors);
        let fixed = MANDATORY_SPECS.iter().find(|(fixed, _)| *fixed == name);
        if fixed.is_some_and(|(_, spec)| !schema.spec().as_struct().equals(spec.root().as_struct())) {
            let detail = format!("spec of '{name}' must equal the fixed value");
            errors.push(Error::invalid(&path, bad_field(schema, FlowSchema::SPEC), detail));
        }
        validate_conditions(schema.status().conditions().iter().map(|condition| condition.type_()), &mut errors);
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole]
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<FlowSchema<'_>>(object), view::<FlowSchema<'_>>(old), FlowSchema::SPEC)
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), FlowSchema::SPEC);
        put_back_metadata(object, old.as_struct(), FlowSchema::METADATA);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let conditions = view::<FlowSchema<'_>>(object).status().conditions();
        validate_conditions(conditions.iter().map(|condition| condition.type_()), &mut errors);
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[]
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }
}

/// Conditions by their types, which are all that is asked of them.
pub fn validate_conditions<'t>(types: impl Iterator<Item = &'t str>, errors: &mut Errors) {
    let path = Path::new("status");
    let path = path.child("conditions");
    let mut seen = Seen::default();
    for (i, ty) in types.enumerate() {
        let path = path.index(i);
        let path = path.child("type");
        if !seen.insert(ty) {
            errors.push(Error::duplicate(&path, BadValue::typed(ty)));
        }
        if ty.is_empty() {
            errors.push(Error::required(&path, ""));
        }
    }
}

fn validate_spec(spec: FlowSchemaSpec<'_>, name: &str, path: &Path<'_>, errors: &mut Errors) {
    let (precedence, place) = (spec.matching_precedence(), path.child("matchingPrecedence"));
    if precedence <= 0 {
        errors.push(Error::invalid(&place, precedence, "must be a positive value"));
    }
    if precedence > PRECEDENCE_MAX {
        errors.push(Error::invalid(&place, precedence, format!("must not be greater than {PRECEDENCE_MAX}")));
    }
    if precedence == 1 && name != "exempt" {
        let detail = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(Error::invalid(&place, precedence, detail));
    }
    let methods = ["ByNamespace", "ByUser"];
    if let Some(method) = spec.distinguisher_method().filter(|method| !methods.contains(&method.type_())) {
        let value = go_struct(&[("Type", method.type_().into())]);
        errors.push(Error::not_supported(&path.child("distinguisherMethod").child("type"), value, &methods));
    }
    let (level, place) = (spec.priority_level_configuration().name(), path.child("priorityLevelConfiguration"));
    if level.is_empty() {
        errors.push(Error::required(&place.child("name"), "must reference a priority level"));
    } else {
        invalid_each(names::name_is_dns_subdomain(level, false), level, &place.child("name"), errors);
    }
    let rules = path.child("rules");
    for (i, rule) in spec.rules().iter().enumerate() {
        validate_rule(rule, &rules.index(i), errors);
    }
}

fn validate_rule(rule: PolicyRulesWithSubjects<'_>, path: &Path<'_>, errors: &mut Errors) {
    let subjects = path.child("subjects");
    if rule.subjects().is_empty() {
        errors.push(Error::required(&subjects, "subjects must contain at least one value"));
    }
    for (i, subject) in rule.subjects().iter().enumerate() {
        validate_subject(subject, &subjects.index(i), errors);
    }
    if rule.resource_rules().is_empty() && rule.non_resource_rules().is_empty() {
        let detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(Error::required(path, detail));
    }
    let rules = path.child("resourceRules");
    for (i, rule) in rule.resource_rules().iter().enumerate() {
        validate_resource_rule(rule, &rules.index(i), errors);
    }
    let rules = path.child("nonResourceRules");
    for (i, rule) in rule.non_resource_rules().iter().enumerate() {
        validate_url_rule(rule, &rules.index(i), errors);
    }
}

fn validate_subject(subject: Subject<'_>, path: &Path<'_>, errors: &mut Errors) {
    let kinds = ["Group", "ServiceAccount", "User"];
    if !kinds.contains(&subject.kind()) {
        return errors.push(Error::not_supported(&path.child("kind"), BadValue::typed(subject.kind()), &kinds));
    }
    let parts = [
        ("ServiceAccount", "serviceAccount", subject.service_account().is_some()),
        ("User", "user", subject.user().is_some()),
        ("Group", "group", subject.group().is_some()),
    ];
    for (kind, field, present) in parts {
        if kind == subject.kind() {
            let path = path.child(field);
            if present {
                validate_subject_part(subject, &path, errors);
            } else {
                errors.push(Error::required(&path, format!("{field} is required when subject kind is '{kind}'")));
            }
        }
    }
    for (kind, field, present) in parts {
        if kind != subject.kind() && present {
            let detail = format!("{field} is forbidden when subject kind is not '{kind}'");
            errors.push(Error::forbidden(&path.child(field), detail));
        }
    }
}

fn validate_subject_part(subject: Subject<'_>, path: &Path<'_>, errors: &mut Errors) {
    let name = match (subject.user(), subject.group(), subject.service_account()) {
        (Some(user), _, _) if subject.kind() == "User" => user.name(),
        (_, Some(group), _) if subject.kind() == "Group" => group.name(),
        (_, _, Some(account)) => account.name(),
        _ => "",
    };
    if name.is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    }
    let Some(account) = subject.service_account().filter(|_| subject.kind() == "ServiceAccount") else { return };
    if !["", "*"].contains(&name) {
        invalid_each(names::name_is_dns_subdomain(name, false), name, &path.child("name"), errors);
    }
    let (namespace, path) = (account.namespace(), path.child("namespace"));
    if namespace.is_empty() {
        errors.push(Error::required(&path, "must specify namespace for service account"));
    } else {
        invalid_each(names::name_is_dns_label(namespace, false), namespace, &path, errors);
    }
}

fn shown(values: Strings<'_>) -> BadValue {
    BadValue::strings(values.iter())
}

fn validate_verbs(verbs: Strings<'_>, path: &Path<'_>, errors: &mut Errors) {
    if verbs.is_empty() {
        errors.push(Error::required(path, "verbs must contain at least one value"));
    } else if verbs.contains("*") {
        if verbs.len() > 1 {
            errors.push(Error::invalid(path, shown(verbs), "if '*' is present, must not specify other verbs"));
        }
    } else if verbs.iter().any(|verb| !VERBS.contains(&verb)) {
        errors.push(Error::not_supported(path, shown(verbs), VERBS));
    }
}

fn validate_resource_rule(rule: ResourcePolicyRule<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_verbs(rule.verbs(), &path.child("verbs"), errors);
    for (field, values, one, others) in [
        ("apiGroups", rule.api_groups(), "api group", "api groups"),
        ("resources", rule.resources(), "resource", "resources"),
    ] {
        let path = path.child(field);
        if values.is_empty() {
            errors.push(Error::required(&path, format!("resource rules must supply at least one {one}")));
        } else if values.len() > 1 && values.contains("*") {
            let detail = format!("if '*' is present, must not specify other {others}");
            errors.push(Error::invalid(&path, shown(values), detail));
        }
    }
    let (namespaces, path) = (rule.namespaces(), path.child("namespaces"));
    if namespaces.is_empty() && !rule.cluster_scope() {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.push(Error::required(&path, detail));
    } else if namespaces.contains("*") {
        if namespaces.len() > 1 {
            let detail = "if '*' is present, must not specify other namespaces";
            errors.push(Error::invalid(&path, shown(namespaces), detail));
        }
    } else {
        for (i, namespace) in namespaces.iter().enumerate() {
            for message in names::name_is_dns_label(namespace, false) {
                let detail = format!("each member of this list must be '*' or a DNS-1123 label; {message}");
                errors.push(Error::invalid(&path.index(i), namespace, detail));
            }
        }
    }
}

fn validate_url_rule(rule: NonResourcePolicyRule<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_verbs(rule.verbs(), &path.child("verbs"), errors);
    let (urls, path) = (rule.non_resource_urls(), path.child("nonResourceURLs"));
    if urls.is_empty() {
        errors.push(Error::required(&path, "nonResourceURLs must contain at least one value"));
    } else if urls.contains("*") {
        if urls.len() > 1 {
            let detail = "if '*' is present, must not specify other non-resource URLs";
            errors.push(Error::invalid(&path, shown(urls), detail));
        }
    } else {
        for (i, url) in urls.iter().enumerate() {
            if let Some(problem) = url_problem(url) {
                errors.push(Error::invalid(&path.index(i), url, problem));
            }
        }
    }
}

fn url_problem(url: &str) -> Option<&'static str> {
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ => {
            let stars = url.matches('*').count();
            let wrong = stars > 1 || (stars == 1 && !url.ends_with("/*"));
            wrong.then_some("wildcard can only do suffix matching")
        }
    }
}
