//! Role, ClusterRole and their bindings. What a user may not grant is not a matter of validation.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::{Edit, Node, Strings};
use corten_schema::FieldId;
use corten_views::rbac_v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

use crate::access::view;
use crate::label_selector::{self, Leniency};
use crate::object_meta::{invalid_each, path_segment_errors};
use crate::strategy::{Context, MetadataRun, Strategy};

const GROUP: &str = "rbac.authorization.k8s.io";
const WHOLE_THEN_CHANGE: &[MetadataRun] = &[MetadataRun::Whole, MetadataRun::Change];

pub struct Roles;
pub struct ClusterRoles;
pub struct RoleBindings;
pub struct ClusterRoleBindings;

impl Strategy for Roles {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_rules(view::<Role<'_>>(object).rules().iter(), true, &mut errors);
        errors
    }
    fn name_errors(&self, name: &str, _prefix: bool) -> Vec<String> {
        path_segment_errors(name, false)
    }
    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        WHOLE_THEN_CHANGE
    }
    fn allows_create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for ClusterRoles {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        validate_cluster_role(view(object), Leniency::default())
    }
    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let invalid_values = has_invalid_selector(view(old));
        validate_cluster_role(view(object), Leniency { invalid_values, ..Leniency::default() })
    }
    fn name_errors(&self, name: &str, _prefix: bool) -> Vec<String> {
        path_segment_errors(name, false)
    }
    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        WHOLE_THEN_CHANGE
    }
    fn allows_create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for RoleBindings {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        default_subjects(object, RoleBinding::SUBJECTS);
    }
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let binding: RoleBinding<'_> = view(object);
        validate_role_ref(binding.role_ref(), &["Role", "ClusterRole"], &mut errors);
        validate_subjects(binding.subjects().iter(), true, &mut errors);
        errors
    }
    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old): (RoleBinding<'_>, RoleBinding<'_>) = (view(object), view(old));
        validate_same_role(new.role_ref(), old.role_ref(), &mut errors);
        errors
    }
    fn name_errors(&self, name: &str, _prefix: bool) -> Vec<String> {
        path_segment_errors(name, false)
    }
    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        WHOLE_THEN_CHANGE
    }
    fn allows_create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for ClusterRoleBindings {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        default_subjects(object, ClusterRoleBinding::SUBJECTS);
    }
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let binding: ClusterRoleBinding<'_> = view(object);
        validate_role_ref(binding.role_ref(), &["ClusterRole"], &mut errors);
        validate_subjects(binding.subjects().iter(), false, &mut errors);
        errors
    }
    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old): (ClusterRoleBinding<'_>, ClusterRoleBinding<'_>) = (view(object), view(old));
        validate_same_role(new.role_ref(), old.role_ref(), &mut errors);
        errors
    }
    fn name_errors(&self, name: &str, _prefix: bool) -> Vec<String> {
        path_segment_errors(name, false)
    }
    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        WHOLE_THEN_CHANGE
    }
    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn default_subjects(object: &mut Edit<'_>, field: FieldId) {
    for subject in object.items(field) {
        let mut subject = object.at(subject);
        if ["User", "Group"].contains(&subject.view::<Subject<'_>>().kind()) {
            subject.default(Subject::API_GROUP, GROUP);
        }
    }
}

fn validate_rules<'t>(rules: impl Iterator<Item = PolicyRule<'t>>, namespaced: bool, errors: &mut Errors) {
    let path = Path::new("rules");
    for (i, rule) in rules.enumerate() {
        validate_rule(rule, namespaced, &path.index(i), errors);
    }
}

fn validate_rule(rule: PolicyRule<'_>, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    if rule.verbs().is_empty() {
        errors.push(Error::required(&path.child("verbs"), "verbs must contain at least one value"));
    }
    let urls: Strings<'_> = rule.non_resource_urls();
    if !urls.is_empty() {
        let path = path.child("nonResourceURLs");
        let shown = || BadValue::strings(urls.iter());
        if namespaced {
            errors.push(Error::invalid(&path, shown(), "namespaced rules cannot apply to non-resource URLs"));
        }
        if !(rule.api_groups().is_empty() && rule.resources().is_empty() && rule.resource_names().is_empty()) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(Error::invalid(&path, shown(), detail));
        }
        return;
    }
    if rule.api_groups().is_empty() {
        errors.push(Error::required(&path.child("apiGroups"), "resource rules must supply at least one api group"));
    }
    if rule.resources().is_empty() {
        errors.push(Error::required(&path.child("resources"), "resource rules must supply at least one resource"));
    }
}

fn validate_cluster_role(role: ClusterRole<'_>, leniency: Leniency) -> Errors {
    let mut errors = Errors::default();
    validate_rules(role.rules().iter(), false, &mut errors);
    let Some(aggregation) = role.aggregation_rule() else { return errors };
    let path = Path::new("aggregationRule");
    let path = path.child("clusterRoleSelectors");
    if aggregation.cluster_role_selectors().is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(Error::required(&path, detail));
    }
    for (i, selector) in aggregation.cluster_role_selectors().iter().enumerate() {
        label_selector::validate(selector, leniency, &path.index(i), &mut errors);
        if !label_selector::can_select(selector) {
            errors.push(Error::invalid(&path.index(i), BadValue::Null, "invalid label selector."));
        }
    }
    errors
}

fn has_invalid_selector(role: ClusterRole<'_>) -> bool {
    let Some(aggregation) = role.aggregation_rule() else { return false };
    aggregation.cluster_role_selectors().iter().any(|selector| {
        let mut errors = Errors::default();
        label_selector::validate(selector, Leniency::default(), &Path::root(), &mut errors);
        !errors.is_empty()
    })
}

fn validate_role_ref(role: RoleRef<'_>, kinds: &[&str], errors: &mut Errors) {
    let path = Path::new("roleRef");
    if role.api_group() != GROUP {
        errors.push(Error::not_supported(&path.child("apiGroup"), role.api_group(), &[GROUP]));
    }
    if !kinds.contains(&role.kind()) {
        errors.push(Error::not_supported(&path.child("kind"), role.kind(), kinds));
    }
    let path = path.child("name");
    if role.name().is_empty() {
        errors.push(Error::required(&path, ""));
    } else {
        invalid_each(path_segment_errors(role.name(), false), role.name(), &path, errors);
    }
}

fn validate_same_role(new: RoleRef<'_>, old: RoleRef<'_>, errors: &mut Errors) {
    if (new.api_group(), new.kind(), new.name()) != (old.api_group(), old.kind(), old.name()) {
        let shown = |text: &str| BadValue::typed(text).to_string();
        let value = format!(
            r#"{{"APIGroup":{},"Kind":{},"Name":{}}}"#,
            shown(new.api_group()),
            shown(new.kind()),
            shown(new.name())
        );
        errors.push(Error::invalid(&Path::new("roleRef"), BadValue::Json(value), "cannot change roleRef"));
    }
}

fn validate_subjects<'t>(subjects: impl Iterator<Item = Subject<'t>>, namespaced: bool, errors: &mut Errors) {
    let path = Path::new("subjects");
    for (i, subject) in subjects.enumerate() {
        validate_subject(subject, namespaced, &path.index(i), errors);
    }
}

fn validate_subject(subject: Subject<'_>, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    let name = path.child("name");
    if subject.name().is_empty() {
        errors.push(Error::required(&name, ""));
    }
    let group = match subject.kind() {
        "ServiceAccount" => "",
        "User" | "Group" => GROUP,
        kind => {
            let kinds = ["ServiceAccount", "User", "Group"];
            return errors.push(Error::not_supported(&path.child("kind"), kind, &kinds));
        }
    };
    let account = subject.kind() == "ServiceAccount";
    if account && !subject.name().is_empty() {
        let messages = corten_api::names::name_is_dns_subdomain(subject.name(), false);
        invalid_each(messages, subject.name(), &name, errors);
    }
    if subject.api_group() != group {
        errors.push(Error::not_supported(&path.child("apiGroup"), subject.api_group(), &[group]));
    }
    if account && !namespaced && subject.namespace().is_empty() {
        errors.push(Error::required(&path.child("namespace"), ""));
    }
}
