//! The answer to a request that nobody allowed.

use corten_api::field::quote;

use super::Attributes;
use corten_api::status::Status;

/// 403, with what was asked for and, after it, why not.
pub fn forbidden(attributes: &Attributes<'_>, reason: &str) -> Status {
    let mut message = without_markup(&forbidden_message(attributes));
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Status::forbidden(attributes.group, attributes.resource, attributes.name, &message)
}

/// `User "x" cannot list resource "pods" in API group "" in the namespace "ns"`.
pub fn forbidden_message(attributes: &Attributes<'_>) -> String {
    let (user, verb) = (quote(&attributes.user.name), attributes.verb);
    if !attributes.resource_request {
        return format!("User {user} cannot {verb} path {}", quote(attributes.path));
    }
    let resource = match attributes.subresource {
        "" => quote(attributes.resource),
        subresource => quote(&format!("{}/{subresource}", attributes.resource)),
    };
    let scope = match attributes.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {}", quote(namespace)),
    };
    format!("User {user} cannot {verb} resource {resource} in API group {} {scope}", quote(attributes.group))
}

/// Names come from the network; a browser must not take an error message for HTML.
fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
