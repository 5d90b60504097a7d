//! Lists in every form: the same bytes however large a list is, made in pieces, of which nobody who does not read holds
//! more than a few.

use corten_object::protobuf::{self, wire};
use corten_object::yaml;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::fixture::{Cluster, Request, Server, eventually, settle};
use crate::http::ResponseBody;
use crate::show::indent;

const MAPS: &str = "/api/v1/namespaces/many/configmaps";
const THINGS: &str = "/apis/example.com/v1/namespaces/many/things";

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const FORMS: [&str; 9] = [
    "application/json",
    "application/json;pretty",
    "application/yaml",
    PROTOBUF,
    "application/json;as=Table;g=meta.k8s.io;v=v1",
    "application/yaml;as=Table;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "application/yaml;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
];

fn get(path: &str, form: &str) -> Request {
    match form.strip_suffix(";pretty") {
        Some(form) => {
            let mark = if path.contains('?') { '&' } else { '?' };
            Request::get(format!("{path}{mark}pretty=true")).header("accept", form)
        }
        None => Request::get(path).header("accept", form),
    }
}

async fn with_namespace() -> Cluster {
    let cluster = Cluster::start().await;
    let namespace = json!({"metadata": {"name": "many"}});
    cluster.server(0).ask(Request::post("/api/v1/namespaces").json(namespace)).await.created();
    cluster
}

async fn fill(server: &Server, count: usize, bytes: usize) {
    for number in 0..count {
        // Annotations too, so that metadata alone is much.
        let text = format!("x: {}\n- y\n", "long text ".repeat(bytes / 10));
        let meta = json!({"name": format!("m{number:04}"), "annotations": {"a": text}, "labels": {"odd": (number % 2).to_string()}});
        let map = json!({"metadata": meta, "data": {"text": text, "empty": ""}});
        server.ask(Request::post(MAPS).json(map)).await.created();
    }
}

/// A list's message, put together from what single objects look like.
async fn protobuf_of(server: &Server, path: &str, kind: &str, version: &str, form: &str) -> Vec<u8> {
    let list = server.get(path).await;
    let mut message = wire::Writer::with_capacity(64);
    let form = form.replace("MetadataList", "Metadata");
    for item in list.items().iter().rev() {
        let name = item["metadata"]["name"].as_str().unwrap_or_default();
        let one = server.ask(get(&format!("{MAPS}/{name}"), &form)).await.has_code(200).bytes;
        let range = protobuf::open(&one).expect("an envelope").message;
        message.string(2, &one[range]);
    }
    let end = message.len();
    if let Some(remaining) = list.body["metadata"]["remainingItemCount"].as_i64() {
        message.int(4, remaining);
    }
    message.string(3, list.text("/metadata/continue").as_bytes());
    message.string(2, list.text("/metadata/resourceVersion").as_bytes());
    message.string(1, b"");
    message.head_since(1, end);
    protobuf::envelope(version, kind, &message.into_vec())
}

/// Every form of a list against the JSON of the whole, or against its objects.
async fn check_forms(server: &Server, path: &str) {
    for form in FORMS {
        let answer = server.ask(get(path, form)).await.has_code(200);
        let json_form = form.replace("yaml", "json").replace(";pretty", "");
        let json = server.ask(get(path, &json_form)).await.has_code(200).bytes;
        let expected = match form {
            PROTOBUF => protobuf_of(server, path, "ConfigMapList", "v1", form).await,
            _ if form.starts_with(PROTOBUF) => {
                protobuf_of(server, path, "PartialObjectMetadataList", "meta.k8s.io/v1", form).await
            }
            _ if form.ends_with(";pretty") => indent(&json[..json.len() - 1]),
            _ if form.starts_with("application/yaml") => yaml::from_json(&json).into_bytes(),
            _ => {
                let value: Value = serde_json::from_slice(&json).expect("JSON");
                let kind = value["kind"].as_str().unwrap_or_default();
                assert!(["ConfigMapList", "PartialObjectMetadataList", "Table"].contains(&kind), "{kind}");
                json
            }
        };
        assert!(answer.bytes == expected, "{path} {form}: {} bytes, expected {}", answer.bytes.len(), expected.len());
    }
}

#[tokio::test]
async fn every_form_has_the_bytes_of_the_whole() {
    let cluster = with_namespace().await;
    let server = cluster.server(0);
    let (none, some) = (format!("{MAPS}?labelSelector=odd%3D7"), format!("{MAPS}?labelSelector=odd%3D1"));
    check_forms(server, &none).await;
    fill(server, 4, 100).await;
    for path in [MAPS, &some, &format!("{MAPS}?limit=3"), &format!("{MAPS}?fieldSelector=metadata.name%3Dm0002")] {
        check_forms(server, path).await;
    }
    // Together larger than a piece; in each form the next pieces are made when they are wanted.
    for name in ["m0000", "m0001", "m0002", "m0003"] {
        let path = format!("{MAPS}/{name}");
        let data = json!({"data": {"large": "some text, \"quoted\"\n".repeat(8000)}, "metadata": {"annotations": {"b": "c: d ".repeat(20_000)}}});
        server.ask(Request::merge_patch(path, data)).await.ok();
    }
    for path in [MAPS, &some, &format!("{MAPS}?limit=3")] {
        check_forms(server, path).await;
    }
}

#[tokio::test]
async fn custom_lists_have_the_bytes_of_the_whole() {
    let cluster = with_namespace().await;
    let server = cluster.server(0);
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let names = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
    let spec = json!({"group": "example.com", "names": names, "scope": "Namespaced", "versions": [version]});
    let definition = json!({"metadata": {"name": "things.example.com"}, "spec": spec});
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.ask(Request::post(definitions).json(definition)).await.created();
    eventually("the resource", || server.api.registry.load().find("example.com", "v1", "things").is_some()).await;
    let check = async || {
        let json = server.ask(get(THINGS, "application/json")).await.has_code(200).bytes;
        let yaml = server.ask(get(THINGS, "application/yaml")).await.has_code(200).bytes;
        let pretty = server.ask(get(THINGS, "application/json;pretty")).await.has_code(200).bytes;
        assert!(yaml == yaml::from_json(&json).into_bytes());
        assert!(pretty == indent(&json[..json.len() - 1]));
    };
    check().await;
    for number in 0..4 {
        let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": format!("t{number}")}, "spec": {"text": "items: []\n- a\n".repeat(10_000)}});
        server.ask(Request::post(THINGS).json(thing)).await.created();
        check().await;
    }
}

#[tokio::test]
async fn an_unread_list_holds_a_few_pieces_in_every_form() {
    let cluster = with_namespace().await;
    let server = cluster.server(0);
    fill(server, 60, 25_000).await;
    let budget = &server.api.budget;
    for (form, encoding) in FORMS.iter().flat_map(|form| [(form, "identity"), (form, "gzip")]) {
        let request = get(&format!("{MAPS}?includeObject=Object"), form).header("accept-encoding", encoding);
        let whole = server.ask(request.clone()).await.has_code(200);
        eventually("nothing", || budget.held() == 0).await;
        let mut answer = server.open(request.clone()).await;
        assert!(!matches!(answer.body(), ResponseBody::Full(_)), "{form}");
        let frame = answer.body_mut().frame().await.expect("a first piece").expect("no error");
        // However long whoever makes pieces ahead has had for that.
        for _ in 0..20 {
            settle().await;
            assert!((1..1_000_000).contains(&budget.held()), "{form} {encoding}: {}", budget.held());
        }
        assert!(whole.bytes.len() > 1_400_000 || encoding == "gzip", "{form}: {}", whole.bytes.len());
        let mut bytes = frame.into_data().expect("data").to_vec();
        bytes.extend(answer.into_body().collect().await.expect("no error").to_bytes());
        assert!(bytes == whole.bytes, "{form} {encoding}");
        drop(bytes);
        eventually("nothing", || budget.held() == 0).await;
    }
}

/// The selector matches nothing, so that there is nothing to send; many objects are looked at all the same.
#[tokio::test]
async fn others_have_their_turn_while_a_selector_is_compared() {
    let cluster = with_namespace().await;
    let server = cluster.server(0);
    fill(server, 50, 10).await;
    let values: Vec<String> = (0..2000).map(|number| format!("v{number}")).collect();
    let selector = format!("odd in ({})", values.join(",")).replace(' ', "%20");
    let mut list = server.begin(Request::get(format!("{MAPS}?resourceVersion=0&labelSelector={selector}")));
    assert!(futures::poll!(&mut list).is_pending());
    assert!(list.await.has_code(200).items().is_empty());
}

/// After a restart the cache knows no revision before it.
#[tokio::test]
async fn a_list_of_the_past_holds_only_what_has_changed_since() {
    let mut cluster = with_namespace().await;
    fill(cluster.server(0), 100, 10_000).await;
    let before = cluster.server(0).get(MAPS).await.has_code(200).bytes;
    let then: Value = serde_json::from_slice(&before).expect("JSON");
    let then = then["metadata"]["resourceVersion"].as_str().expect("a revision").to_owned();
    let change = json!({"data": {"text": "changed"}});
    // Many beside each other, some alone, and the first and the last.
    for number in (0..50).chain([61, 63, 99]) {
        let path = format!("{MAPS}/m{number:04}");
        let request = if number % 3 == 0 { Request::delete(path) } else { Request::merge_patch(path, change.clone()) };
        cluster.server(0).ask(request).await.ok();
    }
    let new = json!({"metadata": {"name": "new"}});
    cluster.server(0).ask(Request::post(MAPS).json(new)).await.created();
    cluster.restart().await;
    let server = cluster.server(0);
    let path = format!("{MAPS}?resourceVersion={then}&resourceVersionMatch=Exact");
    let mut answer = server.open(Request::get(&path)).await;
    let budget = &server.api.budget;
    let first = answer.body_mut().frame().await.expect("a first piece").expect("no error");
    // 53 objects of 20 KB, of 100; and a few pieces.
    assert!((1_050_000..1_750_000).contains(&budget.held()), "{}", budget.held());
    let mut bytes = first.into_data().expect("data").to_vec();
    bytes.extend(answer.into_body().collect().await.expect("no error").to_bytes());
    assert!(bytes == before, "{}", String::from_utf8_lossy(&bytes[..200]));
    drop(bytes);
    eventually("nothing", || budget.held() == 0).await;
}
