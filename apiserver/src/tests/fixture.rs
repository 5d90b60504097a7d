//! The fixture does what it says, and examples of its use.

use serde_json::json;

use crate::fixture::{Cluster, Event, Fault, Next, On, Request, Settings, eventually};
use corten_store::Error;
use corten_store::simulation::{Dice, SimDisk};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str) -> Request {
    Request::post(MAPS).json(json!({"metadata": {"name": name, "labels": {"name": name}}, "data": {"a": "1"}}))
}

#[tokio::test]
async fn objects_are_written_read_and_deleted() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.ask(map("a")).await.created();
    server.ask(map("a")).await.refused(409, "AlreadyExists", "configmaps \"a\" already exists");
    let one = format!("{MAPS}/a");
    let changed = server.ask(Request::merge_patch(&one, json!({"data": {"a": "2"}}))).await;
    assert_eq!(changed.text("/data/a"), "2");
    assert_eq!(changed.text("/metadata/creationTimestamp"), "2026-01-01T00:00:00Z");
    assert_eq!(server.get(MAPS).await.names(), ["a"]);
    server.ask(Request::delete(&one)).await.ok();
    server.get(&one).await.refused(404, "NotFound", "configmaps \"a\" not found");
}

#[tokio::test]
async fn users_may_what_they_are_granted() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let check = async |request: Request, expected: u16| server.ask(request).await.has_code(expected);
    check(Request::get(MAPS), 200).await;
    check(Request::get(MAPS).as_user("alice", &["staff"]), 403).await;
    check(Request::get("/version").as_user("alice", &[]), 200).await;
    check(Request::get(MAPS).anonymous(), 403).await;
    check(Request::get(MAPS).bearer("no.such.token"), 401).await;
}

#[tokio::test]
async fn watches_bring_what_is_written() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let mut watch = server.watch(&format!("{MAPS}?labelSelector=name%3Da")).await;
    assert_eq!(watch.try_next(), None);
    server.ask(map("a")).await.created();
    server.ask(map("b")).await.created();
    server.ask(Request::delete(format!("{MAPS}/a"))).await.ok();
    assert_eq!(watch.next_event().await.short(), "ADDED a");
    assert_eq!(watch.next_event().await.short(), "DELETED a");
    assert_eq!(watch.try_next(), None);
    server.stop().await;
    assert_eq!(watch.next().await, Next::End);
}

#[tokio::test]
async fn a_feed_that_breaks_ends_its_watches() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let mut watch = server.watch(MAPS).await;
    server.store.break_feed(Error::Compacted { requested: 1, compacted: 2 });
    assert!(watch.ends_with(410).await);
}

#[tokio::test]
async fn calls_of_the_store_fail_when_told() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let check = async |name: &str, fault: Fault, code: u16, there: bool| {
        server.store.fail(On::write("/registry/configmaps/"), fault);
        server.ask(map(name)).await.has_code(code);
        let found = server.get(&format!("{MAPS}/{name}")).await.code == 200;
        assert_eq!(found, there, "{name}");
    };
    check("refused", Fault::refused(), 500, false).await;
    check("lost", Fault::lost(), 504, false).await;
    check("unanswered", Fault::unanswered(), 504, true).await;
    server.store.fail_after(1, 1, On::write("/registry/configmaps/"), Fault::refused());
    server.ask(map("first")).await.created();
    server.ask(map("second")).await.has_code(500);
    server.ask(map("second")).await.created();
}

#[tokio::test]
async fn a_client_goes_away_in_the_middle() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let hold = server.store.hold(On::write("/registry/configmaps/default/"));
    let mut pending = server.begin(map("a"));
    assert_eq!(pending.advance(3).await, None);
    hold.wait_for(1).await;
    drop(pending);
    drop(hold);
    server.ask(map("b")).await.created();
    let answers = server.store.hold_answers(On::write("/registry/configmaps/default/"));
    let mut pending = server.begin(map("c"));
    assert_eq!(pending.advance(3).await, None);
    drop((pending, answers));
    let kept = || server.api.lookup("", "configmaps", "default/c").expect("it can be read");
    eventually("the write that nobody waits for", || kept().is_some()).await;
}

#[tokio::test]
async fn two_servers_see_the_store_each_in_its_time() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    one.ask(map("before")).await.created();
    assert_eq!(two.get(MAPS).await.names(), ["before"]);
    two.hold_feed();
    one.ask(map("after")).await.created();
    assert_eq!(two.get(&format!("{MAPS}?resourceVersion=0")).await.names(), ["before"]);
    // A consistent read waits until this server has caught up.
    let mut read = two.begin(Request::get(MAPS));
    assert_eq!(read.advance(10).await, None);
    two.release_feed();
    assert_eq!(read.await.names(), ["after", "before"]);
    assert_eq!(two.store.undelivered(), None);
}

#[tokio::test]
async fn a_held_feed_delivers_one_revision_at_a_time() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    let mut watch = two.watch(MAPS).await;
    two.hold_feed();
    for name in ["a", "b"] {
        one.ask(map(name)).await.created();
    }
    for expected in ["ADDED a", "ADDED b"] {
        assert!(two.store.deliver_one());
        assert_eq!(watch.next_event().await.short(), expected);
        assert_eq!(watch.try_next(), None);
    }
    assert!(!two.store.deliver_one());
}

#[tokio::test]
async fn what_was_answered_outlives_restarts_and_power_cuts() {
    let mut cluster = Cluster::start().await;
    let mut dice = Dice::new(7);
    for (name, what) in ["server", "all", "cut", "hard"].into_iter().zip(0..) {
        cluster.server(0).ask(map(name)).await.created();
        match what {
            0 => cluster.restart_server(0).await,
            1 => cluster.restart().await,
            2 => cluster.cut_power(&mut dice).await,
            _ => cluster.cut_power_hard().await,
        }
        cluster.server(0).get(&format!("{MAPS}/{name}")).await.ok();
    }
    assert_eq!(cluster.server(0).get(MAPS).await.items().len(), 4);
}

#[tokio::test]
async fn a_start_from_nothing_finds_the_same_as_a_copy() {
    let names = async |settings: Settings| {
        let cluster = Cluster::with(settings).await;
        let roles = cluster.server(0).get("/apis/rbac.authorization.k8s.io/v1/clusterroles").await;
        roles.names().iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let empty = Settings { disk: Some(SimDisk::default()), ..Settings::default() };
    assert_eq!(names(empty).await, names(Settings::default()).await);
}

#[tokio::test]
async fn a_seed_repeats_uids() {
    let uid = async |seed: u64| {
        let cluster = Cluster::with(Settings { seed, ..Settings::default() }).await;
        cluster.server(0).ask(map("a")).await.uid().to_owned()
    };
    assert_eq!(uid(5).await, uid(5).await);
    assert_ne!(uid(5).await, uid(6).await);
}

#[tokio::test]
async fn time_moves_when_told() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let mut watch = server.watch(&format!("{MAPS}?allowWatchBookmarks=true&timeoutSeconds=90")).await;
    assert_eq!(watch.next_event().await.object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(watch.try_next(), None);
    cluster.advance(std::time::Duration::from_secs(61)).await;
    let Event { kind, .. } = watch.next_event().await;
    assert_eq!(kind, "BOOKMARK");
    cluster.advance(std::time::Duration::from_secs(30)).await;
    assert_eq!(watch.next_event().await.kind, "BOOKMARK");
    assert_eq!(watch.next().await, Next::End);
}
