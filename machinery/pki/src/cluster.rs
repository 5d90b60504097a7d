//! The `pki` folder of the data folder.
//!
//! | files | what |
//! |---|---|
//! | ca.crt, ca.key | the cluster CA: everybody's client certificates, and the API server's own |
//! | front-proxy-ca.crt, .key | the CA of whoever may speak for a user to an extension API server |
//! | sa.key, sa.pub | what service-account tokens are signed with |
//! | apiserver, admin, controller-manager, scheduler, node-NAME, front-proxy-client (.crt, .key) | leaves |
//!
//! A key is written before its certificate, so that a crash between the two leaves a key without a certificate, for
//! which one is made at the next start. A leaf keeps its key when it is renewed: then one file changes, in one rename,
//! and no crash can leave a pair that does not fit. Whatever else is odd is an error, and the files stay as they are.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use corten_runtime::{CancellationToken, Clock, Random, Wall};
use parking_lot::Mutex;
use rcgen::KeyPair;
use tokio::sync::{Notify, watch};

use crate::authority::{self, Authority, Leaf, PROJECT_BEGAN, Signer};
use crate::certificate::{self, Pair};
use crate::files::{self, PUBLIC, SECRET};
use crate::keys::{PublicKey, SigningKey};

const SHORTEST_SLEEP: Duration = Duration::from_secs(60);
/// Where nothing tells that the wall clock was set, this is how soon that is noticed.
const LONGEST_BLIND_SLEEP: Duration = Duration::from_secs(12 * 60 * 60);
/// How soon a renewal that failed (a full disk) is tried again.
const RETRY: Duration = Duration::from_secs(5 * 60);

/// The cluster's authorities, its signing key, and the leaves that were asked for.
pub struct Pki {
    folder: PathBuf,
    clock: Clock,
    random: Random,
    cluster_ca: Authority,
    front_proxy_ca: Authority,
    service_account_key: Arc<SigningKey>,
    /// By file name; those that are kept valid.
    leaves: Mutex<BTreeMap<String, Kept>>,
    /// Rung when a leaf is asked for, which may be due before the others.
    added: Notify,
}

/// A leaf that is kept valid.
struct Kept {
    leaf: Leaf,
    pair: watch::Sender<Arc<Pair>>,
}

impl Pki {
    /// Opens the folder, and makes what is missing in it.
    pub fn open(folder: &Path, clock: &Clock, random: &Random) -> Result<Pki> {
        files::create_folder(folder)?;
        if clock.now() < PROJECT_BEGAN {
            tracing::warn!(
                "this machine's clock is wrong: it shows a time before 2026; certificates are made all the same, and \
                 renewed when the clock is set"
            );
        }
        Ok(Pki {
            cluster_ca: open_authority(folder, "ca", "kubernetes", clock.now(), random)?,
            front_proxy_ca: open_authority(folder, "front-proxy-ca", "front-proxy-ca", clock.now(), random)?,
            service_account_key: Arc::new(open_signing_key(folder)?),
            folder: folder.to_owned(),
            clock: clock.clone(),
            random: random.clone(),
            leaves: Mutex::default(),
            added: Notify::new(),
        })
    }

    pub fn cluster_ca(&self) -> &Authority {
        &self.cluster_ca
    }

    pub fn front_proxy_ca(&self) -> &Authority {
        &self.front_proxy_ca
    }

    pub fn service_account_key(&self) -> &Arc<SigningKey> {
        &self.service_account_key
    }

    /// The leaf's certificate and key: from its files if they are there, made otherwise, renewed if that is due or if
    /// it lacks a name. From now on `renew` keeps it valid.
    pub fn leaf(&self, leaf: Leaf) -> Result<Arc<Pair>> {
        if leaf.file.contains(['/', '\0']) || leaf.file.starts_with('.') {
            bail!("{:?} cannot be the name of a file", leaf.file);
        }
        let mut leaves = self.leaves.lock();
        let pair = Arc::new(self.open_leaf(&leaf)?);
        match leaves.get_mut(&leaf.file) {
            Some(kept) => {
                kept.leaf = leaf;
                kept.pair.send_replace(Arc::clone(&pair));
            }
            None => {
                let sender = watch::Sender::new(Arc::clone(&pair));
                leaves.insert(leaf.file.clone(), Kept { leaf, pair: sender });
            }
        }
        drop(leaves);
        self.added.notify_one();
        Ok(pair)
    }

    /// The same, and what it is renewed to.
    pub fn follow(&self, leaf: Leaf) -> Result<watch::Receiver<Arc<Pair>>> {
        let file = leaf.file.clone();
        self.leaf(leaf)?;
        let leaves = self.leaves.lock();
        Ok(leaves.get(&file).context("a leaf is kept once it was asked for")?.pair.subscribe())
    }

    /// When the next leaf must be renewed; that may be in the past.
    pub fn next_due(&self) -> Option<Wall> {
        self.leaves.lock().values().map(|kept| kept.pair.borrow().certificate.renew_at()).min()
    }

    /// Renews what is due now, and tells of each by its file name. One that cannot be renewed is still due, and holds up
    /// no other; the first error is returned.
    pub fn renew(&self, mut renewed: impl FnMut(&str, &Arc<Pair>)) -> Result<()> {
        let now = self.clock.now();
        let leaves = self.leaves.lock();
        let mut outcome = Ok(());
        for (file, Kept { leaf, pair }) in &*leaves {
            let old = Arc::clone(&pair.borrow());
            if !old.certificate.is_due(now) {
                continue;
            }
            match self.sign_again(leaf, &old) {
                Ok(new) => {
                    let new = Arc::new(new);
                    pair.send_replace(Arc::clone(&new));
                    renewed(file, &new);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// Renews each leaf when it is due, until cancelled.
    ///
    /// When that is depends on the wall clock, which may be set while this sleeps: then it looks again. Where nothing
    /// tells of that, it looks now and then.
    pub async fn keep_renewed(self: Arc<Self>, token: CancellationToken, mut renewed: impl FnMut(&str, &Arc<Pair>)) {
        let mut jumps = self.clock.jumps();
        loop {
            let outcome = self.renew(|file, pair| {
                tracing::info!(certificate = file, "renewed a certificate");
                renewed(file, pair);
            });
            let longest = if jumps.are_told() { Duration::MAX } else { LONGEST_BLIND_SLEEP };
            let wait = match outcome {
                // A leaf whose CA ends soon is due again at once, so there is a least pause.
                Ok(()) => self.next_due().map(|due| due.since(self.clock.now()).clamp(SHORTEST_SLEEP, longest)),
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), again_after = ?RETRY, "renew certificates");
                    Some(RETRY)
                }
            };
            let due = async {
                match wait {
                    Some(wait) => self.clock.sleep(wait).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.added.notified() => {}
                () = jumps.next() => tracing::info!("the machine's clock may have been set; looking at the certificates"),
                () = token.cancelled() => return,
            }
        }
    }

    fn open_leaf(&self, leaf: &Leaf) -> Result<Pair> {
        let (certificate_path, key_path) = paths(&self.folder, &leaf.file);
        let (certificate, key) = (files::read_if_exists(&certificate_path)?, open_key(&key_path)?);
        match (certificate, key) {
            (None, None) => {
                let key = KeyPair::generate().context("make a key")?;
                let key_pem = key.serialize_pem();
                files::write_atomically(&key_path, key_pem.as_bytes(), SECRET)?;
                self.sign(leaf, &key, key_pem)
            }
            (None, Some(key_pem)) => {
                let key = authority::load_key(key_pem.as_bytes()).with_context(|| unusable_leaf(&key_path))?;
                self.sign(leaf, &key, key_pem)
            }
            (Some(_), None) => {
                let problem = anyhow!("{} is there, but its key is missing", certificate_path.display());
                Err(problem.context(unusable_leaf(&key_path)))
            }
            (Some(certificate_pem), Some(key_pem)) => {
                self.check_leaf(leaf, &certificate_pem, key_pem).with_context(|| unusable_leaf(&certificate_path))
            }
        }
    }

    /// The pair if it is the leaf's; signed anew where only names or time are lacking.
    fn check_leaf(&self, leaf: &Leaf, certificate_pem: &[u8], key_pem: String) -> Result<Pair> {
        let pair = Pair::from_pem(certificate_pem, key_pem.as_bytes())?;
        let der = certificate::chain(certificate_pem)?;
        if !pair.certificate.is_signed_by(&der[0], &self.signer(leaf).certificate) {
            bail!("another CA than {} signed it", self.signer(leaf).certificate.common_name);
        }
        let organizations: Vec<_> = leaf.organization.iter().collect();
        if pair.certificate.common_name != leaf.common_name
            || !pair.certificate.organizations.iter().eq(organizations.iter().copied())
        {
            bail!("it is made out to {:?}, not to {:?}", pair.certificate.common_name, leaf.common_name);
        }
        let has_names = leaf.names.dns.iter().all(|name| pair.certificate.dns_names.contains(name))
            && leaf.names.ips.iter().all(|ip| pair.certificate.ips.contains(ip));
        let now = self.clock.now();
        if has_names && !pair.certificate.is_due(now) {
            return Ok(pair);
        }
        tracing::info!(certificate = leaf.file, "signing the certificate anew");
        let key = authority::load_key(key_pem.as_bytes())?;
        self.sign(leaf, &key, key_pem)
    }

    /// With the key that it has.
    fn sign_again(&self, leaf: &Leaf, old: &Pair) -> Result<Pair> {
        let key = authority::load_key(old.key_pem.as_bytes())?;
        self.sign(leaf, &key, old.key_pem.clone())
    }

    fn sign(&self, leaf: &Leaf, key: &KeyPair, key_pem: String) -> Result<Pair> {
        let certificate_pem = self.signer(leaf).issue(leaf, key, self.clock.now(), &self.random)?;
        let pair = Pair::from_pem(certificate_pem.as_bytes(), key_pem.as_bytes())?;
        files::write_atomically(&paths(&self.folder, &leaf.file).0, certificate_pem.as_bytes(), PUBLIC)?;
        Ok(pair)
    }

    fn signer(&self, leaf: &Leaf) -> &Authority {
        match leaf.signer {
            Signer::Cluster => &self.cluster_ca,
            Signer::FrontProxy => &self.front_proxy_ca,
        }
    }
}

fn open_authority(folder: &Path, file: &str, common_name: &str, now: Wall, random: &Random) -> Result<Authority> {
    let (certificate_path, key_path) = paths(folder, file);
    let create = |key: KeyPair| {
        let authority = Authority::create(common_name, key, now, random)?;
        files::write_atomically(&certificate_path, authority.certificate_pem.as_bytes(), PUBLIC)?;
        Ok(authority)
    };
    match (files::read_if_exists(&certificate_path)?, open_key(&key_path)?) {
        (None, None) => {
            let key = KeyPair::generate().context("make a key")?;
            files::write_atomically(&key_path, key.serialize_pem().as_bytes(), SECRET)?;
            create(key)
        }
        (None, Some(key_pem)) => {
            let key = authority::load_key(key_pem.as_bytes()).with_context(|| unusable_authority(&key_path))?;
            create(key)
        }
        (Some(_), None) => {
            let problem = anyhow!("{} is there, but its key is missing", certificate_path.display());
            Err(problem.context(unusable_authority(&key_path)))
        }
        (Some(certificate_pem), Some(key_pem)) => Authority::load(&certificate_pem, key_pem.as_bytes(), now)
            .with_context(|| unusable_authority(&certificate_path)),
    }
}

fn open_signing_key(folder: &Path) -> Result<SigningKey> {
    let (path, public_path) = (folder.join("sa.key"), folder.join("sa.pub"));
    let key = match open_key(&path)? {
        Some(pem) => SigningKey::from_pem(pem.as_bytes()).with_context(|| unusable_signing_key(&path))?,
        None if public_path.exists() => {
            let problem = anyhow!("{} is there, but its key is missing", public_path.display());
            return Err(problem.context(unusable_signing_key(&path)));
        }
        None => {
            let pem = KeyPair::generate().context("make a key")?.serialize_pem();
            files::write_atomically(&path, pem.as_bytes(), SECRET)?;
            SigningKey::from_pem(pem.as_bytes())?
        }
    };
    match files::read_if_exists(&public_path)? {
        None => files::write_atomically(&public_path, key.public().to_pem().as_bytes(), PUBLIC)?,
        Some(pem) => {
            let known = PublicKey::all_from_pem(&pem);
            let known = known.with_context(|| unusable_signing_key(&public_path))?;
            if known.iter().all(|known| known.id() != key.public().id()) {
                let problem = anyhow!("it is not the public half of {}", path.display());
                return Err(problem.context(unusable_signing_key(&public_path)));
            }
        }
    }
    Ok(key)
}

fn open_key(path: &Path) -> Result<Option<String>> {
    let Some(bytes) = files::read_if_exists(path)? else { return Ok(None) };
    files::make_private(path)?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{} is no text, so it holds no PEM", path.display()))?;
    Ok(Some(text))
}

fn paths(folder: &Path, file: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{file}.crt")), folder.join(format!("{file}.key")))
}

fn unusable_leaf(path: &Path) -> String {
    let pattern = path.with_extension("{crt,key}");
    format!("cannot use {} (to have the certificate made anew, remove {})", path.display(), pattern.display())
}

fn unusable_authority(path: &Path) -> String {
    let folder = path.parent().unwrap_or(path).display();
    format!(
        "cannot use {} (restore it from a backup; or remove the folder {folder}, after which every certificate and \
         kubeconfig of this cluster is made anew and those handed out no longer count)",
        path.display()
    )
}

fn unusable_signing_key(path: &Path) -> String {
    let pattern = path.with_file_name("sa.{key,pub}");
    format!(
        "cannot use {} (restore it from a backup; or remove {}, after which service-account tokens handed out no \
         longer count)",
        path.display(),
        pattern.display()
    )
}
