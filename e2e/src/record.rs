//! Renews what the tests expect, from a cluster whose answers are the specification.
//!
//! `corten-record kubectl VERSION KUBECONFIG`  what kubectl of a version prints in the scenarios
//! `corten-record openapi KUBECONFIG`          the types and operations of OpenAPI v3, without descriptions
//! `corten-record discovery KUBECONFIG`        the discovery documents
//!
//! The cluster must be a fresh one, without controllers, each time: the scenarios create the same names again.

use anyhow::Context;
use corten_e2e::{Kubectl, facts, scenario, workspace};
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::Path;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["kubectl", version, kubeconfig] => kubectl(version, Path::new(kubeconfig)),
        ["openapi", kubeconfig] => openapi(kubeconfig).await,
        ["discovery", kubeconfig] => discovery(kubeconfig).await,
        _ => {
            anyhow::bail!("usage: corten-record kubectl VERSION KUBECONFIG | openapi KUBECONFIG | discovery KUBECONFIG")
        }
    }
}

fn kubectl(version: &str, kubeconfig: &Path) -> anyhow::Result<()> {
    for scenario in scenario::all()? {
        let record = scenario.run(&Kubectl::new(version, kubeconfig)?)?;
        write(&scenario::record_file(&scenario.name, version), &record)?;
    }
    Ok(())
}

async fn openapi(kubeconfig: &str) -> anyhow::Result<()> {
    let facts = facts::openapi(&client(kubeconfig).await?).await?;
    let folder = workspace().join("apiserver/openapi/facts");
    write(&folder.join("schemas.jsonl"), &facts.schemas)?;
    write(&folder.join("kinds.tsv"), &facts.kinds)?;
    write(&folder.join("operations.tsv"), &facts.operations)?;
    write(&folder.join("enum_values.tsv"), &facts.enum_values)
}

async fn discovery(kubeconfig: &str) -> anyhow::Result<()> {
    let facts = facts::discovery(&client(kubeconfig).await?).await?;
    write(&workspace().join("e2e/facts/discovery.jsonl"), &facts)
}

async fn client(kubeconfig: &str) -> anyhow::Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text).with_context(|| file.display().to_string())?;
    println!("{} ({} bytes)", file.display(), text.len());
    Ok(())
}
