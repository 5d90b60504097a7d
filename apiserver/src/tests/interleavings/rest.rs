//! What must hold once all has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use corten_access::authorize::{Attributes, Authorizer};
use corten_access::rbac::{Binding, Rbac, Role};
use corten_access::user::User;
use corten_store::{KeyValue, Read, Span, Store};
use serde_json::Value;

use super::kinds::KINDS;
use super::sequence::{Finding, Judged, Sequence};
use crate::api::Api;
use crate::fixture::{Request, within};
use crate::reserve::node_ports::{NodePorts, PortRange};

pub async fn check(sequence: &mut Sequence) -> Judged {
    for (number, server) in sequence.cluster.servers().iter().enumerate() {
        if let Some(failure) = server.scope.failure() {
            return Err(Finding::new("failed task", format!("s{number} {}: {}", failure.task, failure.error)));
        }
    }
    for at in 0..sequence.followers.len() {
        let judged = follower(sequence, at);
        sequence.judged(judged);
    }
    let read = Read::of(Span::prefix("/registry/"));
    let kept = within("all that is kept", sequence.cluster.engine().range(read)).await.expect("a listing").kvs;
    let kept: BTreeMap<String, KeyValue> = kept.into_iter().map(|kv| (kv.key.to_string(), kv)).collect();
    for number in 0..sequence.plan.servers {
        let api = Arc::clone(&sequence.cluster.server(number).api);
        sequence.judged(caches(number, &api, &kept, sequence.timeline.start));
        sequence.judged(grants(number, &api, &kept));
    }
    let judged = deletions(sequence, &kept);
    sequence.judged(judged);
    let judged = empty_writes(sequence);
    sequence.judged(judged);
    let judged = reservations(sequence).await;
    sequence.judged(judged);
    let judged = definitions(sequence, &kept).await;
    sequence.judged(judged);
    no_ops(sequence).await
}

fn follower(sequence: &Sequence, at: usize) -> Judged {
    let follower = &sequence.followers[at];
    let kind = &KINDS[follower.scope.kind];
    let told = |text: String| Finding::new("watch", format!("{} at s{}: {text}", follower.path, follower.server));
    follower.judge(&sequence.timeline).map_err(told)?;
    if follower.end.is_some() && !kind.is_custom() && !sequence.was_faulty {
        return Err(told(format!("it ended: {:?}", follower.end)));
    }
    Ok(())
}

/// Every stored value can be read, and every cache shows what the store holds.
fn caches(number: usize, api: &Api, kept: &BTreeMap<String, KeyValue>, start: u64) -> Judged {
    let registry = api.registry.load();
    let mut seen = BTreeSet::new();
    for storage in registry.all().filter_map(|resource| resource.storage.as_ref()) {
        if !seen.insert(storage.prefix.clone()) {
            continue;
        }
        let mut cached = storage.cache.snapshot().objects;
        let below = kept.range::<str, _>((std::ops::Bound::Included(&*storage.prefix), std::ops::Bound::Unbounded));
        for (key, kv) in below.take_while(|(key, _)| key.starts_with(&*storage.prefix)) {
            let own = &key[storage.prefix.len()..];
            // What was there at the beginning is many objects, and the same for each seed.
            if kv.mod_revision <= start && cached.get(own).is_some_and(|found| found.revision == kv.mod_revision) {
                cached.remove(own);
                continue;
            }
            let draft = storage.ingest(own, &kv.value);
            let object =
                draft.map_err(|status| Finding::new("stored value", format!("{key}: {}", status.message())))?;
            let object = object.object(kv.mod_revision);
            match cached.remove(own) {
                Some(found)
                    if found.revision == object.revision
                        && found.json == object.json
                        && found.fields == object.fields => {}
                Some(found) => {
                    let text = format!(
                        "s{number} {key}: {} {:?}, but the store has {} {:?}",
                        String::from_utf8_lossy(&found.json),
                        found.fields,
                        String::from_utf8_lossy(&object.json),
                        object.fields
                    );
                    return Err(Finding::new("cache", text));
                }
                None => return Err(Finding::new("cache", format!("s{number} lacks {key}@{}", kv.mod_revision))),
            }
        }
        if let Some((key, object)) = cached.iter().next() {
            return Err(Finding::new(
                "cache",
                format!("s{number} shows {}{key}@{}, which is gone", storage.prefix, object.revision),
            ));
        }
    }
    Ok(())
}

/// The index of rights is one that would be made now.
fn grants(number: usize, api: &Api, kept: &BTreeMap<String, KeyValue>) -> Judged {
    let fresh = Rbac::default();
    for (plural, is_binding) in
        [("roles", false), ("clusterroles", false), ("rolebindings", true), ("clusterrolebindings", true)]
    {
        let Some(storage) = api.storage("rbac.authorization.k8s.io", plural) else { continue };
        for (key, kv) in kept.iter().filter(|(key, _)| key.starts_with(&*storage.prefix)) {
            let Ok(draft) = storage.ingest(&key[storage.prefix.len()..], &kv.value) else { continue };
            let json = &draft.canonical.json;
            match is_binding {
                true => fresh.set_binding(Binding::from_json(json).expect("a binding")),
                false => fresh.set_role(Role::from_json(json).expect("a role")),
            }
        }
    }
    let users = [User::new("alice", &[]), User::new("bob", &["staff"]), User::new("carol", &["staff"])];
    for user in &users {
        for namespace in ["default", "red", ""] {
            for resource in ["pods", "secrets", "configmaps"] {
                for verb in ["get", "list", "delete"] {
                    let attributes = Attributes { namespace, ..Attributes::resource(user, verb, "", "v1", resource) };
                    let (is, ought) =
                        (api.rbac.authorize(&attributes).allowed(), fresh.authorize(&attributes).allowed());
                    if is != ought {
                        let text = format!(
                            "s{number}: {} may {verb} {resource} in {namespace:?}: {is}, ought to be {ought}",
                            user.name
                        );
                        return Err(Finding::new("grants", text));
                    }
                }
            }
        }
    }
    Ok(())
}

/// What was answered as deleted is gone.
fn deletions(sequence: &Sequence, kept: &BTreeMap<String, KeyValue>) -> Judged {
    let end = sequence.timeline.end();
    for kind in KINDS {
        for (key, live) in sequence.timeline.at(kind.prefix, end) {
            if let Some(request) = sequence.deleted.get(&live.uid).filter(|_| !live.uid.is_empty()) {
                return Err(Finding::new(
                    "deletion",
                    format!("{key} is there, though it was answered as deleted: {request}"),
                ));
            }
            if !kept.contains_key(key) {
                return Err(Finding::new("lost", format!("{key} is gone, and nobody was told")));
            }
        }
    }
    Ok(())
}

/// Nothing is written that changes nothing.
fn empty_writes(sequence: &Sequence) -> Judged {
    let mut before = BTreeMap::new();
    for change in &sequence.timeline.changes {
        let is_ours = KINDS.iter().any(|kind| change.key.starts_with(kind.prefix));
        let now = change.live.as_ref().map(|live| live.value.clone());
        let same = before.insert(&change.key, now.clone()).flatten().is_some_and(|before| Some(before) == now);
        if is_ours && same {
            return Err(Finding::new(
                "empty write",
                format!("{}@{} is what was there before", change.key, change.revision),
            ));
        }
    }
    Ok(())
}

fn texts(object: &Value, pointer: &str) -> Vec<String> {
    let found = object.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    found.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What Services hold is reserved, once, and nothing else is.
async fn reservations(sequence: &mut Sequence) -> Judged {
    let services = sequence.ask(0, Request::get("/api/v1/services")).await?;
    let (mut ports, mut ips) = (BTreeMap::new(), BTreeMap::new());
    for service in services.items() {
        let name = format!("{}/{}", service["metadata"]["namespace"], service["metadata"]["name"]).replace('"', "");
        let own =
            service["spec"]["ports"].as_array().into_iter().flatten().filter_map(|port| port["nodePort"].as_i64());
        for port in own.chain(service["spec"]["healthCheckNodePort"].as_i64()) {
            if let Some(other) = ports.insert(port, name.clone()) {
                return Err(Finding::new("held twice", format!("node port {port}: {other} and {name}")));
            }
        }
        for ip in texts(service, "/spec/clusterIPs").into_iter().filter(|ip| ip != "None") {
            if let Some(other) = ips.insert(ip.clone(), name.clone()) {
                return Err(Finding::new("held twice", format!("{ip}: {other} and {name}")));
            }
        }
    }
    let record = NodePorts::new(PortRange::default());
    let (taken, _) = record
        .read(&**sequence.cluster.engine())
        .await
        .map_err(|error| Finding::new("node ports", error.to_string()))?;
    let taken: BTreeSet<i64> = taken.map(|taken| taken.all().collect()).unwrap_or_default();
    let held: BTreeSet<i64> = ports.keys().copied().collect();
    if let Some(port) = held.difference(&taken).next() {
        return Err(Finding::new("not reserved", format!("node port {port} of {}", ports[port])));
    }
    if let Some(port) = taken.difference(&held).next() {
        return Err(Finding::new("leaked port", format!("node port {port} is reserved, and no service holds it")));
    }
    let addresses = sequence.ask(0, Request::get("/apis/networking.k8s.io/v1/ipaddresses")).await?;
    let mut reserved = BTreeMap::new();
    for address in addresses.items() {
        let parent = &address["spec"]["parentRef"];
        let owner = format!("{}/{}", parent["namespace"], parent["name"]).replace('"', "");
        reserved.insert(address["metadata"]["name"].as_str().unwrap_or_default().to_owned(), owner);
    }
    if let Some((ip, owner)) = ips.iter().find(|(ip, owner)| reserved.get(*ip) != Some(*owner)) {
        return Err(Finding::new("not reserved", format!("{ip} of {owner}: {:?}", reserved.get(ip))));
    }
    if let Some((ip, owner)) = reserved.iter().find(|(ip, _)| !ips.contains_key(*ip)) {
        return Err(Finding::new("leaked address", format!("{ip} for {owner}, which does not hold it")));
    }
    Ok(())
}

/// A definition that is there serves its objects; one that is gone leaves none; one that goes waits for finalizers only.
async fn definitions(sequence: &mut Sequence, kept: &BTreeMap<String, KeyValue>) -> Judged {
    for plural in ["widgets", "gadgets"] {
        let prefix = format!("/registry/example.com/{plural}/");
        let objects: BTreeMap<&String, &KeyValue> = kept.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        let key = format!("/registry/apiextensions.k8s.io/customresourcedefinitions/{plural}.example.com");
        let Some(definition) = kept.get(&key) else {
            if let Some((key, _)) = objects.first_key_value() {
                return Err(Finding::new("orphan", format!("{key} outlives its definition")));
            }
            continue;
        };
        if let Some((key, _)) = objects.iter().find(|(_, kv)| kv.create_revision < definition.create_revision) {
            return Err(Finding::new("orphan", format!("{key} is older than its definition")));
        }
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.example.com");
        let crd = sequence.ask(0, Request::get(path)).await?.body;
        let held = !crd["metadata"]["finalizers"]
            .as_array()
            .is_none_or(|all| all.iter().all(|one| one == "customresourcecleanup.apiextensions.k8s.io"));
        if !crd["metadata"]["deletionTimestamp"].is_null() {
            let holds = |kv: &&KeyValue| String::from_utf8_lossy(&kv.value).contains("\"finalizers\":[\"");
            let waits = objects.values().any(holds);
            if !waits && !held {
                return Err(Finding::new("definition hangs", format!("{plural}: {crd}")));
            }
            continue;
        }
        let version = crd["spec"]["versions"][0]["name"].as_str().unwrap_or("v1").to_owned();
        for server in 0..sequence.plan.servers {
            let list = sequence.ask(server, Request::get(format!("/apis/example.com/{version}/{plural}"))).await?;
            if !list.is_success() {
                return Err(Finding::new("not served", format!("{plural} at s{server}: {} {}", list.code, list.body)));
            }
            if list.items().len() != objects.len() {
                return Err(Finding::new(
                    "lost",
                    format!("{plural} at s{server}: {:?}, but the store has {:?}", list.names(), objects.keys()),
                ));
            }
        }
    }
    Ok(())
}

/// A PUT of what a GET gave changes nothing.
async fn no_ops(sequence: &mut Sequence) -> Judged {
    let paths: Vec<String> = sequence.known.objects.keys().cloned().collect();
    for (at, path) in paths.iter().enumerate().take(8) {
        let server = at % sequence.plan.servers;
        let mut found = no_op(sequence, server, path).await?;
        // A write also takes an object to how it is stored now, where that was otherwise before: in the version that
        // its definition stored then, or in the encoding of the server that began. And it forgets a manager's first
        // entry where a write of the scale has left two, as upstream's does.
        if let Some(was) = &found
            && (path.starts_with("/apis/example.com/") || was.revision <= sequence.timeline.start || was.manager_twice)
        {
            found = no_op(sequence, server, path).await?;
        }
        if let Some(found) = found {
            return Err(Finding::new("no-op writes", found.text));
        }
    }
    Ok(())
}

/// What a write of what was read has changed.
struct Rewritten {
    /// Of the object before.
    revision: u64,
    /// Whether the object named a manager twice before.
    manager_twice: bool,
    text: String,
}

async fn no_op(sequence: &mut Sequence, server: usize, path: &str) -> Judged<Option<Rewritten>> {
    let got = sequence.ask(server, Request::get(path)).await?;
    if !got.is_success() {
        return Ok(None);
    }
    let put = sequence.ask(server, Request::put(path).json(got.body.clone())).await?;
    if !put.is_success() {
        // The namespace may have ended before, with the object still in it: nobody here empties namespaces.
        if put.code == 404 && !namespace_stands(sequence, server, path).await? {
            return Ok(None);
        }
        if put.code == 422 && is_external_name_with_addresses(&got.body) {
            return Ok(None);
        }
        return Err(Finding::new("no-op refused", format!("{path}: {} {} for {}", put.code, put.body, got.body)));
    }
    let text = format!("{path}: {} became {}", got.body, put.body);
    let rewritten = || Rewritten { revision: got.revision(), manager_twice: names_a_manager_twice(&got.body), text };
    Ok((put.body != got.body).then(rewritten))
}

/// The rules let an ExternalName have spec.clusterIP, of which every reading makes spec.clusterIPs, which they forbid.
fn is_external_name_with_addresses(object: &Value) -> bool {
    object["spec"]["type"] == "ExternalName" && object["spec"]["clusterIPs"].is_array()
}

fn names_a_manager_twice(object: &Value) -> bool {
    const NAME: [&str; 4] = ["manager", "operation", "apiVersion", "subresource"];
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let names: Vec<[&Value; 4]> = entries.map(|entry| NAME.map(|field| &entry[field])).collect();
    names.iter().enumerate().any(|(at, name)| names[..at].contains(name))
}

async fn namespace_stands(sequence: &mut Sequence, server: usize, path: &str) -> Judged<bool> {
    let Some((_, below)) = path.split_once("/namespaces/") else { return Ok(true) };
    let Some((namespace, _)) = below.split_once('/') else { return Ok(true) };
    Ok(sequence.ask(server, Request::get(format!("/api/v1/namespaces/{namespace}"))).await?.code != 404)
}
