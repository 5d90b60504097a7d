//! A Status as JSON, in the order of upstream's struct and with its omitempty.

use crate::json::{write_i64, write_string};

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
        out.extend_from_slice(br#"{"kind":"Status","apiVersion":"v1","metadata":"#);
        let mut metadata = Fields::open(out);
        metadata.string("continue", &body.continue_token);
        metadata.close();
        out.extend_from_slice(if body.success { br#","status":"Success""# } else { br#","status":"Failure""# });
        let mut fields = Fields { out, empty: false };
        fields.string("message", &body.message);
        fields.string("reason", body.reason.as_str());
        if let Some(details) = &body.details {
            write_details(fields.name("details"), details);
        }
        fields.number("code", i64::from(body.code));
        fields.close();
    }
}

fn write_details(out: &mut Vec<u8>, details: &Details) {
    let mut fields = Fields::open(out);
    fields.string("name", &details.name);
    fields.string("group", &details.group);
    fields.string("kind", &details.kind);
    fields.string("uid", &details.uid);
    if !details.causes.is_empty() {
        let out = fields.name("causes");
        out.push(b'[');
        for (i, cause) in details.causes.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_cause(out, cause);
        }
        out.push(b']');
    }
    fields.number("retryAfterSeconds", i64::from(details.retry_after_seconds));
    fields.close();
}

fn write_cause(out: &mut Vec<u8>, cause: &Cause) {
    let mut fields = Fields::open(out);
    fields.string("reason", &cause.reason);
    fields.string("message", &cause.message);
    fields.string("field", &cause.field);
    fields.close();
}

/// Fields of one object; empty ones are left out.
struct Fields<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Fields<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Fields { out, empty: true }
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        write_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    fn string(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            write_string(self.name(name), value);
        }
    }

    fn number(&mut self, name: &str, value: i64) {
        if value != 0 {
            write_i64(self.name(name), value);
        }
    }

    fn close(self) {
        self.out.push(b'}');
    }
}
