//! Rules for crates and what they depend on.

use crate::{files, report};
use std::collections::BTreeSet;

#[test]
fn members_are_listed_in_the_architecture() {
    let architecture = files::read("ARCHITECTURE.md");
    let missing = members().into_iter().filter(|member| !architecture.contains(&format!("`{member}/`")));
    report(missing.map(|member| format!("ARCHITECTURE.md: the code map lacks `{member}/`")).collect());
}

#[test]
fn each_dependency_is_explained() {
    let architecture = files::read("ARCHITECTURE.md");
    let used: BTreeSet<String> = members().iter().flat_map(|member| dependencies(&manifest(member))).collect();
    let foreign = used.into_iter().filter(|name| !name.starts_with("corten-"));
    let missing = foreign.filter(|name| !architecture.contains(&format!("`{name}`")));
    report(missing.map(|name| format!("ARCHITECTURE.md: why do we depend on `{name}`?")).collect());
}

#[test]
fn versions_and_lints_are_the_workspace_s() {
    let mut found = Vec::new();
    for member in members() {
        let manifest = manifest(&member);
        if !manifest.contains("[lints]\nworkspace = true") {
            found.push(format!("{member}/Cargo.toml: [lints] workspace = true"));
        }
        for (name, value) in dependency_lines(&manifest) {
            if !name.ends_with(".workspace") && !value.contains("workspace = true") {
                found.push(format!("{member}/Cargo.toml: {name}: versions stand in the workspace's Cargo.toml"));
            }
        }
    }
    report(found);
}

#[test]
fn nothing_is_listed_that_nobody_uses() {
    let workspace = files::read("Cargo.toml");
    let section = workspace.split("[workspace.dependencies]").nth(1).and_then(|rest| rest.split("\n[").next());
    let listed =
        section.unwrap_or_default().lines().filter_map(|line| Some(line.split_once(" = ")?.0.trim().to_owned()));
    let mut used: BTreeSet<String> = members().iter().flat_map(|member| dependencies(&manifest(member))).collect();
    used.extend(dependencies(&workspace));
    report(listed.filter(|name| !used.contains(name)).map(|name| format!("Cargo.toml: nobody uses {name}")).collect());
}

/// The folders of the workspace's members.
fn members() -> Vec<String> {
    let workspace = files::read("Cargo.toml");
    let list = workspace.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let members: Vec<_> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(members.len() > 5, "the workspace's members are not where they should be");
    members
}

fn manifest(member: &str) -> String {
    files::read(&format!("{member}/Cargo.toml"))
}

fn dependencies(manifest: &str) -> Vec<String> {
    let name = |(name, _): (&str, &str)| name.trim_end_matches(".workspace").to_owned();
    dependency_lines(manifest).map(name).collect()
}

/// `name` and value of each line in a section of dependencies, the workspace's own left out.
fn dependency_lines(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut inside = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && line != "[workspace.dependencies]";
        }
        let (name, value) = line.split_once(" = ")?;
        (inside && !line.starts_with('#')).then_some((name.trim(), value))
    })
}
