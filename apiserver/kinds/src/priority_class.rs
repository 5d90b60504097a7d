//! PriorityClass.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::Node;
use corten_views::scheduling_v1::PriorityClass;

use crate::access::view;
use crate::object_meta::FIELD_IMMUTABLE;
use crate::strategy::{Context, Strategy};

const SYSTEM_PREFIX: &str = "system-";
const USER_MAX: i64 = 1_000_000_000;
const SYSTEM: &[(&str, i64)] = &[("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

pub struct PriorityClasses;

impl Strategy for PriorityClasses {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let class: PriorityClass<'_> = view(object);
        if class.metadata().name().starts_with(SYSTEM_PREFIX) {
            if let Some(problem) = system_problem(class) {
                let detail = format!(
                    "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {problem}"
                );
                errors.push(Error::forbidden(&Path::new("metadata").child("name"), detail));
            }
        } else if class.value() > USER_MAX {
            let detail = format!("maximum allowed value of a user defined priority is {USER_MAX}");
            errors.push(Error::forbidden(&Path::new("value"), detail));
        }
        let path = Path::new("preemptionPolicy");
        match class.preemption_policy() {
            None | Some("PreemptLowerPriority" | "Never") => {}
            Some("") => errors.push(Error::required(&path, "")),
            Some(policy) => {
                let policies = ["PreemptLowerPriority", "Never"];
                errors.push(Error::not_supported(&path, BadValue::typed(policy), &policies));
            }
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (PriorityClass<'_>, PriorityClass<'_>) = (view(object), view(old));
        if new.value() != old.value() {
            errors.push(Error::forbidden(&Path::new("value"), "may not be changed in an update."));
        }
        if new.preemption_policy() != old.preemption_policy() {
            let policy = new.preemption_policy().map(BadValue::typed);
            errors.push(Error::invalid(&Path::new("preemptionPolicy"), policy, FIELD_IMMUTABLE));
        }
        errors
    }

    fn keeps_generation(&self) -> bool {
        true
    }
}

/// Why a class is not the one of the system that it is named after.
fn system_problem(class: PriorityClass<'_>) -> Option<String> {
    let name = class.metadata().name();
    let Some((_, value)) = SYSTEM.iter().find(|(system, _)| *system == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if class.value() != *value {
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    class.global_default().then(|| format!("globalDefault of {name} PriorityClass must be false"))
}
