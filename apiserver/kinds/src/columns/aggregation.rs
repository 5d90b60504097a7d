//! APIServices: who serves a version of a group, and whether they can be reached.

use corten_object::tree::Node;
use corten_views::apiregistration_v1::{APIService, APIServiceCondition};

use super::{AGE, NAME, Printer, age, text, view};
use crate::table::Row;

pub(super) static API_SERVICE: Printer = Printer {
    columns: &[
        NAME,
        text("Service", "The reference to the service that hosts this API endpoint."),
        text("Available", "Whether this service is available."),
        AGE,
    ],
    row: api_service,
};

fn api_service(object: Node<'_>) -> Row {
    let object: APIService = view(object);
    let service = object.spec().service();
    let mut conditions = object.status().conditions().iter();
    let available = conditions.find(|condition| condition.type_() == "Available");
    row![
        object.metadata().name(),
        service.map_or_else(|| "Local".to_owned(), |service| format!("{}/{}", service.namespace(), service.name())),
        available.map_or_else(|| "Unknown".to_owned(), availability),
        age(object.metadata()),
    ]
}

fn availability(available: APIServiceCondition<'_>) -> String {
    match (available.status(), available.reason()) {
        (status @ "True", _) | (status, "") => status.to_owned(),
        (status, reason) => format!("{status} ({reason})"),
    }
}
