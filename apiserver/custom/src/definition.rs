//! A CustomResourceDefinition, compiled: names, and for each version what serving its objects takes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use corten_kinds::table::Row;
use corten_object::tree::{Node, Tree, Value, View};
use corten_object::typing::{Structural, TypeRef};
use corten_views::apiextensions_v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale,
};
use corten_views::meta_v1::ObjectMeta;

use crate::columns::Columns;
use crate::embedded::{self, Malformed};
use crate::json_path::{Found, JsonPath};
use crate::scale::{Scale, go_value};
use crate::schema::Schema;
use crate::{shape, typing};

/// A definition as it is served.
pub struct Definition {
    uid: Box<str>,
    group: Arc<str>,
    names: Names,
    namespaced: bool,
    storage_version: Arc<str>,
    /// All of them: objects may be kept in a version that is not served any more.
    versions: Vec<Arc<Version>>,
    /// The labels of every served version, each once.
    selectable: Vec<SelectableField>,
}

/// What a resource is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub plural: Arc<str>,
    pub singular: Arc<str>,
    pub kind: Arc<str>,
    pub list_kind: Arc<str>,
    pub short_names: Box<[Arc<str>]>,
    pub categories: Box<[Arc<str>]>,
}

/// A field that objects can be selected by.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectableField {
    /// `spec.color`.
    pub label: Arc<str>,
    path: JsonPath,
}

pub struct Version {
    name: Arc<str>,
    /// `example.com/v1`.
    api_version: Arc<str>,
    kind: Arc<str>,
    served: bool,
    is_storage: bool,
    deprecation_warning: Option<String>,
    schema: Schema,
    /// None for a version without a schema.
    structural: Option<Structural>,
    /// `spec.preserveUnknownFields` of old.
    preserves_everything: bool,
    has_status: bool,
    scale: Option<Scale>,
    columns: Columns,
    selectable: Vec<SelectableField>,
}

impl Definition {
    /// Compiles what validation has let pass. Names are those that were accepted, once there are any.
    pub fn compile(crd: Node<'_>) -> Result<Definition, String> {
        Definition::with(CustomResourceDefinition::from_struct(crd.as_struct()), &schema_of, false)
    }

    /// The same without schemas, under which objects stay as they are, and with no version served: what is needed to
    /// delete the objects of a definition that does not compile.
    pub fn without_schemas(crd: Node<'_>) -> Result<Definition, String> {
        let no_schema = |_: CustomResourceDefinitionVersion<'_>| Ok(Schema::default());
        Definition::with(CustomResourceDefinition::from_struct(crd.as_struct()), &no_schema, true)
    }

    fn with(
        crd: CustomResourceDefinition<'_>,
        schema_of: &dyn Fn(CustomResourceDefinitionVersion<'_>) -> Result<Schema, String>,
        bare: bool,
    ) -> Result<Definition, String> {
        let spec = crd.spec();
        let accepted = crd.status().accepted_names();
        let names = Names::of(if accepted.plural().is_empty() { spec.names() } else { accepted });
        let storage = spec.versions().iter().find(|version| version.storage());
        let storage = storage.ok_or_else(|| format!("{} has no storage version", crd.metadata().name()))?;
        let compile = |version: CustomResourceDefinitionVersion<'_>| {
            let mut compiled = Version::compile(crd, &names, version, schema_of(version)?);
            if bare {
                (compiled.preserves_everything, compiled.served) = (true, false);
            }
            Ok(Arc::new(compiled))
        };
        let versions = spec.versions().iter().map(compile).collect::<Result<Vec<_>, String>>()?;
        let fields = versions.iter().filter(|version| version.served).flat_map(|version| &version.selectable);
        let mut seen = HashSet::new();
        let selectable = fields.filter(|field| seen.insert(&field.label)).cloned().collect();
        Ok(Definition {
            uid: crd.metadata().uid().into(),
            group: spec.group().into(),
            names,
            namespaced: spec.scope() == "Namespaced",
            storage_version: storage.name().into(),
            versions,
            selectable,
        })
    }

    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `widgets.example.com`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.names.plural, self.group)
    }

    pub fn group(&self) -> &Arc<str> {
        &self.group
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    pub fn namespaced(&self) -> bool {
        self.namespaced
    }

    /// The version in which objects are kept.
    pub fn storage_version(&self) -> &Arc<str> {
        &self.storage_version
    }

    /// All versions, in the definition's order.
    pub fn versions(&self) -> &[Arc<Version>] {
        &self.versions
    }

    pub fn version(&self, name: &str) -> Option<&Arc<Version>> {
        self.versions.iter().find(|version| &*version.name == name)
    }

    pub(crate) fn storage(&self) -> &Arc<Version> {
        self.versions.iter().find(|version| version.is_storage).expect("compile has found the storage version")
    }

    /// Drops what the version that an object of a request says it is of does not know; see [`Version::decode`]. Nothing
    /// is known of a version that the definition does not have.
    pub fn decode(&self, object: &mut Tree) -> Result<Vec<String>, String> {
        let version = self.version_named(object);
        if let Some(version) = version {
            return version.decode(object);
        }
        let of_group = object.root().get("apiVersion").and_then(|node| node.as_str().split_once('/'));
        let is_own = of_group.is_some_and(|(group, _)| group == &*self.group)
            && object.root().get("kind").is_some_and(|kind| kind.as_str() == &*self.names.kind);
        if !is_own || self.storage().preserves_everything {
            return Ok(Vec::new());
        }
        Ok(unknown_fields(shape::prune_root(object, &Schema::default())))
    }

    /// The version that an object says it is of.
    fn version_named(&self, object: &Tree) -> Option<&Version> {
        let api_version = object.root().get("apiVersion").map_or("", Node::as_str);
        self.versions.iter().find(|version| *version.api_version == *api_version).map(Arc::as_ref)
    }

    /// Makes of stored bytes what upstream reads: pruned, repaired and defaulted by the schema of the version that the
    /// object was stored in. The object stays in that version. Upstream cannot read a version that is gone from the
    /// definition; here the storage version stands in for it.
    pub fn read(&self, object: &mut Tree) {
        self.version_named(object).unwrap_or_else(|| self.storage()).read_stored(object);
        repair_generation(object);
    }

    /// What the store is given for an object of any version: the storage version, without the fields that this one
    /// does not know. Its defaults are not stored.
    pub fn stored<'t>(&self, object: &'t Tree) -> Cow<'t, Tree> {
        let storage = self.storage();
        if has_api_version(object, &storage.api_version) {
            return Cow::Borrowed(object);
        }
        Cow::Owned(storage.convert(object.clone()))
    }

    /// What is read from the store after it was given this object of the storage version.
    pub fn reread<'t>(&self, stored: &'t Tree) -> Cow<'t, Tree> {
        let storage = self.storage();
        if storage.is_as_read(stored.root()) {
            return Cow::Borrowed(stored);
        }
        let mut read = stored.clone();
        storage.read_stored(&mut read);
        Cow::Owned(read)
    }

    /// The field labels of all served versions: what a storage indexes.
    pub fn selectable(&self) -> &[SelectableField] {
        &self.selectable
    }
}

fn schema_of(version: CustomResourceDefinitionVersion<'_>) -> Result<Schema, String> {
    let props = version.schema().and_then(|schema| schema.open_api_v3_schema());
    let mut schema = props.map(Schema::compile).transpose()?.unwrap_or_default();
    crate::custom_resource_definition::prune_defaults(&mut schema);
    Ok(schema)
}

impl Names {
    fn of(names: CustomResourceDefinitionNames<'_>) -> Names {
        Names {
            plural: names.plural().into(),
            singular: names.singular().into(),
            kind: names.kind().into(),
            list_kind: names.list_kind().into(),
            short_names: names.short_names().iter().map(Into::into).collect(),
            categories: names.categories().iter().map(Into::into).collect(),
        }
    }
}

impl SelectableField {
    /// The value of an object, "" where it has none.
    pub fn value<'t>(&self, object: Node<'t>) -> Cow<'t, str> {
        let found = self.path.find(object).ok().and_then(|found| found.into_iter().next());
        match found {
            Some(Found::Node(node)) => match node.0.value() {
                Value::Null => Cow::Borrowed(""),
                Value::Str(text) => Cow::Borrowed(text),
                _ => Cow::Owned(go_value(node.0)),
            },
            Some(constant) => Cow::Owned(constant.print()),
            None => Cow::Borrowed(""),
        }
    }
}

impl Version {
    fn compile(
        crd: CustomResourceDefinition<'_>,
        names: &Names,
        version: CustomResourceDefinitionVersion<'_>,
        schema: Schema,
    ) -> Version {
        let spec = crd.spec();
        let api_version = format!("{}/{}", spec.group(), version.name());
        let deprecation_warning = version.deprecated().then(|| match version.deprecation_warning() {
            Some(own) => own.to_owned(),
            None => default_deprecation_warning(crd, version.name()),
        });
        let selectable = version.selectable_fields().iter().filter_map(|field| {
            let path = field.json_path();
            let label = path.strip_prefix('.').unwrap_or(path).into();
            Some(SelectableField { label, path: JsonPath::parse(path).ok()? })
        });
        let subresources = version.subresources();
        Version {
            name: version.name().into(),
            api_version: api_version.into(),
            kind: Arc::clone(&names.kind),
            served: version.served(),
            is_storage: version.storage(),
            deprecation_warning,
            schema,
            structural: version.schema().and_then(|schema| schema.open_api_v3_schema()).map(typing::structural),
            preserves_everything: spec.preserve_unknown_fields(),
            has_status: subresources.is_some_and(|subresources| subresources.status().is_some()),
            scale: subresources.and_then(|subresources| subresources.scale()).map(scale_of),
            columns: Columns::compile(version),
            selectable: selectable.collect(),
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// `example.com/v1`.
    pub fn api_version(&self) -> &Arc<str> {
        &self.api_version
    }

    pub fn kind(&self) -> &Arc<str> {
        &self.kind
    }

    pub fn served(&self) -> bool {
        self.served
    }

    /// What every request of a deprecated version is answered with, beside its answer.
    pub fn deprecation_warning(&self) -> Option<&str> {
        self.deprecation_warning.as_deref()
    }

    /// What apply and managedFields know of this version's objects.
    pub fn typing(&self) -> TypeRef<'_> {
        self.structural.as_ref().map_or(TypeRef::deduced(), TypeRef::custom)
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// An object of any version in this one, as upstream reads it: without what this one does not know, and without its
    /// defaults.
    pub fn serve(&self, tree: Tree) -> Tree {
        if has_api_version(&tree, &self.api_version) { tree } else { self.convert(tree) }
    }

    fn convert(&self, mut tree: Tree) -> Tree {
        set_api_version(&mut tree, &self.api_version);
        self.shape(&mut tree);
        tree
    }

    /// Drops what the schema does not know, and normalises embedded metadata, without complaint.
    fn shape(&self, tree: &mut Tree) {
        let root = tree.root_id();
        if !self.preserves_everything {
            shape::prune_root(tree, &self.schema);
            shape::prune_nulls(tree, root, &self.schema);
        }
        // With malformed fields dropped there is no error.
        let _ = embedded::coerce(tree, root, &self.schema, Malformed::Drop);
    }

    fn read_stored(&self, tree: &mut Tree) {
        self.shape(tree);
        self.default(tree);
    }

    /// Whether reading this from the store would change nothing.
    fn is_as_read(&self, object: Node<'_>) -> bool {
        !self.schema.deep_embedded
            && (self.preserves_everything || shape::is_shaped(object, &self.schema))
            && !shape::lacks_defaults(object, &self.schema)
    }

    pub fn default(&self, tree: &mut Tree) {
        let root = tree.root_id();
        if self.is_of_kind(tree) {
            shape::default(tree, root, &self.schema);
        }
    }

    /// The schema says nothing about an object that says it is of another kind. Such an object is refused later.
    fn is_of_kind(&self, tree: &Tree) -> bool {
        tree.root().get("kind").is_some_and(|kind| kind.as_str() == &*self.kind)
    }

    /// Drops what this version does not know from a request's object. What was dropped is told as strict decoding
    /// tells it: `unknown field "spec.unknown"`. An error, in upstream's words, says that an embedded resource is
    /// malformed.
    pub fn decode(&self, tree: &mut Tree) -> Result<Vec<String>, String> {
        if !self.is_of_kind(tree) {
            return Ok(Vec::new());
        }
        let root = tree.root_id();
        let mut unknown = Vec::new();
        if !self.preserves_everything {
            unknown = shape::prune_root(tree, &self.schema);
            shape::prune_nulls(tree, root, &self.schema);
        }
        let coerced = embedded::coerce(tree, root, &self.schema, Malformed::Refuse);
        unknown.extend(coerced.map_err(|error| error.to_string())?);
        Ok(unknown_fields(unknown))
    }

    pub fn row(&self, object: Node<'_>) -> Row {
        self.columns.row(object)
    }

    /// `"columnDefinitions":[...]`.
    pub fn write_columns(&self, out: &mut Vec<u8>) {
        self.columns.write(out);
    }

    pub fn has_status(&self) -> bool {
        self.has_status
    }

    /// The paths that a write through this version, or through a subresource of it, never owns.
    pub fn reset_fields(&self, subresource: &str) -> &'static [&'static [&'static str]] {
        match subresource {
            "" if self.has_status => &[&["status"]],
            "status" if self.has_status => &[&["metadata"], &["spec"]],
            _ => &[],
        }
    }

    pub fn scale(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// The field labels that this version can be selected by.
    pub fn selectable(&self) -> &[SelectableField] {
        &self.selectable
    }
}

fn unknown_fields(paths: Vec<String>) -> Vec<String> {
    paths.into_iter().map(|path| format!("unknown field \"{path}\"")).collect()
}

fn scale_of(scale: CustomResourceSubresourceScale<'_>) -> Scale {
    Scale {
        spec_replicas_path: scale.spec_replicas_path().into(),
        status_replicas_path: scale.status_replicas_path().into(),
        label_selector_path: scale.label_selector_path().map(Into::into),
    }
}

fn has_api_version(tree: &Tree, api_version: &str) -> bool {
    tree.root().get("apiVersion").is_some_and(|node| node.as_str() == api_version)
}

fn set_api_version(tree: &mut Tree, api_version: &str) {
    if matches!(tree.root().value(), Value::Map(_)) {
        let root = tree.root_id();
        let value = tree.string(api_version);
        tree.set_key(root, "apiVersion", value);
    }
}

/// Repairs what very old servers stored without a generation.
fn repair_generation(tree: &mut Tree) {
    let root = tree.root_id();
    if let Some(meta) = tree.get(root, "metadata").filter(|&meta| tree.type_of(meta) == Some(ObjectMeta::TYPE)) {
        let mut meta = tree.edit_at(meta);
        if meta.view::<ObjectMeta>().generation() == 0 {
            meta.set(ObjectMeta::GENERATION, 1);
        }
    }
}

/// Names the best version to go to: the newest of those that are served, not deprecated, and newer than this one.
fn default_deprecation_warning(crd: CustomResourceDefinition<'_>, deprecated: &str) -> String {
    let spec = crd.spec();
    let (group, kind) = (spec.group(), spec.names().kind());
    let message = format!("{group}/{deprecated} {kind} is deprecated");
    let newer = spec.versions().iter().filter(|version| version.served() && !version.deprecated());
    let newer = newer.map(|version| version.name());
    let newer = newer.filter(|name| compare_versions(deprecated, name) == std::cmp::Ordering::Less);
    match newer.max_by(|a, b| compare_versions(a, b)) {
        Some(newest) => format!("{message}; use {group}/{newest} {kind}"),
        None => message,
    }
}

/// `v1` before `v1beta2` before `v1alpha1` before anything else, by its name turned round: greater is better.
pub(crate) fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    match (version_rank(a), version_rank(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => std::cmp::Ordering::Greater,
        (None, Some(_)) => std::cmp::Ordering::Less,
        (None, None) => b.cmp(a),
    }
}

/// Stability, major and minor of `v2beta3`.
fn version_rank(name: &str) -> Option<(u8, u64, u64)> {
    let rest = name.strip_prefix('v')?;
    let number = |text: &str| {
        let sound = text.starts_with(|c: char| matches!(c, '1'..='9')) && text.bytes().all(|b| b.is_ascii_digit());
        if sound { text.parse::<u64>().ok() } else { None }
    };
    for (word, rank) in [("alpha", 0), ("beta", 1)] {
        if let Some((major, minor)) = rest.split_once(word) {
            let minor = if minor.is_empty() { 0 } else { number(minor)? };
            return Some((rank, number(major)?, minor));
        }
    }
    Some((2, number(rest)?, 0))
}
