//! Request bodies: from any encoding to a tree of the kind that the endpoint expects, with upstream's errors.

use corten_api::status::{Result, Status};
use corten_custom::Definition;
use corten_object::json::{self, Form, ParseError};
use corten_object::protobuf;
use corten_object::tree::{Node, Tree};

use crate::call::Warnings;
use crate::metadata;
use crate::negotiate::BodyEncoding;
use crate::options::FieldValidation;

/// What a body must be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    pub group: &'e str,
    pub version: &'e str,
    pub kind: &'e str,
    pub form: Form,
}

impl Expected<'_> {
    pub fn api_version(&self) -> String {
        crate::resource::api_version(self.group, self.version)
    }
}

/// The registry of kinds that upstream decodes a group's bodies with; errors name it.
fn scheme(group: &str) -> &'static str {
    match group {
        "apiextensions.k8s.io" => "k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:55",
        "apiregistration.k8s.io" => "k8s.io/kube-aggregator/pkg/apiserver/scheme/scheme.go:28",
        _ => "pkg/api/legacyscheme/scheme.go:30",
    }
}

/// Whether the registry for bodies of `home` knows a kind.
fn is_registered(home: &str, group: &str, version: &str, kind: &str) -> bool {
    const UNVERSIONED: [&str; 5] = ["Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"];
    const EVERYWHERE: [&str; 7] =
        ["CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "WatchEvent"];
    let (is_core, is_own) = (group.is_empty() && version == "v1", scheme(group) == scheme(home));
    if is_core && UNVERSIONED.contains(&kind) {
        return true;
    }
    let known = |kind: &str| corten_schema::kind(group, version, kind).is_some();
    let has_version = || corten_schema::KINDS.iter().any(|row| row.group == group && row.version == version);
    is_own
        && (known(kind)
            || is_core && kind == "List"
            || kind.strip_suffix("List").is_some_and(known)
            || EVERYWHERE.contains(&kind) && has_version())
}

/// Decodes a body of a built-in kind. Unknown and duplicate fields are an error, warnings or nothing, as asked.
pub fn decode(
    body: Vec<u8>,
    encoding: BodyEncoding,
    expected: Expected<'_>,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Tree> {
    let (mut tree, strict) = decode_any(body, encoding, expected)?;
    if tree.root().is_null() || metadata::kind(&tree).is_empty() || metadata::api_version(&tree).is_empty() {
        fill_kind(&mut tree, expected);
    }
    note_strict(strict, &tree, expected.version, expected, validation, warnings)?;
    Ok(tree)
}

/// Decodes a custom object. Upstream prunes a body by the schema of the version that the body says it is of, and only
/// then looks whether that is the version of the request.
pub fn decode_custom(
    body: Vec<u8>,
    encoding: BodyEncoding,
    expected: Expected<'_>,
    definition: &Definition,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Tree> {
    let (mut tree, mut strict) = decode_any(body, encoding, expected)?;
    let (api_version, full) = (metadata::api_version(&tree).to_owned(), expected.api_version());
    let version = api_version.rsplit('/').next().unwrap_or_default();
    match definition.decode(&mut tree) {
        Ok(unknown) => strict.extend(unknown),
        Err(error) => return Err(cannot_handle(metadata::kind(&tree), version, expected, &error)),
    }
    note_strict(strict, &tree, version, expected, validation, warnings)?;
    if api_version == full {
        return Ok(tree);
    }
    Err(Status::bad_request(format!(
        "the API version in the data ({api_version}) does not match the expected API version ({full})"
    )))
}

fn decode_any(body: Vec<u8>, encoding: BodyEncoding, expected: Expected<'_>) -> Result<Decoded> {
    match encoding {
        BodyEncoding::Protobuf => Ok((decode_protobuf(body, expected)?, Vec::new())),
        BodyEncoding::Json => decode_json(body, expected),
        BodyEncoding::Yaml => decode_yaml(body, expected),
    }
}

/// What strict decoding found: an error, warnings or nothing.
fn note_strict(
    strict: Vec<String>,
    tree: &Tree,
    version: &str,
    expected: Expected<'_>,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<()> {
    match validation {
        FieldValidation::Strict if !strict.is_empty() => {
            let all = strict.join(", ");
            Err(cannot_handle(metadata::kind(tree), version, expected, &format!("strict decoding error: {all}")))
        }
        FieldValidation::Warn => {
            for note in strict {
                // The YAML library's heading is left out of warnings, and each of its lines is one.
                match note.strip_prefix("yaml: unmarshal errors:\n") {
                    Some(lines) => lines.lines().for_each(|line| warnings.add(line.trim())),
                    None => warnings.add(note),
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn fill_kind(tree: &mut Tree, expected: Expected<'_>) {
    if tree.root().is_null() {
        *tree = match expected.form {
            Form::Typed(ty) => Tree::of(ty),
            _ => {
                let mut tree = Tree::new();
                let root = tree.map();
                tree.set_root(root);
                tree
            }
        };
    }
    let kind = Some(metadata::kind(tree)).filter(|kind| !kind.is_empty()).unwrap_or(expected.kind).to_owned();
    let api_version = Some(metadata::api_version(tree)).filter(|version| !version.is_empty()).map(str::to_owned);
    metadata::set_kind(tree, &api_version.unwrap_or_else(|| expected.api_version()), &kind);
}

fn cannot_handle(kind: &str, version: &str, expected: Expected<'_>, error: &str) -> Status {
    Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {}: {error}", expected.kind))
}

fn unrecognized(expected: Expected<'_>, error: &str, body: &[u8]) -> Status {
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {error} ({})",
        expected.kind,
        summarize(body)
    ))
}

fn summarize(body: &[u8]) -> String {
    const MAX: usize = 30;
    match body {
        [] => "<empty>".into(),
        [b'{', ..] if body.len() > MAX => format!("{} ...", String::from_utf8_lossy(&body[..MAX])),
        [b'{', ..] => String::from_utf8_lossy(body).into_owned(),
        _ if body.len() > MAX => format!("{} ...", hex(&body[..MAX])),
        _ => hex(body),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

type Decoded = (Tree, Vec<String>);

fn decode_json(body: Vec<u8>, expected: Expected<'_>) -> Result<Decoded> {
    // Bodies that are wrong are looked at again for what they claim to be.
    let again = body.clone();
    match json::parse(body, expected.form) {
        Ok(parsed) => {
            match expected.form {
                Form::Typed(_) => check_kind(parsed.tree.root(), expected, &again)?,
                _ => check_custom_kind(parsed.tree.root(), expected, &again)?,
            }
            Ok((parsed.tree, parsed.strict))
        }
        Err(ParseError::Syntax(message)) => {
            Err(unrecognized(expected, &format!("couldn't get version/kind; json parse error: {message}"), &again))
        }
        Err(ParseError::Type(message)) => {
            let plain = json::parse(again.clone(), Form::Plain);
            let plain = plain.map_err(|error| unrecognized(expected, &error.to_string(), &again))?.tree;
            let kind = Some(metadata::kind(&plain)).filter(|kind| !kind.is_empty()).unwrap_or(expected.kind);
            if !matches!(expected.form, Form::Typed(_)) {
                let api_version = metadata::api_version(&plain);
                let version = api_version.split_once('/').map_or(api_version, |(_, version)| version);
                let version = if version.is_empty() { expected.version } else { version };
                return Err(cannot_handle(kind, version, expected, &message));
            }
            check_kind(plain.root(), expected, &again)?;
            Err(cannot_handle(kind, expected.version, expected, &message))
        }
    }
}

fn decode_yaml(body: Vec<u8>, expected: Expected<'_>) -> Result<Decoded> {
    let text = String::from_utf8_lossy(&body);
    let converted =
        corten_object::yaml::to_json(&text).map_err(|error| unrecognized(expected, &error.to_string(), &body))?;
    let (tree, mut strict) = decode_json(converted.json, expected)?;
    if let Some(duplicates) = converted.strict {
        strict.insert(0, duplicates);
    }
    Ok((tree, strict))
}

/// What a body says it is must be what the endpoint takes; saying nothing is fine.
fn check_kind(root: Node<'_>, expected: Expected<'_>, body: &[u8]) -> Result<()> {
    if let Some(error) = not_typed(root) {
        let message = format!("couldn't get version/kind; json parse error: {error}");
        return Err(unrecognized(expected, &message, body));
    }
    let word = |name: &str| root.get(name).map_or("", |node| node.as_str());
    check_words(word("apiVersion"), word("kind"), expected, body)
}

/// A custom object says what it is. Whether its kind is the right one is for validation to say.
fn check_custom_kind(root: Node<'_>, expected: Expected<'_>, body: &[u8]) -> Result<()> {
    if not_an_object(root).is_some() {
        return check_kind(root, expected, body);
    }
    for name in ["apiVersion", "kind"] {
        let Some(node) = root.get(name).filter(|node| !node.is_null() && node.as_string().is_none()) else { continue };
        let what = not_an_object(node).unwrap_or("object");
        let message = format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {what} into Go struct field .{name} of type string"
        );
        return Err(unrecognized(expected, &message, body));
    }
    let word = |name: &str| root.get(name).map_or("", |node| node.as_str());
    if word("kind").is_empty() {
        return Err(unrecognized(expected, &kind_missing(body), body));
    }
    let api_version = word("apiVersion");
    if api_version.matches('/').count() > 1 {
        return Err(unrecognized(expected, &format!("unexpected GroupVersion string: {api_version}"), body));
    }
    Ok(())
}

/// What upstream says of a custom object without a kind.
pub fn kind_missing(json: &[u8]) -> String {
    format!("Object 'Kind' is missing in '{}'", String::from_utf8_lossy(json))
}

fn check_words(api_version: &str, kind: &str, expected: Expected<'_>, body: &[u8]) -> Result<()> {
    if api_version.matches('/').count() > 1 {
        let error = format!("unexpected GroupVersion string: {api_version}");
        return Err(unrecognized(expected, &error, body));
    }
    match foreign(api_version, kind, expected) {
        None => Ok(()),
        Some(Foreign::OtherVersion(message)) => Err(Status::bad_request(message)),
        Some(Foreign::OtherKind(message)) => {
            let version = api_version.rsplit('/').next().filter(|version| !version.is_empty());
            let kind = if kind.is_empty() { expected.kind } else { kind };
            Err(cannot_handle(kind, version.unwrap_or(expected.version), expected, &message))
        }
    }
}

/// How something is not what is expected.
pub enum Foreign {
    /// It could be converted, but that is not asked for here.
    OtherVersion(String),
    OtherKind(String),
}

/// Whether what something says it is, is something else; saying nothing is fine.
pub fn foreign(api_version: &str, kind: &str, expected: Expected<'_>) -> Option<Foreign> {
    let full = expected.api_version();
    let api_version = if api_version.is_empty() { &full } else { api_version };
    let kind = if kind.is_empty() { expected.kind } else { kind };
    if kind == expected.kind && api_version == full {
        return None;
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Some(Foreign::OtherKind(match is_registered(expected.group, group, version, kind) {
        // A kind of the same name in another version of the group is converted, and refused for its version.
        true if kind == expected.kind && group == expected.group => {
            return Some(Foreign::OtherVersion(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({full})"
            )));
        }
        true => {
            let package = |group: &str| match group.split('.').next().unwrap_or_default() {
                "" => "core".to_owned(),
                first => first.to_owned(),
            };
            format!(
                "converting ({version}.{kind}) to ({}.{}): unknown conversion",
                package(expected.group),
                expected.kind
            )
        }
        false => {
            let scheme = scheme(expected.group);
            format!("no kind {kind:?} is registered for version {api_version:?} in scheme {scheme:?}")
        }
    }))
}

/// Why no version and kind can be read from what is no object.
pub fn not_typed(root: Node<'_>) -> Option<String> {
    let what = not_an_object(root)?;
    Some(format!(
        "json: cannot unmarshal {what} into Go value of type struct \
         {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
    ))
}

fn not_an_object(root: Node<'_>) -> Option<&'static str> {
    use corten_object::tree::Value;
    match root.value() {
        Value::Bool(_) => Some("bool"),
        Value::Int(_) | Value::Float(_) => Some("number"),
        Value::Str(_) => Some("string"),
        Value::List(_) => Some("array"),
        _ => None,
    }
}

fn decode_protobuf(body: Vec<u8>, expected: Expected<'_>) -> Result<Tree> {
    let Form::Typed(ty) = expected.form else {
        return Err(Status::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
        ));
    };
    let envelope = protobuf::open(&body).map_err(|error| unrecognized(expected, &error.0, &body))?;
    check_words(&envelope.api_version, &envelope.kind, expected, &body)?;
    let kind = if envelope.kind.is_empty() { expected.kind.to_owned() } else { envelope.kind };
    protobuf::decode(body, ty).map_err(|error| cannot_handle(&kind, expected.version, expected, &error.0))
}
