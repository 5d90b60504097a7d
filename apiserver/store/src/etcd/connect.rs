//! Connections to etcd.

use std::fmt;
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Identity, KvClient, LeaseClient, MaintenanceClient, TlsOptions, WatchClient,
};

use crate::error::OpenError;

/// As kube-apiserver has them: a dead server is noticed early, an idle connection costs little.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// PEM, all of it. Without a certificate of our own, etcd must not ask for one.
#[derive(Clone, Default)]
pub struct Tls {
    pub ca: Option<Vec<u8>>,
    pub certificate: Option<Vec<u8>>,
    pub key: Option<Vec<u8>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = |part: &Option<Vec<u8>>| if part.is_some() { "given" } else { "none" };
        write!(f, "Tls {{ ca: {}, certificate: {} }}", given(&self.ca), given(&self.certificate))
    }
}

pub(super) struct Clients {
    pub(super) kv: KvClient,
    pub(super) watch: WatchClient,
    pub(super) lease: LeaseClient,
    pub(super) maintenance: MaintenanceClient,
}

impl Clients {
    /// Reaches out to nobody yet.
    pub(super) async fn new(endpoints: &[String], tls: Option<&Tls>) -> Result<Clients, OpenError> {
        let client = client(endpoints, tls)
            .await
            .map_err(|error| OpenError::Etcd { endpoints: endpoints.join(","), reason: error.to_string() })?;
        Ok(Clients {
            // Lists are as long as they are.
            kv: client.kv_client().max_decoding_message_size(usize::MAX),
            watch: client.watch_client().max_decoding_message_size(usize::MAX),
            lease: client.lease_client(),
            maintenance: client.maintenance_client(),
        })
    }
}

pub(super) async fn client(endpoints: &[String], tls: Option<&Tls>) -> Result<Client, etcd_client::Error> {
    let mut options = ConnectOptions::new()
        .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
        .with_keep_alive_while_idle(false)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_require_leader(true);
    if let Some(tls) = tls {
        let mut to = TlsOptions::new();
        if let Some(ca) = &tls.ca {
            to = to.ca_certificate(Certificate::from_pem(ca));
        }
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            to = to.identity(Identity::from_pem(certificate, key));
        }
        options = options.with_tls(to);
    }
    Client::connect(endpoints, Some(options)).await
}
