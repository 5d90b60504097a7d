//! DeviceClass.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Edit, Node};
use corten_views::resource_v1::{DeviceClass, DeviceClassSpec};

use crate::access::{same, view};
use crate::devices::{CONFIGURATIONS_MAX, validate_configuration, validate_list, validate_selectors};
use crate::resource_name::is_extended;
use crate::strategy::{Context, MetadataRun, Strategy};

const SPEC: Path<'static> = Path::new("spec");

pub struct DeviceClasses;

impl Strategy for DeviceClasses {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_spec(view::<DeviceClass<'_>>(object).spec(), false, &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old) = (view::<DeviceClass<'_>>(object).spec(), view::<DeviceClass<'_>>(old).spec());
        validate_spec(new, same(new, old, DeviceClassSpec::CONFIG), &mut errors);
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        if prefix { Vec::new() } else { names::is_long_name(name) }
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<DeviceClass<'_>>(object), view::<DeviceClass<'_>>(old), DeviceClass::SPEC)
    }
}

fn validate_spec(spec: DeviceClassSpec<'_>, stored: bool, errors: &mut Errors) {
    validate_selectors(spec.selectors(), &SPEC.child("selectors"), errors);
    let path = SPEC.child("config");
    validate_list(spec.config().iter(), Some(CONFIGURATIONS_MAX), &path, errors, |config, path, errors| {
        validate_configuration(config.opaque(), stored, path, errors);
    });
    if let Some(name) = spec.extended_resource_name().filter(|name| !is_extended(name)) {
        let path = SPEC.child("extendedResourceName");
        errors.push(Error::invalid(&path, name, "must be a valid extended resource name"));
    }
}

/// How many of a class are asked for, where nobody says: one.
pub fn default_request(request: &mut Edit<'_>, mode: corten_schema::FieldId, count: corten_schema::FieldId) {
    request.default(mode, "ExactCount");
    let exact = request.read().string(mode) == "ExactCount";
    if exact && request.read().int(count) == 0 {
        request.set(count, 1i64);
    }
}
