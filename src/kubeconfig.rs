//! The administrator's kubeconfig: in the data folder always, and where the user looks for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use corten_apiserver::server::Running;
use corten_pki::kubeconfig;

use crate::milestones::Milestones;

const CONTEXT: &str = "corten";

/// Refuses early what `write` could not write to after the start.
pub fn check(given: &str) -> Result<()> {
    let folder = Path::new(given).parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !given.is_empty() && !folder.is_dir() => {
            anyhow::bail!("--write-kubeconfig {given}: there is no folder {}; make it first", folder.display())
        }
        _ => Ok(()),
    }
}

/// Writes it to `given`, or, if that is empty, adds a context to the user's own. Returns what to put before `get` in a
/// kubectl command line.
pub fn write(given: &str, data_dir: &Path, running: &Running, milestones: Milestones) -> Result<String> {
    let access = running.admin_access()?;
    let own = data_dir.join("admin.kubeconfig");
    kubeconfig::write(&own, CONTEXT, &access)?;
    if !given.is_empty() {
        kubeconfig::write(Path::new(given), CONTEXT, &access).context("write the kubeconfig")?;
        milestones.say(&format!("kubeconfig: {given}"));
        return Ok(format!("kubectl --kubeconfig {given}"));
    }
    milestones.say(&format!("kubeconfig: {}", own.display()));
    let by_file = format!("kubectl --kubeconfig {}", own.display());
    let Some(users) = users_file() else { return Ok(by_file) };
    match kubeconfig::merge(&users, CONTEXT, &access) {
        Ok(_changed) => {
            milestones.say(&format!("context {CONTEXT:?} is the current one of {}", users.display()));
            Ok("kubectl".to_owned())
        }
        // The cluster runs all the same, and its own file is there.
        Err(error) => {
            eprintln!("The context {CONTEXT:?} was not added to {}: {error:#}", users.display());
            Ok(by_file)
        }
    }
}

fn users_file() -> Option<PathBuf> {
    let (variable, home) = (std::env::var_os("KUBECONFIG"), std::env::var_os("HOME"));
    kubeconfig::users_file(variable.as_deref(), home.as_deref().map(Path::new))
}
