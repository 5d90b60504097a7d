//! The options of writes and reads: decoded from the query or a body, and checked.

use corten_api::field::{Error, ErrorType, Errors, Path};
use corten_api::status::{Result, Status};

use crate::request::Query;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Of create, update and patch.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    pub dry_run: bool,
    pub field_manager: String,
    pub validation: FieldValidation,
    pub force: bool,
}

impl WriteOptions {
    /// `kind` is how an error names them: `CreateOptions`.
    pub fn read(query: &Query, kind: &str) -> Result<WriteOptions> {
        WriteOptions::read_after(query, kind, Errors::default())
    }

    /// The same where something else was found already.
    pub fn read_after(query: &Query, kind: &str, mut errors: Errors) -> Result<WriteOptions> {
        let dry_run: Vec<&str> = query.all("dryRun").collect();
        let manager = query.get("fieldManager").unwrap_or_default();
        check_manager(manager, &mut errors);
        check_dry_run(&dry_run, &mut errors);
        let validation = match query.get("fieldValidation").unwrap_or_default() {
            "Ignore" => FieldValidation::Ignore,
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            other => {
                let path = Path::new("fieldValidation");
                errors.push(Error::not_supported(&path, other, &["", "Ignore", "Strict", "Warn"]));
                FieldValidation::Warn
            }
        };
        if !errors.is_empty() {
            return Err(Status::invalid("meta.k8s.io", kind, "", &errors));
        }
        let force = query.get("force").is_some() && query.flag("force");
        Ok(WriteOptions { dry_run: !dry_run.is_empty(), field_manager: manager.to_owned(), validation, force })
    }
}

pub fn check_dry_run(values: &[&str], errors: &mut Errors) {
    if values.iter().any(|&value| value != "All") {
        let shown: Vec<String> = values.iter().map(|value| corten_api::json::string(value)).collect();
        let bad = corten_api::field::BadValue::Json(format!("[{}]", shown.join(",")));
        errors.push(Error::not_supported(&Path::new("dryRun"), bad, &["All"]));
    }
}

fn check_manager(manager: &str, errors: &mut Errors) {
    const MAX: usize = 128;
    let path = Path::new("fieldManager");
    if manager.len() > MAX {
        errors.push(Error::too_long(&path, MAX));
    }
    for (at, c) in manager.char_indices() {
        if c.is_control() {
            let detail = format!("invalid character U+{:04X} (at position {at})", c as u32);
            errors.push(Error::new(ErrorType::Invalid, &path, manager, detail));
        }
    }
}
