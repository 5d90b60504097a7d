//! Priority: a pod's priority is what its class says, and one class at most is the default.

use corten_api::status::Result;
use corten_object::tree::Tree;
use corten_views::core_v1::{Pod, PodSpec};
use corten_views::scheduling_v1::PriorityClass;

use super::{Attributes, Operation, Phase, Plugin, forbidden};
use crate::call::Call;

pub struct Priority;

/// What a class gives a pod.
struct Given {
    class: String,
    value: i64,
    preemption: Option<String>,
}

impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Admit, Phase::Validate]
    }

    fn admit(&self, call: &Call, attributes: &Attributes<'_>, object: &mut Tree, old: Option<&Tree>) -> Result<()> {
        if !attributes.is("", "pods") {
            return Ok(());
        }
        match (attributes.operation, old) {
            (Operation::Create, _) => set_priority(call, attributes, object),
            (Operation::Update, Some(old)) => {
                keep_priority(object, old);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn validate(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: Option<&Tree>,
        _: Option<&Tree>,
    ) -> Result<()> {
        let (true, Some(object)) = (attributes.is("scheduling.k8s.io", "priorityclasses"), object) else {
            return Ok(());
        };
        let class: PriorityClass<'_> = object.view();
        if !class.global_default() {
            return Ok(());
        }
        match default_class(call)? {
            Some(given) if attributes.operation == Operation::Create || given.class != class.metadata().name() => {
                Err(forbidden(
                    attributes,
                    &format!("PriorityClass {} is already marked as default. Only one default can exist", given.class),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn keep_priority(object: &mut Tree, old: &Tree) {
    let old = old.view::<Pod<'_>>().spec();
    let mut edit = object.edit();
    let mut spec = edit.ensure(Pod::SPEC);
    if let Some(priority) = old.priority() {
        spec.default(PodSpec::PRIORITY, priority);
    }
    if let Some(policy) = old.preemption_policy() {
        spec.default(PodSpec::PREEMPTION_POLICY, policy);
    }
}

fn set_priority(call: &Call, attributes: &Attributes<'_>, object: &mut Tree) -> Result<()> {
    let spec = object.view::<Pod<'_>>().spec();
    let given = match spec.priority_class_name() {
        "" => default_class(call)?.unwrap_or(Given {
            class: String::new(),
            value: 0,
            preemption: Some("PreemptLowerPriority".into()),
        }),
        name => class_named(call, name)?
            .ok_or_else(|| forbidden(attributes, &format!("no PriorityClass with name {name} was found")))?,
    };
    if let Some(own) = spec.priority().filter(|&own| own != given.value) {
        let message = format!(
            "the integer value of priority ({own}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
            given.value
        );
        return Err(forbidden(attributes, &message));
    }
    if let (Some(own), Some(policy)) = (spec.preemption_policy(), &given.preemption)
        && own != policy
    {
        let message = format!(
            "the string value of PreemptionPolicy ({own}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(forbidden(attributes, &message));
    }
    let mut edit = object.edit();
    let mut spec = edit.ensure(Pod::SPEC);
    spec.set(PodSpec::PRIORITY_CLASS_NAME, given.class.as_str());
    spec.set(PodSpec::PRIORITY, given.value);
    if let Some(policy) = &given.preemption {
        spec.set(PodSpec::PREEMPTION_POLICY, policy.as_str());
    }
    Ok(())
}

fn given(tree: &Tree) -> (Given, bool) {
    let class: PriorityClass<'_> = tree.view();
    let given = Given {
        class: class.metadata().name().to_owned(),
        value: class.value(),
        preemption: class.preemption_policy().map(str::to_owned),
    };
    (given, class.global_default())
}

fn class_named(call: &Call, name: &str) -> Result<Option<Given>> {
    let tree = call.api.lookup_tree("scheduling.k8s.io", "priorityclasses", name)?;
    Ok(tree.map(|tree| given(&tree).0))
}

/// Of several defaults, which a race may leave, the lowest. While none is known, one that cannot be read may be it.
fn default_class(call: &Call) -> Result<Option<Given>> {
    let Some(storage) = call.api.storage("scheduling.k8s.io", "priorityclasses") else { return Ok(None) };
    let snapshot = storage.cache.snapshot();
    let objects = &snapshot.objects;
    // Spares the parsing of most of those that are no default; whether one is, its tree says.
    let may_be_default = |object: &&std::sync::Arc<crate::object::Object>| {
        memchr::memmem::find(&object.json, b"\"globalDefault\":true").is_some()
    };
    let classes = objects.values().filter(may_be_default).map(|object| given(&storage.tree(object)));
    let found = classes.filter(|(_, default)| *default).map(|(given, _)| given).min_by_key(|given| given.value);
    if found.is_none() {
        snapshot.check_readable("", None)?;
    }
    Ok(found)
}
