use super::*;
use crate::field::{Error, Errors, Path};

fn check(status: Status, expected: &str) {
    assert_eq!(String::from_utf8(status.to_json()).unwrap(), expected);
}

#[test]
fn about_one_object() {
    check(
        Status::not_found("", "pods", "x"),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"pods"},"code":404}"#,
    );
    check(
        Status::already_exists("apps", "deployments", "web"),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"web\" already exists","reason":"AlreadyExists","details":{"name":"web","group":"apps","kind":"deployments"},"code":409}"#,
    );
    check(
        Status::conflict("", "configmaps", "c", "the object has been modified; <please> apply your changes"),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"c\": the object has been modified; \u003cplease\u003e apply your changes","reason":"Conflict","details":{"name":"c","kind":"configmaps"},"code":409}"#,
    );
    check(
        Status::success("apps", "deployments", "web", "1-2"),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","details":{"name":"web","group":"apps","kind":"deployments","uid":"1-2"}}"#,
    );
}

#[test]
fn invalid_objects() {
    let spec = Path::new("spec");
    let mut errors = Errors::default();
    check(
        Status::invalid("apps", "Deployment", "web", &errors),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Deployment.apps \"web\" is invalid","reason":"Invalid","details":{"name":"web","group":"apps","kind":"Deployment"},"code":422}"#,
    );
    errors.push(Error::required(&spec.child("selector"), ""));
    assert_eq!(
        Status::invalid("", "Pod", "p", &errors).message(),
        "Pod \"p\" is invalid: spec.selector: Required value"
    );
    errors.push(Error::required(&spec.child("selector"), ""));
    assert_eq!(
        Status::invalid("", "Pod", "p", &errors).message(),
        "Pod \"p\" is invalid: spec.selector: Required value"
    );
    errors.push(Error::invalid(&spec.child("replicas"), -1i64, "must be greater than or equal to 0"));
    let status = Status::invalid("", "Pod", "p", &errors);
    assert_eq!(
        status.message(),
        "Pod \"p\" is invalid: [spec.selector: Required value, spec.replicas: Invalid value: -1: must be greater than or equal to 0]"
    );
    assert_eq!(status.causes().len(), 3);
    assert_eq!(
        status.causes()[2],
        Cause::new("FieldValueInvalid", "Invalid value: -1: must be greater than or equal to 0", "spec.replicas")
    );
    assert!(status.is_invalid());
}

#[test]
fn messages() {
    let check = |status: Status, code: u16, reason: Reason, message: &str| {
        assert_eq!((status.code(), status.reason(), status.message()), (code, reason, message));
    };
    check(Status::forbidden("", "pods", "x", "no"), 403, Reason::Forbidden, "pods \"x\" is forbidden: no");
    check(
        Status::forbidden("apps", "deployments", "", "no"),
        403,
        Reason::Forbidden,
        "deployments.apps is forbidden: no",
    );
    check(Status::forbidden("", "", "", "no"), 403, Reason::Forbidden, "forbidden: no");
    check(Status::unauthorized(""), 401, Reason::Unauthorized, "not authorized");
    check(Status::unauthorized("Unauthorized"), 401, Reason::Unauthorized, "Unauthorized");
    check(
        Status::method_not_supported("apps", "deployments", "proxy"),
        405,
        Reason::MethodNotAllowed,
        "proxy is not supported on resources of kind \"deployments.apps\"",
    );
    check(Status::timeout("slow", 1), 504, Reason::Timeout, "Timeout: slow");
    check(Status::too_many_requests("wait", 1), 429, Reason::TooManyRequests, "wait");
    check(Status::too_many_requests_error("wait"), 429, Reason::TooManyRequests, "Too many requests: wait");
    check(
        Status::too_large("limit is 3145728"),
        413,
        Reason::RequestEntityTooLarge,
        "Request entity too large: limit is 3145728",
    );
    check(
        Status::generate_name_conflict("", "pods", "x", 1),
        409,
        Reason::AlreadyExists,
        "pods \"x\" already exists, the server was not able to generate a unique name for the object",
    );
    check(
        Status::server_timeout("", "pods", "create", 2),
        500,
        Reason::ServerTimeout,
        "The create operation against pods could not be completed at this time, please try again.",
    );
    assert_eq!(Status::server_timeout("", "pods", "create", 0).retry_after_seconds(), Some(0));
    assert_eq!(Status::timeout("", 0).retry_after_seconds(), None);
}

#[test]
fn generic_responses() {
    let check = |code: u16, verb: &str, plural: &str, name: &str, server: &str, reason: Reason, message: &str| {
        let status = Status::generic_server_response(code, verb, "", plural, name, server, 0, false);
        assert_eq!((status.code(), status.reason(), status.message()), (code, reason, message));
    };
    check(404, "GET", "", "", "", Reason::NotFound, "the server could not find the requested resource");
    check(404, "GET", "pods", "", "", Reason::NotFound, "the server could not find the requested resource (get pods)");
    check(
        404,
        "GET",
        "pods",
        "x",
        "",
        Reason::NotFound,
        "the server could not find the requested resource (get pods x)",
    );
    check(409, "POST", "", "", "", Reason::AlreadyExists, "the server reported a conflict");
    check(409, "PUT", "", "", "", Reason::Conflict, "the server reported a conflict");
    check(403, "GET", "", "", "you may not", Reason::Forbidden, "you may not");
    check(
        500,
        "GET",
        "",
        "",
        "a \"b\"",
        Reason::InternalError,
        "an error on the server (\"a \\\"b\\\"\") has prevented the request from succeeding",
    );
    check(
        418,
        "GET",
        "",
        "",
        "",
        Reason::Unknown,
        "the server responded with the status code 418 but did not return more information",
    );
    let status = Status::generic_server_response(404, "get", "", "", "", "404 page not found", 0, true);
    assert!(status.has_cause("UnexpectedServerResponse"));
    super::tests::check(
        Status::generic_server_response(404, "GET", "", "", "", "", 0, false),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}"#,
    );
}

#[test]
fn details_and_metadata() {
    check(
        Status::internal("boom"),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Internal error occurred: boom","reason":"InternalError","details":{"causes":[{"message":"boom"}]},"code":500}"#,
    );
    check(
        Status::resource_version_too_large(10, 3, 1),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 10, current: 3","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504}"#,
    );
    check(
        Status::resource_expired("The provided continue parameter is too old").with_continue("abc"),
        r#"{"kind":"Status","apiVersion":"v1","metadata":{"continue":"abc"},"status":"Failure","message":"The provided continue parameter is too old","reason":"Expired","code":410}"#,
    );
    check(Status::created(), r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}"#);
    assert_eq!(Status::success("", "pods", "x", "").http_code(), 200);
    assert_eq!(size_of::<Status>(), size_of::<usize>());
}

#[test]
fn reasons_by_name() {
    assert_eq!(Reason::parse("StorageReadError"), Reason::StoreReadError);
    assert_eq!(Reason::parse("Whatever"), Reason::Unknown);
    assert_eq!(Reason::Expired.as_str(), "Expired");
}
