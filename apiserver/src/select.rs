//! Selectors of lists and watches: which labels can be selected by, and whether an object is selected.

use corten_api::selector::{fields, labels};
use corten_api::status::{Result, Status};

use crate::object::Object;
use crate::request::Query;
use crate::resource::Resource;

/// What a list or watch selects.
#[derive(Debug, Default)]
pub struct Selection {
    labels: labels::Selector,
    /// Requirements on fields, resolved to where an object keeps them.
    fields: Vec<(Place, fields::Requirement)>,
    field_selector: fields::Selector,
    /// How long the selectors are.
    length: usize,
}

/// About so many bytes of a selector are a comparison.
const COMPARISON: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Name,
    Namespace,
    /// In an object's `fields`.
    Field(usize),
}

impl Selection {
    pub fn read(query: &Query, resource: &Resource) -> Result<Selection> {
        let bad = |message: String| Status::bad_request(message);
        let labels = match query.get("labelSelector") {
            Some(text) => labels::parse(text).map_err(|error| bad(error.to_string()))?,
            None => labels::Selector::everything(),
        };
        let field_selector = match query.get("fieldSelector") {
            Some(text) => fields::Selector::parse(text).map_err(|error| bad(error.to_string()))?,
            None => fields::Selector::everything(),
        };
        let mut places = Vec::new();
        for requirement in field_selector.requirements() {
            places.push((place(resource, &requirement.field)?, requirement.clone()));
        }
        let length = ["labelSelector", "fieldSelector"].iter().filter_map(|key| query.get(key)).map(str::len).sum();
        Ok(Selection { labels, fields: places, field_selector, length })
    }

    /// How many comparisons it takes at most, roughly, to look at an object.
    pub fn cost(&self) -> usize {
        self.length.div_ceil(COMPARISON)
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Object) -> bool {
        if self.is_everything() {
            return true;
        }
        let fields_match = self.fields.iter().all(|(place, requirement)| {
            let value = match place {
                Place::Name => object.name(),
                Place::Namespace => object.namespace(),
                Place::Field(index) => &object.fields[*index],
            };
            (value == requirement.value) == requirement.equal
        });
        fields_match && self.labels.matches(|key| object.label(key))
    }

    /// The value that `metadata.name` must have, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.field_selector.requires_exact_match("metadata.name")
    }

    pub fn namespace(&self) -> Option<&str> {
        self.field_selector.requires_exact_match("metadata.namespace")
    }

    /// The value that the field at an index of an object's `fields` must have, if there is one.
    pub fn field(&self, index: usize) -> Option<&str> {
        let exact =
            |(place, requirement): &&(Place, fields::Requirement)| *place == Place::Field(index) && requirement.equal;
        self.fields.iter().find(exact).map(|(_, requirement)| requirement.value.as_str())
    }
}

fn place(resource: &Resource, label: &str) -> Result<Place> {
    let storage = resource.storage.as_ref();
    let selectable = storage.map_or(&[][..], |storage| &storage.selectable);
    let own_labels = !selectable.is_empty() || resource.is_custom();
    match label {
        "metadata.name" => return Ok(Place::Name),
        "metadata.namespace" if resource.namespaced || !own_labels => return Ok(Place::Namespace),
        _ => {}
    }
    let place = hub_label(resource, label)
        .and_then(|wanted| selectable.iter().position(|known| **known == *wanted).map(Place::Field));
    if let Some(place) = place {
        return Ok(place);
    }
    Err(Status::bad_request(if own_labels {
        storage.map_or_else(
            || format!("field label not supported: {label}"),
            |storage| storage.strategy().unknown_label(label),
        )
    } else {
        format!("{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    }))
}

/// What the hub calls a label of this version; None where only the hub, or another version, has it.
fn hub_label<'l>(resource: &Resource, label: &'l str) -> Option<std::borrow::Cow<'l, str>> {
    if let Some(custom) = &resource.custom {
        return custom.selectable().iter().any(|field| *field.label == *label).then(|| label.into());
    }
    Some(match (&*resource.group, &*resource.plural, label) {
        ("", "pods", "spec.host") => "spec.nodeName".into(),
        ("events.k8s.io", "events", "reportingController") => "reportingComponent".into(),
        ("events.k8s.io", "events", "reason" | "type") => label.into(),
        ("events.k8s.io", "events", _) => format!("involvedObject.{}", label.strip_prefix("regarding.")?).into(),
        _ => label.into(),
    })
}
