//! IngressClass.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::Node;
use corten_views::networking_v1::{IngressClass, IngressClassParametersReference};

use crate::access::{same, view};
use crate::ingress::validate_segments;
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each};
use crate::strategy::{Context, MetadataRun, Strategy};

const CONTROLLER_LENGTH: usize = 250;

pub struct IngressClasses;

impl Strategy for IngressClasses {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let spec = view::<IngressClass<'_>>(object).spec();
        let path = Path::new("spec");
        let controller = path.child("controller");
        if spec.controller().len() > CONTROLLER_LENGTH {
            errors.push(Error::too_long(&controller, CONTROLLER_LENGTH));
        }
        errors.append(names::is_domain_prefixed_path(&controller, spec.controller()));
        if let Some(parameters) = spec.parameters() {
            validate_parameters(parameters, &path.child("parameters"), &mut errors);
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old) = (view::<IngressClass<'_>>(object).spec(), view::<IngressClass<'_>>(old).spec());
        if new.controller() != old.controller() {
            let path = Path::new("spec");
            errors.push(Error::invalid(&path.child("controller"), new.controller(), FIELD_IMMUTABLE));
        }
        errors.append(self.validate(object, context));
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<IngressClass<'_>>(object), view::<IngressClass<'_>>(old), IngressClass::SPEC)
    }
}

fn validate_parameters(parameters: IngressClassParametersReference<'_>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(group) = parameters.api_group() {
        invalid_each(names::is_dns1123_subdomain(group), group, &path.child("apiGroup"), errors);
    }
    validate_segments(&[("kind", parameters.kind()), ("name", parameters.name())], path, errors);
    let namespace = path.child("namespace");
    match (parameters.scope(), parameters.namespace()) {
        (None, _) => errors.push(Error::required(&path.child("scope"), "")),
        (Some("Namespace"), None) => {
            errors.push(Error::required(&namespace, "`parameters.scope` is set to 'Namespace'"));
        }
        (Some("Namespace"), Some(name)) => {
            invalid_each(names::name_is_dns_label(name, false), name, &namespace, errors);
        }
        (Some("Cluster"), Some(_)) => {
            errors.push(Error::forbidden(&namespace, "`parameters.scope` is set to 'Cluster'"));
        }
        (Some("Cluster"), None) => {}
        (Some(scope), _) => {
            errors.push(Error::not_supported(&path.child("scope"), scope, &["Cluster", "Namespace"]));
        }
    }
}
