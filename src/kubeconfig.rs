//! The administrator's kubeconfig: in the data folder always, and where the user looks for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use corten_apiserver::server::AdminAccess;
use corten_pki::kubeconfig::{self, Access};
use corten_runtime::clock::Clock;
use corten_runtime::tasks::CancellationToken;

use crate::milestones::Milestones;

const CONTEXT: &str = "corten";
/// How soon a file that could not be written (kubectl has locked it) is tried again; twice as late each time, up to the
/// other.
const RETRY: Duration = Duration::from_secs(60);
const RETRY_MAX: Duration = Duration::from_secs(60 * 60);

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
        let mut pause = None;
        // What was told since all was well.
        let mut told = BTreeSet::new();
        loop {
            let retry = async {
                match pause {
                    Some(pause) => clock.sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = access.renewed() => pause = None,
                () = retry => {}
                () = token.cancelled() => return,
            }
            let errors = self.renew(&access.current());
            if errors.is_empty() {
                (pause, told) = (None, BTreeSet::new());
                continue;
            }
            for error in errors {
                if !told.contains(&error) {
                    tracing::warn!(error, "write the renewed certificate; it is tried again and again");
                    told.insert(error);
                }
            }
            pause = Some(pause.map_or(RETRY, |last: Duration| RETRY_MAX.min(last * 2)));
        }
    }

    /// What kept files from being written that had to be.
    fn renew(&self, access: &Access) -> Vec<String> {
        let own = (&self.own, kubeconfig::write(&self.own, CONTEXT, access));
        let others = self.others.iter().map(|path| (path, kubeconfig::renew(path, CONTEXT, access)));
        let mut errors = Vec::new();
        for (path, written) in std::iter::once(own).chain(others) {
            match written {
                Ok(true) => tracing::info!(file = %path.display(), "wrote the renewed certificate"),
                Ok(false) => {}
                Err(error) => errors.push(format!("{error:#}")),
            }
        }
        errors
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

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_tried_less_and_less_often() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(Wall::from_seconds(1_800_000_000));
        let pki = Arc::new(Pki::open(&folder.path().join("pki"), &clock, &Random::system()).unwrap());
        let [own, given] = ["own", "given"].map(|name| folder.path().join(name));
        let kubeconfigs = Kubeconfigs { own, others: vec![given.clone()] };
        let mut access = AdminAccess::new("https://127.0.0.1:6443", &pki).unwrap();
        kubeconfig::write(&given, CONTEXT, &access.current()).unwrap();
        std::fs::write(folder.path().join("given.lock"), "").unwrap();
        let token = CancellationToken::new();
        let keep = kubeconfigs.keep_renewed(access, clock.clone(), token.clone());
        let test = async {
            hands.advance(DAY * 256);
            pki.renew(|_, _| ()).unwrap();
            for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
                hands.wait_for_sleepers(1).await;
                let before = clock.monotonic();
                assert!(hands.advance_to_next());
                assert_eq!(clock.since(before), Duration::from_secs(minutes * 60));
            }
            token.cancel();
        };
        tokio::join!(keep, test);
    }
}
