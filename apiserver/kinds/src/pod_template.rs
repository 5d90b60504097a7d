//! What pods are made from, in the kinds that make them; and PodTemplate, which nothing is made from.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::selector::labels::Selector;
use corten_object::tree::{Edit, Node, Struct, View};
use corten_views::core_v1::{PodTemplate, PodTemplateSpec};
use corten_views::meta_v1::LabelSelector;

use crate::access::{same, view};
use crate::object_meta::{validate_annotations, validate_labels};
use crate::pod::{self, Options};
use crate::strategy::{Context, Strategy};

/// Defaults of a template; `template` is the field that holds it.
pub fn default(template: &mut Edit<'_>) {
    if let Some(mut metadata) = template.field(PodTemplateSpec::METADATA) {
        pod::defaults::drop_annotations(&mut metadata);
    }
    pod::defaults::spec(&mut template.ensure(PodTemplateSpec::SPEC));
}

/// Fields of features that are off, which an old object that has them keeps.
pub fn drop_disabled(template: &mut Edit<'_>, old: Option<PodTemplateSpec<'_>>) {
    let old = old.map_or(Struct::ABSENT, |old| old.spec().as_struct());
    let mut spec = template.ensure(PodTemplateSpec::SPEC);
    pod::defaults::service_account(&mut spec);
    pod::drop_disabled(&mut spec, old);
}

/// `ValidatePodTemplateSpec`.
pub fn validate(template: PodTemplateSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let (metadata, spec) = (template.metadata(), template.spec());
    // Upstream's paths leave metadata out.
    validate_labels(metadata.labels(), &path.child("labels"), errors);
    let annotations = path.child("annotations");
    validate_annotations(metadata.annotations(), &annotations, errors);
    pod::annotations::validate(metadata.annotations(), spec, options, &annotations, errors);
    let spec_path = path.child("spec");
    pod::validate_spec(spec, None, options, &spec_path, errors);
    pod::annotations::validate_match(metadata.annotations(), spec, &spec_path, errors);
    if !spec.ephemeral_containers().is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(Error::forbidden(&spec_path.child("ephemeralContainers"), detail));
    }
}

/// A template whose pods run for ever and are found by `selector`; upstream's `ValidatePodTemplateSpecForReplicaSet`.
pub fn validate_for_replicas(
    template: PodTemplateSpec<'_>,
    selector: &Selector,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let labels = template.metadata().labels();
    if !selector.is_everything() && !selector.matches(|key| labels.get(key)) {
        errors.push(does_not_match(template, path));
    }
    validate(template, options, path, errors);
    validate_runs_always(template, "ReplicaSet", path, errors);
}

/// `owner` is the kind of which a deadline is not supported.
pub fn validate_runs_always(template: PodTemplateSpec<'_>, owner: &str, path: &Path<'_>, errors: &mut Errors) {
    let spec = template.spec();
    if spec.restart_policy() != "Always" {
        let value = BadValue::typed(spec.restart_policy());
        errors.push(Error::not_supported(&path.child("spec.restartPolicy"), value, &["Always"]));
    }
    if spec.active_deadline_seconds().is_some() {
        let detail = format!("activeDeadlineSeconds in {owner} is not Supported");
        errors.push(Error::forbidden(&path.child("spec.activeDeadlineSeconds"), detail));
    }
}

pub fn does_not_match(template: PodTemplateSpec<'_>, path: &Path<'_>) -> Error {
    let labels = template.metadata().as_struct().node(corten_views::meta_v1::ObjectMeta::LABELS);
    let value = labels.map_or(BadValue::Null, Node::bad_value);
    Error::invalid(&path.child("metadata.labels"), value, "`selector` does not match template `labels`")
}

pub fn warnings(template: PodTemplateSpec<'_>, path: &Path<'_>) -> Vec<String> {
    pod::warnings::for_template(template, path)
}

/// `LabelSelectorAsSelector`; an absent one selects nothing.
pub fn as_selector(selector: Option<LabelSelector<'_>>) -> Option<Selector> {
    let Some(selector) = selector else { return Some(Selector::nothing()) };
    let expressions = selector
        .match_expressions()
        .iter()
        .map(|expression| (expression.key(), expression.operator(), expression.values().iter().collect::<Vec<_>>()));
    Selector::from_label_selector(selector.match_labels().iter(), expressions).ok()
}

/// The warning about a name that will be part of pods' names.
pub fn name_warning(name: &str) -> Option<String> {
    let wrong = corten_api::names::is_dns1123_label(name);
    let message = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended";
    (!wrong.is_empty()).then(|| format!("{message}: [{}]", wrong.join(" ")))
}

pub struct PodTemplates;

impl Strategy for PodTemplates {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        default(&mut object.ensure(PodTemplate::TEMPLATE));
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        drop_disabled(&mut object.ensure(PodTemplate::TEMPLATE), None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        let old: PodTemplate<'_> = view(old);
        drop_disabled(&mut object.ensure(PodTemplate::TEMPLATE), Some(old.template()));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let template = view::<PodTemplate<'_>>(object).template();
        validate(template, &Options::for_template(None), &Path::new("template"), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let options = Options::for_template(Some(view::<PodTemplate<'_>>(old).template()));
        let template = view::<PodTemplate<'_>>(object).template();
        validate(template, &options, &Path::new("template"), &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view::<PodTemplate<'_>>(object).template(), &Path::new("template"))
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Vec<String> {
        if self.generation_changes(object, old) { self.warn_create(object, context) } else { Vec::new() }
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<PodTemplate<'_>>(object), view::<PodTemplate<'_>>(old), PodTemplate::TEMPLATE)
    }

    fn keeps_generation(&self) -> bool {
        true
    }
}
