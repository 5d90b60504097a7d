use std::collections::BTreeMap;

use corten_custom::{CustomStrategy, Definition};
use corten_object::defaults::Plan;
use corten_object::json;
use corten_openapi::Documents;
use serde_json::json;

use super::*;
use crate::cache::{Cache, Objects};
use crate::resource::{Hub, Kept, Lifetime, Rules, Subresource, built_in};
use crate::serving::Serving;
use crate::watch::LastFrame;

fn cache(dispatch_field: Option<usize>) -> Arc<Cache> {
    Arc::new(Cache::new(Objects::new(), 0, Arc::default(), dispatch_field))
}

fn empty() -> Registry {
    let rows: Vec<_> = corten_schema::RESOURCES.iter().filter(|row| row.served_by_default).collect();
    Registry::new(built_in(&crate::server::rows(), &cache), Documents::new(&rows))
}

/// What a definition has: `GROUP/PLURAL: VERSIONS`, the first of which is stored; one that ends with `s` has a status.
struct Made {
    name: String,
    resources: Vec<Arc<Resource>>,
    kinds: Vec<CustomKind>,
}

fn make(text: &str) -> Made {
    let (home, versions) = text.split_once(": ").expect("GROUP/PLURAL: VERSIONS");
    let (group, plural) = home.split_once('/').expect("GROUP/PLURAL");
    let versions: Vec<&str> = versions.split(' ').collect();
    let kind = plural[..1].to_uppercase() + plural[1..].trim_end_matches('s');
    let tree = definition(group, plural, &kind, &versions);
    let definition = Arc::new(Definition::compile(tree.root()).expect("a sound definition"));
    let storage = Arc::new(storage(&definition));
    let resources: Vec<Arc<Resource>> =
        definition.versions().iter().map(|version| Arc::new(resource(&definition, version, &storage))).collect();
    let kinds = resources.iter().filter_map(|row| crate::openapi::custom_kind(tree.root(), row)).collect();
    Made { name: format!("{plural}.{group}"), resources, kinds }
}

fn definition(group: &str, plural: &str, kind: &str, versions: &[&str]) -> corten_object::tree::Tree {
    let version = |(place, name): (usize, &&str)| {
        let mut version = json!({
            "name": name, "served": true, "storage": place == 0,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "string"}}}},
        });
        if name.ends_with('s') {
            version["subresources"] = json!({"status": {}});
        }
        version
    };
    let text = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural, "kind": kind, "listKind": format!("{kind}List")},
            "versions": versions.iter().enumerate().map(version).collect::<Vec<_>>(),
        },
    });
    let ty = corten_schema::kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition").expect("the kind").ty;
    json::parse(text.to_string().into_bytes(), json::Form::Typed(ty)).expect("JSON").tree
}

fn storage(definition: &Arc<Definition>) -> Storage {
    let (group, names) = (definition.group(), definition.names());
    Storage {
        group: Arc::clone(group),
        plural: Arc::clone(&names.plural),
        namespaced: true,
        prefix: format!("/registry/{group}/{}/", names.plural).into(),
        hub: Hub {
            version: Arc::clone(definition.storage_version()),
            kind: Arc::clone(&names.kind),
            api_version: format!("{group}/{}", definition.storage_version()).into(),
            form: json::Form::Plain,
            defaults: Plan::none(),
        },
        kept: Kept::default(),
        rules: Rules::Custom(Arc::new(CustomStrategy::new(Arc::clone(definition)))),
        printer: None,
        selectable: Box::default(),
        cache: cache(None),
        lifetime: Lifetime::Durable,
        returns_deleted: false,
        serving: Serving::default(),
    }
}

fn resource(definition: &Definition, version: &Arc<corten_custom::Version>, storage: &Arc<Storage>) -> Resource {
    let names = definition.names();
    let status = version.has_status().then(|| Subresource {
        name: "status",
        kind: Arc::clone(&names.kind),
        group_version: None,
        verbs: ["get", "patch", "update"].into(),
    });
    Resource {
        group: Arc::clone(definition.group()),
        version: Arc::clone(version.name()),
        plural: Arc::clone(&names.plural),
        singular: Arc::clone(&names.singular),
        kind: Arc::clone(&names.kind),
        list_kind: Arc::clone(&names.list_kind),
        namespaced: true,
        verbs: ["get", "list"].into(),
        short_names: Box::default(),
        categories: Box::default(),
        subresources: status.into_iter().collect(),
        storage_version_hash: "hash".into(),
        form: json::Form::Plain,
        defaults: Plan::none(),
        storage: Some(Arc::clone(storage)),
        custom: Some(Arc::clone(version)),
        last_frame: LastFrame::default(),
    }
}

impl Registry {
    fn publish(&self, made: &Made) -> Registry {
        self.with(&made.name, made.resources.clone(), made.kinds.clone())
    }

    /// What identifies the resources of definitions, in their order.
    fn custom(&self) -> impl Iterator<Item = *const Resource> {
        self.all().filter(|resource| resource.is_custom()).map(Arc::as_ptr)
    }

    /// Every document of discovery and OpenAPI.
    fn documents(&self) -> BTreeMap<String, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut found = BTreeMap::from([
            ("/apis".to_owned(), text(self.group_list())),
            ("aggregated /api".to_owned(), text(&self.aggregated_core().body)),
            ("aggregated /apis".to_owned(), text(&self.aggregated_groups().body)),
            ("its etag".to_owned(), self.aggregated_groups().etag.clone()),
            ("/openapi/v3".to_owned(), text(&self.openapi.index().json)),
        ]);
        for (name, group) in self.groups() {
            found.insert(format!("/apis/{name}"), text(&self.group_document(name).unwrap_or_default()));
            for (version, _) in group.versions() {
                let list = self.resource_list(name, version).expect("a version of the registry");
                found.insert(format!("/apis/{name}/{version}"), text(&list));
            }
        }
        found
    }

    /// How many resources have not been written for discovery.
    fn unwritten(&self) -> usize {
        let versions = self.groups.values().flat_map(|group| group.versions.values());
        versions.flat_map(|resources| resources.values()).filter(|served| !served.texts.is_made()).count()
    }
}

#[test]
fn what_is_found_after_changes() {
    let of_a = ["a.example.com/as: v1 v2", "a.example.com/bs: v1", "b.example.com/as: v1s"].map(make);
    let check = |steps: &[(&str, usize)], expected: &str| {
        let mut registry = empty();
        for (step, place) in steps {
            registry = match *step {
                "publish" => registry.publish(&of_a[*place]),
                _ => registry.without(&of_a[*place].name),
            };
        }
        let found = registry.all().filter(|resource| resource.is_custom());
        let found: Vec<String> = found.map(|row| format!("{}/{}/{}", row.group, row.version, row.plural)).collect();
        assert_eq!(found.join(" "), expected, "{steps:?}");
        for place in ["a.example.com/v1/as", "a.example.com/v2/as", "a.example.com/v1/bs", "b.example.com/v1s/as"] {
            let mut parts = place.split('/');
            let mut part = || parts.next().unwrap_or_default();
            let (group, version, plural) = (part(), part(), part());
            let (is_there, all) = (found.iter().any(|found| found == place), found.join(" "));
            assert_eq!(registry.find(group, version, plural).is_some(), is_there, "{place} {steps:?}");
            assert_eq!(registry.has_version(group, version), all.contains(&format!("{group}/{version}/")), "{place}");
            assert_eq!(registry.has_group(group), all.contains(group), "{place} {steps:?}");
            let of_resource = found.iter().any(|found| found.starts_with(group) && found.ends_with(plural));
            assert_eq!(registry.storage(group, plural).is_some(), of_resource, "{place} {steps:?}");
        }
    };
    check(&[], "");
    check(&[("publish", 0)], "a.example.com/v1/as a.example.com/v2/as");
    check(&[("publish", 0), ("withdraw", 0)], "");
    check(&[("withdraw", 0)], "");
    check(&[("publish", 1), ("publish", 0), ("withdraw", 0)], "a.example.com/v1/bs");
    check(&[("publish", 0), ("publish", 1), ("withdraw", 1)], "a.example.com/v1/as a.example.com/v2/as");
    check(&[("publish", 2), ("publish", 0), ("withdraw", 0)], "b.example.com/v1s/as");
    check(&[("publish", 0), ("publish", 0), ("withdraw", 1)], "a.example.com/v1/as a.example.com/v2/as");
}

#[test]
fn a_change_replaces_what_the_definition_had() {
    let (before, after) = (make("example.com/as: v1 v2s"), make("example.com/as: v2s v3"));
    let registry = empty().publish(&before).publish(&after);
    assert!(registry.find("example.com", "v1", "as").is_none());
    assert!(!registry.has_version("example.com", "v1"));
    let found = registry.find("example.com", "v2s", "as").expect("the version that stays");
    assert!(Arc::ptr_eq(found, &after.resources[0]));
    let storage = registry.storage("example.com", "as").expect("its storage");
    assert!(Arc::ptr_eq(storage, after.resources[0].storage.as_ref().expect("a custom resource is kept")));
}

#[test]
fn built_in_resources_stay_what_they_are() {
    let made = make("networking.k8s.io/ingresses: v1 v2");
    let before = empty();
    let registry = before.publish(&made);
    let built_in = |registry: &Registry| Arc::clone(registry.find("networking.k8s.io", "v1", "ingresses").unwrap());
    assert!(Arc::ptr_eq(&built_in(&before), &built_in(&registry)));
    assert!(registry.find("networking.k8s.io", "v2", "ingresses").is_some_and(|row| row.is_custom()));
    let gone = registry.without(&made.name);
    assert!(Arc::ptr_eq(&built_in(&before), &built_in(&gone)));
    assert!(gone.storage("networking.k8s.io", "ingresses").is_some());
    assert_eq!(gone.documents(), before.documents());
}

/// A sequence of numbers that is the same in every run.
fn dice(mut state: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    }
}

#[test]
fn changes_in_any_order_give_the_registry_of_the_last_state() {
    let mut roll = dice(7);
    let versions = ["v1", "v1 v2", "v2s v1", "v1alpha1 v1beta1 v1s", "v1-rc"];
    let (mut registry, mut present) = (empty(), BTreeMap::new());
    for step in 0..60 {
        let home = format!("{}.example.com/r{}s", ["a", "b", "a.b"][roll(3)], roll(4));
        let made = make(&format!("{home}: {}", versions[roll(versions.len())]));
        if roll(3) == 0 {
            registry = registry.without(&made.name);
            present.remove(&made.name);
        } else {
            registry = registry.publish(&made);
            present.insert(made.name.clone(), made);
        }
        // Sometimes nobody asks between two changes.
        if step % 4 != 0 {
            continue;
        }
        let anew = present.values().fold(empty(), |registry, made| registry.publish(made));
        assert_eq!(registry.documents(), anew.documents(), "step {step}");
        assert!(registry.custom().eq(anew.custom()), "step {step}");
        for resource in anew.all().filter(|row| row.is_custom()) {
            let found = registry.find(&resource.group, &resource.version, &resource.plural);
            assert!(found.is_some_and(|found| Arc::ptr_eq(found, resource)), "step {step}");
            let storage = registry.storage(&resource.group, &resource.plural).zip(resource.storage.as_ref());
            assert!(storage.is_some_and(|(found, own)| Arc::ptr_eq(found, own)), "step {step}");
        }
    }
}

#[test]
fn discovery_writes_a_change_and_nothing_else() {
    let homes = (0..200).map(|number| format!("group{}.example.com/r{number}s: v1 v2s", number / 10));
    let registry = homes.fold(empty(), |registry, home| registry.publish(&make(&home)));
    assert_eq!(registry.unwritten(), registry.all().count());
    registry.documents();
    assert_eq!(registry.unwritten(), 0);
    let check = |registry: &Registry, expected: usize| {
        assert_eq!(registry.unwritten(), expected);
        registry.documents();
        assert_eq!(registry.unwritten(), 0);
    };
    check(&registry.publish(&make("group3.example.com/r30s: v1 v2s v3")), 3);
    check(&registry.publish(&make("group3.example.com/more: v1")), 1);
    check(&registry.without("r30s.group3.example.com"), 0);
}
