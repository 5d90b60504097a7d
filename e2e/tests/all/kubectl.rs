//! Stock kubectl prints what it prints against kube-apiserver.

use corten_e2e::{Kubectl, Server, VERSIONS, scenario};

async fn check(version: &str) -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut report = String::new();
    let only = std::env::var("CORTEN_SCENARIO").unwrap_or_default();
    for scenario in scenario::all()?.into_iter().filter(|scenario| scenario.name.contains(&only)) {
        let expected = std::fs::read_to_string(scenario::record_file(&scenario.name, version))?;
        // A scenario that cannot go on does not hide what the others find.
        let difference = match scenario.run(&Kubectl::new(version, server.kubeconfig())?) {
            Ok(got) => scenario::difference(&expected, &got),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(difference) = difference {
            report.push_str(&format!("--- {} with kubectl {version}: {difference}\n", scenario.name));
        }
    }
    anyhow::ensure!(report.is_empty(), "\n{report}");
    Ok(())
}

#[tokio::test]
async fn oldest() -> anyhow::Result<()> {
    check(VERSIONS[0]).await
}

#[tokio::test]
async fn newest() -> anyhow::Result<()> {
    check(VERSIONS[1]).await
}
