//! What Services reserve: cluster IPs and node ports, by the plan that their kind makes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use corten_api::names::parse_ip_sloppy;
use corten_api::status::{Reason, Result, Status};
use corten_kinds::service::{self, IpRequest, Network, NodePortRequest, Plan};
use corten_object::tree::Tree;
use corten_runtime::random::Random;
use parking_lot::Mutex;

use super::addresses::{self, AddressError, Owner};
use super::node_ports::{NodePorts, PortError, Ports};
use super::service_holding::{Address, ServiceHolding, Taken};
use super::{Reservation, Reserver};
use crate::api::Api;
use crate::metadata;

pub struct Services {
    pub network: Network,
    pub node_ports: Arc<NodePorts>,
}

impl Reserver for Services {
    fn begin<'a>(
        &'a self,
        api: &'a Arc<Api>,
        object: &'a mut Tree,
        old: Option<&'a Tree>,
        dry_run: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Reservation>> + Send + 'a>> {
        Box::pin(self.reserve(api, object, old, dry_run))
    }

    fn leaving(&self, api: &Arc<Api>, object: &Tree) -> Reservation {
        let mut object = object.clone();
        service::default_on_read(&mut object.edit(), &self.network);
        let plan = service::releases(object.root());
        Reservation::new(api, ServiceHolding::new(api, self, &object, &plan).with_endpoints())
    }
}

impl Services {
    async fn reserve(
        &self,
        api: &Arc<Api>,
        object: &mut Tree,
        old: Option<&Tree>,
        dry_run: bool,
    ) -> Result<Reservation> {
        let name = metadata::read(object).name().to_owned();
        let old = old.map(|old| {
            let mut old = old.clone();
            service::default_on_read(&mut old.edit(), &self.network);
            old
        });
        let plan = service::plan(&mut object.edit(), old.as_ref().map(Tree::root), &self.network);
        let plan = plan.map_err(|errors| Status::invalid("", "Service", &name, &errors))?;
        if !plan.ips.is_empty() || plan.needs_ports() {
            api.decide(|| check_holders(api)).await?;
        }
        if dry_run {
            self.pretend(api, object, &plan, &name).await?;
            return Ok(Reservation::none());
        }
        let holding = ServiceHolding::new(api, self, object, &plan);
        let taken = holding.taken();
        let reservation = Reservation::new(api, holding);
        match self.take(api, object, &plan, &name, &taken).await {
            Ok(()) => Ok(reservation),
            Err(status) => {
                reservation.settle().await;
                Err(status)
            }
        }
    }

    async fn take(
        &self,
        api: &Arc<Api>,
        object: &mut Tree,
        plan: &Plan,
        name: &str,
        taken: &Mutex<Taken>,
    ) -> Result<()> {
        let namespace = metadata::read(object).namespace().to_owned();
        let owner = Owner { namespace: &namespace, name };
        // Written in when all are found: an error shows the addresses as they were asked for.
        let mut ips = Vec::with_capacity(plan.ips.len());
        for request in &plan.ips {
            let made = match named(request)? {
                Some(ip) => addresses::take(api, ip, owner).await,
                None => addresses::take_any(api, &request.family, owner).await,
            };
            let made = made.map_err(|error| ip_refused(object, request, &error, name))?;
            let ip = made.ip;
            let mut taken = taken.lock();
            taken.things.addresses.push(Address { ip, uid: Some(made.uid) });
            taken.addresses_under_way.push(made.under_way);
            ips.push(ip);
        }
        assign_ips(plan, &ips, object);
        if !plan.needs_ports() {
            return Ok(());
        }
        // All ports of a service in one write.
        let mut refused = None;
        let choose = |ports: &mut Ports| {
            refused = None;
            choose_ports(plan, &mut Real { ports, random: &api.random }).map_err(|refusal| {
                let error = refusal.error.clone();
                refused = Some(refusal);
                error
            })
        };
        let chosen = self.node_ports.take(&*api.store, choose).await;
        let (chosen, under_way) = chosen.map_err(|error| match refused {
            Some(refusal) => refusal.status(plan, name),
            None => Refusal::of_first(plan, error).status(plan, name),
        })?;
        let mut taken = taken.lock();
        taken.things.ports = chosen.all();
        taken.ports_under_way.push(under_way);
        drop(taken);
        chosen.assign(plan, object);
        Ok(())
    }

    /// Shows what would be reserved, as far as that can be told without doing it.
    async fn pretend(&self, api: &Arc<Api>, object: &mut Tree, plan: &Plan, name: &str) -> Result<()> {
        let mut ips = Vec::with_capacity(plan.ips.len());
        for request in &plan.ips {
            let shown_ip = match named(request)? {
                Some(ip) => addresses::pretend(api, ip).map(|()| ip),
                None => addresses::pretend_any(api, &request.family),
            };
            ips.push(shown_ip.map_err(|error| ip_refused(object, request, &error, name))?);
        }
        assign_ips(plan, &ips, object);
        if !plan.needs_ports() {
            return Ok(());
        }
        let (kept, _) = self.node_ports.read(&*api.store).await.map_err(Status::internal)?;
        let kept = kept.unwrap_or_else(|| Ports::new(self.node_ports.range));
        let chosen = choose_ports(plan, &mut Pretended { kept: &kept, taken: BTreeSet::new() });
        let chosen = chosen.map_err(|refusal| refusal.status(plan, name))?;
        chosen.assign(plan, object);
        Ok(())
    }
}

/// An error if a Service has not been readable since this server started. The repair loops have not seen to it then, so
/// nobody knows that all it holds is reserved. One that was readable before keeps what is reserved for it.
fn check_holders(api: &Api) -> Result<()> {
    let Some(storage) = api.storage("", "services") else { return Ok(()) };
    let unreadable = storage.cache.all_unreadable();
    match unreadable.values().find(|service| !service.was_read) {
        Some(service) => Err(Status::internal(format!(
            "no cluster IP and no node port can be allocated, because it is not known which {} holds: it cannot be read: {}",
            service.key, service.reason
        ))),
        None => Ok(()),
    }
}

/// Addresses of families that the cluster does not have (any more) are left alone.
pub fn known_ips(network: &Network, ips: &[String]) -> Vec<IpAddr> {
    let parsed = ips.iter().filter_map(|ip| parse_ip_sloppy(ip));
    parsed.filter(|ip| network.families.contains(&super::address_range::family(*ip))).collect()
}

fn named(request: &IpRequest) -> Result<Option<IpAddr>> {
    let Some(text) = &request.address else { return Ok(None) };
    let parsed = parse_ip_sloppy(text);
    parsed.map(Some).ok_or_else(|| Status::internal(format!("failed to parse service IP {text:?}")))
}

/// An address that was named stays as it was written.
fn assign_ips(plan: &Plan, ips: &[IpAddr], object: &mut Tree) {
    for (request, ip) in plan.ips.iter().zip(ips) {
        let shown = request.address.clone().unwrap_or_else(|| ip.to_string());
        Plan::assign_ip(&mut object.edit(), request, &shown);
    }
}

fn ip_refused(object: &Tree, request: &IpRequest, error: &AddressError, name: &str) -> Status {
    if let AddressError::Unreadable(message) = error {
        return Status::failure(500, Reason::InternalError, message.as_str());
    }
    if *error == AddressError::Full && request.address.is_none() {
        return Status::internal(format!("failed to allocate a serviceIP for Service {name:?}: {error}"));
    }
    Status::invalid("", "Service", name, &Plan::ip_refused(object.root(), request, &error.to_string()))
}

/// Where ports come from.
trait Source {
    fn take(&mut self, port: i64) -> std::result::Result<(), PortError>;
    fn take_any(&mut self) -> std::result::Result<i64, PortError>;
}

struct Real<'p> {
    ports: &'p mut Ports,
    random: &'p Random,
}

impl Source for Real<'_> {
    fn take(&mut self, port: i64) -> std::result::Result<(), PortError> {
        self.ports.take(port)
    }

    fn take_any(&mut self) -> std::result::Result<i64, PortError> {
        self.ports.take_any(self.random)
    }
}

/// A dry run: numbers above every node port stand for those that would be found.
struct Pretended<'p> {
    kept: &'p Ports,
    taken: BTreeSet<i64>,
}

const FIRST_PRETENDED: i64 = 32769;

impl Source for Pretended<'_> {
    fn take(&mut self, port: i64) -> std::result::Result<(), PortError> {
        if self.kept.has(port) || !self.taken.insert(port) {
            return Err(PortError::Allocated);
        }
        Ok(())
    }

    fn take_any(&mut self) -> std::result::Result<i64, PortError> {
        let port = self.taken.last().map_or(FIRST_PRETENDED, |highest| highest.max(&0) + 1);
        self.taken.insert(port);
        Ok(port)
    }
}

/// The numbers for a plan's requests, in their order.
#[derive(Debug)]
struct Chosen {
    node_ports: Vec<i64>,
    health_check: Option<i64>,
}

impl Chosen {
    fn all(&self) -> Vec<i64> {
        self.node_ports.iter().copied().chain(self.health_check).collect()
    }

    fn assign(&self, plan: &Plan, object: &mut Tree) {
        for (request, &number) in plan.node_ports.iter().zip(&self.node_ports) {
            Plan::assign_node_port(&mut object.edit(), request, number);
        }
        if let Some(number) = self.health_check {
            Plan::assign_health_check(&mut object.edit(), number);
        }
    }
}

/// Why a port could not be had.
#[derive(Debug)]
struct Refusal {
    /// The request for a node port; None is the health check.
    request: Option<usize>,
    error: PortError,
}

fn choose_ports(plan: &Plan, source: &mut impl Source) -> std::result::Result<Chosen, Refusal> {
    let mut one = |request: Option<usize>, number: Option<i64>| {
        let taken = match number {
            Some(number) => source.take(number).map(|()| number),
            None => source.take_any(),
        };
        taken.map_err(|error| Refusal { request, error })
    };
    let mut node_ports = Vec::with_capacity(plan.node_ports.len());
    for (at, request) in plan.node_ports.iter().enumerate() {
        node_ports.push(one(Some(at), request.number)?);
    }
    if let Some(duplicate) = &plan.duplicate_node_port {
        let error = PortError::Duplicate(duplicate.clone());
        return Err(Refusal { request: None, error });
    }
    let health_check = plan.health_check.map(|number| one(None, number)).transpose()?;
    Ok(Chosen { node_ports, health_check })
}

impl Refusal {
    /// An error of the whole batch is reported for its first port.
    fn of_first(plan: &Plan, error: PortError) -> Refusal {
        Refusal { request: (!plan.node_ports.is_empty()).then_some(0), error }
    }

    fn status(&self, plan: &Plan, name: &str) -> Status {
        let request: Option<&NodePortRequest> = self.request.and_then(|at| plan.node_ports.get(at));
        let error = &self.error;
        if let PortError::Duplicate(_) = error {
            return Status::failure(500, Reason::Unknown, error.to_string());
        }
        match (request, plan.health_check.flatten()) {
            (Some(request), _) if request.number.is_some() => {
                Status::invalid("", "Service", name, &Plan::node_port_refused(request, &error.to_string()))
            }
            (Some(_), _) => Status::internal(format!("failed to allocate a nodePort: {error}")),
            (None, Some(wanted)) => {
                Status::internal(format!("failed to allocate requested HealthCheck NodePort {wanted}: {error}"))
            }
            (None, None) => Status::internal(format!("failed to allocate a HealthCheck NodePort 0: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reserve::node_ports::PortRange;

    fn plan(numbers: &[Option<i64>], health_check: Option<Option<i64>>) -> Plan {
        let request = |(at, number): (usize, &Option<i64>)| NodePortRequest { ports: vec![at], number: *number };
        Plan { node_ports: numbers.iter().enumerate().map(request).collect(), health_check, ..Plan::default() }
    }

    #[test]
    fn dry_runs_show_numbers_that_nobody_has() {
        let mut kept = Ports::new(PortRange::default());
        kept.take(30001).unwrap();
        let check = |numbers: &[Option<i64>], health: Option<Option<i64>>, expected: &[i64]| {
            let taken = choose_ports(&plan(numbers, health), &mut Pretended { kept: &kept, taken: BTreeSet::new() });
            assert_eq!(taken.unwrap().all(), expected, "{numbers:?}");
        };
        check(&[None, None], None, &[32769, 32770]);
        check(&[Some(30007), None], Some(None), &[30007, 30008, 30009]);
        check(&[Some(-1)], Some(None), &[-1, 1]);
        let refused = choose_ports(&plan(&[Some(30001)], None), &mut Pretended { kept: &kept, taken: BTreeSet::new() });
        assert_eq!(refused.unwrap_err().error, PortError::Allocated);
    }

    #[test]
    fn refusals_as_upstream_words_them() {
        let check = |numbers: &[Option<i64>], health, request, error, code: u16, message: &str| {
            let status = Refusal { request, error }.status(&plan(numbers, health), "s");
            assert_eq!((status.code(), status.message()), (code, message));
        };
        let taken = "Service \"s\" is invalid: spec.ports[1].nodePort: Invalid value: 30001: provided port is already allocated";
        check(&[None, Some(30001)], None, Some(1), PortError::Allocated, 422, taken);
        let full = "Internal error occurred: failed to allocate a nodePort: range is full";
        check(&[None], None, Some(0), PortError::Full, 500, full);
        let health = "Internal error occurred: failed to allocate requested HealthCheck NodePort 30001: provided port is already allocated";
        check(&[None], Some(Some(30001)), None, PortError::Allocated, 500, health);
    }
}
