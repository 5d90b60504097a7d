//! APIService.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::time::Timestamp;
use corten_object::tree::{Edit, Node, View};
use corten_views::apiregistration_v1::{
    APIService, APIServiceCondition, APIServiceSpec, APIServiceStatus, ServiceReference,
};

use crate::access::{decoded_length, put_back, view};
use crate::object_meta::{invalid_each, path_segment_errors};
use crate::strategy::{Context, Strategy};

pub struct ApiServices;
pub struct Status;

impl Strategy for ApiServices {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        if let Some(mut service) = object.path([APIService::SPEC, APIServiceSpec::SERVICE]) {
            service.default(ServiceReference::PORT, 443);
        }
    }

    fn prepare_create(&self, object: &mut Edit<'_>, context: &Context<'_>) {
        object.remove(APIService::STATUS);
        if object.view::<APIService<'_>>().spec().service().is_some() {
            return;
        }
        // What this server serves itself is there.
        let mut status = object.ensure(APIService::STATUS);
        let mut condition = status.append(APIServiceStatus::CONDITIONS, APIServiceCondition::TYPE);
        condition.set(APIServiceCondition::TYPE_, "Available");
        condition.set(APIServiceCondition::STATUS, "True");
        condition.set(APIServiceCondition::LAST_TRANSITION_TIME, &Timestamp::from_seconds(context.now.0).format());
        condition.set(APIServiceCondition::REASON, "Local");
        condition.set(APIServiceCondition::MESSAGE, "Local APIServices are always available");
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), APIService::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate(view(object), &mut errors);
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        path_segment_errors(name, prefix)
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn subresource(&self, name: &str) -> Option<&dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        ApiServices.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        use corten_views::meta_v1::ObjectMeta;
        put_back(object, old.as_struct(), APIService::SPEC);
        let old = old.as_struct().structure(APIService::METADATA);
        let mut meta = object.ensure(APIService::METADATA);
        for field in [ObjectMeta::LABELS, ObjectMeta::ANNOTATIONS, ObjectMeta::FINALIZERS, ObjectMeta::OWNER_REFERENCES]
        {
            put_back(&mut meta, old, field);
        }
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let path = Path::new("status");
        let path = path.child("conditions");
        for (i, condition) in view::<APIService<'_>>(object).status().conditions().iter().enumerate() {
            let known = ["True", "False", "Unknown"];
            if !known.contains(&condition.status()) {
                let value = BadValue::typed(condition.status());
                errors.push(Error::not_supported(&path.index(i).child("status"), value, &known));
            }
        }
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        ApiServices.name_errors(name, prefix)
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }
}

fn validate(object: APIService<'_>, errors: &mut Errors) {
    let (name, spec) = (object.metadata().name(), object.spec());
    let wanted = format!("{}.{}", spec.version(), spec.group());
    if path_segment_errors(name, false).is_empty() && !name.is_empty() && name != wanted {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
        errors.push(Error::invalid(&Path::new("metadata").child("name"), name, detail));
    }
    let path = Path::new("spec");
    if spec.group().is_empty() && spec.version() != "v1" {
        let detail = "only v1 may have an empty group and it better be legacy kube";
        errors.push(Error::required(&path.child("group"), detail));
    }
    if !spec.group().is_empty() {
        invalid_each(names::is_dns1123_subdomain(spec.group()), spec.group(), &path.child("group"), errors);
    }
    invalid_each(names::is_dns1035_label(spec.version()), spec.version(), &path.child("version"), errors);
    let (group_priority, version_priority) = (spec.group_priority_minimum(), spec.version_priority());
    if !(1..=20000).contains(&group_priority) {
        let path = path.child("groupPriorityMinimum");
        errors.push(Error::invalid(&path, group_priority, "must be positive and less than 20000"));
    }
    if !(1..=1000).contains(&version_priority) {
        let path = path.child("versionPriority");
        errors.push(Error::invalid(&path, version_priority, "must be positive and less than 1000"));
    }
    let Some(service) = spec.service() else {
        if !spec.ca_bundle().is_empty() {
            let value = format!("{} bytes", decoded_length(spec.ca_bundle()));
            let detail = "local APIServices may not have a caBundle";
            errors.push(Error::invalid(&path.child("caBundle"), value.as_str(), detail));
        }
        if spec.insecure_skip_tls_verify() {
            let detail = "local APIServices may not have insecureSkipTLSVerify";
            errors.push(Error::invalid(&path.child("insecureSkipTLSVerify"), true, detail));
        }
        return;
    };
    let at = path.child("service");
    for (field, value) in [("namespace", service.namespace()), ("name", service.name())] {
        if value.is_empty() {
            errors.push(Error::required(&at.child(field), ""));
        }
    }
    let port = service.port().unwrap_or_default();
    if !(1..=65535).contains(&port) {
        let detail = "port is not valid: must be between 1 and 65535, inclusive";
        errors.push(Error::invalid(&at.child("port"), port, detail));
    }
    if spec.insecure_skip_tls_verify() && !spec.ca_bundle().is_empty() {
        let detail = "may not be true if caBundle is present";
        errors.push(Error::invalid(&path.child("insecureSkipTLSVerify"), true, detail));
    }
}

#[cfg(test)]
mod tests {
    use corten_object::json;

    use super::*;

    #[test]
    fn specs() {
        let ty = corten_schema::kind("apiregistration.k8s.io", "v1", "APIService").unwrap().ty;
        let check = |name: &str, spec: &str, expected: &[&str]| {
            let text = format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{spec}}}"#);
            let tree = json::parse(text.into_bytes(), json::Form::Typed(ty)).unwrap().tree;
            let mut errors = Errors::default();
            validate(view(tree.root()), &mut errors);
            let found: Vec<String> = errors.iter().map(|error| error.field.clone()).collect();
            assert_eq!(found, expected, "{name} {spec}");
        };
        let good = r#"{"group":"apps","version":"v1","groupPriorityMinimum":1,"versionPriority":1}"#;
        check("v1.apps", good, &[]);
        check("v1.app", good, &["metadata.name"]);
        check("v2.", r#"{"version":"v2","groupPriorityMinimum":1,"versionPriority":1}"#, &["spec.group"]);
        check("v1.", r#"{"version":"v1"}"#, &["spec.groupPriorityMinimum", "spec.versionPriority"]);
        let service = r#"{"version":"v1","groupPriorityMinimum":1,"versionPriority":1,"service":{"port":0}}"#;
        check("v1.", service, &["spec.service.namespace", "spec.service.name", "spec.service.port"]);
    }
}
