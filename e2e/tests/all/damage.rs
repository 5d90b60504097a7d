//! A disk that changes what the server wrote: it is told, and `corten store` helps.

use std::path::Path;
use std::process::Command;

use corten_e2e::{Options, Server, binary};
use kube::api::PostParams;
use serde_json::json;

use crate::support::{Fixture, parse};

/// Runs `corten store COMMAND`; gives whether it succeeded, and what it printed.
fn store(command: &str, data: &Path) -> anyhow::Result<(bool, String)> {
    let output = Command::new(binary()?).args(["store", command, "--data-dir"]).arg(data).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Changes each place of a file that holds `text`.
fn spoil(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let places: Vec<_> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text.as_bytes())).collect();
    anyhow::ensure!(!places.is_empty(), "{text} is not in {}", file.display());
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    Ok(std::fs::write(file, bytes)?)
}

async fn make(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    let object = parse(json!({"metadata": {"name": name}, "data": {"text": format!("the text of {name}")}}))?;
    fixture.configmaps().create(&PostParams::default(), &object).await?;
    Ok(())
}

#[tokio::test]
async fn a_damaged_journal_is_refused_and_repaired() -> anyhow::Result<()> {
    let mut fixture = Fixture::on(Server::with(Options::default()).await?).await?;
    let data = fixture.server.data()?;
    // All is in the tables, but for what follows.
    fixture.server.restart().await?;
    for name in ["one", "two", "three"] {
        make(&fixture, name).await?;
    }
    fixture.server.process()?.kill()?;
    spoil(&data.join("store/journal"), "the text of two")?;
    let refused = format!("{:#}", fixture.server.relaunch().await.expect_err("it is damaged"));
    assert!(refused.contains("of the journal is damaged") || refused.contains("the journal: the sector"), "{refused}");
    assert!(refused.contains("corten store check"), "{refused}");
    let (whole, said) = store("check", &data)?;
    assert!(!whole && said.contains("the journal: the sector at byte"), "{said}");
    let (_, exported) = store("export", &data)?;
    assert!(exported.contains("the text of three") && !exported.contains("the text of two"), "{exported}");
    let (repaired, said) = store("repair", &data)?;
    assert!(repaired && said.contains("found: the journal: the sector at byte"), "{said}");
    fixture.server.relaunch().await?;
    for (name, is_there) in [("one", true), ("two", false), ("three", true)] {
        assert_eq!(fixture.configmaps().get_opt(name).await?.is_some(), is_there, "{name}");
    }
    fixture.server.process()?.stop()?;
    let (whole, said) = store("check", &data)?;
    assert!(whole, "{said}");
    Ok(())
}
