//! CSIDriver, CSINode and CSIStorageCapacity.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;
use corten_api::seen::{Index, Seen};
use corten_object::tree::{Edit, Node};
use corten_views::storage_v1::{
    CSIDriver, CSIDriverSpec, CSINode, CSINodeDriver, CSIStorageCapacity, VolumeNodeResources,
};

use crate::access::{bad_field, go_struct, same, view};
use crate::label_selector::{self, Leniency};
use crate::node_labels::warnings_for_selector;
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each, validate_nonnegative};
use crate::storage::validate_driver_name;
use crate::strategy::{Context, MetadataRun, Strategy};

const NODE_ID_LENGTH: usize = 256;
const TOKENS_RECOMMENDED: &str = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to \
    true to prevent possible logging of tokens in volume attributes";

pub struct CsiDrivers;
pub struct CsiNodes;
pub struct CsiStorageCapacities;

impl Strategy for CsiDrivers {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let mut spec = object.ensure(CSIDriver::SPEC);
        if spec.view::<CSIDriverSpec<'_>>().volume_lifecycle_modes().is_empty() {
            let tree = spec.tree();
            let mode = tree.string("Persistent");
            let list = tree.list(&[mode]);
            spec.put(CSIDriverSpec::VOLUME_LIFECYCLE_MODES, list);
        }
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        drop_disabled(object, None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        drop_disabled(object, Some(view(old)));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_driver(view::<CSIDriver<'_>>(object).spec(), &Path::new("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old) = (view::<CSIDriver<'_>>(object).spec(), view::<CSIDriver<'_>>(old).spec());
        let path = Path::new("spec");
        for (field, name) in [
            (CSIDriverSpec::ATTACH_REQUIRED, "attachedRequired"),
            (CSIDriverSpec::VOLUME_LIFECYCLE_MODES, "volumeLifecycleModes"),
        ] {
            if !same(new, old, field) {
                errors.push(Error::invalid(&path.child(name), bad_field(new, field), FIELD_IMMUTABLE));
            }
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        token_warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let (new, old): (CSIDriver<'_>, CSIDriver<'_>) = (view(object), view(old));
        if same(new.spec(), old.spec(), CSIDriverSpec::TOKEN_REQUESTS) { Vec::new() } else { token_warnings(new) }
    }

    fn keeps_generation(&self) -> bool {
        // New drivers have none; the first change of the spec makes it 1.
        true
    }

    fn starts_with_generation(&self) -> bool {
        false
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<CSIDriver<'_>>(object), view::<CSIDriver<'_>>(old), CSIDriver::SPEC)
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

impl Strategy for CsiNodes {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let drivers = view::<CSINode<'_>>(object).spec().drivers();
        let path = Path::new("spec");
        let path = path.child("drivers");
        let mut seen = Seen::default();
        for (i, driver) in drivers.iter().enumerate() {
            let path = path.index(i);
            validate_node_driver(driver, &path, &mut errors);
            if !seen.insert(driver.name()) {
                errors.push(Error::duplicate(&path.child("name"), driver.name()));
            }
            validate_topology_keys(driver, &path, &mut errors);
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let mut by_name: Index<&str, Vec<CSINodeDriver<'_>>> = Index::default();
        for driver in view::<CSINode<'_>>(object).spec().drivers().iter() {
            by_name.entry(driver.name(), Vec::new).push(driver);
        }
        let path = Path::new("spec");
        // No name comes twice in what is stored.
        let mut seen = Seen::default();
        for old in view::<CSINode<'_>>(old).spec().drivers().iter().filter(|old| seen.insert(old.name())) {
            for &new in by_name.get(old.name()).into_iter().flatten() {
                let kept = new.node_id() == old.node_id() && same(new, old, CSINodeDriver::TOPOLOGY_KEYS);
                if !kept {
                    let value = go_struct(&[
                        ("Name", new.name().into()),
                        ("NodeID", new.node_id().into()),
                        ("TopologyKeys", bad_field(new, CSINodeDriver::TOPOLOGY_KEYS)),
                        ("Allocatable", BadValue::Null),
                    ]);
                    errors.push(Error::invalid(&path.child("drivers"), value, FIELD_IMMUTABLE));
                }
            }
        }
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole]
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

impl Strategy for CsiStorageCapacities {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        validate_capacity(view(object), Leniency::default())
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let (new, old): (CSIStorageCapacity<'_>, CSIStorageCapacity<'_>) = (view(object), view(old));
        let invalid_values = old.node_topology().is_some_and(|selector| !label_selector::can_select(selector));
        let mut errors = validate_capacity(new, Leniency { invalid_values, ..Leniency::default() });
        for (field, name) in [
            (CSIStorageCapacity::NODE_TOPOLOGY, "nodeTopology"),
            (CSIStorageCapacity::STORAGE_CLASS_NAME, "storageClassName"),
        ] {
            if !same(new, old, field) {
                errors.push(Error::invalid(&Path::new(name), bad_field(new, field), FIELD_IMMUTABLE));
            }
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let topology = view::<CSIStorageCapacity<'_>>(object).node_topology();
        topology.map_or(Vec::new(), |selector| warnings_for_selector(selector, &Path::new("nodeTopology")))
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, context: &Context<'_>) -> Vec<String> {
        self.warn_create(object, context)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

/// Volume limit scaling is off.
fn drop_disabled(object: &mut Edit<'_>, old: Option<CSIDriver<'_>>) {
    let kept = old.is_some_and(|old| old.spec().prevent_pod_scheduling_if_missing().is_some());
    if let Some(mut spec) = object.field(CSIDriver::SPEC).filter(|_| !kept) {
        spec.remove(CSIDriverSpec::PREVENT_POD_SCHEDULING_IF_MISSING);
    }
}

fn token_warnings(driver: CSIDriver<'_>) -> Vec<String> {
    let spec = driver.spec();
    if spec.token_requests().is_empty() || spec.service_account_token_in_secrets().is_some() {
        return Vec::new();
    }
    vec![TOKENS_RECOMMENDED.to_owned()]
}

fn validate_driver(spec: CSIDriverSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let required = |field: &str, value: Option<bool>, errors: &mut Errors| {
        if value.is_none() {
            errors.push(Error::required(&path.child(field), ""));
        }
    };
    required("attachedRequired", spec.attach_required(), errors);
    required("podInfoOnMount", spec.pod_info_on_mount(), errors);
    required("storageCapacity", spec.storage_capacity(), errors);
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    if let Some(policy) = spec.fs_group_policy().filter(|policy| !policies.contains(policy)) {
        errors.push(Error::not_supported(&path.child("fsGroupPolicy"), BadValue::typed(policy), &policies));
    }
    validate_token_requests(spec, &path.child("tokenRequests"), errors);
    let modes = ["Persistent", "Ephemeral"];
    for mode in spec.volume_lifecycle_modes().iter().filter(|mode| !modes.contains(mode)) {
        errors.push(Error::not_supported(&path.child("volumeLifecycleModes"), BadValue::typed(mode), &modes));
    }
    required("seLinuxMount", spec.se_linux_mount(), errors);
    if let Some(period) = spec.node_allocatable_update_period_seconds().filter(|period| *period < 10) {
        let path = path.child("nodeAllocatableUpdatePeriodSeconds");
        errors.push(Error::invalid(&path, period, "must be greater than or equal to 10 seconds"));
    }
    if let Some(value) = spec.service_account_token_in_secrets().filter(|_| spec.token_requests().is_empty()) {
        let detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        errors.push(Error::invalid(&path.child("serviceAccountTokenInSecrets"), value, detail));
    }
}

fn validate_token_requests(spec: CSIDriverSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let requests = spec.token_requests();
    let mut seen = Seen::default();
    for (i, request) in requests.iter().enumerate() {
        let path = path.index(i);
        if !seen.insert(request.audience()) {
            errors.push(Error::duplicate(&path.child("audience"), request.audience()));
            continue;
        }
        let Some(seconds) = request.expiration_seconds() else { continue };
        let path = path.child("expirationSeconds");
        if seconds < 600 {
            errors.push(Error::invalid(&path, seconds, "may not specify a duration less than 10 minutes"));
        }
        if seconds > 1 << 32 {
            errors.push(Error::invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds"));
        }
    }
}

fn validate_node_driver(driver: CSINodeDriver<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_driver_name(driver.name(), &path.child("name"), errors);
    let (id, place) = (driver.node_id(), path.child("nodeID"));
    if id.is_empty() {
        errors.push(Error::required(&place, ""));
    }
    if id.len() > NODE_ID_LENGTH {
        errors.push(Error::invalid(&place, id, format!("must be {NODE_ID_LENGTH} characters or less")));
    }
    if let Some(count) = driver.allocatable().and_then(VolumeNodeResources::count) {
        validate_nonnegative(count, &path.child("allocatable").child("count"), errors);
    }
}

fn validate_topology_keys(driver: CSINodeDriver<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = Seen::default();
    for key in driver.topology_keys().iter() {
        if key.is_empty() {
            errors.push(Error::required(path, ""));
        }
        if !seen.insert(key) {
            errors.push(Error::duplicate(path, key));
        }
        invalid_each(names::is_qualified_name(key), key, path, errors);
    }
}

fn validate_capacity(capacity: CSIStorageCapacity<'_>, leniency: Leniency) -> Errors {
    let mut errors = Errors::default();
    if let Some(selector) = capacity.node_topology() {
        label_selector::validate(selector, leniency, &Path::new("nodeTopology"), &mut errors);
    }
    let class = capacity.storage_class_name();
    invalid_each(names::name_is_dns_subdomain(class, false), class, &Path::new("storageClassName"), &mut errors);
    if let Some(value) = capacity.capacity()
        && Quantity::parse(value).is_ok_and(|quantity| quantity.sign() < 0)
    {
        errors.push(Error::invalid(&Path::new("capacity"), value, "must be greater than or equal to 0"));
    }
    errors
}
