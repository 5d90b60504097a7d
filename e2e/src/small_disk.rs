//! A file system of a few megabytes, to run full.

use crate::poll::eventually;
use crate::process::Process;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A tmpfs in a mount namespace of its own, which a process holds open and which goes with it. Nothing is mounted where
/// others could see it, but in a chroot, whose root cannot be made private; who is not root gets a user namespace as well.
pub struct SmallDisk {
    holder: Process,
    folder: TempDir,
}

impl SmallDisk {
    pub async fn mount(bytes: u64) -> anyhow::Result<SmallDisk> {
        let folder = tempfile::Builder::new().prefix("corten-disk-").tempdir()?;
        let disk = folder.path().join("disk");
        std::fs::create_dir(&disk)?;
        let script = "mount --make-rprivate / || true; mount -t tmpfs -o \"size=$1\" corten \"$2\" && touch \"$2/mounted\" && exec sleep infinity";
        let mut args: Vec<String> = namespaces().iter().map(ToString::to_string).collect();
        args.extend(["--", "sh", "-c", script, "sh"].map(Into::into));
        args.extend([bytes.to_string(), disk.display().to_string()]);
        let mut holder = Process::start("disk", Path::new("unshare"), &args, folder.path())?;
        let mounted = within(&holder, &disk).join("mounted");
        eventually("the small disk", async || {
            anyhow::ensure!(holder.ended()?.is_none(), "no disk of its own for this test:\n{}", holder.log_tail());
            Ok(mounted.exists().then_some(()))
        })
        .await?;
        std::fs::remove_file(mounted)?;
        Ok(SmallDisk { holder, folder })
    }

    /// Where the disk lies for a program that is started by [`enter`](Self::enter).
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// The same place for this program.
    pub fn from_outside(&self) -> PathBuf {
        within(&self.holder, &self.path())
    }

    /// What a command has to begin with, to see the disk.
    pub fn enter(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        // Its root too: in a chroot, a mount namespace begins elsewhere.
        let mut command: Vec<String> = ["nsenter", "--target", &target, "--mount", "--root"].map(Into::into).into();
        if namespaces().contains(&"--user") {
            command.extend(["--user", "--preserve-credentials"].map(Into::into));
        }
        command.push("--".to_owned());
        command
    }
}

impl Drop for SmallDisk {
    /// Whoever could see it after all is rid of it as well.
    fn drop(&mut self) {
        let enter = self.enter();
        let mut umount = std::process::Command::new(&enter[0]);
        let _ = umount.args(&enter[1..]).args(["umount", "--lazy"]).arg(self.path()).status();
    }
}

fn within(process: &Process, path: &Path) -> PathBuf {
    Path::new("/proc").join(process.id().to_string()).join("root").join(path.strip_prefix("/").unwrap_or(path))
}

fn namespaces() -> &'static [&'static str] {
    let own: &[&str] = &["--mount", "--propagation", "unchanged", "--user", "--map-root-user"];
    if rustix::process::geteuid().is_root() { &own[..3] } else { own }
}
