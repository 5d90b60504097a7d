//! The `admissionregistration.k8s.io` group.

use corten_object::tree::Node;
use corten_views::admissionregistration_v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ParamKind, ParamRef,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use corten_views::meta_v1::{LabelSelector, LabelSelectorRequirement};

use super::{AGE, NAME, Printer, UNSET, age, integer, join, text, view};
use crate::table::Row;

pub(super) fn printer(plural: &str) -> Option<&'static Printer> {
    Some(match plural {
        "mutatingadmissionpolicies" => &MUTATING_POLICY,
        "mutatingadmissionpolicybindings" => &MUTATING_POLICY_BINDING,
        "mutatingwebhookconfigurations" => &MUTATING_WEBHOOKS,
        "validatingadmissionpolicies" => &VALIDATING_POLICY,
        "validatingadmissionpolicybindings" => &VALIDATING_POLICY_BINDING,
        "validatingwebhookconfigurations" => &VALIDATING_WEBHOOKS,
        _ => return None,
    })
}

static MUTATING_WEBHOOKS: Printer = Printer {
    columns: &[
        NAME,
        integer("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration"),
        AGE,
    ],
    row: mutating_webhooks,
};

static VALIDATING_WEBHOOKS: Printer = Printer {
    columns: &[
        NAME,
        integer("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration"),
        AGE,
    ],
    row: validating_webhooks,
};

static VALIDATING_POLICY: Printer = Printer {
    columns: &[
        NAME,
        integer("Validations", "Validations indicates the number of validation rules defined in this configuration"),
        text("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy"),
        AGE,
    ],
    row: validating_policy,
};

static VALIDATING_POLICY_BINDING: Printer = Printer {
    columns: &[
        NAME,
        text("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
        text("ParamRef", "ParamRef indicates the param resource which sets the configuration param"),
        AGE,
    ],
    row: validating_policy_binding,
};

static MUTATING_POLICY: Printer = Printer {
    columns: &[
        NAME,
        integer("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"),
        text("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy"),
        AGE,
    ],
    row: mutating_policy,
};

static MUTATING_POLICY_BINDING: Printer = Printer {
    columns: &[
        NAME,
        text("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
        text("ParamRef", "ParamRef indicates the param resource which sets the configuration param"),
        AGE,
    ],
    row: mutating_policy_binding,
};

fn mutating_webhooks(object: Node<'_>) -> Row {
    let object: MutatingWebhookConfiguration = view(object);
    row![object.metadata().name(), object.webhooks().len() as i64, age(object.metadata())]
}

fn validating_webhooks(object: Node<'_>) -> Row {
    let object: ValidatingWebhookConfiguration = view(object);
    row![object.metadata().name(), object.webhooks().len() as i64, age(object.metadata())]
}

fn validating_policy(object: Node<'_>) -> Row {
    let object: ValidatingAdmissionPolicy = view(object);
    let (validations, kind) = (object.spec().validations().len() as i64, param_kind(object.spec().param_kind()));
    row![object.metadata().name(), validations, kind, age(object.metadata())]
}

fn mutating_policy(object: Node<'_>) -> Row {
    let object: MutatingAdmissionPolicy = view(object);
    let (mutations, kind) = (object.spec().mutations().len() as i64, param_kind(object.spec().param_kind()));
    row![object.metadata().name(), mutations, kind, age(object.metadata())]
}

fn validating_policy_binding(object: Node<'_>) -> Row {
    let object: ValidatingAdmissionPolicyBinding = view(object);
    let parameters = param_ref(object.spec().param_ref());
    row![object.metadata().name(), object.spec().policy_name(), parameters, age(object.metadata())]
}

fn mutating_policy_binding(object: Node<'_>) -> Row {
    let object: MutatingAdmissionPolicyBinding = view(object);
    let parameters = param_ref(object.spec().param_ref());
    row![object.metadata().name(), object.spec().policy_name(), parameters, age(object.metadata())]
}

fn param_kind(kind: Option<ParamKind<'_>>) -> String {
    kind.map_or_else(|| UNSET.to_owned(), |kind| format!("{}/{}", kind.api_version(), kind.kind()))
}

/// Whether the parameter is in a namespace cannot be known here; `*` stands for one that is not said.
fn param_ref(parameters: Option<ParamRef<'_>>) -> String {
    let Some(parameters) = parameters else { return UNSET.to_owned() };
    match (parameters.name(), parameters.selector()) {
        ("", None) => UNSET.to_owned(),
        ("", Some(selector)) => go_selector(selector),
        (name, _) if parameters.namespace().is_empty() => format!("*/{name}"),
        (name, _) => format!("{}/{name}", parameters.namespace()),
    }
}

/// As Go prints the struct.
fn go_selector(selector: LabelSelector<'_>) -> String {
    let labels: String = selector.match_labels().iter().map(|(key, value)| format!("{key}: {value},")).collect();
    let expressions: String = selector.match_expressions().iter().map(go_requirement).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

fn go_requirement(requirement: LabelSelectorRequirement<'_>) -> String {
    let values = join(requirement.values().iter(), " ");
    format!(
        "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},",
        requirement.key(),
        requirement.operator()
    )
}
