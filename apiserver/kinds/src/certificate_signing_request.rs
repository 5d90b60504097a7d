//! CertificateSigningRequest: who asks is written into it, an approver and a signer add to its status, and the rest
//! stays.

pub mod request;

mod signer;

use std::borrow::Cow;
use std::collections::BTreeSet;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::seen::Index;
use corten_api::time::Timestamp;
use corten_object::tree::{Edit, Id, Items, Node, Strings, View};
use corten_schema::FieldId;
use corten_views::certificates_v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
};

use crate::access::{bad_field, put_back, view};
use crate::pod::internal;
use crate::strategy::{Context, MetadataRun, Strategy};

const APPROVED: &str = "Approved";
const DENIED: &str = "Denied";
const FAILED: &str = "Failed";
const STATUSES: &[&str] = &["False", "True", "Unknown"];
/// The signer of certificates for clients of old.
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub const SELECTABLE: &[&str] = &["spec.signerName"];

type Conditions<'t> = Items<'t, CertificateSigningRequestCondition<'t>>;

pub struct CertificateSigningRequests;
pub struct Status;
pub struct Approval;

impl Strategy for CertificateSigningRequests {
    fn prepare_create(&self, object: &mut Edit<'_>, context: &Context<'_>) {
        let mut spec = object.ensure(CertificateSigningRequest::SPEC);
        write_requester(&mut spec, context);
        object.remove(CertificateSigningRequest::STATUS);
        object.ensure(CertificateSigningRequest::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), CertificateSigningRequest::SPEC);
        put_back(object, old.as_struct(), CertificateSigningRequest::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_request(view(object), &Leniency::default(), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        validate_change(view(object), view(old), Way::Object)
    }

    fn name_errors(&self, _name: &str, _prefix: bool) -> Vec<String> {
        Vec::new()
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        out.push(view::<CertificateSigningRequest<'_>>(object).spec().signer_name().into());
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        match name {
            "status" => Some(&Status),
            "approval" => Some(&Approval),
            _ => None,
        }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"], &["status"]]
    }
}

impl Strategy for Status {
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, context: &Context<'_>) {
        put_back(object, old.as_struct(), CertificateSigningRequest::SPEC);
        let old = view::<CertificateSigningRequest<'_>>(old).status().conditions();
        let mut status = object.ensure(CertificateSigningRequest::STATUS);
        for kind in [APPROVED, DENIED] {
            keep_conditions(&mut status, old, kind);
        }
        date_conditions(&mut status, old, context);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        validate_change(view(object), view(old), Way::Signing)
    }

    fn name_errors(&self, _name: &str, _prefix: bool) -> Vec<String> {
        Vec::new()
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        CertificateSigningRequests.metadata_on_update()
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"], &["status", "conditions"]]
    }
}

impl Strategy for Approval {
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, context: &Context<'_>) {
        put_back(object, old.as_struct(), CertificateSigningRequest::SPEC);
        let old = view::<CertificateSigningRequest<'_>>(old).status();
        let mut status = object.ensure(CertificateSigningRequest::STATUS);
        date_conditions(&mut status, old.conditions(), context);
        put_back(&mut status, old.as_struct(), CertificateSigningRequestStatus::CERTIFICATE);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        validate_change(view(object), view(old), Way::Approval)
    }

    fn name_errors(&self, _name: &str, _prefix: bool) -> Vec<String> {
        Vec::new()
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        CertificateSigningRequests.metadata_on_update()
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"], &["status", "certificate"]]
    }
}

/// The requester is who sent it, whatever it says.
fn write_requester(spec: &mut Edit<'_>, context: &Context<'_>) {
    let user = context.user;
    spec.set(CertificateSigningRequestSpec::USERNAME, user.name);
    spec.set(CertificateSigningRequestSpec::UID, user.uid);
    spec.remove(CertificateSigningRequestSpec::GROUPS);
    spec.remove(CertificateSigningRequestSpec::EXTRA);
    let tree = spec.tree();
    let groups: Vec<Id> = user.groups.iter().map(|group| tree.string(group)).collect();
    let groups = (!groups.is_empty()).then(|| tree.list(&groups));
    let extra = (!user.extra.is_empty()).then(|| {
        let map = tree.map();
        for (key, values) in user.extra {
            let values: Vec<Id> = values.iter().map(|value| tree.string(value)).collect();
            let values = tree.list(&values);
            tree.set_key(map, key, values);
        }
        map
    });
    if let Some(groups) = groups {
        spec.put(CertificateSigningRequestSpec::GROUPS, groups);
    }
    if let Some(extra) = extra {
        spec.put(CertificateSigningRequestSpec::EXTRA, extra);
    }
}

/// Where as many conditions of a type are there as before, they are the ones from before.
fn keep_conditions(status: &mut Edit<'_>, old: Conditions<'_>, kind: &str) {
    let of_kind = |conditions: Conditions<'_>| -> Vec<usize> {
        let all = conditions.iter().enumerate();
        all.filter(|(_, condition)| condition.type_() == kind).map(|(i, _)| i).collect()
    };
    let now = of_kind(status.view::<CertificateSigningRequestStatus<'_>>().conditions());
    let before = of_kind(old);
    if now.len() != before.len() {
        return;
    }
    let ids = status.items(CertificateSigningRequestStatus::CONDITIONS);
    for (to, from) in now.into_iter().zip(before) {
        if let Some(node) = old.nodes().get(from) {
            let tree = status.tree();
            let copy = tree.import(node);
            tree.assign(ids[to], copy);
        }
    }
}

/// Fills in when conditions were updated, and since when they hold.
fn date_conditions(status: &mut Edit<'_>, old: Conditions<'_>, context: &Context<'_>) {
    let now = Timestamp::from_seconds(context.now.0).format();
    let dated = old.iter().filter(|old| !old.last_transition_time().is_empty());
    let dated = Index::of_first(dated.map(|old| ((old.type_(), old.status()), old.last_transition_time())));
    for id in status.items(CertificateSigningRequestStatus::CONDITIONS) {
        let mut condition = status.at(id);
        condition.default(CertificateSigningRequestCondition::LAST_UPDATE_TIME, &now);
        let reads = condition.view::<CertificateSigningRequestCondition<'_>>();
        if !reads.last_transition_time().is_empty() {
            continue;
        }
        let since = dated.get(&(reads.type_(), reads.status())).copied().unwrap_or(&now).to_owned();
        condition.set(CertificateSigningRequestCondition::LAST_TRANSITION_TIME, &since);
    }
}

/// What is let through for the sake of what is stored already.
#[derive(Default)]
struct Leniency {
    both_approved_and_denied: bool,
    legacy_signer: bool,
    duplicate_conditions: bool,
    empty_conditions: bool,
    any_certificate: bool,
    unknown_usages: bool,
    duplicate_usages: bool,
}

impl Leniency {
    fn of(new: CertificateSigningRequest<'_>, old: CertificateSigningRequest<'_>) -> Leniency {
        let (spec, status) = (old.spec(), old.status());
        let has = |kind: &str| status.conditions().iter().any(|condition| condition.type_() == kind);
        let repeats = |mut all: Vec<&str>| {
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            all.len() < count
        };
        let certificate = status.certificate();
        Leniency {
            both_approved_and_denied: has(APPROVED) && has(DENIED),
            legacy_signer: spec.signer_name() == LEGACY_SIGNER,
            duplicate_conditions: repeats(status.conditions().iter().map(|condition| condition.type_()).collect()),
            empty_conditions: has(""),
            any_certificate: new.status().certificate() == certificate
                || request::certificate_problem(certificate).is_some(),
            unknown_usages: spec.usages().iter().any(|usage| !USAGES.contains(&usage)),
            duplicate_usages: repeats(spec.usages().iter().collect()),
        }
    }
}

fn validate_request(object: CertificateSigningRequest<'_>, leniency: &Leniency, errors: &mut Errors) {
    let (spec, path) = (object.spec(), Path::new("spec"));
    if let Err(problem) = request::check(spec.request()) {
        let value = bytes(spec, CertificateSigningRequestSpec::REQUEST);
        errors.push(Error::invalid(&path.child("request"), value, problem));
    }
    validate_usages(spec.usages(), leniency, &path.child("usages"), errors);
    let signer_path = path.child("signerName");
    if spec.signer_name() == LEGACY_SIGNER && !leniency.legacy_signer {
        let detail = "the legacy signerName is not allowed via this API version";
        errors.push(Error::invalid(&signer_path, spec.signer_name(), detail));
    } else {
        signer::validate_name(spec.signer_name(), &signer_path, errors);
    }
    if let Some(seconds) = spec.expiration_seconds().filter(|seconds| *seconds < 600) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(Error::invalid(&path.child("expirationSeconds"), seconds, detail));
    }
    let (status, path) = (object.status(), Path::new("status"));
    validate_conditions(status.conditions(), leniency, &path.child("conditions"), errors);
    if !leniency.any_certificate
        && let Some(problem) = request::certificate_problem(status.certificate())
    {
        errors.push(Error::invalid(&path.child("certificate"), "<certificate data>", problem));
    }
}

/// Bytes show as their base64, and as null where there are none.
fn bytes<'t>(of: impl View<'t>, field: FieldId) -> BadValue {
    match bad_field(of, field) {
        BadValue::Str(text) => BadValue::typed(&text),
        other => other,
    }
}

fn validate_usages(usages: Strings<'_>, leniency: &Leniency, path: &Path<'_>, errors: &mut Errors) {
    if usages.is_empty() {
        errors.push(Error::required(path, ""));
    }
    let mut seen = BTreeSet::new();
    for (i, usage) in usages.iter().enumerate() {
        let path = path.index(i);
        if !leniency.unknown_usages && !USAGES.contains(&usage) {
            errors.push(Error::not_supported(&path, BadValue::typed(usage), USAGES));
        }
        if !seen.insert(usage) && !leniency.duplicate_usages {
            errors.push(Error::duplicate(&path, BadValue::typed(usage)));
        }
    }
}

fn validate_conditions(conditions: Conditions<'_>, leniency: &Leniency, list: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let (path, kind) = (list.index(i), condition.type_());
        if kind.is_empty() && !leniency.empty_conditions {
            errors.push(Error::required(&path.child("type"), ""));
        }
        let statuses = if [APPROVED, DENIED, FAILED].contains(&kind) { &["True"] } else { STATUSES };
        let status = path.child("status");
        match condition.status() {
            "" => errors.push(Error::required(&status, "")),
            value if !statuses.contains(&value) => {
                errors.push(Error::not_supported(&status, BadValue::typed(value), statuses));
            }
            _ => {}
        }
        let excluded = match kind {
            APPROVED => seen.contains(DENIED),
            DENIED => seen.contains(APPROVED),
            _ => false,
        };
        if excluded && !leniency.both_approved_and_denied {
            let detail = "Approved and Denied conditions are mutually exclusive";
            errors.push(Error::invalid(list, BadValue::typed(kind), detail));
        }
        if !seen.insert(kind) && !leniency.duplicate_conditions {
            errors.push(Error::duplicate(&path.child("type"), BadValue::typed(kind)));
        }
    }
}

/// The way by which a change came, which decides what it may touch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Object,
    Signing,
    Approval,
}

fn validate_change(new: CertificateSigningRequest<'_>, old: CertificateSigningRequest<'_>, way: Way) -> Errors {
    let mut errors = Errors::default();
    validate_request(new, &Leniency::of(new, old), &mut errors);
    let path = Path::new("status");
    let conditions = path.child("conditions");
    let of_kind = |request: CertificateSigningRequest<'_>, kind: &str| {
        request.status().conditions().iter().filter(|condition| condition.type_() == kind).count()
    };
    for kind in [APPROVED, DENIED, FAILED] {
        if of_kind(new, kind) < of_kind(old, kind) {
            let detail = format!("updates may not remove a condition of type \"{kind}\"");
            errors.push(Error::forbidden(&conditions, detail));
        }
    }
    if way != Way::Approval {
        for kind in [APPROVED, DENIED] {
            validate_kept(new.status().conditions(), old.status().conditions(), kind, &conditions, &mut errors);
        }
    }
    let (certificate, before) = (new.status().certificate(), old.status().certificate());
    if certificate != before {
        let path = path.child("certificate");
        if way != Way::Signing {
            errors.push(Error::forbidden(&path, "updates may not set certificate content"));
        } else if !before.is_empty() {
            errors.push(Error::forbidden(&path, "updates may not modify existing certificate content"));
        }
    }
    errors
}

/// Only approvers add and change conditions of approval.
fn validate_kept(new: Conditions<'_>, old: Conditions<'_>, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let of_kind = |node: &Node<'_>| view::<CertificateSigningRequestCondition<'_>>(*node).type_() == kind;
    let new: Vec<Node<'_>> = new.nodes().iter().filter(of_kind).collect();
    let old: Vec<Node<'_>> = old.nodes().iter().filter(of_kind).collect();
    if new.len() > old.len() {
        let detail = format!("updates may not add a condition of type \"{kind}\"");
        errors.push(Error::forbidden(path, detail));
    } else if new.len() == old.len() && new.iter().zip(&old).any(|(new, old)| !new.equals(*old)) {
        let diff = internal::diff_lists(old.into_iter(), new.into_iter());
        let detail = format!("updates may not modify a condition of type \"{kind}\"\n{diff}");
        errors.push(Error::forbidden(path, detail));
    }
}
