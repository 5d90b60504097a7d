//! PodDisruptionBudget. Of its metadata upstream asks only what it asks of any object.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Edit, IntOrStr, Node};
use corten_views::policy_v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};

use crate::access::{bad_field, go_struct, put_back, same, view};
use crate::label_selector::{self, Leniency};
use crate::object_meta::{path_segment_errors, validate_conditions, validate_nonnegative};
use crate::strategy::{Context, MetadataRun, Strategy};

pub struct PodDisruptionBudgets;
pub struct Status;

impl Strategy for PodDisruptionBudgets {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(PodDisruptionBudget::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), PodDisruptionBudget::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        validate(view::<PodDisruptionBudget<'_>>(object).spec(), Leniency::default())
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let old = view::<PodDisruptionBudget<'_>>(old).spec();
        let invalid_values = old.selector().is_some_and(|selector| !label_selector::can_select(selector));
        let leniency = Leniency { invalid_values, ..Leniency::default() };
        validate(view::<PodDisruptionBudget<'_>>(object).spec(), leniency)
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        path_segment_errors(name, prefix)
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[]
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        let (new, old): (PodDisruptionBudget<'_>, PodDisruptionBudget<'_>) = (view(object), view(old));
        !same(new, old, PodDisruptionBudget::SPEC)
    }

    fn allows_unconditional_update(&self) -> bool {
        false
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
        put_back(object, old.as_struct(), PodDisruptionBudget::SPEC);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let status = view::<PodDisruptionBudget<'_>>(object).status();
        let path = Path::new("status");
        validate_conditions(status.conditions(), &path.child("conditions"), &mut errors);
        for (field, count) in [
            ("disruptionsAllowed", status.disruptions_allowed()),
            ("currentHealthy", status.current_healthy()),
            ("desiredHealthy", status.desired_healthy()),
            ("expectedPods", status.expected_pods()),
        ] {
            validate_nonnegative(count, &path.child(field), &mut errors);
        }
        errors
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[]
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

fn validate(spec: PodDisruptionBudgetSpec<'_>, leniency: Leniency) -> Errors {
    let mut errors = Errors::default();
    let path = Path::new("spec");
    if spec.min_available().is_some() && spec.max_unavailable().is_some() {
        errors.push(Error::invalid(&path, shown(spec), "minAvailable and maxUnavailable cannot be both set"));
    }
    for (field, value) in [("minAvailable", spec.min_available()), ("maxUnavailable", spec.max_unavailable())] {
        if let Some(value) = value {
            validate_share(value, &path.child(field), &mut errors);
        }
    }
    if let Some(selector) = spec.selector() {
        label_selector::validate(selector, leniency, &path.child("selector"), &mut errors);
    }
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    if let Some(policy) = spec.unhealthy_pod_eviction_policy().filter(|policy| !policies.contains(policy)) {
        let path = path.child("unhealthyPodEvictionPolicy");
        errors.push(Error::not_supported(&path, BadValue::typed(policy), &policies));
    }
    errors
}

/// A number that is not negative, or a percentage up to 100.
fn validate_share(value: IntOrStr<'_>, path: &Path<'_>, errors: &mut Errors) {
    let text = match value {
        IntOrStr::Int(number) => return validate_nonnegative(number, path, errors),
        IntOrStr::Str(text) => text,
    };
    let messages = names::is_valid_percent(text);
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<i64>().ok());
    if messages.is_empty() && percent.is_some_and(|percent| percent > 100) {
        errors.push(Error::invalid(path, BadValue::typed(text), "must not be greater than 100%"));
    }
    for message in messages {
        errors.push(Error::invalid(path, BadValue::typed(text), message));
    }
}

fn shown(spec: PodDisruptionBudgetSpec<'_>) -> BadValue {
    let policy = spec.unhealthy_pod_eviction_policy().map_or(BadValue::Null, BadValue::typed);
    go_struct(&[
        ("MinAvailable", bad_field(spec, PodDisruptionBudgetSpec::MIN_AVAILABLE)),
        ("Selector", bad_field(spec, PodDisruptionBudgetSpec::SELECTOR)),
        ("MaxUnavailable", bad_field(spec, PodDisruptionBudgetSpec::MAX_UNAVAILABLE)),
        ("UnhealthyPodEvictionPolicy", policy),
    ])
}
