//! PriorityLevelConfiguration.

use std::sync::LazyLock;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::{Edit, Node, Tree, View};
use corten_views::flowcontrol_v1::{
    ExemptPriorityLevelConfiguration, LimitResponse, LimitedPriorityLevelConfiguration, PriorityLevelConfiguration,
    PriorityLevelConfigurationSpec, QueuingConfiguration,
};

use crate::access::{bad_field, put_back, put_back_metadata, same, view};
use crate::flow_schema::{fixed_specs, validate_conditions};
use crate::strategy::{Context, MetadataRun, Strategy};

const PRESERVE_ZERO: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
const QUEUES_MAX: i64 = 10_000_000;
const HASH_BITS_MAX: i64 = 60;
const EXEMPT: &str = "exempt";

/// The level that every server needs beside the exempt one, of which only the type is fixed.
const MANDATORY: &[(&str, &str)] = &[(
    "catch-all",
    r#"{"type":"Limited","limited":{"nominalConcurrencyShares":5,"limitResponse":{"type":"Reject"},"lendablePercent":0}}"#,
)];

static MANDATORY_SPECS: LazyLock<Vec<(&str, Tree)>> =
    LazyLock::new(|| fixed_specs(MANDATORY, PriorityLevelConfigurationSpec::TYPE));

pub struct PriorityLevelConfigurations;
pub struct Status;

impl Strategy for PriorityLevelConfigurations {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(PriorityLevelConfiguration::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), PriorityLevelConfiguration::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let level: PriorityLevelConfiguration<'_> = view(object);
        let meta = level.metadata();
        if meta.annotations().contains_key(PRESERVE_ZERO) {
            let path = Path::new("metadata");
            errors.push(Error::forbidden(
                &path.child("annotations"),
                format!("annotation '{PRESERVE_ZERO}' is forbidden"),
            ));
        }
        let path = Path::new("spec");
        validate_spec(level.spec(), meta.name(), &path, &mut errors);
        let shown = || bad_field(level, PriorityLevelConfiguration::SPEC);
        let fixed = MANDATORY_SPECS.iter().find(|(name, _)| *name == meta.name());
        if fixed.is_some_and(|(_, spec)| !level.spec().as_struct().equals(spec.root().as_struct())) {
            let detail = format!("spec of '{}' must equal the fixed value", meta.name());
            errors.push(Error::invalid(&path, shown(), detail));
        }
        if meta.name() == EXEMPT && (level.spec().type_() != "Exempt" || level.spec().limited().is_some()) {
            let detail = format!("spec of '{EXEMPT}' except the 'spec.exempt' field must equal the fixed value");
            errors.push(Error::invalid(&path, shown(), detail));
        }
        validate_conditions(level.status().conditions().iter().map(|condition| condition.type_()), &mut errors);
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole]
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        let (new, old): (PriorityLevelConfiguration<'_>, PriorityLevelConfiguration<'_>) = (view(object), view(old));
        !same(new, old, PriorityLevelConfiguration::SPEC)
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
        put_back(object, old.as_struct(), PriorityLevelConfiguration::SPEC);
        put_back_metadata(object, old.as_struct(), PriorityLevelConfiguration::METADATA);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let conditions = view::<PriorityLevelConfiguration<'_>>(object).status().conditions();
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

fn validate_spec(spec: PriorityLevelConfigurationSpec<'_>, name: &str, path: &Path<'_>, errors: &mut Errors) {
    let ty = path.child("type");
    if (name == EXEMPT) != (spec.type_() == "Exempt") {
        let detail = "must be 'Exempt' if and only if `name` is 'exempt'";
        errors.push(Error::invalid(&ty, BadValue::typed(spec.type_()), detail));
    }
    let (limited, exempt) = (path.child("limited"), path.child("exempt"));
    match spec.type_() {
        "Exempt" => {
            if spec.limited().is_some() {
                errors.push(Error::forbidden(&limited, "must be nil if the type is not Limited"));
            }
            if let Some(level) = spec.exempt() {
                validate_exempt(level, &exempt, errors);
            }
        }
        "Limited" => {
            if spec.exempt().is_some() {
                errors.push(Error::forbidden(&exempt, "must be nil if the type is Limited"));
            }
            match spec.limited() {
                Some(level) => validate_limited(level, &limited, errors),
                None => errors.push(Error::required(&limited, "must not be empty when type is Limited")),
            }
        }
        other => errors.push(Error::not_supported(&ty, BadValue::typed(other), &["Exempt", "Limited"])),
    }
}

fn validate_shares(shares: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(shares) = shares.filter(|shares| *shares < 0) {
        let path = path.child("nominalConcurrencyShares");
        errors.push(Error::invalid(&path, shares, "must be a non-negative integer"));
    }
}

fn validate_lendable(percent: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(percent) = percent.filter(|percent| !(0..=100).contains(percent)) {
        let path = path.child("lendablePercent");
        errors.push(Error::invalid(&path, percent, "must be between 0 and 100, inclusive"));
    }
}

fn validate_exempt(level: ExemptPriorityLevelConfiguration<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_shares(level.nominal_concurrency_shares(), path, errors);
    validate_lendable(level.lendable_percent(), path, errors);
}

fn validate_limited(level: LimitedPriorityLevelConfiguration<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_shares(level.nominal_concurrency_shares(), path, errors);
    validate_response(level.limit_response(), &path.child("limitResponse"), errors);
    validate_lendable(level.lendable_percent(), path, errors);
    if let Some(percent) = level.borrowing_limit_percent().filter(|percent| *percent < 0) {
        let path = path.child("borrowingLimitPercent");
        errors.push(Error::invalid(&path, percent, "if specified, must be a non-negative integer"));
    }
}

fn validate_response(response: LimitResponse<'_>, path: &Path<'_>, errors: &mut Errors) {
    let queuing = path.child("queuing");
    match (response.type_(), response.queuing()) {
        ("Reject", Some(_)) => {
            errors.push(Error::forbidden(&queuing, "must be nil if limited.limitResponse.type is not Limited"));
        }
        ("Reject", None) => {}
        ("Queue", Some(queues)) => validate_queuing(queues, &queuing, errors),
        ("Queue", None) => {
            errors.push(Error::required(&queuing, "must not be empty if limited.limitResponse.type is Limited"));
        }
        (other, _) => {
            errors.push(Error::not_supported(&path.child("type"), BadValue::typed(other), &["Queue", "Reject"]));
        }
    }
}

fn validate_queuing(queuing: QueuingConfiguration<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (queues, hand, limit) = (queuing.queues(), queuing.hand_size(), queuing.queue_length_limit());
    if limit <= 0 {
        errors.push(Error::invalid(&path.child("queueLengthLimit"), limit, "must be positive"));
    }
    let place = path.child("queues");
    if queues <= 0 {
        errors.push(Error::invalid(&place, queues, "must be positive"));
    } else if queues > QUEUES_MAX {
        errors.push(Error::invalid(&place, queues, format!("must not be greater than {QUEUES_MAX}")));
    }
    let place = path.child("handSize");
    if hand <= 0 {
        errors.push(Error::invalid(&place, hand, "must be positive"));
    } else if hand > queues {
        errors.push(Error::invalid(&place, hand, format!("should not be greater than queues ({queues})")));
    } else if ((queues as f64).log2() * hand as f64).ceil() as i64 > HASH_BITS_MAX {
        let detail = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS_MAX}"
        );
        errors.push(Error::invalid(&place, hand, detail));
    }
}
