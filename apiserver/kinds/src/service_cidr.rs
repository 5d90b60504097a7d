//! ServiceCIDR.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Edit, Node, Strings};
use corten_views::networking_v1::{ServiceCIDR, ServiceCIDRSpec};

use crate::access::{bad_field, go_struct, put_back, put_back_metadata, view};
use crate::object_meta::FIELD_IMMUTABLE;
use crate::strategy::{Context, Strategy};

pub struct ServiceCidrs;
pub struct Status;

impl Strategy for ServiceCidrs {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(ServiceCIDR::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), ServiceCIDR::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_cidrs(view::<ServiceCIDR<'_>>(object).spec().cidrs(), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let spec = view::<ServiceCIDR<'_>>(object).spec();
        let new = spec.cidrs();
        let old = view::<ServiceCIDR<'_>>(old).spec().cidrs();
        let path = Path::new("spec");
        let path = path.child("cidrs");
        let grown = old.len() == 1 && new.len() == 2;
        if old.len() != new.len() && !grown {
            errors.push(Error::invalid(&path, bad_field(spec, ServiceCIDRSpec::CIDRS), FIELD_IMMUTABLE));
            return errors;
        }
        for (i, (new, _)) in new.iter().zip(old.iter()).enumerate().filter(|(_, (new, old))| new != old) {
            errors.push(Error::invalid(&path.index(i), new, FIELD_IMMUTABLE));
        }
        if grown {
            validate_cidrs(new, &mut errors);
        }
        errors
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
        put_back(object, old.as_struct(), ServiceCIDR::SPEC);
        put_back_metadata(object, old.as_struct(), ServiceCIDR::METADATA);
    }

    fn validate_update(&self, _object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        Errors::default()
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }
}

fn validate_cidrs(cidrs: Strings<'_>, errors: &mut Errors) {
    let path = Path::new("spec");
    let path = path.child("cidrs");
    if cidrs.is_empty() {
        return errors.push(Error::required(&path, "at least one CIDR required"));
    }
    if cidrs.len() > 2 {
        let spec = go_struct(&[("CIDRs", BadValue::strings(cidrs.iter()))]);
        return errors.push(Error::invalid(&path, spec, "may only hold up to 2 values"));
    }
    let mut families = Vec::new();
    for (i, cidr) in cidrs.iter().enumerate() {
        errors.append(names::is_valid_cidr(&path.index(i), cidr));
        families.push(names::parse_cidr_sloppy(cidr).map(|(ip, _, _)| ip.is_ipv6()));
    }
    if let [Some(first), Some(second)] = families[..]
        && first == second
    {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(Error::invalid(&path, BadValue::strings(cidrs.iter()), detail));
    }
}
