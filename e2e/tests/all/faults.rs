//! What goes wrong around the process, and how it says so.

use crate::support::{Fixture, parse, refusal, refused};
use corten_e2e::{DEADLINE, Engine, Etcd, Options, Server, SmallDisk, eventually};
use http::Request;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::core::Status;
use serde_json::json;
use std::net::TcpListener;
use std::time::Duration;

/// Starts a server that must end by itself, and gives what it printed.
async fn fails(flags: &[&str]) -> anyhow::Result<String> {
    fails_with(Options { flags: flags.iter().map(|flag| flag.to_string()).collect(), ..Options::default() }).await
}

async fn fails_with(options: Options) -> anyhow::Result<String> {
    match Server::with(options).await {
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
async fn a_limit_is_a_number() -> anyhow::Result<()> {
    for flag in ["--max-requests-inflight", "--max-mutating-requests-inflight"] {
        let said = fails(&[flag, "-1"]).await?;
        assert!(said.contains(flag) && said.contains("is not a number of requests, 0 or more"), "{said}");
    }
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
    let etcd = Etcd::start().await?;
    for engine in [Engine::Embedded, Engine::Etcd(etcd.url())] {
        let mut first = Server::with(Options { engine: engine.clone(), ..Options::default() }).await?;
        let (data, process) = (first.data()?.display().to_string(), first.process()?.id());
        let flags = vec!["--data-dir".to_owned(), data.clone()];
        let said = fails_with(Options { engine, flags, ..Options::default() }).await?;
        let expected = format!("data folder {data} is in use by process {process}; stop that first, or choose another");
        assert!(said.contains(&expected), "{said}");
        first.client().await?.apiserver_version().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() -> anyhow::Result<()> {
    let mut server = Server::with(Options::default()).await?;
    server.process()?.stop()?;
    let data = server.data()?;
    let shown = data.display().to_string();
    // Of the folder, and of the store in it.
    for (file, newer, told) in [
        ("format", "2\n", "has format 2, and this version of Corten knows formats up to 1"),
        ("store/format", "corten-store 4 complete\n", "has format 4, and this version of Corten knows formats up to 3"),
    ] {
        let (file, database) = (data.join(file), data.join("store/store.redb"));
        let (format, objects) = (std::fs::read(&file)?, std::fs::read(&database)?);
        std::fs::write(&file, newer)?;
        let said = fails(&["--data-dir", &shown]).await?;
        assert!(said.contains(told), "{said}");
        assert!(said.contains("use the version that wrote it, or a newer one"), "{said}");
        assert_eq!(std::fs::read(&file)?, newer.as_bytes());
        assert!(std::fs::read(&database)? == objects, "the store was changed");
        std::fs::write(&file, format)?;
    }
    server.relaunch().await
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

/// Writes large objects until one is refused, and gives their names and the refusal.
async fn fill(fixture: &Fixture) -> anyhow::Result<(Vec<String>, Box<Status>)> {
    let mut kept = Vec::new();
    for number in 0..1000 {
        let name = format!("large-{number:03}");
        let object = parse(json!({"metadata": {"name": name}, "data": {"text": "x".repeat(500_000)}}))?;
        match fixture.configmaps().create(&PostParams::default(), &object).await {
            Ok(_) => kept.push(name),
            Err(kube::Error::Api(refusal)) => return Ok((kept, refusal)),
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("the disk takes everything")
}

async fn health(fixture: &Fixture, path: &str) -> anyhow::Result<(u16, String)> {
    match fixture.client.request_text(Request::get(path).body(Vec::new())?).await {
        Ok(text) => Ok((200, text)),
        Err(kube::Error::Api(status)) => Ok((status.code, status.message)),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn a_full_disk_is_said_loses_nothing_and_is_outlived() -> anyhow::Result<()> {
    let disk = SmallDisk::mount(24 << 20).await?;
    let data = disk.path().join("data").display().to_string();
    let options = Options { flags: vec!["--data-dir".to_owned(), data], starter: disk.enter(), ..Options::default() };
    let ballast = disk.from_outside().join("ballast");
    std::fs::write(&ballast, vec![0; 8 << 20])?;
    let mut fixture = Fixture::on(Server::with(options.clone()).await?).await?;

    let (mut kept, refusal) = fill(&fixture).await?;
    assert_eq!((refusal.code, refusal.reason.as_str()), (503, "ServiceUnavailable"), "{refusal:?}");
    assert!(refusal.message.contains("no space left"), "{refusal:?}");
    assert!(refusal.message.contains("make room on the disk of the data folder"), "{refusal:?}");
    assert!(!kept.is_empty());
    let names = async |fixture: &Fixture| -> anyhow::Result<Vec<String>> {
        let list = fixture.configmaps().list(&ListParams::default()).await?;
        Ok(list.iter().map(|object| object.name_any()).collect())
    };
    assert_eq!(names(&fixture).await?, kept);
    let (code, said) = health(&fixture, "/readyz").await?;
    assert!(code == 500 && said.contains("[-]etcd-readiness failed"), "{said}");
    // A restart would not make room.
    assert_eq!(health(&fixture, "/livez").await?, (200, "ok".to_owned()));

    std::fs::remove_file(&ballast)?;
    fixture.configmap("there-is-room").await?;
    kept.push("there-is-room".to_owned());
    assert_eq!(health(&fixture, "/readyz").await?, (200, "ok".to_owned()));
    fixture.server.crash().await?;
    fixture.client = fixture.server.client().await?;
    assert_eq!(names(&fixture).await?, kept);
    Ok(())
}

#[tokio::test]
async fn a_start_on_a_full_disk_is_refused() -> anyhow::Result<()> {
    let disk = SmallDisk::mount(1 << 20).await?;
    let data = disk.path().join("data").display().to_string();
    // It ends with an error, when there is no room for any more.
    let _ = std::fs::write(disk.from_outside().join("ballast"), vec![0; 2 << 20]);
    let flags = vec!["--data-dir".to_owned(), data.clone()];
    let said = fails_with(Options { flags, starter: disk.enter(), ..Options::default() }).await?;
    assert!(said.contains(&data) && said.contains("No space left on device"), "{said}");
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
async fn a_timeout_that_is_none_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let message = "invalid timeout specified in the request URL - time: invalid duration \"soon\"";
    for path in ["/api/v1/namespaces?timeout=soon", "/version?timeout=soon"] {
        let error = fixture.get(path).await.expect_err(path);
        assert!(error.to_string().contains(message), "{error}");
    }
    for timeout in ["3m", "0s", "-1s", ""] {
        fixture.get(&format!("/api/v1/namespaces?timeout={timeout}")).await?;
    }
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
    tokio::time::timeout(DEADLINE, fixture.configmap("a")).await??;
    Ok(())
}

#[tokio::test]
async fn a_crowd_of_idle_clients_keeps_nobody_out() -> anyhow::Result<()> {
    // Fewer files than there are clients.
    let starter = ["prlimit", "--nofile=200", "--"].map(str::to_owned).to_vec();
    let mut fixture = Fixture::on(Server::with(Options { starter, ..Options::default() }).await?).await?;
    let config = fixture.server.config().await?;
    let authority = config.cluster_url.authority().map(|authority| authority.to_string()).unwrap_or_default();
    let mut idle = Vec::new();
    for number in 0..600 {
        idle.push(std::net::TcpStream::connect(&authority)?);
        if number % 100 == 0 {
            fixture.client = fixture.server.client().await?;
            tokio::time::timeout(DEADLINE, fixture.configmap(&format!("a{number}"))).await??;
        }
    }
    let log = fixture.server.log()?;
    assert!(!log.contains("cannot be accepted"), "{log}");
    Ok(())
}

/// Clients give up at any moment of a write. What the Service of a write that went on does not have is free again.
#[tokio::test]
async fn clients_that_vanish_leave_nothing_reserved() -> anyhow::Result<()> {
    const PORTS: std::ops::Range<u32> = 30001..30017;
    let fixture = Fixture::start().await?;
    let services: Api<Service> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    for (moment, port) in (0..80).zip(PORTS.step_by(2).cycle()) {
        let patience = Duration::from_micros(250 * moment);
        let service = parse(json!({"metadata": {"name": "a"}, "spec": {
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port + 1,
            "ports": [{"port": 80, "nodePort": port}],
        }}))?;
        // Whether they were quick enough makes no difference.
        let _ = tokio::time::timeout(patience, services.create(&PostParams::default(), &service)).await;
        let _ = tokio::time::timeout(patience, services.delete("a", &DeleteParams::default())).await;
    }
    let ports: Vec<_> = PORTS.map(|port| json!({"name": format!("p{port}"), "port": port, "nodePort": port})).collect();
    let all: Service = parse(json!({"metadata": {"name": "all"}, "spec": {"type": "NodePort", "ports": ports}}))?;
    // Writes without a client may still be under way.
    eventually("all ports to be free", async || {
        let _ = services.delete("a", &DeleteParams::default()).await;
        Ok(services.create(&PostParams::default(), &all).await.ok())
    })
    .await?;
    eventually("all addresses to be free but two", async || {
        let addresses = fixture.get("/apis/networking.k8s.io/v1/ipaddresses").await?;
        Ok((addresses["items"].as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .await
}
