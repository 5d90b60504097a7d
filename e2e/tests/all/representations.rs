//! The forms of an answer, as a client asks for them.

use crate::support::{Fixture, create_configmap, differences, flatten};
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

impl Fixture {
    async fn ask(&self, path: &str, accept: &str) -> anyhow::Result<Response<Body>> {
        Ok(self.client.send(Request::get(path).header("Accept", accept).body(Body::empty())?).await?)
    }

    async fn table(&self, path: &str) -> anyhow::Result<Value> {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
        Ok(self.client.request(Request::get(path).header("Accept", accept).body(Vec::new())?).await?)
    }
}

fn media_type(response: &Response<Body>) -> &str {
    response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn the_accept_header_chooses() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    fixture.configmap("a").await?;
    let path = format!("/api/v1/namespaces/{}/configmaps/a", fixture.namespace);
    for (accept, status, expected) in [
        ("application/json", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/yaml", 200, "application/yaml"),
        ("application/vnd.kubernetes.protobuf", 200, "application/vnd.kubernetes.protobuf"),
        ("application/vnd.kubernetes.protobuf, application/json", 200, "application/vnd.kubernetes.protobuf"),
        ("text/html", 406, "application/json"),
    ] {
        let response = fixture.ask(&path, accept).await?;
        assert_eq!((response.status().as_u16(), media_type(&response)), (status, expected), "{accept}");
    }
    Ok(())
}

#[tokio::test]
async fn discovery_in_protobuf_says_what_it_is() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    for (path, kind) in [
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/api/v1", "APIResourceList"),
        ("/apis/apps/v1", "APIResourceList"),
    ] {
        for path in [path.to_owned(), format!("{path}/")] {
            let answer = fixture.ask(&path, "application/vnd.kubernetes.protobuf").await?;
            let bytes = answer.into_body().collect_bytes().await?;
            // The envelope begins with the version and the kind, each behind its tag and length.
            let head =
                [&b"k8s\0\x0a"[..], &[kind.len() as u8 + 6], b"\x0a\x02v1\x12", &[kind.len() as u8], kind.as_bytes()];
            assert!(bytes.starts_with(&head.concat()), "{path}: {:?}", &bytes[..40]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn protobuf_goes_out_and_comes_back() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    fixture.configmap("a").await?;
    let folder = format!("/api/v1/namespaces/{}/configmaps", fixture.namespace);
    let protobuf = "application/vnd.kubernetes.protobuf";
    let bytes = fixture.ask(&format!("{folder}/a"), protobuf).await?.into_body().collect_bytes().await?;
    assert_eq!(&bytes[..4], b"k8s\0");
    let put = Request::put(format!("{folder}/a")).header("Content-Type", protobuf).body(Body::from(bytes.to_vec()))?;
    let answer = fixture.client.send(put).await?;
    assert_eq!((answer.status().as_u16(), media_type(&answer)), (200, "application/json"));
    let answer: Value = serde_json::from_slice(&answer.into_body().collect_bytes().await?)?;
    assert_eq!(answer["data"], json!({"key": "a"}));
    Ok(())
}

#[tokio::test]
async fn a_table_has_rows_for_people() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    for name in ["a", "b"] {
        create_configmap(&fixture.configmaps(), name, json!({"x": "y"})).await?;
    }
    let path = format!("/api/v1/namespaces/{}/configmaps?labelSelector=x", fixture.namespace);
    let table = fixture.table(&path).await?;
    let columns: Vec<_> = table["columnDefinitions"].as_array().into_iter().flatten().map(|c| &c["name"]).collect();
    assert_eq!(columns, ["Name", "Data", "Age"]);
    let rows: Vec<_> = table["rows"].as_array().into_iter().flatten().collect();
    assert_eq!(rows.iter().map(|row| &row["cells"][0]).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(rows[0]["object"]["kind"], "PartialObjectMetadata");
    let whole = fixture.table(&format!("{path}&includeObject=Object")).await?;
    assert_eq!(whole["rows"][0]["object"]["data"], json!({"key": "a"}));
    let none = fixture.table(&format!("{path}&includeObject=None")).await?;
    assert!(none["rows"][0]["object"].is_null());
    Ok(())
}

#[tokio::test]
async fn metadata_alone_can_be_listed() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    create_configmap(&fixture.configmaps(), "a", json!({"x": "y"})).await?;
    let list = fixture.configmaps().list_metadata(&kube::api::ListParams::default().labels("x")).await?;
    let names: Vec<_> = list.items.iter().map(|item| item.metadata.name.clone().unwrap_or_default()).collect();
    assert_eq!(names, ["a"]);
    assert_eq!(list.types.kind, "PartialObjectMetadataList");
    Ok(())
}

#[tokio::test]
async fn large_answers_are_compressed_on_request() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let object = json!({"metadata": {"name": "big"}, "data": {"text": "text ".repeat(100_000)}});
    fixture.configmaps().create(&Default::default(), &crate::support::parse(object)?).await?;
    let path = format!("/api/v1/namespaces/{}/configmaps/big", fixture.namespace);
    let mut config = fixture.server.config().await?;
    // Otherwise the client unpacks the answer before the test sees it.
    config.disable_compression = true;
    let client = kube::Client::try_from(config)?;
    let request = Request::get(path).header("Accept-Encoding", "gzip").body(Body::empty())?;
    let response = client.send(request).await?;
    assert_eq!(response.headers().get("content-encoding").map(|value| value.as_bytes()), Some(&b"gzip"[..]));
    assert!(response.into_body().collect_bytes().await?.len() < 50_000);
    Ok(())
}

#[tokio::test]
async fn discovery_answers_with_its_etag() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let first = fixture.ask("/apis", accept).await?;
    assert_eq!(media_type(&first), accept);
    let etag = first.headers().get("etag").cloned().unwrap_or_else(|| http::HeaderValue::from_static("none"));
    let again = Request::get("/apis").header("Accept", accept).header("If-None-Match", etag).body(Body::empty())?;
    assert_eq!(fixture.client.send(again).await?.status().as_u16(), 304);
    Ok(())
}

#[tokio::test]
async fn discovery_equals_its_record() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let record = std::fs::read_to_string(corten_e2e::workspace().join("e2e/facts/discovery.jsonl"))?;
    // Only groups that a test adds may differ; other tests use servers of their own unless one cluster is given for all.
    let got = corten_e2e::facts::discovery(&fixture.client).await?;
    let mut report: Vec<String> = Vec::new();
    for (expected, got) in record.lines().zip(got.lines()) {
        let (expected, got): (Value, Value) = (serde_json::from_str(expected)?, serde_json::from_str(got)?);
        let (mut recorded, mut found) = Default::default();
        flatten("", &expected, &mut recorded);
        flatten("", &got, &mut found);
        report.extend(differences(&recorded, &found).iter().map(|line| format!("{}: {line}", expected["path"])));
    }
    anyhow::ensure!(report.is_empty(), "{} differences\n{}", report.len(), report[..report.len().min(40)].join("\n"));
    assert_eq!(record.lines().count(), got.lines().count());
    Ok(())
}

#[tokio::test]
async fn paths_that_lead_nowhere_say_so_as_each_router_does() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let (status, page) = ("application/json", "text/plain; charset=utf-8");
    for (method, path, code, media) in [
        ("GET", "/api/v2", 404, status),
        ("GET", "/api/v1/nosuch", 404, status),
        ("GET", "/apis/apps/v7", 404, status),
        ("GET", "/apis/apps/v1/nosuch", 404, status),
        ("GET", "/version/x", 404, status),
        ("GET", "/apis/nosuch.example.com", 404, page),
        ("GET", "/apis/nosuch.example.com/v1", 404, page),
        ("GET", "/apis/nosuch.example.com/v1/namespaces/default/things", 404, page),
        ("GET", "/nosuch", 404, page),
        ("POST", "/nosuch", 404, page),
        ("GET", "/healthz/nosuch", 404, page),
        ("GET", "/openapi/nosuch", 404, page),
        ("POST", "/version", 405, status),
        ("POST", "/apis/apps/v1", 405, status),
        ("POST", "/apis/apps", 200, status),
        ("POST", "/healthz", 200, page),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty())?;
        let response = fixture.client.send(request).await?;
        assert_eq!((response.status().as_u16(), media_type(&response)), (code, media), "{method} {path}");
    }
    Ok(())
}
