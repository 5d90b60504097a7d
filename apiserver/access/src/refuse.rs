//! The answers this crate gives instead of what was asked for.

/// What is known of a refusal until it becomes the API's Status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    pub group: String,
    pub kind: String,
    pub name: String,
}

pub(crate) fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Status {
    let message = match (group, resource, name) {
        ("", "", _) => format!("forbidden: {why}"),
        (_, _, "") => format!("{} is forbidden: {why}", qualified(group, resource)),
        _ => format!("{} \"{name}\" is forbidden: {why}", qualified(group, resource)),
    };
    status(403, "Forbidden", message, group, resource, name)
}

pub(crate) fn not_found(group: &str, resource: &str, name: &str) -> Status {
    let message = format!("{} \"{name}\" not found", qualified(group, resource));
    status(404, "NotFound", message, group, resource, name)
}

fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn status(code: u16, reason: &'static str, message: String, group: &str, kind: &str, name: &str) -> Status {
    Status { code, reason, message, group: group.into(), kind: kind.into(), name: name.into() }
}

pub(crate) fn internal(why: &str) -> Status {
    status(500, "InternalError", format!("Internal error occurred: {why}"), "", "", "")
}
