//! A Status as JSON, in the order of upstream's struct and with its omitempty.

use crate::json::{Members, write_array, write_i64};

use super::{Cause, Details, Status};

impl Status {
    /// The document, without a newline at its end.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write_json(&mut out);
        out
    }

    pub fn write_json(&self, out: &mut Vec<u8>) {
        let body = &*self.0;
        let mut fields = Members::new(out);
        fields.string("kind", "Status");
        fields.string("apiVersion", "v1");
        let mut metadata = Members::new(fields.name("metadata"));
        metadata.string("continue", &body.continue_token);
        metadata.end();
        fields.string("status", if body.success { "Success" } else { "Failure" });
        fields.string("message", &body.message);
        fields.string("reason", body.reason.as_str());
        if let Some(details) = &body.details {
            write_details(fields.name("details"), details);
        }
        number(&mut fields, "code", i64::from(body.code));
        fields.end();
    }
}

fn write_details(out: &mut Vec<u8>, details: &Details) {
    let mut fields = Members::new(out);
    fields.string("name", &details.name);
    fields.string("group", &details.group);
    fields.string("kind", &details.kind);
    fields.string("uid", &details.uid);
    if !details.causes.is_empty() {
        write_array(fields.name("causes"), &details.causes, write_cause);
    }
    number(&mut fields, "retryAfterSeconds", i64::from(details.retry_after_seconds));
    fields.end();
}

fn write_cause(cause: &Cause, out: &mut Vec<u8>) {
    let mut fields = Members::new(out);
    fields.string("reason", &cause.reason);
    fields.string("message", &cause.message);
    fields.string("field", &cause.field);
    fields.end();
}

/// A number, left out if it is zero.
fn number(members: &mut Members<'_>, name: &str, value: i64) {
    if value != 0 {
        write_i64(members.name(name), value);
    }
}
