//! A CustomResourceDefinition, compiled: names, and for each version what serving its objects takes.

use std::borrow::Cow;
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
    group: Arc<str>,
    names: Names,
    namespaced: bool,
    storage_version: Arc<str>,
    /// Those that are served, and the one that is stored.
    versions: Vec<Arc<Version>>,
    /// The labels of every version, each once.
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
    schema: Arc<Schema>,
    storage_schema: Arc<Schema>,
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
        let no_schema = |_: CustomResourceDefinitionVersion<'_>| Ok(Arc::new(Schema::default()));
        Definition::with(CustomResourceDefinition::from_struct(crd.as_struct()), &no_schema, true)
    }

    fn with(
        crd: CustomResourceDefinition<'_>,
        schema_of: &dyn Fn(CustomResourceDefinitionVersion<'_>) -> Result<Arc<Schema>, String>,
        bare: bool,
    ) -> Result<Definition, String> {
        let spec = crd.spec();
        let accepted = crd.status().accepted_names();
        let names = Names::of(if accepted.plural().is_empty() { spec.names() } else { accepted });
        let storage = spec.versions().iter().find(|version| version.storage());
        let storage = storage.ok_or_else(|| format!("{} has no storage version", crd.metadata().name()))?;
        let storage_schema = schema_of(storage)?;
        let mut versions = Vec::new();
        for version in spec.versions().iter().filter(|version| version.served() || version.storage()) {
            let schema = if version.storage() { Arc::clone(&storage_schema) } else { schema_of(version)? };
            let mut version = Version::compile(crd, &names, version, schema, &storage_schema);
            if bare {
                (version.preserves_everything, version.served) = (true, false);
            }
            versions.push(Arc::new(version));
        }
        let mut selectable: Vec<SelectableField> = Vec::new();
        for field in versions.iter().flat_map(|version| &version.selectable) {
            if !selectable.iter().any(|known| known.label == field.label) {
                selectable.push(field.clone());
            }
        }
        Ok(Definition {
            group: spec.group().into(),
            names,
            namespaced: spec.scope() == "Namespaced",
            storage_version: storage.name().into(),
            versions,
            selectable,
        })
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

    /// The versions that are served, and the one that is kept, in the definition's order.
    pub fn versions(&self) -> &[Arc<Version>] {
        &self.versions
    }

    pub fn version(&self, name: &str) -> Option<&Arc<Version>> {
        self.versions.iter().find(|version| &*version.name == name)
    }

    pub(crate) fn storage(&self) -> &Arc<Version> {
        self.versions.iter().find(|version| version.is_storage).expect("compile has found the storage version")
    }

    /// The field labels of all versions: what a storage indexes.
    pub fn selectable(&self) -> &[SelectableField] {
        &self.selectable
    }
}

fn schema_of(version: CustomResourceDefinitionVersion<'_>) -> Result<Arc<Schema>, String> {
    let props = version.schema().and_then(|schema| schema.open_api_v3_schema());
    let mut schema = props.map(Schema::compile).transpose()?.unwrap_or_default();
    crate::custom_resource_definition::prune_defaults(&mut schema);
    Ok(Arc::new(schema))
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
        schema: Arc<Schema>,
        storage_schema: &Arc<Schema>,
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
            storage_schema: Arc::clone(storage_schema),
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

    pub fn is_storage(&self) -> bool {
        self.is_storage
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

    /// An object of the storage version in this one.
    pub fn serve(&self, mut tree: Tree) -> Tree {
        if has_api_version(&tree, &self.api_version) {
            return tree;
        }
        set_api_version(&mut tree, &self.api_version);
        self.shape(&mut tree, &self.schema);
        tree
    }

    /// An object of this version in the one that is kept.
    pub fn to_storage(&self, mut tree: Tree, api_version: &str) -> Tree {
        if has_api_version(&tree, api_version) {
            return tree;
        }
        self.convert(&mut tree, api_version);
        // Upstream stores it without them, and whoever reads it from there finds them.
        let root = tree.root_id();
        shape::default(&mut tree, root, &self.storage_schema);
        tree
    }

    /// Makes an object of this version one of the version that is kept, without defaults.
    pub(crate) fn convert(&self, tree: &mut Tree, api_version: &str) {
        set_api_version(tree, api_version);
        self.shape(tree, &self.storage_schema);
    }

    /// Drops what a schema does not know, and normalises embedded metadata, without complaint.
    fn shape(&self, tree: &mut Tree, schema: &Schema) {
        let root = tree.root_id();
        if !self.preserves_everything {
            shape::prune_root(tree, schema);
            shape::prune_nulls(tree, root, schema);
        }
        // With malformed fields dropped there is no error.
        let _ = embedded::coerce(tree, root, schema, Malformed::Drop);
    }

    /// What is read from storage as upstream reads it: pruned, repaired, with defaults.
    pub fn read_stored(&self, tree: &mut Tree) {
        self.shape(tree, &self.schema);
        self.default(tree);
    }

    pub fn default(&self, tree: &mut Tree) {
        let root = tree.root_id();
        shape::default(tree, root, &self.schema);
    }

    /// Drops what this version does not know from a request's object. What was dropped is told as strict decoding
    /// tells it: `unknown field "spec.unknown"`. An error, in upstream's words, says that an embedded resource is
    /// malformed.
    pub fn decode(&self, tree: &mut Tree) -> Result<Vec<String>, String> {
        let root = tree.root_id();
        let mut unknown = Vec::new();
        if !self.preserves_everything {
            unknown = shape::prune_root(tree, &self.schema);
            shape::prune_nulls(tree, root, &self.schema);
        }
        let coerced = embedded::coerce(tree, root, &self.schema, Malformed::Refuse);
        unknown.extend(coerced.map_err(|error| error.to_string())?);
        Ok(unknown.into_iter().map(|path| format!("unknown field \"{path}\"")).collect())
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

    pub fn scale(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// The field labels that this version can be selected by.
    pub fn selectable(&self) -> &[SelectableField] {
        &self.selectable
    }
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
pub(crate) fn repair_generation(tree: &mut Tree) {
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
