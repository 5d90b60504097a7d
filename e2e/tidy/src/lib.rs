//! The house rules that a program can check, as tests. Each failure names the file, the line and the rule.

#![cfg(test)]

mod files;
mod manifests;
mod sources;

/// Fails with all complaints, not with the first one.
fn report(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
