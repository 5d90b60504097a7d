//! The `networking.k8s.io` group.

use corten_object::tree::Items;
use corten_object::tree::Node;
use corten_views::networking_v1::{
    IPAddress, Ingress, IngressClass, IngressRule, NetworkPolicy, ParentReference, ServiceCIDR,
};

use super::services::load_balancer;
use super::{AGE, NAME, NONE, Printer, age, format_selector, join, text, view};
use crate::table::Row;

pub(super) fn printer(plural: &str) -> Option<&'static Printer> {
    Some(match plural {
        "ingressclasses" => &INGRESS_CLASS,
        "ingresses" => &INGRESS,
        "ipaddresses" => &IP_ADDRESS,
        "networkpolicies" => &NETWORK_POLICY,
        "servicecidrs" => &SERVICE_CIDR,
        _ => return None,
    })
}

static INGRESS: Printer = Printer {
    columns: &[
        NAME,
        text("Class", "The name of the IngressClass resource that should be used for additional configuration"),
        text("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
        text("Address", "Address is a list containing ingress points for the load-balancer"),
        text("Ports", "Ports of TLS configurations that open"),
        AGE,
    ],
    row: ingress,
};

static INGRESS_CLASS: Printer = Printer {
    columns: &[
        NAME,
        text("Controller", "Controller that is responsible for handling this class"),
        text("Parameters", "A reference to a resource with additional parameters"),
        AGE,
    ],
    row: ingress_class,
};

static NETWORK_POLICY: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Pod-Selector",
            "podSelector selects the pods to which this NetworkPolicy object applies. The array of rules is applied to any pods selected by this field. An empty selector matches all pods in the policy's namespace. Multiple network policies can select the same set of pods. In this case, the ingress rules for each are combined additively. This field is optional. If it is not specified, it defaults to an empty selector.",
        ),
        AGE,
    ],
    row: network_policy,
};

static SERVICE_CIDR: Printer = Printer {
    columns: &[
        NAME,
        text(
            "CIDRs",
            "CIDRs defines the IP blocks in CIDR notation (e.g. \"192.168.0.0/24\" or \"2001:db8::/64\") from which to assign service cluster IPs. Max of two CIDRs is allowed, one of each IP family. This field is immutable.",
        ),
        AGE,
    ],
    row: service_cidr,
};

/// Upstream's rows have a cell more than there are columns, an age; clients see it, so it stays.
static IP_ADDRESS: Printer = Printer {
    columns: &[
        NAME,
        text(
            "ParentRef",
            "ParentRef references the resource that an IPAddress is attached to. An IPAddress must reference a parent object.",
        ),
    ],
    row: ip_address,
};

fn ingress(object: Node<'_>) -> Row {
    let object: Ingress = view(object);
    let spec = object.spec();
    let points = object.status().load_balancer().ingress();
    row![
        object.metadata().name(),
        spec.ingress_class_name().unwrap_or(NONE),
        hosts(spec.rules()),
        load_balancer(points.iter().map(|point| (point.ip(), point.hostname()))),
        if spec.tls().is_empty() { "80" } else { "80, 443" },
        age(object.metadata()),
    ]
}

/// At most three hosts. Rules without one count among the "more" too, once three are listed.
fn hosts(rules: Items<'_, IngressRule<'_>>) -> String {
    let mut listed: Vec<&str> = Vec::new();
    let mut more = false;
    for rule in rules.iter() {
        more |= listed.len() == 3;
        if !more && !rule.host().is_empty() {
            listed.push(rule.host());
        }
    }
    match (listed.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, false) => listed.join(","),
        (false, true) => format!("{} + {} more...", listed.join(","), rules.len() - 3),
    }
}

fn ingress_class(object: Node<'_>) -> Row {
    let object: IngressClass = view(object);
    let metadata = object.metadata();
    let is_default = metadata.annotations().get("ingressclass.kubernetes.io/is-default-class") == Some("true");
    let parameters = object.spec().parameters().map_or_else(
        || NONE.to_owned(),
        |parameters| match parameters.api_group() {
            Some(group) => format!("{}.{group}/{}", parameters.kind(), parameters.name()),
            None => format!("{}/{}", parameters.kind(), parameters.name()),
        },
    );
    row![
        format!("{}{}", metadata.name(), if is_default { " (default)" } else { "" }),
        object.spec().controller(),
        parameters,
        age(metadata),
    ]
}

fn network_policy(object: Node<'_>) -> Row {
    let object: NetworkPolicy = view(object);
    row![object.metadata().name(), format_selector(Some(object.spec().pod_selector())), age(object.metadata())]
}

fn service_cidr(object: Node<'_>) -> Row {
    let object: ServiceCIDR = view(object);
    row![object.metadata().name(), join(object.spec().cidrs().iter(), ","), age(object.metadata())]
}

fn ip_address(object: Node<'_>) -> Row {
    let object: IPAddress = view(object);
    let parent = object.spec().parent_ref().map_or_else(|| NONE.to_owned(), parent);
    row![object.metadata().name(), parent, age(object.metadata())]
}

/// `services/namespace/name`.
fn parent(parent: ParentReference<'_>) -> String {
    let mut shown = parent.resource().to_lowercase();
    if !parent.group().is_empty() {
        shown.push('.');
        shown.push_str(&parent.group().to_lowercase());
    }
    for part in [parent.namespace(), parent.name()].into_iter().skip(usize::from(parent.namespace().is_empty())) {
        shown.push('/');
        shown.push_str(part);
    }
    shown
}
