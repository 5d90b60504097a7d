//! Names of signers: `example.com/name`.

use corten_api::field::{Error, Errors, Path, quote};
use corten_api::names;

const DOMAIN_LENGTH: usize = 253;
/// A domain, a slash, a namespace, a dot and a name.
const LENGTH: usize = DOMAIN_LENGTH + 1 + 63 + 1 + 253;

pub fn validate_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.is_empty() {
        return errors.push(Error::required(path, ""));
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, own] = parts[..] else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return errors.push(Error::invalid(path, name, detail));
    };
    if domain.len() > DOMAIN_LENGTH {
        errors.push(Error::too_long(path, DOMAIN_LENGTH));
    }
    validate_labels(domain, names::is_dns1123_label, path, errors);
    if !domain.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.push(Error::invalid(path, domain, detail));
    }
    validate_labels(own, names::is_dns1123_subdomain, path, errors);
    if name.len() > LENGTH {
        errors.push(Error::too_long(path, LENGTH));
    }
}

/// What is wrong with the first label that is not right.
fn validate_labels(part: &str, check: fn(&str) -> Vec<String>, path: &Path<'_>, errors: &mut Errors) {
    let Some((label, messages)) =
        part.split('.').map(|label| (label, check(label))).find(|(_, messages)| !messages.is_empty())
    else {
        return;
    };
    for message in messages {
        errors.push(Error::invalid(path, part, format!("validating label {}: {message}", quote(label))));
    }
}
