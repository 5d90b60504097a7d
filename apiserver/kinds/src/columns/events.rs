//! Events, of either group.

use corten_object::tree::Node;
use corten_views::core_v1::Event;

use super::{NAME, Printer, or, seconds, text, view, wide};
use crate::table::{Cell, Column, Row};

pub(super) static EVENT: Printer = Printer {
    columns: &[
        text("Last Seen", "The time at which the most recent occurrence of this event was recorded."),
        text("Type", "Type of this event (Normal, Warning), new types could be added in the future"),
        text(
            "Reason",
            "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
        ),
        text("Object", "The object that this event is about."),
        wide(
            "Subobject",
            "If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go field access statement, such as desiredState.manifest.containers[2]. For example, if the object reference is to a container within a pod, this would take on a value like: \"spec.containers{name}\" (where \"name\" refers to the name of the container that triggered the event) or if no container name is specified \"spec.containers[2]\" (container with index 2 in this pod). This syntax is chosen only to have some well-defined way of referencing a part of an object.",
        ),
        wide("Source", "The component reporting this event. Should be a short machine understandable string."),
        text("Message", "A human-readable description of the status of this operation."),
        wide("First Seen", "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)"),
        wide("Count", "The number of times this event has occurred."),
        Column { priority: 1, ..NAME },
    ],
    row: event,
};

fn event(object: Node<'_>) -> Row {
    let event: Event = view(object);
    let first = seconds(event.first_timestamp()).or_else(|| seconds(event.event_time()));
    let last = seconds(event.last_timestamp()).or(first);
    let (last, count) = match event.series() {
        Some(series) => (seconds(series.last_observed_time()), series.count()),
        // A single event of the new API has no count.
        None if event.count() == 0 => (last, 1),
        None => (last, event.count()),
    };
    row![
        Cell::Age(last),
        event.type_(),
        event.reason(),
        involved(event),
        event.involved_object().field_path(),
        source(event),
        event.message().trim(),
        Cell::Age(first),
        count,
        event.metadata().name(),
    ]
}

fn involved(event: Event<'_>) -> String {
    let kind = event.involved_object().kind().to_lowercase();
    match event.involved_object().name() {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: Event<'_>) -> String {
    let component = or(event.source().component(), event.reporting_component());
    match or(event.source().host(), event.reporting_instance()) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}
