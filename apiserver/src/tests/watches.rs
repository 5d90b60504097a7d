//! Watches whose revisions have many events.

use std::time::Duration;

use corten_store::Store;
use serde_json::json;

use crate::fixture::{Cluster, Request};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Keys of one lease go in one revision; more of them than are sent at once.
#[tokio::test]
async fn all_events_of_one_revision_are_sent_before_a_bookmark_names_it() {
    const COUNT: usize = 600;
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for number in 0..COUNT {
        let map = json!({"metadata": {"name": format!("m{number}")}});
        server.ask(Request::post(MAPS).json(map)).await.created();
    }
    let list = server.get(MAPS).await;
    assert_eq!(list.items().len(), COUNT);
    let from = format!("{MAPS}?resourceVersion={}&allowWatchBookmarks=true", list.revision());
    let (mut before, storage) = (server.watch(&from).await, server.api.storage("", "configmaps").expect("served"));
    let revision = cluster.engine().current_revision().await.expect("an answer") + 1;
    let keys: Vec<String> = (0..COUNT).map(|number| format!("default/m{number}")).collect();
    storage.cache.apply(revision, keys.iter().map(|key| (key.as_str(), None)));
    let mut after = server.watch(&from).await;
    cluster.advance(Duration::from_secs(61)).await;
    for watch in [&mut before, &mut after] {
        let mut seen = 0;
        let bookmark = loop {
            let event = watch.next_event().await;
            match event.kind.as_str() {
                "DELETED" => seen += 1,
                _ if event.revision() < revision => {}
                _ => break event,
            }
        };
        assert_eq!((seen, bookmark.kind.as_str(), bookmark.revision()), (COUNT, "BOOKMARK", revision));
    }
}
