//! Cluster IPs and node ports are held by Services and by nobody else, whatever becomes of the writes.

use std::collections::BTreeSet;
use std::time::Duration;

use corten_runtime::random::Random;
use corten_store::Store;
use serde_json::{Value, json};

use crate::fixture::{Cluster, Fault, On, Request, Server, Settings, Verb, eventually, settle, until};
use crate::reserve::node_ports::{NodePorts, PortRange};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
const STORED_SERVICES: &str = "/registry/services/specs/";
const STORED_PORTS: &str = "/registry/ranges/servicenodeports";
const STORED_ADDRESSES: &str = "/registry/ipaddresses/";
/// Between two looks of the repair loop at the node ports.
const PASS: Duration = Duration::from_secs(181);

fn path(name: &str) -> String {
    format!("{SERVICES}/{name}")
}

fn create(name: &str, spec: Value) -> Request {
    Request::post(SERVICES).json(json!({"metadata": {"name": name}, "spec": spec}))
}

fn node_port(port: u16) -> Value {
    json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]})
}

/// Has a cluster IP, a node port and a health check port.
fn balanced_load(port: u16) -> Value {
    json!({
        "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port + 1,
        "clusterIP": format!("10.96.7.{}", port - 30000), "ports": [{"port": 80, "nodePort": port}],
    })
}

async fn ports_taken(cluster: &Cluster) -> BTreeSet<i64> {
    let (ports, _) = NodePorts::new(PortRange::default()).read(&**cluster.engine()).await.unwrap();
    ports.unwrap().all().collect()
}

/// What is held, and what Services have, as the store says.
async fn held_and_had(cluster: &Cluster) -> (BTreeSet<String>, BTreeSet<String>) {
    let server = cluster.server(0);
    let (services, addresses) = (server.get("/api/v1/services").await, server.get(ADDRESSES).await);
    let mut held: BTreeSet<String> = ports_taken(cluster).await.iter().map(i64::to_string).collect();
    held.extend(addresses.names().into_iter().map(str::to_owned));
    let mut had = BTreeSet::new();
    for service in services.items() {
        let spec = &service["spec"];
        let ips = spec["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let ips = ips.filter(|ip| *ip != "None").map(str::to_owned);
        let ports = spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
        let ports = ports.chain([&spec["healthCheckNodePort"]]).filter_map(Value::as_i64);
        for thing in ips.chain(ports.map(|port| port.to_string())) {
            assert!(had.insert(thing.clone()), "two Services have {thing}: {services:?}");
        }
    }
    (held, had)
}

#[track_caller]
fn nothing_is_lost(cluster: &Cluster, when: &str) -> impl Future<Output = ()> {
    let when = when.to_owned();
    async move {
        let (held, had) = held_and_had(cluster).await;
        assert_eq!(held, had, "{when}: what is held, and what Services have");
    }
}

/// Returns when no write of the server goes on without its client.
async fn finished(server: &Server) {
    eventually("writes that nobody waits for", || server.api.writes.count() == 0).await;
    eventually("what is given back", || server.api.give_backs.count() == 0).await;
}

#[tokio::test]
async fn a_refused_update_gives_back_what_it_asked_for() {
    let cluster = Cluster::with(Settings { service_ranges: "10.96.0.0/16,fd00:1::/112", ..Settings::default() }).await;
    let server = cluster.server(0);
    let check = async |name: &str, before: Value, change: Value, refusal: &str| {
        server.ask(create(name, before)).await.created();
        // The same again: nothing of the first may be in the way.
        for _ in 0..2 {
            let refused = server.ask(Request::merge_patch(path(name), json!({"spec": change}))).await;
            refused.refused(422, "Invalid", refusal);
            nothing_is_lost(&cluster, name).await;
        }
    };
    let plain = json!({"ports": [{"port": 80}]});
    let external = json!({"type": "ExternalName", "externalName": "example.com"});
    let bad_affinity = "spec.sessionAffinity: Unsupported value";
    let mut to_node_port = node_port(30005);
    to_node_port["sessionAffinity"] = "Foo".into();
    check("node-port", plain.clone(), to_node_port, bad_affinity).await;
    let mut any_node_port = json!({"type": "NodePort", "sessionAffinity": "Foo"});
    check("any-node-port", plain.clone(), any_node_port.take(), bad_affinity).await;
    let mut to_health_check = balanced_load(30007);
    to_health_check["sessionAffinity"] = "Foo".into();
    to_health_check["clusterIP"] = "".into();
    check("health-check", plain.clone(), to_health_check, bad_affinity).await;
    let cluster_ip = json!({"type": "ClusterIP", "clusterIP": "10.96.0.77", "externalName": null});
    check("address", external.clone(), cluster_ip, "spec.ports: Required value").await;
    let dual = json!({"ipFamilyPolicy": "RequireDualStack", "sessionAffinity": "Foo"});
    check("second-family", plain.clone(), dual, bad_affinity).await;
    // A change of the address is refused; what was there stays.
    check("fixed", balanced_load(30011), json!({"clusterIP": "10.96.0.78"}), "may not change once set").await;
}

#[tokio::test]
async fn a_refused_create_gives_back_what_it_asked_for() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let mut invalid = balanced_load(30021);
    invalid["sessionAffinity"] = "Foo".into();
    for _ in 0..2 {
        server.ask(create("a", invalid.clone())).await.refused(422, "Invalid", "spec.sessionAffinity");
        nothing_is_lost(&cluster, "an invalid create").await;
    }
    server.ask(create("a", balanced_load(30021))).await.created();
    server.ask(create("a", balanced_load(30031))).await.refused(409, "AlreadyExists", "already exists");
    nothing_is_lost(&cluster, "a create under a name that is taken").await;
    let taken = server.ask(create("b", balanced_load(30021))).await;
    taken.refused(422, "Invalid", "failed to allocate IP 10.96.7.21: provided IP is already allocated");
    let mut half = balanced_load(30041);
    half["ports"][0]["nodePort"] = 30021.into();
    server.ask(create("b", half)).await.refused(422, "Invalid", "provided port is already allocated");
    nothing_is_lost(&cluster, "a create that gets its address and not its ports").await;
}

/// The errors come in the order in which upstream reserves: addresses, then ports one after another, then the health
/// check port, and the rules after all of them.
#[tokio::test]
async fn errors_come_in_the_order_of_reservations() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.ask(create("taken", balanced_load(30001))).await.created();
    server.ask(create("a", node_port(30010))).await.created();
    let check = async |spec: Value, code: u16, message: &str| {
        let answer = server.ask(Request::merge_patch(path("a"), json!({"spec": spec}))).await;
        assert_eq!((answer.code, answer.message().contains(message)), (code, true), "{spec}: {}", answer.message());
        nothing_is_lost(&cluster, message).await;
    };
    let port = |name: &str, port: u16, node_port: u16| json!({"name": name, "port": port, "nodePort": node_port});
    let taken_first = json!({"ports": [port("a", 80, 30001), port("b", 81, 30011), port("c", 82, 30011)]});
    check(taken_first, 422, "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated").await;
    let twice_first = json!({"ports": [port("b", 81, 30011), port("c", 82, 30011), port("a", 80, 30001)]});
    check(twice_first, 500, "duplicate nodePort: {TCP 30011}").await;
    let invalid_too = json!({"sessionAffinity": "Foo", "ports": [port("a", 80, 30001)]});
    check(invalid_too, 422, "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated").await;
    let load = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30002});
    check(load, 500, "failed to allocate requested HealthCheck NodePort 30002: provided port is already allocated")
        .await;
}

/// An address that cannot be had is shown among the places of all families.
#[tokio::test]
async fn a_refused_address_is_shown_beside_those_that_were_to_be_found() {
    let cluster = Cluster::with(Settings { service_ranges: "10.96.0.0/16,fd00:1::/112", ..Settings::default() }).await;
    let server = cluster.server(0);
    server.ask(create("taken", balanced_load(30001))).await.created();
    let check = async |spec: Value, message: &str| {
        server.ask(create("a", spec)).await.refused(422, "Invalid", message);
        nothing_is_lost(&cluster, message).await;
    };
    let dual = json!({"clusterIP": "10.96.7.1", "ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]});
    check(dual, r#"Invalid value: ["10.96.7.1",""]: failed to allocate IP 10.96.7.1: provided IP"#).await;
    let single = json!({"clusterIP": "10.96.7.1", "ports": [{"port": 80}]});
    check(single, r#"Invalid value: ["10.96.7.1"]: failed to allocate IP 10.96.7.1: provided IP"#).await;
    let second = json!({"clusterIPs": ["fd00:1::7", "10.96.7.1"], "ipFamilyPolicy": "RequireDualStack",
        "ports": [{"port": 80}], "clusterIP": "fd00:1::7"});
    check(second, r#"Invalid value: ["fd00:1::7","10.96.7.1"]: failed to allocate IP 10.96.7.1: provided IP"#).await;
}

/// Every way of writing a Service that takes or gives something back, each on objects of its own.
struct Write {
    what: &'static str,
    prepare: fn(&str) -> Vec<Request>,
    write: fn(&str) -> Request,
}

const WRITES: [Write; 6] = [
    Write { what: "create", prepare: |_| vec![], write: |name| create(name, balanced_load(30101)) },
    Write {
        what: "update that takes",
        prepare: |name| vec![create(name, json!({"ports": [{"port": 80}]}))],
        write: |name| Request::merge_patch(path(name), json!({"spec": {"type": "NodePort"}})),
    },
    Write {
        what: "update that gives back",
        prepare: |name| vec![create(name, balanced_load(30101))],
        write: |name| {
            let external = json!({"type": "ExternalName", "externalName": "example.com", "clusterIP": null});
            let mut spec = external;
            spec["clusterIPs"] = Value::Null;
            spec["ports"] = Value::Null;
            spec["healthCheckNodePort"] = Value::Null;
            spec["externalTrafficPolicy"] = Value::Null;
            spec["allocateLoadBalancerNodePorts"] = Value::Null;
            spec["internalTrafficPolicy"] = Value::Null;
            Request::merge_patch(path(name), json!({"spec": spec}))
        },
    },
    Write {
        what: "refused update",
        prepare: |name| vec![create(name, json!({"ports": [{"port": 80}]}))],
        write: |name| Request::merge_patch(path(name), json!({"spec": {"type": "NodePort", "sessionAffinity": "Foo"}})),
    },
    Write {
        what: "delete",
        prepare: |name| vec![create(name, balanced_load(30101))],
        write: |name| Request::delete(path(name)),
    },
    Write {
        what: "update that deletes",
        prepare: |name| {
            let meta = json!({"name": name, "finalizers": ["example.com/wait"]});
            let held = json!({"metadata": meta, "spec": balanced_load(30101)});
            vec![Request::post(SERVICES).json(held), Request::delete(path(name))]
        },
        write: |name| Request::merge_patch(path(name), json!({"metadata": {"finalizers": null}})),
    },
];

async fn prepared(server: &Server, write: &Write) {
    for request in (write.prepare)("a") {
        server.ask(request).await.ok();
    }
}

async fn clean_up(server: &Server) {
    server.ask(Request::merge_patch(path("a"), json!({"metadata": {"finalizers": null}}))).await;
    server.ask(Request::delete(path("a"))).await;
    server.get(&path("a")).await.has_code(404);
}

/// A client goes away while its request waits at the first, second, ... call of the store, before or after it is made.
#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for write in &WRITES {
        for after in [false, true] {
            for calls in 0.. {
                prepared(server, write).await;
                let hold = if after { server.store.hold_answers(On::any()) } else { server.store.hold(On::any()) };
                let mut pending = server.begin((write.write)("a"));
                (0..calls).for_each(|_| hold.release_one());
                let answered = until("the call", async || match pending.advance(1).await {
                    Some(_) => Some(true),
                    None => (hold.waiting() > 0).then_some(false),
                });
                let answered = answered.await;
                drop(pending);
                drop(hold);
                finished(server).await;
                nothing_is_lost(&cluster, &format!("{} at call {calls}, made: {after}", write.what)).await;
                clean_up(server).await;
                if answered {
                    assert!(calls > 0, "{} calls the store", write.what);
                    break;
                }
            }
        }
    }
}

/// The same at any poll.
#[tokio::test]
async fn a_client_may_go_away_at_any_moment() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for write in &WRITES {
        for polls in 0..12 {
            prepared(server, write).await;
            let mut pending = server.begin((write.write)("a"));
            pending.advance(polls).await;
            drop(pending);
            finished(server).await;
            nothing_is_lost(&cluster, &format!("{} after {polls} polls", write.what)).await;
            clean_up(server).await;
        }
    }
}

#[tokio::test]
async fn a_write_that_is_timed_out_goes_on() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let hold = server.store.hold(On::write(STORED_SERVICES));
    let mut pending = server.begin(create("a", balanced_load(30101)));
    until("the write", async || {
        assert_eq!(pending.advance(1).await, None);
        (hold.waiting() == 1).then_some(())
    })
    .await;
    cluster.advance(Duration::from_secs(61)).await;
    let told = pending.await;
    told.refused(504, "Timeout", "request did not complete within the allotted timeout");
    assert_eq!(server.api.writes.count(), 1);
    drop(hold);
    finished(server).await;
    server.get(&path("a")).await.ok();
    nothing_is_lost(&cluster, "a write that was timed out").await;
}

#[tokio::test]
async fn a_collection_is_not_deleted_on_without_its_client() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for (name, port) in [("a", 30101), ("b", 30111), ("c", 30121)] {
        server.ask(create(name, balanced_load(port))).await.created();
    }
    let hold = server.store.hold_answers(On::verb(Verb::Delete, STORED_SERVICES));
    let mut pending = server.begin(Request::delete(SERVICES));
    until("the first deletion", async || {
        assert_eq!(pending.advance(1).await, None);
        (hold.waiting() == 1).then_some(())
    })
    .await;
    drop((pending, hold));
    finished(server).await;
    assert_eq!(server.get(SERVICES).await.names(), ["b", "c", "kubernetes"]);
    nothing_is_lost(&cluster, "a collection whose client left").await;
}

/// The store may have taken the write or not: what the object holds is looked up there.
#[tokio::test]
async fn a_write_of_unknown_outcome_keeps_what_its_object_holds() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for write in &WRITES {
        if write.what == "refused update" {
            continue;
        }
        for (fault, how) in [(Fault::lost(), "lost"), (Fault::unanswered(), "unanswered")] {
            prepared(server, write).await;
            server.store.fail(On::write(STORED_SERVICES), fault);
            server.ask((write.write)("a")).await.has_code(504);
            let when = format!("{} {how}", write.what);
            assert_eq!(server.api.give_backs.count(), 1, "{when}");
            settle().await;
            cluster.advance(Duration::from_secs(10)).await;
            finished(server).await;
            nothing_is_lost(&cluster, &when).await;
            clean_up(server).await;
        }
    }
}

/// Giving back is tried again while the store refuses.
#[tokio::test]
async fn what_the_store_does_not_take_back_at_once_is_given_back_later() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for key in [STORED_PORTS, STORED_ADDRESSES] {
        for fault in [Fault::refused(), Fault::lost(), Fault::unanswered()] {
            server.ask(create("a", balanced_load(30101))).await.created();
            let released =
                On::calls(move |call| call.key.starts_with(key) && matches!(call.verb, Verb::Put | Verb::Delete));
            server.store.fail_after(0, 3, released, fault.clone());
            server.ask(Request::delete(path("a"))).await.ok();
            until("the third refusal", async || {
                cluster.advance(Duration::from_secs(10)).await;
                (server.api.give_backs.count() == 0).then_some(())
            })
            .await;
            server.store.no_faults();
            nothing_is_lost(&cluster, &format!("{key} {fault:?}")).await;
        }
    }
}

/// A port that was given back with an unknown outcome, and has been taken by another since, is not given back again.
#[tokio::test]
async fn nobody_gives_back_what_is_anothers_meanwhile() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    one.ask(create("a", node_port(30101))).await.created();
    one.store.fail(On::write(STORED_PORTS), Fault::unanswered());
    // The next attempt does not come to pass before another server takes the port.
    one.store.fail(On::read(STORED_PORTS), Fault::refused());
    one.ask(Request::delete(path("a"))).await.ok();
    settle().await;
    assert_eq!(one.api.give_backs.count(), 1);
    two.ask(create("b", node_port(30101))).await.created();
    settle().await;
    cluster.advance(Duration::from_secs(10)).await;
    finished(one).await;
    nothing_is_lost(&cluster, "another service has the port").await;
}

/// A server that has seen the ports before another one took some of them decides on what the store holds.
#[tokio::test]
async fn a_release_on_a_stale_view_frees_the_port() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    for server in [one, two] {
        server.ask(create("early", node_port(30200))).await.created();
        server.ask(Request::delete(path("early"))).await.ok();
    }
    one.ask(create("a", balanced_load(30101))).await.created();
    two.ask(Request::delete(path("a"))).await.ok();
    nothing_is_lost(&cluster, "a delete by the other server").await;
    one.ask(create("a", balanced_load(30101))).await.created();
    let changed = json!({"spec": {"type": "ClusterIP", "externalTrafficPolicy": null,
        "allocateLoadBalancerNodePorts": null, "healthCheckNodePort": null, "ports": [{"port": 80}]}});
    two.ask(Request::merge_patch(path("a"), changed)).await.ok();
    nothing_is_lost(&cluster, "an update by the other server").await;
    two.ask(create("b", node_port(30101))).await.created();
    one.ask(create("c", node_port(30101))).await.refused(422, "Invalid", "provided port is already allocated");
    two.ask(Request::delete(path("b"))).await.ok();
    one.ask(create("c", node_port(30101))).await.created();
    nothing_is_lost(&cluster, "a port that went from hand to hand").await;
}

/// The IPAddress is not in the cache of the server that has to delete it.
#[tokio::test]
async fn an_address_that_the_cache_does_not_show_is_given_back() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    two.hold_feed();
    one.ask(create("a", balanced_load(30101))).await.created();
    let mut pending = two.begin(Request::delete(path("a")));
    pending.advance(3).await;
    two.release_feed();
    pending.await.ok();
    finished(two).await;
    nothing_is_lost(&cluster, "a delete on a cache that was behind").await;
}

/// All addresses but those of the cache are free in the store.
#[tokio::test]
async fn a_full_range_is_looked_at_again() {
    let settings = Settings { servers: 2, service_ranges: "10.96.0.0/29", ..Settings::default() };
    let settings = Settings { disk: Some(corten_store::simulation::SimDisk::default()), ..settings };
    let cluster = Cluster::with(settings).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    for number in 0..5 {
        one.ask(create(&format!("s{number}"), json!({"ports": [{"port": 80}]}))).await.created();
    }
    let any = || create("more", json!({"ports": [{"port": 80}]}));
    two.ask(any()).await.refused(500, "InternalError", "range is full");
    two.hold_feed();
    one.ask(Request::delete(path("s3"))).await.ok();
    let mut pending = two.begin(any());
    pending.advance(3).await;
    two.release_feed();
    pending.await.created();
    nothing_is_lost(&cluster, "a range that was full").await;
}

/// A server took a port and died: no object changed. The other one finds it.
#[tokio::test]
async fn a_port_that_a_dead_server_took_is_found() {
    let cluster = Cluster::of(2).await;
    // What the start has found is done with.
    cluster.advance(PASS).await;
    settle().await;
    let dead = NodePorts::new(PortRange::default());
    let (_, _under_way) = dead.take(&**cluster.engine(), |ports| ports.take(30101)).await.unwrap();
    let mut passes = 0;
    until("the repair", async || {
        cluster.advance(PASS).await;
        passes += 1;
        ports_taken(&cluster).await.is_empty().then_some(())
    })
    .await;
    assert!(passes >= 3, "it may be a write under way: freed after {passes} passes");
    assert!(cluster.engine().current_revision().await.is_ok());
}

/// What a reservation took whose own outcome is unknown is nobody's: the repair loops find it.
#[tokio::test]
async fn what_a_reservation_of_unknown_outcome_took_is_found() {
    for key in [STORED_PORTS, STORED_ADDRESSES] {
        let cluster = Cluster::start().await;
        let server = cluster.server(0);
        server.store.fail(On::verb(Verb::Put, key), Fault::unanswered());
        server.ask(create("a", balanced_load(30101))).await.has_code(422);
        until("the repair", async || {
            cluster.advance(PASS).await;
            let (held, had) = held_and_had(&cluster).await;
            (held == had).then_some(())
        })
        .await;
    }
}

/// A write that takes its time keeps what it has reserved, however often the repair loops look.
#[tokio::test]
async fn the_repair_leaves_writes_under_way_alone() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let hold = server.store.hold(On::write(STORED_SERVICES));
    let mut pending = server.begin(create("a", balanced_load(30101)));
    until("the write", async || {
        assert_eq!(pending.advance(1).await, None);
        (hold.waiting() == 1).then_some(())
    })
    .await;
    drop(pending);
    for _ in 0..8 {
        cluster.advance(PASS).await;
        assert_eq!(ports_taken(&cluster).await, BTreeSet::from([30101, 30102]));
        assert_eq!(server.get(ADDRESSES).await.names(), ["10.96.0.1", "10.96.7.101"]);
    }
    drop(hold);
    finished(server).await;
    server.get(&path("a")).await.ok();
    nothing_is_lost(&cluster, "a slow write").await;
}

/// An address that a dead server made for a Service that never came.
#[tokio::test]
async fn an_address_that_a_dead_server_made_is_found() {
    let cluster = Cluster::of(2).await;
    let parent = json!({"resource": "services", "namespace": "default", "name": "never"});
    let labels = json!({"ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"});
    let address = json!({"metadata": {"name": "10.96.7.7", "labels": labels}, "spec": {"parentRef": parent}});
    cluster.server(0).ask(Request::post(ADDRESSES).json(address)).await.created();
    // While the store cannot be written, the repair cannot do it; it does not give up.
    cluster.servers().iter().for_each(|server| {
        server.store.fail_after(0, 40, On::verb(Verb::Delete, STORED_ADDRESSES), Fault::refused());
    });
    cluster.advance(Duration::from_secs(50)).await;
    assert_eq!(cluster.server(0).get(ADDRESSES).await.names(), ["10.96.0.1", "10.96.7.7"]);
    until("the repair", async || {
        cluster.advance(Duration::from_secs(170)).await;
        let names = cluster.server(0).get(ADDRESSES).await;
        (names.names() == ["10.96.0.1"]).then_some(())
    })
    .await;
}

/// A server dies between the deletion of a Service and the return of its address.
#[tokio::test]
async fn an_address_that_a_dead_server_did_not_give_back_is_found() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    let service = json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}});
    one.ask(Request::post("/api/v1/namespaces/default/services").json(service)).await.created();
    // Nobody has a reason to look at it again.
    for _ in 0..3 {
        cluster.advance(Duration::from_secs(70)).await;
    }
    two.store.fail_after(0, 1_000_000, On::verb(Verb::Delete, STORED_ADDRESSES), Fault::refused());
    two.ask(Request::delete(path("a"))).await.ok();
    assert_eq!(one.get(ADDRESSES).await.names(), ["10.96.0.1", "10.96.7.7"]);
    until("the repair", async || {
        cluster.advance(Duration::from_secs(70)).await;
        (one.get(ADDRESSES).await.names() == ["10.96.0.1"]).then_some(())
    })
    .await;
}

/// A server that stops waits for its writes, and for what they give back.
#[tokio::test]
async fn a_server_stops_after_its_writes() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    let hold = two.store.hold_answers(On::verb(Verb::Delete, STORED_SERVICES));
    one.ask(create("a", balanced_load(30101))).await.created();
    let mut pending = two.begin(Request::delete(path("a")));
    until("the write", async || {
        assert_eq!(pending.advance(1).await, None);
        (hold.waiting() == 1).then_some(())
    })
    .await;
    drop(pending);
    let mut stop = std::pin::pin!(two.stop());
    for _ in 0..20 {
        assert!(futures::poll!(&mut stop).is_pending());
        settle().await;
    }
    drop(hold);
    stop.await;
    nothing_is_lost(&cluster, "a server that stopped").await;
}

/// Some writes at random, of which some lose their clients.
async fn crowd(cluster: &Cluster, random: &Random) {
    let below = |bound: u64| random.below(bound) as usize;
    let mut pending: Vec<_> = Vec::new();
    for _ in 0..4 {
        let server = cluster.server(below(2));
        let name = ["a", "b", "c"][below(3)];
        let port = 30101 + 10 * below(3) as u16;
        let request = match below(5) {
            0 | 1 => create(name, balanced_load(port)),
            2 => Request::merge_patch(path(name), json!({"spec": node_port(port)})),
            3 => Request::merge_patch(path(name), json!({"spec": {"ports": [{"port": 0, "nodePort": port}]}})),
            _ => Request::delete(path(name)),
        };
        pending.push((server.begin(request), below(9)));
    }
    for (pending, polls) in &mut pending {
        pending.advance(*polls).await;
    }
}

/// In the end nothing is held that no Service has.
#[tokio::test]
async fn nothing_is_lost_in_a_crowd() {
    let cluster = Cluster::of(2).await;
    let random = Random::seeded(11);
    for round in 0..40 {
        crowd(&cluster, &random).await;
        for server in cluster.servers() {
            finished(server).await;
        }
        nothing_is_lost(&cluster, &format!("round {round}")).await;
    }
}

/// The same while calls of the store fail, with and without effect; the repair loops find what is left.
#[tokio::test]
async fn nothing_is_lost_while_the_store_fails() {
    for seed in 0..8 {
        let cluster = Cluster::of(2).await;
        let random = Random::seeded(seed);
        for round in 0..10 {
            for server in cluster.servers() {
                let key = [STORED_PORTS, STORED_ADDRESSES, STORED_SERVICES][random.below(3) as usize];
                let fault = [Fault::refused(), Fault::lost(), Fault::unanswered()][random.below(3) as usize].clone();
                server.store.fail_after(random.below(3) as usize, 1, On::write(key), fault);
            }
            crowd(&cluster, &random).await;
            settle().await;
            cluster.servers().iter().for_each(|server| server.store.no_faults());
            let mut passes = 0;
            until("the end of it", async || {
                let idle = |server: &Server| server.api.writes.count() + server.api.give_backs.count() == 0;
                if cluster.servers().iter().all(idle) {
                    let (held, had) = held_and_had(&cluster).await;
                    if held == had {
                        return Some(());
                    }
                    assert!(passes < 1000, "seed {seed}, round {round}: {held:?} are held, Services have {had:?}");
                }
                passes += 1;
                cluster.advance(Duration::from_secs(20)).await;
                None
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_write_answers_what_a_reading_of_the_store_shows() {
    let mut cluster = Cluster::start().await;
    let created = cluster.server(0).ask(create("a", json!({"ports": [{"port": 80}]}))).await.created();
    // The rules let an ExternalName have the one field, and every reading gives it the other.
    let spec = json!({"type": "ExternalName", "externalName": "example.com", "clusterIP": "10.96.58.57"});
    let external = || Request::put(path("a")).json(json!({"metadata": {"name": "a"}, "spec": spec}));
    assert_ne!(created["spec"]["clusterIP"], "10.96.58.57");
    let changed = cluster.server(0).ask(external()).await.ok();
    assert_eq!(changed["spec"]["clusterIPs"], json!(["10.96.58.57"]), "{changed}");
    let again = cluster.server(0).ask(external()).await;
    again.refused(422, "Invalid", "spec.clusterIPs: Forbidden: may not be set for ExternalName services");
    cluster.restart().await;
    assert_eq!(cluster.server(0).get(&path("a")).await.ok(), changed, "read from the store");
}
