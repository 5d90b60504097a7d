//! What is served: a row for each resource of each version, and what its versions share beneath.
//!
//! Rows of built-in resources come from the schema tables and the table of kinds, those of custom resources from their
//! definitions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use corten_custom::{CustomStrategy, Definition};
use corten_kinds::columns::{self, Printer};
use corten_kinds::rows::Row;
use corten_kinds::strategy::{Plain, Strategy};
use corten_object::defaults::Plan;
use corten_object::json;
use corten_object::managed::Reset;
use corten_schema::{self as schema, TypeId};

use crate::cache::Cache;
use crate::serving::Serving;
use crate::watch::LastFrame;

/// One version of a resource.
pub struct Resource {
    pub group: Arc<str>,
    pub version: Arc<str>,
    pub plural: Arc<str>,
    pub singular: Arc<str>,
    pub kind: Arc<str>,
    pub list_kind: Arc<str>,
    pub namespaced: bool,
    pub verbs: Box<[&'static str]>,
    pub short_names: Box<[Arc<str>]>,
    pub categories: Box<[Arc<str>]>,
    pub subresources: Box<[Subresource]>,
    pub storage_version_hash: Arc<str>,
    pub form: json::Form,
    /// Plain defaults of this version.
    pub defaults: Plan,
    /// None for what is only asked, never kept (reviews, bindings).
    pub storage: Option<Arc<Storage>>,
    pub custom: Option<Arc<corten_custom::Version>>,
    /// What watches have in common.
    pub last_frame: LastFrame,
}

#[derive(Debug, Clone)]
pub struct Subresource {
    pub name: &'static str,
    pub kind: Arc<str>,
    /// Group and version of its kind, where they are not the resource's.
    pub group_version: Option<(&'static str, &'static str)>,
    pub verbs: Box<[&'static str]>,
}

/// What the versions of a resource share: how and where it is kept, and its kind's own rules.
pub struct Storage {
    pub group: Arc<str>,
    pub plural: Arc<str>,
    pub namespaced: bool,
    /// `/registry/pods/`.
    pub prefix: Arc<str>,
    /// The version that everything works on.
    pub hub: Hub,
    /// How the store holds it, where that is not the hub version in the usual encoding.
    pub kept: Kept,
    pub rules: Rules,
    /// What Tables show, where it is not what every kind shows.
    pub printer: Option<&'static Printer>,
    /// Field labels beyond metadata.name and metadata.namespace, in the order of an object's `fields`.
    pub selectable: Box<[Arc<str>]>,
    pub cache: Arc<Cache>,
    pub lifetime: Lifetime,
    /// Whether the answer to a delete that is done shows the object, not only a success.
    pub returns_deleted: bool,
    /// The requests that are being answered from it.
    pub serving: Serving,
}

/// Group, kind, and the warning, of the served kinds that upstream has deprecated.
const DEPRECATED: [(&str, &str, &str); 2] = [
    ("", "ComponentStatus", "v1 ComponentStatus is deprecated in v1.19+"),
    ("", "Endpoints", "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
];

pub struct Hub {
    pub version: Arc<str>,
    pub kind: Arc<str>,
    /// `apps/v1`.
    pub api_version: Arc<str>,
    pub form: json::Form,
    pub defaults: Plan,
}

/// How upstream keeps objects on etcd, where it is not as the hub version's protobuf.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// Another version, which is not served: that of the schema tables.
    pub version: Option<&'static schema::Kind>,
    /// In JSON, though the kind has protobuf.
    pub json: bool,
}

/// The groups that upstream serves by servers of their own inside of its own, which keep JSON.
const KEPT_AS_JSON: [&str; 2] = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

/// How long what is written stays, and how surely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    Durable,
    /// Durable, but for a renewal by its holder.
    Lease,
    /// Gone after a while, and cheap to lose.
    Event {
        ttl: Duration,
    },
}

/// A kind's own rules.
pub enum Rules {
    BuiltIn(&'static dyn Strategy),
    Custom(Arc<CustomStrategy>),
}

impl Rules {
    /// The rules for the resource itself (`""`) or a subresource.
    pub fn of(&self, subresource: &str) -> &dyn Strategy {
        let main: &dyn Strategy = match self {
            Rules::BuiltIn(strategy) => *strategy,
            Rules::Custom(strategy) => strategy.as_ref(),
        };
        if subresource.is_empty() { main } else { main.subresource(subresource).unwrap_or(main) }
    }
}

impl Resource {
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// The paths that a write through this version, or through a subresource of it, never owns.
    pub fn reset_fields(&self, subresource: &str) -> Reset<'_> {
        match (&self.custom, &self.storage) {
            (Some(custom), _) => custom.reset_fields(subresource),
            (None, Some(storage)) => storage.rules.of(subresource).reset_fields(),
            (None, None) => &[],
        }
    }

    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|row| row.name == name)
    }

    /// Whether requests come in the version that is kept.
    pub fn is_hub(&self) -> bool {
        self.storage.as_ref().is_none_or(|storage| storage.hub.version == self.version && storage.group == self.group)
    }

    pub fn type_id(&self) -> Option<TypeId> {
        match self.form {
            json::Form::Typed(ty) => Some(ty),
            _ => None,
        }
    }

    /// What every request for a version that is on its way out is warned of.
    pub fn deprecation_warning(&self) -> Option<&str> {
        if let Some(custom) = &self.custom {
            return custom.deprecation_warning();
        }
        let named = |row: &&(&str, &str, &str)| row.0 == &*self.group && row.1 == &*self.kind;
        DEPRECATED.iter().find(named).map(|row| row.2)
    }

    /// Whether this or a subresource can be shown as a Table; upstream forgot some.
    pub fn shows_tables(&self, subresource: &str) -> bool {
        const WITHOUT: [(&str, &str, &str); 10] = [
            ("", "pods", "ephemeralcontainers"),
            ("", "pods", "resize"),
            ("", "pods", "binding"),
            ("", "pods", "eviction"),
            ("", "serviceaccounts", "token"),
            ("", "namespaces", "finalize"),
            ("certificates.k8s.io", "certificatesigningrequests", "approval"),
            ("resource.k8s.io", "resourceclaims", "status"),
            ("apiextensions.k8s.io", "customresourcedefinitions", "status"),
            ("apiregistration.k8s.io", "apiservices", "status"),
        ];
        let without = || WITHOUT.contains(&(&*self.group, &*self.plural, subresource));
        self.storage.is_some() && (subresource.is_empty() || !without())
    }

    pub fn go_type(&self) -> String {
        if self.is_custom() { "*unstructured.Unstructured".to_owned() } else { go_type(&self.group, &self.kind) }
    }

    pub fn is_custom(&self) -> bool {
        self.custom.is_some()
    }
}

/// What upstream's messages call the type of a kind.
pub fn go_type(group: &str, kind: &str) -> String {
    let package = match group.split('.').next().unwrap_or_default() {
        "" | "events" => "core",
        first => first,
    };
    format!("*{package}.{kind}")
}

pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

impl Storage {
    /// The key in the store of `namespace/name` or `name`.
    pub fn store_key(&self, key: &str) -> Arc<str> {
        format!("{}{key}", self.prefix).into()
    }

    pub fn object_key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced { format!("{namespace}/{name}") } else { name.to_owned() }
    }

    pub fn strategy(&self) -> &dyn Strategy {
        self.rules.of("")
    }

    /// The definition of a custom resource.
    pub fn definition(&self) -> Option<&Definition> {
        match &self.rules {
            Rules::Custom(strategy) => Some(strategy.definition()),
            Rules::BuiltIn(_) => None,
        }
    }

    pub fn is_custom(&self) -> bool {
        matches!(self.rules, Rules::Custom(_))
    }
}

/// The rows of the built-in resources that are served by default. `cache` makes the cache of a storage.
pub fn built_in(rows: &[&'static [Row]], cache: &dyn Fn(Option<usize>) -> Arc<Cache>) -> Vec<Arc<Resource>> {
    let mut storages: HashMap<&'static str, Arc<Storage>> = HashMap::new();
    let mut resources = Vec::new();
    for facts in schema::RESOURCES.iter().filter(|facts| facts.served_by_default) {
        let Some(kind) = schema::kind(facts.group, facts.version, facts.kind) else { continue };
        let storage = facts.persisted.then(|| {
            let made = storages.entry(facts.storage_prefix).or_insert_with(|| Arc::new(storage_of(facts, rows, cache)));
            Arc::clone(made)
        });
        resources.push(Arc::new(Resource {
            group: facts.group.into(),
            version: facts.version.into(),
            plural: facts.plural.into(),
            singular: facts.singular.into(),
            kind: facts.kind.into(),
            list_kind: format!("{}List", facts.kind).into(),
            namespaced: facts.namespaced,
            verbs: facts.verbs.into(),
            short_names: facts.short_names.iter().map(|&name| name.into()).collect(),
            categories: facts.categories.iter().map(|&name| name.into()).collect(),
            subresources: facts.subresources.iter().map(subresource_of).collect(),
            storage_version_hash: facts.storage_version_hash.into(),
            form: json::Form::Typed(kind.ty),
            defaults: defaults_of(facts.group, facts.version, facts.kind, kind.ty),
            storage,
            custom: None,
            last_frame: LastFrame::default(),
        }));
    }
    resources
}

fn subresource_of(facts: &'static schema::Subresource) -> Subresource {
    let group_version = (!facts.version.is_empty()).then_some((facts.group, facts.version));
    Subresource { name: facts.name, kind: facts.kind.into(), group_version, verbs: facts.verbs.into() }
}

fn storage_of(
    facts: &'static schema::Resource,
    rows: &[&'static [Row]],
    cache: &dyn Fn(Option<usize>) -> Arc<Cache>,
) -> Storage {
    // Both groups of events are kept as the core group's; what names the storage is the group that is kept.
    let row = rows.iter().copied().flatten().find(|row| {
        row.group == facts.group && row.resource == facts.plural
            || row.group == facts.storage_group && row.resource == facts.plural
    });
    static PLAIN: Plain = Plain;
    let strategy: &'static dyn Strategy = row.map_or(&PLAIN, |row| row.strategy);
    let selectable: Box<[Arc<str>]> =
        row.map_or(Box::default(), |row| row.selectable.iter().map(|&label| label.into()).collect());
    let dispatch_field = selectable.iter().position(|label| &**label == "spec.nodeName");
    let served = schema::RESOURCES
        .iter()
        .any(|row| row.served_by_default && row.group == facts.storage_group && row.version == facts.storage_version);
    let kept = schema::kind(facts.storage_group, facts.storage_version, facts.kind);
    let hub = kept
        // What upstream keeps in a version that is not served is worked on in the one that is.
        .filter(|_| served)
        .or_else(|| schema::kind(facts.group, facts.version, facts.kind))
        .expect("a row that is served names a kind of the tables");
    Storage {
        group: facts.storage_group.into(),
        plural: facts.plural.into(),
        namespaced: facts.namespaced,
        prefix: facts.storage_prefix.into(),
        hub: Hub {
            version: hub.version.into(),
            kind: hub.kind.into(),
            api_version: api_version(hub.group, hub.version).into(),
            form: json::Form::Typed(hub.ty),
            defaults: defaults_of(hub.group, hub.version, hub.kind, hub.ty),
        },
        kept: Kept { version: kept.filter(|_| !served), json: KEPT_AS_JSON.contains(&facts.storage_group) },
        rules: Rules::BuiltIn(strategy),
        printer: columns::printer(facts.storage_group, facts.plural),
        selectable,
        cache: cache(dispatch_field),
        lifetime: match facts.storage_prefix {
            "/registry/events/" => Lifetime::Event { ttl: Duration::from_secs(3600) },
            "/registry/leases/" => Lifetime::Lease,
            _ => Lifetime::Durable,
        },
        returns_deleted: facts.kind == "Namespace" || schema::is_shown_when_deleted(facts.storage_group, facts.plural),
        serving: Serving::default(),
    }
}

fn defaults_of(group: &'static str, version: &'static str, kind: &'static str, ty: TypeId) -> Plan {
    let of_kind = |row: &&schema::Default| row.group == group && row.version == version && row.kind == kind;
    Plan::new(ty, schema::DEFAULTS.iter().filter(of_kind))
}
