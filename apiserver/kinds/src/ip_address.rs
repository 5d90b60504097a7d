//! IPAddress: the name is the address that is taken.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::Node;
use corten_views::networking_v1::{IPAddress, IPAddressSpec, ParentReference};

use crate::access::{go_struct, same, view};
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each, path_segment_errors};
use crate::strategy::{Context, MetadataRun, Strategy};

pub struct IpAddresses;

impl Strategy for IpAddresses {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let path = Path::new("spec");
        let path = path.child("parentRef");
        match view::<IPAddress<'_>>(object).spec().parent_ref() {
            None => errors.push(Error::required(&path, "")),
            Some(parent) => validate_parent(parent, &path, &mut errors),
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old): (IPAddress<'_>, IPAddress<'_>) = (view(object), view(old));
        if !same(new.spec(), old.spec(), IPAddressSpec::PARENT_REF) {
            let value = new.spec().parent_ref().map_or(BadValue::Null, shown);
            errors.push(Error::invalid(&Path::new("spec").child("parentRef"), value, FIELD_IMMUTABLE));
        }
        errors
    }

    fn name_errors(&self, name: &str, _prefix: bool) -> Vec<String> {
        names::is_valid_ip(&Path::root(), name).into_iter().map(|error| error.detail).collect()
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }
}

fn validate_parent(parent: ParentReference<'_>, path: &Path<'_>, errors: &mut Errors) {
    if !parent.group().is_empty() {
        invalid_each(names::is_dns1123_subdomain(parent.group()), parent.group(), &path.child("group"), errors);
    }
    for (field, value) in [("resource", parent.resource()), ("name", parent.name())] {
        let path = path.child(field);
        if value.is_empty() {
            errors.push(Error::required(&path, ""));
        } else {
            invalid_each(path_segment_errors(value, false), value, &path, errors);
        }
    }
    if !parent.namespace().is_empty() {
        let messages = path_segment_errors(parent.namespace(), false);
        invalid_each(messages, parent.namespace(), &path.child("namespace"), errors);
    }
}

fn shown(parent: ParentReference<'_>) -> BadValue {
    go_struct(&[
        ("Group", parent.group().into()),
        ("Resource", parent.resource().into()),
        ("Namespace", parent.namespace().into()),
        ("Name", parent.name().into()),
    ])
}
