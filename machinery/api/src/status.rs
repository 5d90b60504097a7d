//! `metav1.Status`: how every failure, and the success of a delete, is told to a client.
//!
//! The one error type of the API. It is one pointer wide, so that `Result<T, Status>` costs a caller nothing, and it
//! becomes an HTTP answer only at the last step. Constructors carry upstream's names, codes and wording.

use std::fmt;

use crate::field::{self, quote};
use crate::gvk::qualified;

mod encode;
#[cfg(test)]
mod tests;

pub type Result<T> = std::result::Result<T, Status>;

#[derive(Clone, Debug, PartialEq)]
pub struct Status(Box<Body>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Body {
    success: bool,
    code: u16,
    reason: Reason,
    message: String,
    details: Option<Details>,
    /// `metadata.continue`: with an expired continue token, upstream offers one that goes on inconsistently.
    continue_token: String,
}

/// `metav1.StatusDetails`. `kind` holds the plural resource, or the kind where upstream puts the kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    pub name: String,
    pub group: String,
    pub kind: String,
    pub uid: String,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: i32,
}

/// `metav1.StatusCause`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cause {
    pub reason: String,
    pub message: String,
    pub field: String,
}

impl Cause {
    pub fn new(reason: impl Into<String>, message: impl Into<String>, field: impl Into<String>) -> Self {
        Cause { reason: reason.into(), message: message.into(), field: field.into() }
    }
}

/// Causes that are no field error.
pub const CAUSE_UNEXPECTED_SERVER_RESPONSE: &str = "UnexpectedServerResponse";
pub const CAUSE_FIELD_MANAGER_CONFLICT: &str = "FieldManagerConflict";
pub const CAUSE_RESOURCE_VERSION_TOO_LARGE: &str = "ResourceVersionTooLarge";

macro_rules! reasons {
    ($($name:ident = $text:literal,)*) => {
        /// `metav1.StatusReason`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Reason {
            #[default]
            Unknown,
            $($name,)*
        }

        impl Reason {
            pub fn as_str(self) -> &'static str {
                match self {
                    Reason::Unknown => "",
                    $(Reason::$name => $text,)*
                }
            }

            /// `Unknown` for what upstream does not define.
            pub fn parse(text: &str) -> Reason {
                match text {
                    $($text => Reason::$name,)*
                    _ => Reason::Unknown,
                }
            }
        }
    };
}

reasons! {
    Unauthorized = "Unauthorized",
    Forbidden = "Forbidden",
    NotFound = "NotFound",
    AlreadyExists = "AlreadyExists",
    Conflict = "Conflict",
    Gone = "Gone",
    Invalid = "Invalid",
    ServerTimeout = "ServerTimeout",
    StoreReadError = "StorageReadError",
    Timeout = "Timeout",
    TooManyRequests = "TooManyRequests",
    BadRequest = "BadRequest",
    MethodNotAllowed = "MethodNotAllowed",
    NotAcceptable = "NotAcceptable",
    RequestEntityTooLarge = "RequestEntityTooLarge",
    UnsupportedMediaType = "UnsupportedMediaType",
    InternalError = "InternalError",
    Expired = "Expired",
    ServiceUnavailable = "ServiceUnavailable",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a Status says.
impl Status {
    pub fn is_success(&self) -> bool {
        self.0.success
    }

    /// As written; 0 in the Status of a finished delete.
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// The code of the HTTP answer that carries this Status.
    pub fn http_code(&self) -> u16 {
        match self.0.code {
            0 if self.0.success => 200,
            0 => 500,
            code => code,
        }
    }

    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn details(&self) -> Option<&Details> {
        self.0.details.as_ref()
    }

    pub fn causes(&self) -> &[Cause] {
        self.0.details.as_ref().map_or(&[], |details| &details.causes)
    }

    pub fn has_cause(&self, reason: &str) -> bool {
        self.causes().iter().any(|cause| cause.reason == reason)
    }

    /// What `Retry-After` says, if anything.
    pub fn retry_after_seconds(&self) -> Option<i32> {
        let seconds = self.0.details.as_ref()?.retry_after_seconds;
        (seconds > 0 || self.0.reason == Reason::ServerTimeout).then_some(seconds)
    }

    pub fn is_not_found(&self) -> bool {
        self.is(Reason::NotFound, 404)
    }

    pub fn is_already_exists(&self) -> bool {
        self.0.reason == Reason::AlreadyExists
    }

    pub fn is_conflict(&self) -> bool {
        self.is(Reason::Conflict, 409)
    }

    pub fn is_invalid(&self) -> bool {
        self.is(Reason::Invalid, 422)
    }

    pub fn is_forbidden(&self) -> bool {
        self.is(Reason::Forbidden, 403)
    }

    /// Both of the reasons that go with 410.
    pub fn is_expired(&self) -> bool {
        matches!(self.0.reason, Reason::Expired | Reason::Gone)
    }

    /// Without a reason that says more, the code decides.
    fn is(&self, reason: Reason, code: u16) -> bool {
        self.0.reason == reason || self.0.reason == Reason::Unknown && self.0.code == code
    }
}

/// Changes to a Status that is on its way.
impl Status {
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    pub fn with_code(mut self, code: u16) -> Self {
        self.0.code = code;
        self
    }

    pub fn with_reason(mut self, reason: Reason) -> Self {
        self.0.reason = reason;
        self
    }

    pub fn with_details(mut self, details: Details) -> Self {
        self.0.details = Some(details);
        self
    }

    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.details_mut().causes.push(cause);
        self
    }

    pub fn with_continue(mut self, token: impl Into<String>) -> Self {
        self.0.continue_token = token.into();
        self
    }

    pub fn details_mut(&mut self) -> &mut Details {
        self.0.details.get_or_insert_default()
    }
}

/// Failures, as upstream words them.
impl Status {
    /// Any failure without details.
    pub fn failure(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        Status(Box::new(Body { code, reason, message: message.into(), ..Body::default() }))
    }

    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} {} not found", qualified(group, plural), quote(name));
        Self::about(404, Reason::NotFound, group, plural, name, message)
    }

    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} {} already exists", qualified(group, plural), quote(name));
        Self::about(409, Reason::AlreadyExists, group, plural, name, message)
    }

    pub fn generate_name_conflict(group: &str, plural: &str, name: &str, retry_after_seconds: i32) -> Self {
        let mut status = Self::already_exists(group, plural, name);
        status.0.message.push_str(", the server was not able to generate a unique name for the object");
        status.retry_after(retry_after_seconds)
    }

    pub fn conflict(group: &str, plural: &str, name: &str, message: impl fmt::Display) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {}: {message}", qualified(group, plural), quote(name));
        Self::about(409, Reason::Conflict, group, plural, name, message)
    }

    /// Server-side apply met other owners.
    pub fn apply_conflict(causes: Vec<Cause>, message: impl Into<String>) -> Self {
        Self::failure(409, Reason::Conflict, message).with_details(Details { causes, ..Details::default() })
    }

    pub fn invalid(group: &str, kind: &str, name: &str, errors: &field::Errors) -> Self {
        let mut message = format!("{} {} is invalid", qualified(group, kind), quote(name));
        if !errors.is_empty() {
            message.push_str(": ");
            message.push_str(&errors.to_string());
        }
        let mut status = Self::about(422, Reason::Invalid, group, kind, name, message);
        status.details_mut().causes =
            errors.iter().map(|error| Cause::new(error.kind.cause(), error.body(), error.field.as_str())).collect();
        status
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, Reason::BadRequest, message)
    }

    pub fn forbidden(group: &str, plural: &str, name: &str, message: impl fmt::Display) -> Self {
        let resource = qualified(group, plural);
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {message}"),
            (false, true) => format!("{resource} is forbidden: {message}"),
            (false, false) => format!("{resource} {} is forbidden: {message}", quote(name)),
        };
        Self::about(403, Reason::Forbidden, group, plural, name, message)
    }

    /// `not authorized` if there is nothing better to say.
    pub fn unauthorized(message: &str) -> Self {
        Self::failure(401, Reason::Unauthorized, if message.is_empty() { "not authorized" } else { message })
    }

    pub fn method_not_supported(group: &str, plural: &str, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {}", quote(&qualified(group, plural)));
        Self::about(405, Reason::MethodNotAllowed, group, plural, "", message)
    }

    pub fn gone(message: impl Into<String>) -> Self {
        Self::failure(410, Reason::Gone, message)
    }

    /// A resourceVersion or continue token from before the last compaction.
    pub fn resource_expired(message: impl Into<String>) -> Self {
        Self::failure(410, Reason::Expired, message)
    }

    /// The request took too long; it may still be completed.
    pub fn timeout(message: impl fmt::Display, retry_after_seconds: i32) -> Self {
        Self::failure(504, Reason::Timeout, format!("Timeout: {message}")).retry_after(retry_after_seconds)
    }

    /// A list or watch wants a resourceVersion that this server has not reached.
    pub fn resource_version_too_large(wanted: u64, current: u64, retry_after_seconds: i32) -> Self {
        Self::timeout(format_args!("Too large resource version: {wanted}, current: {current}"), retry_after_seconds)
            .with_cause(Cause::new(CAUSE_RESOURCE_VERSION_TOO_LARGE, "Too large resource version", ""))
    }

    /// Upstream's `NewTooManyRequests`: the message as it is, with a time to wait.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: i32) -> Self {
        Self::failure(429, Reason::TooManyRequests, message).retry_after(retry_after_seconds)
    }

    /// Upstream's `NewTooManyRequestsError`: refused by priority and fairness.
    pub fn too_many_requests_error(message: impl fmt::Display) -> Self {
        Self::failure(429, Reason::TooManyRequests, format!("Too many requests: {message}"))
    }

    pub fn too_large(message: impl fmt::Display) -> Self {
        Self::failure(413, Reason::RequestEntityTooLarge, format!("Request entity too large: {message}"))
    }

    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::failure(415, Reason::UnsupportedMediaType, message)
    }

    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::failure(406, Reason::NotAcceptable, message)
    }

    pub fn internal(message: impl fmt::Display) -> Self {
        let cause = message.to_string();
        Self::failure(500, Reason::InternalError, format!("Internal error occurred: {cause}"))
            .with_cause(Cause { message: cause, ..Cause::default() })
    }

    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::failure(503, Reason::ServiceUnavailable, message)
    }

    /// A passing inability to do `operation`, which stands where the name would.
    pub fn server_timeout(group: &str, plural: &str, operation: &str, retry_after_seconds: i32) -> Self {
        let message = format!(
            "The {operation} operation against {} could not be completed at this time, please try again.",
            qualified(group, plural)
        );
        Self::about(500, Reason::ServerTimeout, group, plural, operation, message).retry_after(retry_after_seconds)
    }

    /// What is said about an answer that is no Status, by its code alone.
    #[expect(clippy::too_many_arguments, reason = "upstream's parameters, in upstream's order")]
    pub fn generic_server_response(
        code: u16,
        verb: &str,
        group: &str,
        plural: &str,
        name: &str,
        server_message: &str,
        retry_after_seconds: i32,
        is_unexpected: bool,
    ) -> Self {
        let (reason, mut message) = generic_words(code, verb, server_message);
        let resource = qualified(group, plural);
        if !resource.is_empty() {
            let verb = verb.to_lowercase();
            message.push_str(&match name {
                "" => format!(" ({verb} {resource})"),
                name => format!(" ({verb} {resource} {name})"),
            });
        }
        let status = Self::about(code, reason, group, plural, name, message).retry_after(retry_after_seconds);
        if is_unexpected {
            status.with_cause(Cause::new(CAUSE_UNEXPECTED_SERVER_RESPONSE, server_message, ""))
        } else {
            status
        }
    }

    fn about(code: u16, reason: Reason, group: &str, kind: &str, name: &str, message: String) -> Self {
        let details =
            Details { name: name.to_owned(), group: group.to_owned(), kind: kind.to_owned(), ..Details::default() };
        Self::failure(code, reason, message).with_details(details)
    }

    fn retry_after(mut self, seconds: i32) -> Self {
        self.details_mut().retry_after_seconds = seconds;
        self
    }
}

/// Successes.
impl Status {
    /// The answer to a delete that removed the object.
    pub fn success(group: &str, plural: &str, name: &str, uid: &str) -> Self {
        let details = Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: plural.to_owned(),
            uid: uid.to_owned(),
            ..Details::default()
        };
        Status(Box::new(Body { success: true, details: Some(details), ..Body::default() }))
    }

    /// A bare success, such as a binding's 201.
    pub fn created() -> Self {
        Status(Box::new(Body { success: true, code: 201, ..Body::default() }))
    }
}

/// Reason and first words for an answer of `code`.
fn generic_words(code: u16, verb: &str, server_message: &str) -> (Reason, String) {
    let known = match code {
        409 if verb == "POST" => (Reason::AlreadyExists, "the server reported a conflict"),
        409 => (Reason::Conflict, "the server reported a conflict"),
        404 => (Reason::NotFound, "the server could not find the requested resource"),
        400 => (Reason::BadRequest, "the server rejected our request for an unknown reason"),
        401 => (Reason::Unauthorized, "the server has asked for the client to provide credentials"),
        403 => (Reason::Forbidden, server_message),
        406 if matches!(server_message, "" | "unknown") => {
            (Reason::NotAcceptable, "the server was unable to respond with a content type that the client supports")
        }
        406 => (Reason::NotAcceptable, server_message),
        415 => (Reason::UnsupportedMediaType, server_message),
        405 => (Reason::MethodNotAllowed, "the server does not allow this method on the requested resource"),
        422 => (Reason::Invalid, "the server rejected our request due to an error in our request"),
        503 => (Reason::ServiceUnavailable, "the server is currently unable to handle the request"),
        504 => (
            Reason::Timeout,
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        429 => {
            (Reason::TooManyRequests, "the server has received too many requests and has asked us to try again later")
        }
        500.. => {
            let message =
                format!("an error on the server ({}) has prevented the request from succeeding", quote(server_message));
            return (Reason::InternalError, message);
        }
        _ => {
            let message =
                format!("the server responded with the status code {code} but did not return more information");
            return (Reason::Unknown, message);
        }
    };
    (known.0, known.1.to_owned())
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Status {}
