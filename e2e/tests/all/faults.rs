//! What goes wrong around the process, and how it says so.

use crate::support::{Fixture, refusal, refused};
use corten_e2e::{Options, Server};
use http::Request;
use serde_json::json;
use std::net::TcpListener;
use std::time::Duration;

/// Starts a server that must end by itself, and gives what it printed.
async fn fails(flags: &[&str]) -> anyhow::Result<String> {
    let flags = flags.iter().map(|flag| flag.to_string()).collect();
    match Server::with(Options { flags, ..Options::default() }).await {
        Ok(_) => anyhow::bail!("the server started"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[tokio::test]
async fn an_unknown_flag_is_named() -> anyhow::Result<()> {
    let said = fails(&["--no-such-flag"]).await?;
    assert!(said.contains("--no-such-flag"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_component_that_is_not_built_is_named() -> anyhow::Result<()> {
    let said = fails(&["--components", "scheduler"]).await?;
    assert!(said.contains("not built yet: scheduler"), "{said}");
    let said = fails(&["--feature-gates", "NoSuchGate=true"]).await?;
    assert!(said.contains("unrecognized feature gate: NoSuchGate"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_named() -> anyhow::Result<()> {
    let holder = TcpListener::bind("127.0.0.1:0")?;
    let port = holder.local_addr()?.port().to_string();
    // The last of a repeated flag counts.
    let said = fails(&["--secure-port", &port]).await?;
    assert!(said.contains(&port), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_data_folder_serves_one_server_at_a_time() -> anyhow::Result<()> {
    let first = Server::with(Options::default()).await?;
    let data = first.data()?.display().to_string();
    let said = fails(&["--data-dir", &data]).await?;
    assert!(said.contains(&data), "{said}");
    first.client().await?.apiserver_version().await?;
    Ok(())
}

#[tokio::test]
async fn a_foreign_data_folder_is_refused_and_left_alone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("letters.txt"), "dear")?;
    let path = folder.path().display().to_string();
    let said = fails(&["--data-dir", &path]).await?;
    assert!(said.contains(&path), "{said}");
    let left: Vec<_> = std::fs::read_dir(folder.path())?.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["letters.txt"]);
    Ok(())
}

#[tokio::test]
async fn a_stop_is_orderly() -> anyhow::Result<()> {
    let mut fixture = Fixture::on(Server::with(Options::default()).await?).await?;
    // An open watch must not hold it up.
    let watch = fixture.configmaps().watch(&Default::default(), "0").await?;
    let status = fixture.server.process()?.stop()?;
    assert!(status.success(), "{status}");
    drop(watch);
    Ok(())
}

#[tokio::test]
async fn an_oversized_body_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let body = json!({"metadata": {"name": "big"}, "data": {"text": "x".repeat(4 << 20)}});
    let path = format!("/api/v1/namespaces/{}/configmaps", fixture.namespace);
    let request = Request::post(path).header("Content-Type", "application/json").body(serde_json::to_vec(&body)?)?;
    let answer = fixture.client.request_text(request).await;
    assert_eq!(refusal(answer)?, refused(413, "RequestEntityTooLarge"));
    fixture.configmap("small").await?;
    Ok(())
}

#[tokio::test]
async fn deep_nesting_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let path = format!("/api/v1/namespaces/{}/configmaps", fixture.namespace);
    for body in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let request = Request::post(&path).header("Content-Type", "application/json").body(body.into_bytes())?;
        assert_eq!(refusal(fixture.client.request_text(request).await)?.0, 400);
    }
    fixture.configmap("small").await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_hangs_holds_nobody_up() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let config = fixture.server.config().await?;
    let authority = config.cluster_url.authority().map(|authority| authority.to_string()).unwrap_or_default();
    let mut idle = Vec::new();
    for _ in 0..50 {
        // It connects and says nothing.
        idle.push(std::net::TcpStream::connect(&authority)?);
    }
    tokio::time::timeout(Duration::from_secs(10), fixture.configmap("a")).await??;
    Ok(())
}
