use std::sync::atomic::AtomicU32;

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::clock::Wall;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn scopes_make_paths_and_cancel_downwards() {
    let root = Scope::root("server");
    let (api, sibling) = (root.child("apiserver"), root.child("scheduler"));
    let cache = api.child("cache");
    assert_eq!(cache.path(), "server/apiserver/cache");
    api.cancel();
    assert!(cache.is_cancelled() && !sibling.is_cancelled() && !root.is_cancelled());
}

#[tokio::test]
async fn shutdown_waits_for_all_and_names_who_stays() {
    let (clock, hands) = Clock::manual(Wall::default());
    let root = Scope::root_with("server", clock);
    let api = root.child("apiserver");
    let polite = root.spawn("polite", OnFailure::Log, async move |token: CancellationToken| token.cancelled().await);
    let (release, held) = oneshot::channel::<()>();
    api.spawn("stubborn", OnFailure::Log, async move |_| drop(held.await));
    let connections = api.kind("connection");
    let (release_two, held) = oneshot::channel::<()>();
    connections.spawn(async move { drop(held.await) });
    let guest = connections.enter();
    assert_eq!(connections.count(), 2);

    let moving = async {
        hands.wait_for_sleepers(1).await;
        polite.finished().await;
        hands.advance(SOON);
    };
    let (result, ()) = tokio::join!(root.shutdown(SOON), moving);
    let names = ["server/apiserver/stubborn", "server/apiserver/connection (2)"];
    assert_eq!(result, Err(Remaining(names.map(str::to_owned).to_vec())));

    drop((release, release_two, guest));
    assert_eq!(root.shutdown(SOON).await, Ok(()));
    assert_eq!((connections.count(), root.remaining()), (0, vec![]));
}

#[tokio::test]
async fn a_task_started_while_draining_is_waited_for() {
    let root = Scope::root("server");
    let below = root.child("below");
    let (release, held) = oneshot::channel::<()>();
    root.spawn("parent", OnFailure::Log, async move |token: CancellationToken| {
        token.cancelled().await;
        below.spawn("late", OnFailure::Log, async move |_| drop(held.await));
    });
    root.cancel();
    let mut left = std::pin::pin!(root.left());
    assert!(tokio::time::timeout(Duration::from_millis(1), left.as_mut()).await.is_err());
    assert_eq!(root.remaining(), ["server/below/late"]);
    drop(release);
    left.await;
}

#[tokio::test]
async fn failures_follow_their_policy() {
    async fn check<T: Outcome>(policy: impl Into<Policy>, output: impl FnOnce() -> T + Send + 'static, error: &str) {
        let root = Scope::root("server");
        let api = root.child("apiserver");
        api.spawn("task", policy, async move |_| output()).finished().await;
        let failure = root.failure().map(ToString::to_string).unwrap_or_default();
        assert_eq!(failure, error);
        assert_eq!(root.is_cancelled(), !error.is_empty());
        assert_eq!(api.failure(), root.failure());
    }
    let error_only = Policy { on_error: OnFailure::FailScope, on_panic: OnFailure::Log };
    let panic_only = Policy { on_error: OnFailure::Log, on_panic: OnFailure::FailScope };
    check(OnFailure::FailScope, || (), "").await;
    check(OnFailure::FailScope, || Err::<(), _>("no room"), "server/apiserver/task: no room").await;
    check(OnFailure::Log, || Err::<(), _>("no room"), "").await;
    check(OnFailure::Log, || -> () { panic!("boo") }, "").await;
    check(error_only, || -> () { panic!("boo") }, "").await;
    check(panic_only, || -> () { panic!("boo {}", 1) }, "server/apiserver/task: panicked: boo 1").await;
    check(panic_only, || Err::<(), _>("no room"), "").await;
}

#[tokio::test]
async fn a_scope_may_keep_its_failure() {
    let root = Scope::root("server");
    let lone = root.child_with("lone", OnFailure::Log);
    lone.child("below").spawn("task", OnFailure::FailScope, async |_| Err::<(), _>("first")).finished().await;
    lone.fail("task", "second");
    assert_eq!(lone.failed().await.to_string(), "server/lone/below/task: first");
    assert!(lone.is_cancelled() && !root.is_cancelled() && root.failure().is_none());
}

#[tokio::test]
async fn restarts_back_off() {
    let (clock, hands) = Clock::manual(Wall::default());
    let root = Scope::root_with("server", clock.clone());
    let (sender, mut began) = mpsc::unbounded_channel();
    let runs = AtomicU32::new(0);
    let restart = Restart { first: Duration::from_secs(1), max: Duration::from_secs(3), on_panic: None };
    let watched = clock.clone();
    let handle = root.spawn_restarting("task", restart, move |_| {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        sender.send(clock.now().seconds).unwrap();
        let clock = clock.clone();
        async move {
            match run {
                1 => panic!("boo"),
                4 => clock.sleep(Duration::from_secs(3)).await,
                6 => return Ok(()),
                _ => {}
            }
            Err("again")
        }
    });
    let mut starts = Vec::new();
    while !handle.is_finished() {
        tokio::select! {
            biased;
            Some(at) = began.recv() => starts.push(at),
            () = handle.finished() => {}
            () = hands.wait_for_sleepers(1) => drop(hands.advance_to_next()),
        }
    }
    assert_eq!(starts, [0, 1, 3, 6, 9, 13, 15]);
    assert_eq!(watched.now().seconds, 15);
    assert!(root.failure().is_none());
}

#[tokio::test]
async fn a_cancelled_restart_does_not_wait() {
    let (clock, hands) = Clock::manual(Wall::default());
    let root = Scope::root_with("server", clock);
    root.spawn_restarting("task", Restart::default(), async |_| Err::<(), _>("again"));
    hands.wait_for_sleepers(1).await;
    root.cancel();
    root.left().await;

    let restart = Restart { on_panic: Some(OnFailure::FailScope), ..Restart::default() };
    let other = Scope::root("server");
    other.spawn_restarting("task", restart, async |_| -> () { panic!("boo") });
    assert_eq!(other.failed().await.to_string(), "server/task: panicked: boo");
}

#[tokio::test]
async fn threads_and_blocking_work_are_members() {
    let root = Scope::root("server");
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = root.spawn_blocking("log-writer", OnFailure::FailScope, move |token| {
        let _ended = receiver.recv();
        if token.is_cancelled() { Err("told to stop") } else { Ok(()) }
    });
    assert_eq!(root.remaining(), ["server/log-writer"]);
    thread.cancel();
    drop(sender);
    thread.finished().await;
    assert_eq!(root.failure().unwrap().error, "told to stop");

    let kind = root.kind("hash");
    assert_eq!(kind.blocking(|| 6 * 7).await, Some(42));
    assert_eq!(kind.blocking(|| -> () { panic!("boo") }).await, None);
    kind.spawn(async { panic!("boo") });
    assert_eq!(kind.run(async { 6 * 7 }).await, Some(42));
    assert_eq!(kind.run(async { panic!("boo") }).await, None::<()>);
    drop(kind.run(std::future::pending::<()>()));
    let here = tokio::task::try_id();
    assert_eq!(kind.run_from_here(async { tokio::task::try_id() }).await, Some(here), "who waits has begun it");
    let after_a_wait = kind.run_from_here(async {
        tokio::task::yield_now().await;
        tokio::task::try_id()
    });
    assert_ne!(after_a_wait.await, Some(here), "and leaves it to a task when it has to wait");
    assert_eq!(kind.run_from_here(async { panic!("boo") }).await, None::<()>);
    let panics_later = kind.run_from_here(async {
        tokio::task::yield_now().await;
        panic!("boo")
    });
    assert_eq!(panics_later.await, None::<()>);
    drop(kind.run_from_here(std::future::pending::<()>()));
    let mut waiting = kind.run_from_here(std::future::pending::<()>());
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("it has something to wait for"),
        () = std::future::ready(()) => {}
    }
    drop(waiting);
    root.left().await;
    assert_eq!(kind.count(), 0);
    assert_eq!(root.kind("hash").count(), 0);
}

fn component(
    name: &'static str,
    log: &Arc<Mutex<Vec<String>>>,
) -> impl FnOnce(Scope) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + 'static {
    let log = Arc::clone(log);
    move |scope| {
        Box::pin(async move {
            log.lock().push(format!("{name} starts"));
            tokio::task::yield_now().await;
            let at_end = Arc::clone(&log);
            scope.spawn("work", OnFailure::Log, async move |token: CancellationToken| {
                token.cancelled().await;
                at_end.lock().push(format!("{name} stops"));
            });
            log.lock().push(format!("{name} is ready"));
            Ok(())
        })
    }
}

#[tokio::test]
async fn groups_start_in_order_and_stop_in_reverse() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut groups = Groups::new(Scope::root("server"));
    for (stage, name) in
        [(Stage::LeaderOnly, "gc"), (Stage::Workers, "worker"), (Stage::Caches, "cache"), (Stage::Servers, "https")]
    {
        groups.add(stage, name, component(name, &log));
    }
    groups.start().await.unwrap();
    groups.lead().await.unwrap();
    groups.shutdown(SOON).await.unwrap();
    let names = ["https", "cache", "worker", "gc"];
    let starts = names.iter().flat_map(|name| [format!("{name} starts"), format!("{name} is ready")]);
    let stops = names.iter().rev().map(|name| format!("{name} stops"));
    assert_eq!(*log.lock(), starts.chain(stops).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_component_that_cannot_start_stops_the_start() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut groups = Groups::new(Scope::root("server"));
    groups.add(Stage::Servers, "https", component("https", &log));
    groups.add(Stage::Caches, "cache", |_| async { Err("cannot list") });
    groups.add(Stage::Workers, "worker", component("worker", &log));
    let failure = groups.start().await.unwrap_err();
    assert_eq!(failure.to_string(), "server/cache/start: cannot list");
    groups.shutdown(SOON).await.unwrap();
    assert_eq!(*log.lock(), ["https starts", "https is ready", "https stops"]);
}
