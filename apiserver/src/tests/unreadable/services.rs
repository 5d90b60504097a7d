//! What a Service holds that cannot be read is given to nobody else.

use std::collections::BTreeSet;
use std::time::Duration;

use corten_runtime::random::Random;
use corten_store::{Expect, Store};
use serde_json::{Value, json};

use super::{mend, spoil};
use crate::fixture::{Cluster, Request, Server, Settings, until};
use crate::reserve::node_ports::{NodePorts, PortRange};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
const KEY: &str = "/registry/services/specs/default/a";
/// Between two looks of the repair loop at the node ports, and longer than an address without a Service is left alone.
const PASS: Duration = Duration::from_secs(181);

fn service(name: &str, spec: Value) -> Request {
    Request::post(SERVICES).json(json!({"metadata": {"name": name}, "spec": spec}))
}

fn held() -> Value {
    json!({"type": "NodePort", "clusterIP": "10.96.7.5", "ports": [{"port": 80, "nodePort": 30005}]})
}

fn any() -> Value {
    json!({"type": "NodePort", "ports": [{"port": 80}]})
}

async fn ports(cluster: &Cluster) -> BTreeSet<i64> {
    let (ports, _) = NodePorts::new(PortRange::default()).read(&**cluster.engine()).await.expect("the ports");
    ports.expect("there is a bitmap").all().collect()
}

async fn has_address(server: &Server) -> bool {
    server.get(&format!("{ADDRESSES}/10.96.7.5")).await.code == 200
}

/// Nothing of it is given back, however often the repair loops look.
async fn check_kept(cluster: &Cluster, server: &Server) {
    for _ in 0..6 {
        cluster.advance(PASS).await;
        assert!(has_address(server).await, "the cluster IP");
        assert!(ports(cluster).await.contains(&30005), "the node port");
    }
}

/// It is given back when the Service is gone.
async fn check_given_back(cluster: &Cluster, server: &Server) {
    cluster.engine().delete(KEY.into(), Expect::Any).await.expect("a delete");
    until("the repair", async || {
        cluster.advance(PASS).await;
        (!has_address(server).await && !ports(cluster).await.contains(&30005)).then_some(())
    })
    .await;
    server.ask(service("b", held())).await.created();
}

#[tokio::test]
async fn what_became_unreadable_keeps_what_it_holds() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.ask(service("a", held())).await.created();
    spoil(&cluster, KEY).await;
    check_kept(&cluster, server).await;
    server.ask(service("b", held())).await.refused(422, "Invalid", "provided IP is already allocated");
    let same_port = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30005}]});
    server.ask(service("b", same_port)).await.refused(422, "Invalid", "provided port is already allocated");
    // What it holds is known, so others can have the rest.
    server.ask(service("other", any())).await.created();
    check_given_back(&cluster, server).await;
}

/// Nothing is given out while it is not known what is held.
#[tokio::test]
async fn what_was_never_read_stops_allocation() {
    let mut cluster = Cluster::start().await;
    cluster.server(0).ask(service("a", held())).await.created();
    let value = spoil(&cluster, KEY).await;
    cluster.restart().await;
    let server = cluster.server(0);
    check_kept(&cluster, server).await;
    let named_ip = json!({"clusterIP": "10.96.7.6", "ports": [{"port": 80}]});
    for spec in [any(), held(), named_ip, json!({"ports": [{"port": 80}]})] {
        let refused = server.ask(service("b", spec.clone())).await;
        refused.refused(500, "InternalError", KEY);
    }
    server.ask(service("headless", json!({"clusterIP": "None", "ports": [{"port": 80}]}))).await.created();
    mend(&cluster, KEY, value).await;
    server.ask(service("b", any())).await.created();
    server.ask(service("c", held())).await.refused(422, "Invalid", "provided IP is already allocated");
    // Once more, and then it goes without having been read.
    spoil(&cluster, KEY).await;
    cluster.restart().await;
    let server = cluster.server(0);
    server.ask(Request::delete(format!("{SERVICES}/b"))).await.ok();
    check_given_back(&cluster, server).await;
}

/// Without a bitmap, nobody knows which ports an unreadable Service has.
#[tokio::test]
async fn no_bitmap_is_made_without_a_service() {
    let mut cluster = Cluster::start().await;
    cluster.server(0).ask(service("a", held())).await.created();
    let value = spoil(&cluster, KEY).await;
    let bitmap = "/registry/ranges/servicenodeports";
    cluster.engine().delete(bitmap.into(), Expect::Any).await.expect("a delete");
    cluster.restart().await;
    cluster.advance(PASS).await;
    assert!(cluster.engine().get(bitmap, None).await.expect("a get").kv.is_none());
    let taken = NodePorts::new(PortRange::default());
    let random = Random::seeded(1);
    assert!(taken.take(&**cluster.engine(), |ports| ports.take_any(&random)).await.is_err());
    mend(&cluster, KEY, value).await;
    until("the bitmap", async || {
        cluster.advance(PASS).await;
        cluster.engine().get(bitmap, None).await.expect("a get").kv
    })
    .await;
    assert_eq!(ports(&cluster).await, BTreeSet::from([30005]));
}

/// Its range may offer what no other does.
#[tokio::test]
async fn an_unreadable_range_refuses_nothing_as_out_of_range() {
    let cluster = Cluster::with(Settings::default()).await;
    let server = cluster.server(0);
    let range = "/registry/servicecidrs/kubernetes";
    let value = spoil(&cluster, range).await;
    for spec in [any(), held()] {
        server.ask(service("a", spec)).await.refused(500, "InternalError", range);
    }
    mend(&cluster, range, value).await;
    server.ask(service("a", held())).await.created();
}

/// An address that cannot be read is neither made anew nor given to another.
#[tokio::test]
async fn an_unreadable_address_is_taken() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.ask(service("a", held())).await.created();
    let key = "/registry/ipaddresses/10.96.7.5";
    let value = spoil(&cluster, key).await;
    cluster.advance(PASS).await;
    server.ask(service("b", held())).await.refused(422, "Invalid", "provided IP is already allocated");
    assert!(super::is_spoiled(&cluster, key).await);
    mend(&cluster, key, value).await;
    assert!(has_address(server).await);
}
