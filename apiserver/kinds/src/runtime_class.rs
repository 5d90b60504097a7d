//! RuntimeClass.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::{Node, StringMap};
use corten_views::core_v1::Toleration;
use corten_views::node_v1::RuntimeClass;

use crate::access::{go_struct, view};
use crate::node_labels::deprecation;
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each, validate_labels};
use crate::pod::{Options, validate_tolerations};
use crate::resource_name::{is_huge_pages, validate_of_container, validate_quantity};
use crate::strategy::{Context, MetadataRun, Strategy};

pub struct RuntimeClasses;

impl Strategy for RuntimeClasses {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let class: RuntimeClass<'_> = view(object);
        let path = Path::new("handler");
        if class.handler().is_empty() {
            errors.push(Error::required(&path, ""));
        } else {
            invalid_each(names::name_is_dns_label(class.handler(), false), class.handler(), &path, &mut errors);
        }
        if let Some(overhead) = class.overhead() {
            validate_overhead(overhead.pod_fixed(), &Path::new("overhead"), &mut errors);
        }
        if let Some(scheduling) = class.scheduling() {
            let path = Path::new("scheduling");
            validate_labels(scheduling.node_selector(), &path.child("nodeSelector"), &mut errors);
            let path = path.child("tolerations");
            let tolerations = scheduling.tolerations();
            validate_tolerations(tolerations, &Options::default(), &path, &mut errors);
            let mut seen = Seen::default();
            for (i, toleration) in tolerations.iter().enumerate() {
                if !seen.insert(key(toleration)) {
                    errors.push(Error::duplicate(&path.index(i), shown(toleration)));
                }
            }
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old): (RuntimeClass<'_>, RuntimeClass<'_>) = (view(object), view(old));
        if new.handler() != old.handler() {
            errors.push(Error::invalid(&Path::new("handler"), new.handler(), FIELD_IMMUTABLE));
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let Some(scheduling) = view::<RuntimeClass<'_>>(object).scheduling() else { return Vec::new() };
        let labels = scheduling.node_selector().iter().filter_map(|(label, _)| deprecation(label));
        labels.map(|message| format!("scheduling.nodeSelector: {message}")).collect()
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, context: &Context<'_>) -> Vec<String> {
        self.warn_create(object, context)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn key(toleration: Toleration<'_>) -> [&str; 4] {
    [toleration.key(), toleration.operator(), toleration.value(), toleration.effect()]
}

fn shown(toleration: Toleration<'_>) -> BadValue {
    go_struct(&[
        ("Key", toleration.key().into()),
        ("Operator", toleration.operator().into()),
        ("Value", toleration.value().into()),
        ("Effect", toleration.effect().into()),
        ("TolerationSeconds", toleration.toleration_seconds().into()),
    ])
}

/// What a pod of the class costs beside its containers: limits in a container's sense.
fn validate_overhead(limits: StringMap<'_>, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("limits");
    for (name, quantity) in limits.iter() {
        let path = list.key(name);
        validate_of_container(name, &path, errors);
        validate_quantity(name, quantity, &path, errors);
    }
    let basic = limits.contains_key("cpu") || limits.contains_key("memory");
    if !basic && limits.iter().any(|(name, _)| is_huge_pages(name)) {
        errors.push(Error::forbidden(path, "HugePages require cpu or memory"));
    }
}
