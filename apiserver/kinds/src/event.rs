//! Event, of the core group and of events.k8s.io: one object in storage, whose older form is the hub.

use std::borrow::Cow;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Node, Tree, View};
use corten_views::core_v1::{Event, ObjectReference};
use corten_views::events_v1;
use corten_views::meta_v1::ObjectMeta;

use crate::access::{go_struct, go_time, import_as, same, view};
use crate::object_meta::{self, FIELD_IMMUTABLE, invalid_each, path_segment_errors};
use crate::strategy::{Context, MetadataRun, Strategy};

pub const GROUP: &str = "events.k8s.io";

/// Field labels of the core group.
pub const SELECTABLE: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "type",
    "source",
];

/// The same in events.k8s.io, which leaves out the last.
pub const GROUP_SELECTABLE: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

/// The strategy of both groups.
pub struct Events {
    pub labels: usize,
}

impl Strategy for Events {
    fn validate(&self, object: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let event: Event<'_> = view(object);
        validate_legacy(event, context.group, &mut errors);
        if context.group == GROUP {
            validate_name(event.metadata(), &mut errors);
            validate_new(event, &mut errors);
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let event: Event<'_> = view(object);
        validate_legacy(event, context.group, &mut errors);
        if context.group == GROUP {
            let old: Event<'_> = view(old);
            object_meta::validate_update(event.metadata(), old.metadata(), &Path::new("metadata"), &mut errors);
            validate_change(event, old, &mut errors);
        }
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        path_segment_errors(name, prefix)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[]
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    fn collects_garbage(&self) -> bool {
        false
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        let event: Event<'t> = view(object);
        let about: ObjectReference<'t> = event.involved_object();
        let source = Some(event.source().component()).filter(|source| !source.is_empty());
        let values = [
            about.kind(),
            about.namespace(),
            about.name(),
            about.uid(),
            about.api_version(),
            about.resource_version(),
            about.field_path(),
            event.reason(),
            event.reporting_component(),
            event.type_(),
            source.unwrap_or(event.reporting_component()),
        ];
        out.extend(values.into_iter().take(self.labels).map(Cow::Borrowed));
    }

    fn convert(&self, object: &Tree, to_version: (&str, &str)) -> Option<Tree> {
        match to_version {
            (GROUP, "v1") => Some(copy(object, events_v1::Event::TYPE, "events.k8s.io/v1", false)),
            ("", "v1") => Some(copy(object, Event::TYPE, "v1", true)),
            _ => None,
        }
    }
}

/// The fields that only one of the forms calls so: the core group's name, then that of events.k8s.io.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn copy(object: &Tree, ty: corten_schema::TypeId, api_version: &str, to_core: bool) -> Tree {
    let mut out = Tree::of(ty);
    let root = out.root_id();
    let old_type = object.type_of(object.root_id());
    // The series look alike, but they are of two types.
    let series = if to_core { corten_views::core_v1::EventSeries::TYPE } else { events_v1::EventSeries::TYPE };
    for (field, node) in object.root().as_struct().fields() {
        let Some(name) = old_type.map(|ty| ty.field(field).name) else { continue };
        let renamed = RENAMED.iter().find_map(|&(core, new)| match (to_core, name) {
            (true, name) if name == new => Some(core),
            (false, name) if name == core => Some(new),
            _ => None,
        });
        let value = match name {
            "apiVersion" => out.string(api_version),
            "series" => import_as(&mut out, node, series),
            _ => out.import(node),
        };
        out.set_named(root, renamed.unwrap_or(name), value);
    }
    out
}

/// What every event keeps to. A set eventTime tells an event of the newer kind.
fn validate_legacy(event: Event<'_>, group: &str, errors: &mut Errors) {
    let namespace = event.metadata().namespace();
    let about = event.involved_object().namespace();
    let mismatch = if event.event_time().is_empty() {
        if about.is_empty() { !["", "default"].contains(&namespace) } else { about != namespace }
    } else {
        about.is_empty() && !["default", "kube-system"].contains(&namespace)
    };
    if mismatch {
        let path = Path::new("involvedObject");
        errors.push(Error::invalid(&path.child("namespace"), about, "does not match event.namespace"));
    }
    if !event.event_time().is_empty() {
        validate_reporter(event, group, errors);
    }
    invalid_each(names::is_dns1123_subdomain(namespace), namespace, &Path::new("namespace"), errors);
}

fn validate_reporter(event: Event<'_>, group: &str, errors: &mut Errors) {
    let controller = Path::new(if group == GROUP { "reportingController" } else { "reportingComponent" });
    if event.reporting_component().is_empty() {
        errors.push(Error::required(&controller, ""));
    }
    let messages = names::is_qualified_name(event.reporting_component());
    invalid_each(messages, event.reporting_component(), &controller, errors);
    let mut bounded = |field: &str, value: &str, max: usize, required: bool| {
        let path = Path::new(field);
        if required && value.is_empty() {
            errors.push(Error::required(&path, ""));
        }
        if value.len() > max {
            errors.push(Error::invalid(&path, "", format!("can have at most {max} characters")));
        }
    };
    bounded("reportingInstance", event.reporting_instance(), 128, true);
    bounded("action", event.action(), 128, true);
    bounded("reason", event.reason(), 128, true);
    bounded("message", event.message(), 1024, false);
}

/// Through events.k8s.io an event is named as other objects are; what no object may be named is told already.
fn validate_name(metadata: ObjectMeta<'_>, errors: &mut Errors) {
    let path = Path::new("metadata");
    for (field, name, prefix) in [("generateName", metadata.generate_name(), true), ("name", metadata.name(), false)] {
        if !name.is_empty() && path_segment_errors(name, prefix).is_empty() {
            invalid_each(names::name_is_dns_subdomain(name, prefix), name, &path.child(field), errors);
        }
    }
}

/// What a new event keeps to that comes through events.k8s.io.
fn validate_new(event: Event<'_>, errors: &mut Errors) {
    validate_series(event, errors);
    if event.event_time().is_empty() {
        errors.push(Error::required(&Path::new("eventTime"), ""));
    }
    if !["Normal", "Warning"].contains(&event.type_()) {
        errors.push(Error::invalid(&Path::new("type"), "", format!("has invalid value: {}", event.type_())));
    }
    let source = event.source();
    for (field, set) in [
        ("firstTimestamp", !event.first_timestamp().is_empty()),
        ("lastTimestamp", !event.last_timestamp().is_empty()),
        ("count", event.count() != 0),
        ("source", !source.component().is_empty() || !source.host().is_empty()),
    ] {
        if set {
            errors.push(Error::invalid(&Path::new(field), "", "needs to be unset"));
        }
    }
}

fn validate_series(event: Event<'_>, errors: &mut Errors) {
    let Some(series) = event.series() else { return };
    if series.count() < 2 {
        errors.push(Error::invalid(&Path::new("series.count"), "", "should be at least 2"));
    }
    if series.last_observed_time().is_empty() {
        errors.push(Error::required(&Path::new("series.lastObservedTime"), ""));
    }
}

/// Through events.k8s.io only the series of an event may change.
fn validate_change(new: Event<'_>, old: Event<'_>, errors: &mut Errors) {
    if !same(new, old, Event::SERIES) {
        validate_series(new, errors);
    }
    let source = new.source();
    let source = || go_struct(&[("Component", source.component().into()), ("Host", source.host().into())]);
    let fields: [(corten_schema::FieldId, &str, &dyn Fn() -> BadValue); 14] = [
        (Event::INVOLVED_OBJECT, "involvedObject", &|| reference(new.involved_object())),
        (Event::REASON, "reason", &|| new.reason().into()),
        (Event::MESSAGE, "message", &|| new.message().into()),
        (Event::SOURCE, "source", &source),
        (Event::FIRST_TIMESTAMP, "firstTimestamp", &|| go_time(new.first_timestamp())),
        (Event::LAST_TIMESTAMP, "lastTimestamp", &|| go_time(new.last_timestamp())),
        (Event::COUNT, "count", &|| new.count().into()),
        (Event::REASON, "reason", &|| new.reason().into()),
        (Event::TYPE_, "type", &|| new.type_().into()),
        (Event::EVENT_TIME, "eventTime", &|| go_time(new.event_time())),
        (Event::ACTION, "action", &|| new.action().into()),
        (Event::RELATED, "related", &|| new.related().map_or(BadValue::Null, reference)),
        (Event::REPORTING_COMPONENT, "reportingController", &|| new.reporting_component().into()),
        (Event::REPORTING_INSTANCE, "reportingInstance", &|| new.reporting_instance().into()),
    ];
    for (field, name, value) in fields {
        if !same(new, old, field) {
            errors.push(Error::invalid(&Path::new(name), value(), FIELD_IMMUTABLE));
        }
    }
}

fn reference(about: ObjectReference<'_>) -> BadValue {
    go_struct(&[
        ("Kind", about.kind().into()),
        ("Namespace", about.namespace().into()),
        ("Name", about.name().into()),
        ("UID", about.uid().into()),
        ("APIVersion", about.api_version().into()),
        ("ResourceVersion", about.resource_version().into()),
        ("FieldPath", about.field_path().into()),
    ])
}
