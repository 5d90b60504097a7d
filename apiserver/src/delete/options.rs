//! DeleteOptions, from a body or from the query.

use std::num::{IntErrorKind, ParseIntError};

use corten_api::field::{Error as FieldError, Errors, Path};
use corten_api::status::{Result, Status};
use corten_object::json::{self, Form};
use corten_object::tree::{Tree, View};
use corten_views::meta_v1::{DeleteOptions, Preconditions};

use crate::call::Call;
use crate::decode::{self, Expected};
use crate::metadata;
use crate::negotiate::BodyEncoding;
use crate::options::{FieldValidation, check_dry_run};
use crate::request::Query;

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub grace_seconds: Option<i64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub orphan_dependents: Option<bool>,
    pub propagation: Option<String>,
    pub dry_run: bool,
}

impl Options {
    /// From the body, or where there is none from the query.
    pub async fn read(call: &Call, body: Vec<u8>) -> Result<Options> {
        let ty = DeleteOptions::TYPE;
        let tree = if body.is_empty() {
            from_query(&call.query)?
        } else {
            let encoding = crate::negotiate::body_encoding(&call.headers, true)?;
            options_tree(call, body, encoding)?
        };
        let view: DeleteOptions<'_> = tree.view();
        debug_assert_eq!(tree.type_of(tree.root_id()), Some(ty));
        let preconditions = view.preconditions();
        let dry_run: Vec<&str> = view.dry_run().iter().collect();
        let options = Options {
            grace_seconds: view.grace_period_seconds(),
            uid: preconditions.and_then(|p| p.uid()).map(str::to_owned),
            resource_version: preconditions.and_then(|p| p.resource_version()).map(str::to_owned),
            orphan_dependents: view.orphan_dependents(),
            propagation: view.propagation_policy().map(str::to_owned),
            dry_run: !dry_run.is_empty(),
        };
        options.check(&dry_run)?;
        Ok(options)
    }

    fn check(&self, dry_run: &[&str]) -> Result<()> {
        let mut errors = Errors::default();
        let path = Path::new("propagationPolicy");
        if let Some(policy) = &self.propagation {
            if self.orphan_dependents.is_some() {
                errors.push(FieldError::invalid(
                    &path,
                    policy.as_str(),
                    "orphanDependents and deletionPropagation cannot be both set",
                ));
            }
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                errors.push(FieldError::not_supported(
                    &path,
                    policy.as_str(),
                    &["Foreground", "Background", "Orphan", "nil"],
                ));
            }
        }
        check_dry_run(dry_run, &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &errors)) }
    }
}

fn options_tree(call: &Call, body: Vec<u8>, encoding: BodyEncoding) -> Result<Tree> {
    let expected =
        Expected { group: "meta.k8s.io", version: "v1", kind: "DeleteOptions", form: Form::Typed(DeleteOptions::TYPE) };
    let tree = match encoding {
        BodyEncoding::Json => {
            let unreadable =
                |error: &str| Status::bad_request(format!("couldn't get version/kind; json parse error: {error}"));
            let claim = json::parse(body.clone(), Form::Plain).map_err(|error| unreadable(&error.to_string()))?.tree;
            if let Some(message) = decode::not_typed(claim.root()) {
                return Err(unreadable(&message));
            }
            check_claim(&claim)?;
            json::parse(body, expected.form).map_err(|error| Status::bad_request(error.to_string()))?.tree
        }
        BodyEncoding::Protobuf => {
            corten_object::protobuf::decode(body, DeleteOptions::TYPE).map_err(|error| Status::bad_request(error.0))?
        }
        BodyEncoding::Yaml => decode::decode(body, encoding, expected, FieldValidation::Ignore, &call.warnings)?,
    };
    Ok(if tree.root().is_null() { Tree::of(DeleteOptions::TYPE) } else { tree })
}

/// What a body says that it is: clients send the options as a kind of the group they delete from, so that any version
/// will do.
fn check_claim(body: &Tree) -> Result<()> {
    const UNVERSIONED: [&str; 5] = ["Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"];
    const META: [&str; 8] = [
        "ListOptions",
        "GetOptions",
        "CreateOptions",
        "UpdateOptions",
        "PatchOptions",
        "TableOptions",
        "Table",
        "PartialObjectMetadata",
    ];
    let kind = metadata::kind(body);
    let version = Some(metadata::api_version(body)).filter(|version| !version.is_empty()).unwrap_or("meta.k8s.io/v1");
    if matches!(kind, "" | "DeleteOptions") {
        return Ok(());
    }
    Err(Status::bad_request(match version {
        "v1" if UNVERSIONED.contains(&kind) => {
            format!("converting (v1.{kind}) to (v1.DeleteOptions): unknown conversion")
        }
        "meta.k8s.io/v1" if META.contains(&kind) => {
            format!("converting (v1.{kind}) to (v1.DeleteOptions): unknown conversion")
        }
        _ => format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27\""
        ),
    }))
}

fn from_query(query: &Query) -> Result<Tree> {
    let mut tree = Tree::of(DeleteOptions::TYPE);
    let mut edit = tree.edit();
    if let Some(text) = query.get("gracePeriodSeconds") {
        edit.set(DeleteOptions::GRACE_PERIOD_SECONDS, parse_int(text)?);
    }
    for (name, field) in [("uid", Preconditions::UID), ("resourceVersion", Preconditions::RESOURCE_VERSION)] {
        if let Some(value) = query.get(name).filter(|value| !value.is_empty()) {
            edit.ensure(DeleteOptions::PRECONDITIONS).set(field, value);
        }
    }
    if query.get("orphanDependents").is_some() {
        edit.set(DeleteOptions::ORPHAN_DEPENDENTS, query.flag("orphanDependents"));
    }
    if let Some(policy) = query.get("propagationPolicy") {
        edit.set(DeleteOptions::PROPAGATION_POLICY, policy);
    }
    let values: Vec<_> = query.all("dryRun").map(|value| tree.string(value)).collect();
    if !values.is_empty() {
        let list = tree.list(&values);
        tree.edit().put(DeleteOptions::DRY_RUN, list);
    }
    Ok(tree)
}

fn parse_int(text: &str) -> Result<i64> {
    text.parse().map_err(|error: ParseIntError| {
        let problem = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: {problem}"))
    })
}
