//! The administrator's kubeconfig: in the data folder always, and where the user looks for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use corten_apiserver::server::AdminAccess;
use corten_pki::kubeconfig::{self, Access};
use corten_runtime::clock::Clock;
use corten_runtime::tasks::CancellationToken;

use crate::milestones::Milestones;

const CONTEXT: &str = "corten";
/// How soon a file that could not be written (kubectl has locked it) is tried again.
const RETRY: Duration = Duration::from_secs(60);

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

/// The files that hold the administrator's kubeconfig.
pub struct Kubeconfigs {
    /// In the data folder; nobody else writes to it.
    own: PathBuf,
    /// `--write-kubeconfig`, or else the user's own file.
    others: Vec<PathBuf>,
}

impl Kubeconfigs {
    pub fn new(given: &str, data_dir: &Path) -> Kubeconfigs {
        let other = if given.is_empty() { users_file() } else { Some(PathBuf::from(given)) };
        Kubeconfigs { own: data_dir.join("admin.kubeconfig"), others: other.into_iter().collect() }
    }

    /// Writes the file that `given` names, or, if that is empty, adds a context to the user's own. Returns what to put
    /// before `get` in a kubectl command line.
    pub fn write(&self, given: &str, access: &Access, milestones: Milestones) -> Result<String> {
        kubeconfig::write(&self.own, CONTEXT, access)?;
        if !given.is_empty() {
            kubeconfig::write(Path::new(given), CONTEXT, access).context("write the kubeconfig")?;
            milestones.say(&format!("kubeconfig: {given}"));
            return Ok(format!("kubectl --kubeconfig {given}"));
        }
        milestones.say(&format!("kubeconfig: {}", self.own.display()));
        let by_file = format!("kubectl --kubeconfig {}", self.own.display());
        let Some(users) = self.others.first() else { return Ok(by_file) };
        match kubeconfig::merge(users, CONTEXT, access) {
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

    /// Writes the administrator's certificate into the files whenever it is renewed, until cancelled.
    pub async fn keep_renewed(self, mut access: AdminAccess, clock: Clock, token: CancellationToken) {
        let mut failed = false;
        loop {
            let retry = async {
                match failed {
                    true => clock.sleep(RETRY).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                () = access.renewed() => {}
                () = retry => {}
                () = token.cancelled() => return,
            }
            failed = !self.renew(&access.current());
        }
    }

    /// True if all files were written that had to be.
    fn renew(&self, access: &Access) -> bool {
        let outcome = |path: &Path, written: Result<bool>| match written {
            Ok(changed) => {
                if changed {
                    tracing::info!(file = %path.display(), "wrote the renewed certificate");
                }
                true
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), again_after = ?RETRY, "write the renewed certificate");
                false
            }
        };
        let own = outcome(&self.own, kubeconfig::write(&self.own, CONTEXT, access));
        let others = self.others.iter().map(|path| outcome(path, kubeconfig::renew(path, CONTEXT, access)));
        others.fold(own, |all, written| all & written)
    }
}

fn users_file() -> Option<PathBuf> {
    let (variable, home) = (std::env::var_os("KUBECONFIG"), std::env::var_os("HOME"));
    kubeconfig::users_file(variable.as_deref(), home.as_deref().map(Path::new))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use corten_pki::Pki;
    use corten_runtime::Random;
    use corten_runtime::clock::Wall;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn read(path: &Path) -> Access {
        kubeconfig::read(path).unwrap()
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_written_into_every_file() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(Wall::from_seconds(1_800_000_000));
        let pki = Arc::new(Pki::open(&folder.path().join("pki"), &clock, &Random::system()).unwrap());
        let files = ["own", "given"].map(|name| folder.path().join(name));
        let kubeconfigs = Kubeconfigs { own: files[0].clone(), others: vec![files[1].clone()] };
        let mut access = AdminAccess::new("https://127.0.0.1:6443", &pki).unwrap();
        let first = access.current();
        for file in &files {
            kubeconfig::write(file, CONTEXT, &first).unwrap();
        }
        // kubectl is writing to one of them when the certificate is renewed.
        let lock = folder.path().join("given.lock");
        std::fs::write(&lock, "").unwrap();
        let token = CancellationToken::new();
        let keep = kubeconfigs.keep_renewed(access, clock.clone(), token.clone());
        let test = async {
            hands.advance(DAY * 256);
            pki.renew(|_, _| ()).unwrap();
            // The one that sleeps is the next attempt.
            hands.wait_for_sleepers(1).await;
            let renewed = AdminAccess::new("https://127.0.0.1:6443", &pki).unwrap().current();
            assert!(renewed != first);
            assert!(read(&files[0]) == renewed && read(&files[1]) == first);
            std::fs::remove_file(&lock).unwrap();
            hands.advance(RETRY);
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            assert!(read(&files[1]) == renewed);
            token.cancel();
        };
        tokio::join!(keep, test);
    }
}
