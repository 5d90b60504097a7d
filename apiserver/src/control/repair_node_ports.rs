//! Repairs the bitmap of node ports by what the Services say.
//!
//! A pass reads the bitmap, waits until the caches show at least that moment, rebuilds it from the Services, and puts
//! the rebuilt one in its place if it is still the one that was read. A port that no Service has may belong to a write
//! under way, so it is let go only when several passes have found it so, and never while it is known to belong to a
//! write of this server, nor while a Service cannot be read, which may have it. There is a pass at start, and one some
//! time after Services or the bitmap have changed, by whatever server; without changes there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use corten_object::tree::{Tree, View};
use corten_runtime::clock::Instant;
use corten_runtime::tasks::CancellationToken;
use corten_views::core_v1::Service;
use tokio::sync::watch;

use super::changes::Changes;
use super::recorder::Recorder;
use crate::api::Api;
use crate::cache::{Scope, Snapshot};
use crate::metadata;
use crate::reserve::node_ports::{KEY, NodePorts, PortError, PortRange, Ports};

const PASSES_UNTIL_LEAKED: u32 = 3;
const PASS_AFTER: Duration = Duration::from_secs(180);
const ATTEMPTS: usize = 20;

pub struct NodePortRepair {
    api: Arc<Api>,
    node_ports: Arc<NodePorts>,
    services: Changes,
    bitmap: watch::Receiver<u64>,
    recorder: Recorder,
    /// Ports that no Service has, and how many more passes they stay.
    leaks: BTreeMap<i64, u32>,
    due: Option<Instant>,
}

/// What is wrong with a port of a Service.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    NotAllocated(i64),
    Duplicate(i64),
    OutOfRange(i64),
}

impl NodePortRepair {
    pub fn new(api: &Arc<Api>, node_ports: Arc<NodePorts>) -> Result<NodePortRepair> {
        Ok(NodePortRepair {
            api: Arc::clone(api),
            node_ports,
            services: Changes::of(api, "", "services", Scope::All)?,
            bitmap: api.feed.follow(KEY),
            recorder: Recorder { controller: "portallocator-repair-controller" },
            leaks: BTreeMap::new(),
            due: None,
        })
    }

    pub async fn run(mut self, token: CancellationToken) {
        let clock = self.api.clock.clone();
        loop {
            let due = self.due;
            let pass = async {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // While a pass is on its way, further changes make no difference.
                () = self.services.wait(), if due.is_none() => {
                    self.services.take();
                    self.due = Some(clock.monotonic() + PASS_AFTER);
                }
                // Ports that a server took before it died change nothing else.
                Ok(()) = self.bitmap.changed(), if due.is_none() => {
                    self.due = Some(clock.monotonic() + PASS_AFTER);
                }
                () = pass => {
                    self.due = None;
                    if let Err(error) = self.pass().await {
                        tracing::warn!(%error, "the node ports could not be repaired");
                        self.due = Some(clock.monotonic() + PASS_AFTER);
                    }
                }
                () = token.cancelled() => return,
            }
        }
    }

    /// Looks at all of it once.
    pub async fn pass(&mut self) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.services.take();
            self.bitmap.mark_unchanged();
            let (stored, snapshot) = self.node_ports.read(&*self.api.store).await?;
            // Asked between the two reads: what was taken before the first is under way still, or else settled, and
            // then the second shows the Service that has it.
            let under_way: BTreeSet<i64> = self.node_ports.under_way.all().into_iter().collect();
            self.api.feed.wait_for(snapshot.read_at).await.map_err(|status| anyhow!("{}", status.message()))?;
            let storage = Arc::clone(&self.services.storage);
            let Snapshot { objects, unreadable, .. } = storage.cache.snapshot();
            if let (None, Some(service)) = (&stored, unreadable.values().next()) {
                // Without a bitmap no port is given out. It is made when all Services can be read.
                tracing::warn!(key = %service.key, "no node ports are given out: what a Service holds cannot be read");
                return Ok(());
            }
            let trees: Vec<Tree> = objects.values().map(|object| storage.tree(object)).collect();
            let range = self.node_ports.range;
            let mut left = stored.clone().unwrap_or_else(|| Ports::new(range));
            let mut rebuilt = Ports::new(range);
            let mut faults = Vec::new();
            for tree in &trees {
                for port in node_ports_of(tree) {
                    if let Some(fault) = claim(port, &mut rebuilt, &mut left, &mut self.leaks) {
                        faults.push((tree, fault));
                    }
                }
            }
            let mut leaks = self.leaks.clone();
            if unreadable.is_empty() {
                keep_leaks(&left, &under_way, &mut rebuilt, &mut leaks);
            } else {
                leaks.clear();
                for port in left.all() {
                    // Out of the range it stays out of the bitmap too.
                    let _ = rebuilt.take(port);
                }
            }
            let as_it_was = stored.as_ref() == Some(&rebuilt);
            if as_it_was || self.node_ports.replace(&*self.api.store, snapshot, rebuilt).await? {
                self.leaks = leaks;
                for (tree, fault) in faults {
                    self.report(tree, &fault, range).await;
                }
                if !self.leaks.is_empty() || !under_way.is_empty() {
                    self.due = Some(self.api.clock.monotonic() + PASS_AFTER);
                }
                return Ok(());
            }
        }
        bail!("the node ports are being changed all the time")
    }

    async fn report(&self, service: &Tree, fault: &Fault, range: PortRange) {
        let (reason, note) = match fault {
            Fault::NotAllocated(port) => ("PortNotAllocated", format!("Port {port} is not allocated; repairing")),
            Fault::Duplicate(port) => {
                let note = format!("Port {port} was assigned to multiple services; please recreate service");
                ("PortAlreadyAllocated", note)
            }
            Fault::OutOfRange(port) => {
                let note = format!("Port {port} is not within the port range {range}; please recreate service");
                ("PortOutOfRange", note)
            }
        };
        let meta = metadata::read(service);
        tracing::warn!(namespace = meta.namespace(), service = meta.name(), "{note}");
        self.recorder.warn(&self.api, service, reason, "PortAllocation", &note).await;
    }
}

/// Counts a port of a Service in. What is left over in the end belongs to none.
fn claim(port: i64, rebuilt: &mut Ports, left: &mut Ports, leaks: &mut BTreeMap<i64, u32>) -> Option<Fault> {
    match rebuilt.take(port) {
        Ok(()) => {
            leaks.remove(&port);
            let known = left.has(port);
            left.release(port);
            (!known).then_some(Fault::NotAllocated(port))
        }
        Err(PortError::NotInRange(_)) => Some(Fault::OutOfRange(port)),
        Err(_) => Some(Fault::Duplicate(port)),
    }
}

/// Ports that nobody has stay for some passes. Those of writes under way are no leaks.
fn keep_leaks(left: &Ports, under_way: &BTreeSet<i64>, rebuilt: &mut Ports, leaks: &mut BTreeMap<i64, u32>) {
    let (busy, found): (Vec<i64>, Vec<i64>) = left.all().partition(|port| under_way.contains(port));
    leaks.retain(|port, _| found.binary_search(port).is_ok());
    for port in busy {
        // Out of the range it stays out of the bitmap too.
        let _ = rebuilt.take(port);
    }
    for port in found {
        let passes = leaks.entry(port).or_insert(PASSES_UNTIL_LEAKED - 1);
        if *passes == 0 {
            tracing::warn!(port, "a node port appears to have leaked; it is free again");
            leaks.remove(&port);
            continue;
        }
        *passes -= 1;
        if rebuilt.take(port).is_err() {
            tracing::warn!(port, "a node port that may have leaked is outside of the range");
        }
    }
}

/// One number under two protocols is one port; under one protocol twice it is two, which is one too many.
fn node_ports_of(tree: &Tree) -> Vec<i64> {
    let spec = Service::from_struct(tree.root().as_struct()).spec();
    let (mut seen, mut ports): (Vec<(i64, &str)>, Vec<i64>) = (Vec::new(), Vec::new());
    let health = (spec.health_check_node_port(), "TCP");
    let ports_of_spec = spec.ports();
    let claimed = ports_of_spec.iter().map(|port| (port.node_port(), port.protocol())).chain([health]);
    for (number, protocol) in claimed.filter(|(number, _)| *number != 0) {
        if !seen.iter().any(|(known, _)| *known == number) || seen.contains(&(number, protocol)) {
            ports.push(number);
        }
        seen.push((number, protocol));
    }
    ports
}

#[cfg(test)]
mod tests {
    use corten_object::json;

    use super::*;

    #[test]
    fn ports_of_a_service() {
        let ty = corten_schema::kind("", "v1", "Service").unwrap().ty;
        let check = |spec: &str, expected: &[i64]| {
            let text = format!(r#"{{"spec":{spec}}}"#);
            let tree = json::parse(text.into_bytes(), json::Form::Typed(ty)).unwrap().tree;
            assert_eq!(node_ports_of(&tree), expected, "{spec}");
        };
        check(r#"{"ports":[{"protocol":"TCP"}]}"#, &[]);
        check(r#"{"ports":[{"protocol":"TCP","nodePort":1},{"protocol":"UDP","nodePort":1}]}"#, &[1]);
        check(r#"{"ports":[{"protocol":"TCP","nodePort":1},{"protocol":"TCP","nodePort":1}]}"#, &[1, 1]);
        check(r#"{"ports":[{"protocol":"TCP","nodePort":1}],"healthCheckNodePort":2}"#, &[1, 2]);
        check(r#"{"ports":[{"protocol":"UDP","nodePort":1}],"healthCheckNodePort":1}"#, &[1]);
        check(r#"{"ports":[{"protocol":"TCP","nodePort":1}],"healthCheckNodePort":1}"#, &[1, 1]);
    }

    #[test]
    fn claims_and_leaks() {
        let range = PortRange { first: 30000, last: 30009 };
        let mut stored = Ports::new(range);
        [30001, 30002, 30003].iter().for_each(|port| stored.take(*port).unwrap());
        let mut leaks = BTreeMap::new();
        for pass in 0..5 {
            let (mut left, mut rebuilt) = (stored.clone(), Ports::new(range));
            assert_eq!(claim(30001, &mut rebuilt, &mut left, &mut leaks), None);
            assert_eq!(claim(30001, &mut rebuilt, &mut left, &mut leaks), Some(Fault::Duplicate(30001)));
            assert_eq!(claim(40000, &mut rebuilt, &mut left, &mut leaks), Some(Fault::OutOfRange(40000)));
            let fresh = claim(30005, &mut rebuilt, &mut left, &mut leaks);
            assert_eq!(fresh, (pass == 0).then_some(Fault::NotAllocated(30005)));
            keep_leaks(&left, &BTreeSet::new(), &mut rebuilt, &mut leaks);
            let kept: Vec<i64> = rebuilt.all().collect();
            let expected: &[i64] = if pass < 2 { &[30001, 30002, 30003, 30005] } else { &[30001, 30005] };
            assert_eq!(kept, expected, "pass {pass}");
            stored = rebuilt;
        }
        assert!(leaks.is_empty());
    }

    #[test]
    fn ports_of_writes_under_way_are_no_leaks() {
        let range = PortRange { first: 30000, last: 30009 };
        let mut stored = Ports::new(range);
        [30001, 30002].iter().for_each(|port| stored.take(*port).unwrap());
        let (mut leaks, under_way) = (BTreeMap::new(), BTreeSet::from([30001]));
        for pass in 0..9 {
            let mut rebuilt = Ports::new(range);
            // The write ends after the fifth pass, without an object.
            let under_way = if pass < 5 { under_way.clone() } else { BTreeSet::new() };
            keep_leaks(&stored, &under_way, &mut rebuilt, &mut leaks);
            let kept: Vec<i64> = rebuilt.all().collect();
            let expected: &[i64] = match pass {
                0..2 => &[30001, 30002],
                2..7 => &[30001],
                _ => &[],
            };
            assert_eq!(kept, expected, "pass {pass}");
            stored = rebuilt;
        }
    }
}
