//! What weighs on where and whether pods run.

use corten_object::tree::{IntOrStr, Node};
use corten_views::policy_v1::PodDisruptionBudget;
use corten_views::scheduling_v1::PriorityClass;

use super::{AGE, NAME, Printer, age, boolean, integer, text, view};
use crate::table::Row;

pub(super) static POD_DISRUPTION_BUDGET: Printer = Printer {
    columns: &[
        NAME,
        text("Min Available", "The minimum number of pods that must be available."),
        text("Max Unavailable", "The maximum number of pods that may be unavailable."),
        integer("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time."),
        AGE,
    ],
    row: pod_disruption_budget,
};

pub(super) static PRIORITY_CLASS: Printer = Printer {
    columns: &[
        NAME,
        integer(
            "Value",
            "value represents the integer value of this priority class. This is the actual priority that pods receive when they have the name of this class in their pod spec.",
        ),
        boolean(
            "Global-Default",
            "globalDefault specifies whether this PriorityClass should be considered as the default priority for pods that do not have any priority class. Only one PriorityClass can be marked as `globalDefault`. However, if more than one PriorityClasses exists with their `globalDefault` field set to true, the smallest value of such global default PriorityClasses will be used as the default priority.",
        ),
        AGE,
        text(
            "PreemptionPolicy",
            "preemptionPolicy is the Policy for preempting pods with lower priority. One of Never, PreemptLowerPriority. Defaults to PreemptLowerPriority if unset.",
        ),
    ],
    row: priority_class,
};

fn pod_disruption_budget(object: Node<'_>) -> Row {
    let object: PodDisruptionBudget = view(object);
    row![
        object.metadata().name(),
        pods(object.spec().min_available()),
        pods(object.spec().max_unavailable()),
        object.status().disruptions_allowed(),
        age(object.metadata()),
    ]
}

fn pods(number: Option<IntOrStr<'_>>) -> String {
    match number {
        Some(IntOrStr::Int(number)) => number.to_string(),
        Some(IntOrStr::Str(percentage)) => percentage.to_owned(),
        None => "N/A".to_owned(),
    }
}

fn priority_class(object: Node<'_>) -> Row {
    let object: PriorityClass = view(object);
    row![
        object.metadata().name(),
        object.value(),
        object.global_default(),
        age(object.metadata()),
        object.preemption_policy().unwrap_or(""),
    ]
}
