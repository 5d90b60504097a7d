//! The types that OpenAPI v3 describes mean what upstream's mean: properties, formats, required fields, defaults, enums and
//! the markers of lists and patches.

use crate::support::{Fixture, differences, flatten};
use corten_e2e::facts;
use serde_json::Value;
use std::collections::BTreeMap;

fn recorded(file: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(corten_e2e::workspace().join("apiserver/openapi/facts").join(file))?)
}

/// Types by name, flattened to `path -> value`. Types of custom resources are not upstream's.
fn schemas(lines: &str) -> anyhow::Result<BTreeMap<String, BTreeMap<String, Value>>> {
    let mut types = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line)?;
        let name = line["name"].as_str().unwrap_or_default().to_owned();
        if name.starts_with("io.k8s.") {
            let mut flat = BTreeMap::new();
            flatten("", &line["schema"], &mut flat);
            types.insert(name, flat);
        }
    }
    Ok(types)
}

#[tokio::test]
async fn types_are_upstream_s() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let got = facts::openapi(&fixture.client).await?;
    let (expected, found) = (schemas(&recorded("schemas.jsonl")?)?, schemas(&got.schemas)?);
    let mut report = Vec::new();
    for (name, schema) in &expected {
        match found.get(name) {
            None => report.push(format!("{name} is missing")),
            Some(found) => report.extend(differences(schema, found).into_iter().map(|line| format!("{name}{line}"))),
        }
    }
    report.extend(found.keys().filter(|name| !expected.contains_key(*name)).map(|name| format!("{name} is new")));
    let (count, shown) = (report.len(), report.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
    anyhow::ensure!(report.is_empty(), "{count} differences\n{shown}");
    Ok(())
}

#[tokio::test]
async fn kinds_stand_where_upstream_has_them() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let got = facts::openapi(&fixture.client).await?.kinds;
    let rows =
        |text: &str| text.lines().filter(|line| line.contains("\tio.k8s.")).map(str::to_owned).collect::<Vec<_>>();
    let (expected, got) = (rows(&recorded("kinds.tsv")?), rows(&got));
    let missing: Vec<_> = expected.iter().filter(|row| !got.contains(row)).collect();
    let new: Vec<_> = got.iter().filter(|row| !expected.contains(row)).collect();
    anyhow::ensure!(missing.is_empty() && new.is_empty(), "missing: {missing:#?}\nnew: {new:#?}");
    Ok(())
}
