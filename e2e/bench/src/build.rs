//! How long a clean release build takes, in a folder of its own.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::budget;
use crate::report::Row;

pub fn clean_release() -> Result<Row> {
    let folder = tempfile::Builder::new().prefix("corten-build-").tempdir()?;
    let started = Instant::now();
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--package", "corten", "--target-dir"])
        .arg(folder.path())
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "the build ended: {status}");
    Ok(Row::plain(budget::BUILD, started.elapsed().as_secs_f64() / 60.0))
}
