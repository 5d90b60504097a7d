//! Secret.

use std::borrow::Cow;

use base64::Engine;
use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Edit, Node};
use corten_views::core_v1::Secret;

use crate::access::{decoded_length, same, view};
use crate::config_map::{IMMUTABLE, SIZE_MAX};
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each};
use crate::pem;
use crate::strategy::{Context, MetadataRun, Strategy};

const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const REDACTED: &str = "<secret contents redacted>";

pub struct Secrets;

impl Strategy for Secrets {
    /// What came as text is kept as bytes; the older of two keys of a name gives way.
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let texts: Vec<(String, String)> = object
            .view::<Secret<'_>>()
            .string_data()
            .iter()
            .map(|(key, text)| (key.to_owned(), base64::engine::general_purpose::STANDARD.encode(text)))
            .collect();
        if texts.is_empty() {
            return;
        }
        object.ensure(Secret::DATA).set_keys(&texts);
        object.remove(Secret::STRING_DATA);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        object.default(Secret::TYPE_, view::<Secret<'_>>(old).type_());
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate(view(object), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Secret<'_>, Secret<'_>) = (view(object), view(old));
        if new.type_() != old.type_() {
            errors.push(Error::invalid(&Path::new("type"), BadValue::typed(new.type_()), FIELD_IMMUTABLE));
        }
        if old.immutable() == Some(true) {
            if new.immutable() != Some(true) {
                errors.push(Error::forbidden(&Path::new("immutable"), IMMUTABLE));
            }
            if !same(new, old, Secret::DATA) {
                errors.push(Error::forbidden(&Path::new("data"), IMMUTABLE));
            }
        }
        validate(new, &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        out.push(view::<Secret<'t>>(object).type_().into());
    }
}

fn validate(secret: Secret<'_>, errors: &mut Errors) {
    let data = secret.data();
    let path = Path::new("data");
    let mut size = 0;
    for (key, value) in data.iter() {
        invalid_each(names::is_config_map_key(key), key, &path.key(key), errors);
        size += decoded_length(value);
    }
    if size > SIZE_MAX {
        errors.push(Error::too_long(&path, SIZE_MAX));
    }
    let mut required = |key: &str| errors.push(Error::required(&path.key(key), ""));
    match secret.type_() {
        "kubernetes.io/service-account-token"
            if secret.metadata().annotations().get(ACCOUNT_NAME).unwrap_or_default().is_empty() =>
        {
            let path = Path::new("metadata");
            errors.push(Error::required(&path.child("annotations").key(ACCOUNT_NAME), ""));
        }
        "kubernetes.io/dockercfg" => validate_json(secret, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => validate_json(secret, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !data.contains_key("username") && !data.contains_key("password") => {
            required("username");
            required("password");
        }
        "kubernetes.io/ssh-auth" if data.get("ssh-privatekey").unwrap_or_default().is_empty() => {
            required("ssh-privatekey");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !data.contains_key(key) {
                    required(key);
                }
            }
        }
        _ => {}
    }
}

/// The value must be a JSON object.
fn validate_json(secret: Secret<'_>, key: &str, errors: &mut Errors) {
    let path = Path::new("data");
    let path = path.key(key);
    if !secret.data().contains_key(key) {
        return errors.push(Error::required(&path, ""));
    }
    let text = bytes(secret, key);
    let problem = match corten_object::json::check_syntax(&text) {
        Err(error) => Some(error.0),
        Ok(()) => {
            let kind = match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{' | b'n') | None => None,
                Some(b'[') => Some("array"),
                Some(b'"') => Some("string"),
                Some(b't' | b'f') => Some("bool"),
                Some(_) => Some("number"),
            };
            kind.map(|kind| format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
        }
    };
    if let Some(problem) = problem {
        errors.push(Error::invalid(&path, REDACTED, problem));
    }
}

fn bytes(secret: Secret<'_>, key: &str) -> Vec<u8> {
    let text = secret.data().get(key).unwrap_or_default();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

/// What loading the pair of a TLS secret would complain of, as far as its PEM blocks tell.
fn warnings(secret: Secret<'_>) -> Vec<String> {
    if secret.type_() != "kubernetes.io/tls" {
        return Vec::new();
    }
    pair_problem(&pem_types(&bytes(secret, "tls.crt")), &pem_types(&bytes(secret, "tls.key"))).into_iter().collect()
}

fn pair_problem(certificate: &[String], key: &[String]) -> Option<String> {
    if !certificate.iter().any(|block| block == "CERTIFICATE") {
        return Some(match certificate {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [only] if only.ends_with("PRIVATE KEY") => {
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM \
                 inputs may have been switched"
                    .to_owned()
            }
            skipped => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the \
                 following types: [{}]",
                skipped.join(" ")
            ),
        });
    }
    if key.iter().any(|block| block == "PRIVATE KEY" || block.ends_with(" PRIVATE KEY")) {
        return None;
    }
    Some(match key {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [only] if only == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        skipped => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks \
             of the following types: [{}]",
            skipped.join(" ")
        ),
    })
}

/// The types of the PEM blocks of a text, in order.
fn pem_types(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut rest = &*text;
    let mut types = Vec::new();
    while let Some((block, after)) = pem::next(rest) {
        types.push(block.kind);
        rest = after;
    }
    types
}
