//! ReplicationController.

use std::borrow::Cow;

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_api::selector::labels::Selector;
use corten_object::tree::{Edit, Node, StringMap};
use corten_schema::FieldId;
use corten_views::core_v1::{PodTemplateSpec, ReplicationController, ReplicationControllerSpec};
use corten_views::meta_v1::ObjectMeta;

use crate::access::{put_back, same, view};
use crate::object_meta::validate_nonnegative;
use crate::pod::Options;
use crate::pod_template;
use crate::strategy::{Context, MetadataRun, Strategy};
use crate::workload_status::{StatusOf, nothing_else, validate_available, validate_counts};

const SPEC: Path<'static> = Path::new("spec");

pub struct ReplicationControllers;

static STATUS: StatusOf = StatusOf {
    kind: &ReplicationControllers,
    spec: ReplicationController::SPEC,
    validate: validate_status,
    metadata: &[MetadataRun::Change],
    carry: nothing_else,
};

impl Strategy for ReplicationControllers {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        labels_from_template(object);
        let mut spec = object.ensure(ReplicationController::SPEC);
        spec.default(ReplicationControllerSpec::REPLICAS, 1i64);
        if let Some(mut template) = spec.field(ReplicationControllerSpec::TEMPLATE) {
            pod_template::default(&mut template);
        }
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(ReplicationController::STATUS);
        object.ensure(ReplicationController::STATUS);
        drop_disabled(object, None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), ReplicationController::STATUS);
        drop_disabled(object, view::<ReplicationController<'_>>(old).spec().template());
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_spec(view::<ReplicationController<'_>>(object).spec(), &Options::for_template(None), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let options = Options::for_template(view::<ReplicationController<'_>>(old).spec().template());
        validate_spec(view::<ReplicationController<'_>>(object).spec(), &options, &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let controller: ReplicationController<'_> = view(object);
        let mut out: Vec<String> = pod_template::name_warning(controller.metadata().name()).into_iter().collect();
        if let Some(template) = controller.spec().template() {
            out.extend(pod_template::warnings(template, &SPEC.child("template")));
        }
        out
    }

    /// Upstream looks at the old template here.
    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let template = view::<ReplicationController<'_>>(old).spec().template();
        match template.filter(|_| self.generation_changes(object, old)) {
            Some(template) => pod_template::warnings(template, &SPEC.child("template")),
            None => Vec::new(),
        }
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        if prefix { Vec::new() } else { names::is_long_name(name) }
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        let (new, old): (ReplicationController<'_>, ReplicationController<'_>) = (view(object), view(old));
        !same(new, old, ReplicationController::SPEC)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn orphans_by_default(&self) -> bool {
        true
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        out.push(Cow::Owned(view::<ReplicationController<'_>>(object).status().replicas().to_string()));
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        (name == "status").then_some(&STATUS)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

fn drop_disabled(object: &mut Edit<'_>, old: Option<PodTemplateSpec<'_>>) {
    let template = [ReplicationController::SPEC, ReplicationControllerSpec::TEMPLATE];
    if let Some(mut template) = object.path(template) {
        pod_template::drop_disabled(&mut template, old);
    }
}

/// Selector and labels are the template's labels where nothing is said.
fn labels_from_template(object: &mut Edit<'_>) {
    let view: ReplicationController<'_> = object.view();
    let Some(template) = view.spec().template() else { return };
    if template.metadata().labels().is_empty() {
        return;
    }
    let (no_selector, no_labels) = (view.spec().selector().is_empty(), view.metadata().labels().is_empty());
    if no_selector || no_labels {
        let labels = owned(template.metadata().labels());
        if no_selector {
            fill(object, [ReplicationController::SPEC, ReplicationControllerSpec::SELECTOR], &labels);
        }
        if no_labels {
            fill(object, [ReplicationController::METADATA, ObjectMeta::LABELS], &labels);
        }
    }
}

pub fn owned(labels: StringMap<'_>) -> Vec<(String, String)> {
    labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub fn fill(object: &mut Edit<'_>, path: [FieldId; 2], labels: &[(String, String)]) {
    let mut map = object.ensure_path(path);
    for (key, value) in labels {
        map.set_key(key, value);
    }
}

fn validate_spec(spec: ReplicationControllerSpec<'_>, options: &Options, errors: &mut Errors) {
    validate_nonnegative(spec.min_ready_seconds(), &SPEC.child("minReadySeconds"), errors);
    if spec.selector().is_empty() {
        errors.push(Error::required(&SPEC.child("selector"), ""));
    }
    match spec.replicas() {
        None => errors.push(Error::required(&SPEC.child("replicas"), "")),
        Some(replicas) => validate_nonnegative(replicas, &SPEC.child("replicas"), errors),
    }
    let path = SPEC.child("template");
    let Some(template) = spec.template() else {
        errors.push(Error::required(&path, ""));
        return;
    };
    let selector = Selector::from_set(spec.selector().iter());
    let labels = template.metadata().labels();
    if !selector.is_everything() && !selector.matches(|key| labels.get(key)) {
        errors.push(pod_template::does_not_match(template, &path));
    }
    pod_template::validate(template, options, &path, errors);
    pod_template::validate_runs_always(template, "ReplicationController", &path, errors);
}

fn validate_status(object: Node<'_>, _old: Node<'_>, errors: &mut Errors) {
    let status = view::<ReplicationController<'_>>(object).status();
    let parts = [
        (status.fully_labeled_replicas(), "fullyLabeledReplicas"),
        (status.ready_replicas(), "readyReplicas"),
        (status.available_replicas(), "availableReplicas"),
    ];
    let mut counts = vec![(status.replicas(), "replicas")];
    counts.extend(parts);
    counts.push((status.observed_generation(), "observedGeneration"));
    validate_counts(&counts, &parts, status.replicas(), errors);
    validate_available(status.available_replicas(), status.ready_replicas(), "readyReplicas", errors);
}
