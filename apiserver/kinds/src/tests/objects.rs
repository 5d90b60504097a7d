//! Bodies and the errors they meet, kind by kind; cases after upstream's own tables.

use corten_object::tree::Tree;

use super::{context, create, json, lines, object, update};
use crate::rows::objects::ROWS;
use crate::strategy::Strategy;

const CLUSTER_SCOPED: &[&str] = &[
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CSINode",
    "DeviceClass",
    "FlowSchema",
    "IngressClass",
    "IPAddress",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceSlice",
    "RuntimeClass",
    "ServiceCIDR",
    "StorageClass",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

fn find(api_version: &str, kind: &str) -> (&'static str, &'static str, &'static dyn Strategy) {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let of_kind = |row: &&corten_schema::Resource| (row.group, row.version, row.kind) == (group, version, kind);
    let resource = corten_schema::RESOURCES.iter().find(of_kind).unwrap_or_else(|| panic!("no resource of {kind}"));
    let row = ROWS.iter().find(|row| (row.group, row.resource) == (group, resource.plural));
    (resource.group, resource.version, row.unwrap_or_else(|| panic!("no row of {kind}")).strategy)
}

/// An object of the name "x", unless the body says more of its metadata.
fn make(api_version: &str, kind: &str, body: &str) -> Tree {
    let (group, version, _) = find(api_version, kind);
    let namespace = if CLUSTER_SCOPED.contains(&kind) { "" } else { r#","namespace":"ns""# };
    let metadata = format!(r#""metadata":{{"name":"x"{namespace}}},"#);
    let metadata = if body.contains(r#""metadata""#) { "" } else { metadata.as_str() };
    let text = format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}",{metadata}{body}}}"#).replace(",}", "}");
    object(group, version, kind, &text)
}

fn check(api_version: &str, kind: &str, body: &str, expected: &str) {
    let (group, version, strategy) = find(api_version, kind);
    let mut tree = make(api_version, kind, body);
    let errors = create(strategy, &mut tree, &context(group, version), !CLUSTER_SCOPED.contains(&kind));
    assert_eq!(lines(&errors), expected, "{kind} {body}");
}

fn check_update(api_version: &str, kind: &str, old: &str, new: &str, expected: &str) {
    let (group, version, strategy) = find(api_version, kind);
    let context = context(group, version);
    let mut old = make(api_version, kind, old);
    create(strategy, &mut old, &context, !CLUSTER_SCOPED.contains(&kind));
    let mut tree = make(api_version, kind, new);
    assert_eq!(lines(&update(strategy, &mut tree, &old, &context)), expected, "{kind} {new}");
}

#[test]
fn config_maps() {
    let check = |body: &str, expected: &str| check("v1", "ConfigMap", body, expected);
    check(r#""data":{"a":"b"},"binaryData":{"c":"AAAA"}"#, "");
    check(
        r#""data":{"a":"b"},"binaryData":{"a":"AAAA"}"#,
        "data[a]: Invalid value: \"a\": duplicate of key present in binaryData",
    );
    check(
        r#""data":{"a/b":""}"#,
        "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    );
    check(
        &format!(r#""data":{{"a":"{}"}}"#, "x".repeat(1024 * 1024 + 1)),
        "[]: Too long: may not be more than 1048576 bytes",
    );
    let check = |old: &str, new: &str, expected: &str| check_update("v1", "ConfigMap", old, new, expected);
    check(r#""immutable":true,"data":{"a":"b"}"#, r#""immutable":true,"data":{"a":"b"}"#, "");
    check(
        r#""immutable":true,"data":{"a":"b"}"#,
        r#""data":{"a":"c"}"#,
        "immutable: Forbidden: field is immutable when `immutable` is set\ndata: Forbidden: field is immutable when `immutable` is set",
    );
}

#[test]
fn secrets() {
    let check = |body: &str, expected: &str| check("v1", "Secret", body, expected);
    check(r#""stringData":{"a":"b"}"#, "");
    check(r#""type":"kubernetes.io/tls","data":{"tls.crt":""}"#, "data[tls.key]: Required value");
    check(r#""type":"kubernetes.io/basic-auth""#, "data[username]: Required value\ndata[password]: Required value");
    check(r#""type":"kubernetes.io/ssh-auth","data":{"ssh-privatekey":""}"#, "data[ssh-privatekey]: Required value");
    check(
        r#""type":"kubernetes.io/service-account-token""#,
        "metadata.annotations[kubernetes.io/service-account.name]: Required value",
    );
    check(r#""type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"{}"}"#, "");
    check(
        r#""type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"[]"}"#,
        "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value of type map[string]interface {}",
    );
    check(
        r#""type":"kubernetes.io/dockercfg","stringData":{".dockercfg":"{"}"#,
        "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input",
    );
    check_update("v1", "Secret", r#""type":"a""#, r#""type":"b""#, "type: Invalid value: \"b\": field is immutable");
    let mut tree = make("v1", "Secret", r#""data":{"a":"AAAA","b":"AAAA"},"stringData":{"a":"hi"}"#);
    create(&crate::secret::Secrets, &mut tree, &context("", "v1"), true);
    assert!(json(&tree).contains(r#""data":{"a":"aGk=","b":"AAAA"},"type":"Opaque"}"#), "{}", json(&tree));
}

#[test]
fn namespaces() {
    let check = |body: &str, expected: &str| check("v1", "Namespace", body, expected);
    check("", "");
    check(r#""metadata":{"name":"a.b"}"#, "metadata.name: Invalid value: \"a.b\": must not contain dots");
    check(
        r#""spec":{"finalizers":["nope"]}"#,
        "spec.finalizers: Invalid value: \"nope\": name is neither a standard finalizer name nor is it fully qualified",
    );
    let mut tree = make("v1", "Namespace", r#""status":{"phase":"Terminating"}"#);
    create(&crate::namespace::Namespaces, &mut tree, &context("", "v1"), false);
    assert!(json(&tree).ends_with(r#""labels":{"kubernetes.io/metadata.name":"x"}},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}"#), "{}", json(&tree));

    let old = tree.clone();
    let mut ended = make("v1", "Namespace", r#""status":{"phase":"Terminating"}"#);
    let errors = update(&crate::namespace::Status, &mut ended, &old, &context("", "v1"));
    assert_eq!(
        lines(&errors),
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    );
    let mut finalized = make("v1", "Namespace", r#""spec":{}"#);
    assert_eq!(lines(&update(&crate::namespace::Finalize, &mut finalized, &old, &context("", "v1"))), "");
    assert!(
        crate::namespace::Namespaces.is_finished(finalized.root())
            && !crate::namespace::Namespaces.is_finished(old.root())
    );
}

#[test]
fn leases() {
    let check = |body: &str, expected: &str| check("coordination.k8s.io/v1", "Lease", body, expected);
    check(
        r#""spec":{"leaseDurationSeconds":0,"leaseTransitions":-1,"strategy":"x"}"#,
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0\nspec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    );
    check(r#""metadata":{"name":"x","finalizers":["odd"]}"#, "");
}

#[test]
fn rbac() {
    let api = "rbac.authorization.k8s.io/v1";
    let role = |body: &str, expected: &str| check(api, "Role", body, expected);
    role(r#""metadata":{"name":"system:x"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]"#, "");
    role(
        r#""rules":[{}]"#,
        "rules[0].verbs: Required value: verbs must contain at least one value\nrules[0].apiGroups: Required value: resource rules must supply at least one api group\nrules[0].resources: Required value: resource rules must supply at least one resource",
    );
    role(
        r#""rules":[{"verbs":["get"],"nonResourceURLs":["/a"]}]"#,
        "rules[0].nonResourceURLs: Invalid value: [\"/a\"]: namespaced rules cannot apply to non-resource URLs",
    );
    role(r#""metadata":{"name":"a/b"}"#, "metadata.name: Invalid value: \"a/b\": may not contain '/'");
    check(
        api,
        "ClusterRole",
        r#""aggregationRule":{}"#,
        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
    );
    check(
        api,
        "ClusterRole",
        r#""rules":[{"verbs":["get"],"nonResourceURLs":["/a"],"resources":["b"]}]"#,
        "rules[0].nonResourceURLs: Invalid value: [\"/a\"]: rules cannot apply to both regular resources and non-resource URLs",
    );
    let binding = |body: &str, expected: &str| check(api, "RoleBinding", body, expected);
    binding(
        r#""roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"u"},{"kind":"ServiceAccount","name":"s"}]"#,
        "",
    );
    binding(
        r#""roleRef":{"kind":"Odd"},"subjects":[{"kind":"ServiceAccount","name":"A","apiGroup":"g"},{"kind":"Odd"}]"#,
        "roleRef.kind: Unsupported value: \"Odd\": supported values: \"Role\", \"ClusterRole\"\nroleRef.name: Required value\nsubjects[0].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\nsubjects[0].apiGroup: Unsupported value: \"g\": supported values: \"\"\nsubjects[1].name: Required value\nsubjects[1].kind: Unsupported value: \"Odd\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
    );
    check(
        api,
        "ClusterRoleBinding",
        r#""roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"ServiceAccount","name":"s"}]"#,
        "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"\nsubjects[0].namespace: Required value",
    );
    check_update(
        api,
        "RoleBinding",
        r#""roleRef":{"kind":"Role","name":"r"}"#,
        r#""roleRef":{"kind":"Role","name":"q"}"#,
        "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"q\"}: cannot change roleRef",
    );
}

#[test]
fn events() {
    let core = |body: &str, expected: &str| check("v1", "Event", body, expected);
    core(r#""involvedObject":{"namespace":"ns"}"#, "");
    core(r#""involvedObject":{}"#, "involvedObject.namespace: Invalid value: \"\": does not match event.namespace");
    core(
        r#""involvedObject":{"namespace":"ns"},"eventTime":"2026-01-01T00:00:00.000000Z""#,
        "reportingComponent: Required value\nreportingComponent: Invalid value: \"\": name part must be non-empty\nreportingComponent: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\nreportingInstance: Required value\naction: Required value\nreason: Required value",
    );
}

#[test]
fn events_of_both_groups() {
    let strategy = crate::event::Events { labels: crate::event::SELECTABLE.len() };
    let body = r#""involvedObject":{"kind":"Pod","namespace":"ns"},"message":"m","source":{"component":"c"},"firstTimestamp":"2026-01-01T00:00:00Z","count":3,"type":"Normal","series":{"count":2,"lastObservedTime":"2026-01-01T00:00:00.000000Z"},"reportingComponent":"r","reportingInstance":"i""#;
    let core = make("v1", "Event", body);
    let new = strategy.convert(&core, (crate::event::GROUP, "v1")).expect("a form of events.k8s.io");
    assert_eq!(
        json(&new),
        r#"{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{"name":"x","namespace":"ns"},"eventTime":null,"series":{"count":2,"lastObservedTime":"2026-01-01T00:00:00.000000Z"},"reportingController":"r","reportingInstance":"i","regarding":{"kind":"Pod","namespace":"ns"},"note":"m","type":"Normal","deprecatedSource":{"component":"c"},"deprecatedFirstTimestamp":"2026-01-01T00:00:00Z","deprecatedLastTimestamp":null,"deprecatedCount":3}"#
    );
    let back = strategy.convert(&new, ("", "v1")).expect("a form of the core group");
    assert_eq!(json(&back), json(&core));
    let errors = strategy.validate(core.root(), &context(crate::event::GROUP, "v1"));
    assert_eq!(
        lines(&errors),
        "eventTime: Required value\nfirstTimestamp: Invalid value: \"\": needs to be unset\ncount: Invalid value: \"\": needs to be unset\nsource: Invalid value: \"\": needs to be unset"
    );
    let mut labels = Vec::new();
    strategy.selectable(core.root(), &mut labels);
    assert_eq!(labels, ["Pod", "ns", "", "", "", "", "", "", "r", "Normal", "c"]);
}

#[test]
fn nodes() {
    let check = |body: &str, expected: &str| check("v1", "Node", body, expected);
    check(
        r#""spec":{"taints":[{"key":"a","effect":"NoSchedule"}],"podCIDRs":["10.0.0.0/24"]},"status":{"capacity":{"cpu":"2","pods":"110"}}"#,
        "",
    );
    check(
        r#""spec":{"taints":[{"key":"a","effect":"NoSchedule"},{"key":"a","effect":"NoSchedule"},{"key":"b","effect":"Odd"}]}"#,
        "metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: taints must be unique by key and effect pair\nmetadata.taints[2].effect: Unsupported value: \"Odd\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
    );
    check(
        r#""spec":{"podCIDRs":["10.0.0.0/24","10.1.0.0/24"]}"#,
        "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.1.0.0/24\"]: may specify no more than one CIDR for each IP family",
    );
    check(
        r#""status":{"capacity":{"pods":"1500m","cpu":"-1"}}"#,
        "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0\nstatus.capacity.pods: Invalid value: \"1500m\": must be an integer\nstatus.allocatable.cpu: Invalid value: \"-1\": must be greater than or equal to 0\nstatus.allocatable.pods: Invalid value: \"1500m\": must be an integer",
    );
    check_update(
        "v1",
        "Node",
        r#""spec":{"podCIDRs":["10.0.0.0/24"],"providerID":"a"}"#,
        r#""spec":{"podCIDRs":["10.1.0.0/24"],"providerID":"b"}"#,
        "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid\nspec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
    );
}

#[test]
fn priority_classes() {
    let check = |body: &str, expected: &str| check("scheduling.k8s.io/v1", "PriorityClass", body, expected);
    check(r#""value":1000000000"#, "");
    check(r#""value":1000000001"#, "value: Forbidden: maximum allowed value of a user defined priority is 1000000000");
    check(
        r#""metadata":{"name":"system-x"},"value":1"#,
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class",
    );
    check(r#""metadata":{"name":"system-node-critical"},"value":2000001000"#, "");
    check_update(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        r#""value":1"#,
        r#""value":2,"preemptionPolicy":"Never""#,
        "value: Forbidden: may not be changed in an update.\npreemptionPolicy: Invalid value: \"Never\": field is immutable",
    );
}

#[test]
fn endpoints() {
    let core = |body: &str, expected: &str| check("v1", "Endpoints", body, expected);
    core(r#""subsets":[{"addresses":[{"ip":"10.0.0.1"}],"ports":[{"port":80}]}]"#, "");
    core(
        r#""subsets":[{"ports":[{"port":0},{"name":"a","port":1,"protocol":"X"}]}]"#,
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`\nsubsets[0].ports[0].name: Required value\nsubsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\nsubsets[0].ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
    );
    let wrong = r#""subsets":[{"addresses":[{"ip":"127.0.0.1"}]}]"#;
    core(
        wrong,
        "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
    );
    check_update("v1", "Endpoints", wrong, wrong, "");
}

#[test]
fn endpoint_slices() {
    let check = |body: &str, expected: &str| check("discovery.k8s.io/v1", "EndpointSlice", body, expected);
    check(
        r#""addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"deprecatedTopology":{"a":"b!"}}],"ports":[{"port":80}]"#,
        "",
    );
    check(r#""endpoints":[]"#, "addressType: Required value");
    check(
        r#""addressType":"IPv4","endpoints":[{"addresses":["fd00::1"]},{"addresses":[]}],"ports":[{},{}]"#,
        "ports[1].name: Duplicate value: \"\"\nendpoints[0].addresses: Invalid value: \"fd00::1\": must be an IPv4 address\nendpoints[1].addresses: Required value: must contain at least 1 address",
    );
    check(
        r#""addressType":"FQDN","endpoints":[{"addresses":["a.example.com"],"hints":{"forZones":[{"name":"a"},{"name":"a"}]}}]"#,
        "endpoints[0].hints.forZones[1].name: Duplicate value: \"a\"",
    );
    check_update(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        r#""addressType":"IPv4","endpoints":[]"#,
        r#""addressType":"IPv6","endpoints":[]"#,
        "addressType: Invalid value: \"IPv6\": field is immutable",
    );
}

#[test]
fn addresses() {
    let ip = |body: &str, expected: &str| check("networking.k8s.io/v1", "IPAddress", body, expected);
    let parent = r#""spec":{"parentRef":{"resource":"services","namespace":"n","name":"s"}}"#;
    ip(&format!(r#""metadata":{{"name":"10.0.0.1"}},{parent}"#), "");
    ip(
        &format!(r#""metadata":{{"name":"010.0.0.1"}},{parent}"#),
        "metadata.name: Invalid value: \"010.0.0.1\": must not have leading 0s",
    );
    ip(r#""metadata":{"name":"10.0.0.1"},"spec":{}"#, "spec.parentRef: Required value");
    ip(
        r#""metadata":{"name":"10.0.0.1"},"spec":{"parentRef":{"name":"a/b"}}"#,
        "spec.parentRef.resource: Required value\nspec.parentRef.name: Invalid value: \"a/b\": may not contain '/'",
    );
    let cidr = |body: &str, expected: &str| check("networking.k8s.io/v1", "ServiceCIDR", body, expected);
    cidr(r#""spec":{"cidrs":["10.0.0.0/16","fd00::/64"]}"#, "");
    cidr(r#""spec":{}"#, "spec.cidrs: Required value: at least one CIDR required");
    cidr(
        r#""spec":{"cidrs":["10.0.0.0/16","10.1.0.0/16"]}"#,
        "spec.cidrs: Invalid value: [\"10.0.0.0/16\",\"10.1.0.0/16\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
    );
    let update =
        |old: &str, new: &str, expected: &str| check_update("networking.k8s.io/v1", "ServiceCIDR", old, new, expected);
    update(r#""spec":{"cidrs":["10.0.0.0/16"]}"#, r#""spec":{"cidrs":["10.0.0.0/16","fd00::/64"]}"#, "");
    update(
        r#""spec":{"cidrs":["10.0.0.0/16"]}"#,
        r#""spec":{"cidrs":["10.1.0.0/16"]}"#,
        "spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable",
    );
}

#[test]
fn network_policies() {
    let check = |body: &str, expected: &str| check("networking.k8s.io/v1", "NetworkPolicy", body, expected);
    check(
        r#""spec":{"podSelector":{},"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]}]}"#,
        "",
    );
    check(
        r#""spec":{"ingress":[{"from":[{}],"ports":[{"port":80,"endPort":79},{"port":"a b"},{"endPort":1}]}]}"#,
        "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`\nspec.ingress[0].ports[1].port: Invalid value: \"a b\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)\nspec.ingress[0].ports[2].endPort: Invalid value: 1: may not be specified when `port` is not specified\nspec.ingress[0].from[0]: Required value: must specify a peer",
    );
    check(
        r#""spec":{"egress":[{"to":[{"podSelector":{},"ipBlock":{"cidr":"10.0.0.0/8","except":["11.0.0.0/16"]}}]}],"policyTypes":["Odd"]}"#,
        "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`\nspec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer\nspec.policyTypes[0]: Unsupported value: \"Odd\": supported values: \"Ingress\", \"Egress\"",
    );
    let mut tree = make("networking.k8s.io/v1", "NetworkPolicy", r#""spec":{"podSelector":{},"egress":[{}]}"#);
    crate::network_policy::NetworkPolicies.default("v1", &mut tree.edit());
    assert!(json(&tree).contains(r#""policyTypes":["Ingress","Egress"]"#), "{}", json(&tree));
}

#[test]
fn ingresses() {
    let check = |body: &str, expected: &str| check("networking.k8s.io/v1", "Ingress", body, expected);
    let backend = r#""backend":{"service":{"name":"s","port":{"number":80}}}"#;
    check(
        &format!(
            r#""spec":{{"rules":[{{"host":"a.com","http":{{"paths":[{{"path":"/","pathType":"Prefix",{backend}}}]}}}}]}}"#
        ),
        "",
    );
    check(r#""spec":{}"#, "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified");
    check(
        &format!(
            r#""spec":{{"rules":[{{"host":"1.2.3.4","http":{{"paths":[{{"path":"a//b","pathType":"Exact",{backend}}},{{"pathType":"Odd","backend":{{}}}}]}}}}]}}"#
        ),
        "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address\nspec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must be an absolute path\nspec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must not contain '//'\nspec.rules[0].http.paths[1].pathType: Unsupported value: \"Odd\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"\nspec.rules[0].http.paths[1].backend: Invalid value: \"\": resource or service backend is required",
    );
}

#[test]
fn storage() {
    let class = |body: &str, expected: &str| check("storage.k8s.io/v1", "StorageClass", body, expected);
    class(r#""provisioner":"a/b""#, "");
    class(
        r#""reclaimPolicy":"Odd","volumeBindingMode":"Odd""#,
        "provisioner: Required value\nreclaimPolicy: Unsupported value: \"Odd\": supported values: \"Delete\", \"Retain\"\nvolumeBindingMode: Unsupported value: \"Odd\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
    );
    class(
        r#""provisioner":"a","allowedTopologies":[{"matchLabelExpressions":[{"key":"k","values":["a","a"]}]}]"#,
        "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"a\"",
    );
    check_update(
        "storage.k8s.io/v1",
        "StorageClass",
        r#""provisioner":"a","parameters":{"k":"v"}"#,
        r#""provisioner":"b","parameters":{"k":"w"}"#,
        "parameters: Invalid value: {\"k\":\"w\"}: field is immutable\nprovisioner: Invalid value: \"b\": field is immutable",
    );
    let driver = |body: &str, expected: &str| check("storage.k8s.io/v1", "CSIDriver", body, expected);
    driver(r#""spec":{}"#, "");
    driver(
        r#""spec":{"fsGroupPolicy":"Odd","tokenRequests":[{"audience":"a","expirationSeconds":1},{"audience":"a"}]}"#,
        "spec.fsGroupPolicy: Unsupported value: \"Odd\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"\nspec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes\nspec.tokenRequests[1].audience: Duplicate value: \"a\"",
    );
    check(
        "storage.k8s.io/v1",
        "CSINode",
        r#""spec":{"drivers":[{"name":"a","nodeID":"n"},{"name":"a","nodeID":""}]}"#,
        "spec.drivers[1].nodeID: Required value\nspec.drivers[1].name: Duplicate value: \"a\"",
    );
    check(
        "storage.k8s.io/v1",
        "VolumeAttachment",
        r#""spec":{"attacher":"a","nodeName":"n","source":{}}"#,
        "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
    );
    check(
        "storage.k8s.io/v1",
        "VolumeAttributesClass",
        r#""driverName":"a""#,
        "parameters: Required value: must contain at least one key/value pair",
    );
    check(
        "storage.k8s.io/v1",
        "CSIStorageCapacity",
        r#""storageClassName":"A","capacity":"-1""#,
        "storageClassName: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\ncapacity: Invalid value: \"-1\": must be greater than or equal to 0",
    );
}

#[test]
fn budgets_and_runtime_classes() {
    let budget = |body: &str, expected: &str| check("policy/v1", "PodDisruptionBudget", body, expected);
    budget(r#""metadata":{"name":"Odd_name"},"spec":{"minAvailable":"50%"}"#, "");
    budget(
        r#""spec":{"minAvailable":"101%","maxUnavailable":-1}"#,
        "spec: Invalid value: {\"MinAvailable\":\"101%\",\"Selector\":null,\"MaxUnavailable\":-1,\"UnhealthyPodEvictionPolicy\":null}: minAvailable and maxUnavailable cannot be both set\nspec.minAvailable: Invalid value: \"101%\": must not be greater than 100%\nspec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
    );
    let class = |body: &str, expected: &str| check("node.k8s.io/v1", "RuntimeClass", body, expected);
    class(r#""handler":"h""#, "");
    class(r#""handler":"""#, "handler: Required value");
    class(
        r#""handler":"h","overhead":{"podFixed":{"cpu":"1","odd":"1"}}"#,
        "overhead.limits[odd]: Invalid value: \"odd\": must be a standard resource type or fully qualified\noverhead.limits[odd]: Invalid value: \"odd\": must be a standard resource for containers",
    );
}

#[test]
fn claims() {
    let check = |body: &str, expected: &str| check("v1", "PersistentVolumeClaim", body, expected);
    let spec = |rest: &str, size: &str| {
        format!(r#""spec":{{"accessModes":["ReadWriteOnce"],"resources":{{"requests":{{"storage":"{size}"}}}}{rest}}}"#)
    };
    check(&spec("", "1Gi"), "");
    check(
        r#""spec":{}"#,
        "spec.accessModes: Required value: at least 1 access mode is required\nspec.resources[storage]: Required value",
    );
    let update = |old: &str, new: &str, expected: &str| check_update("v1", "PersistentVolumeClaim", old, new, expected);
    update(&spec("", "1Gi"), &spec(r#","volumeName":"v""#, "1Gi"), "");
    update(&spec("", "1Gi"), &spec(r#","storageClassName":"c""#, "1Gi"), "");
    let changed = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n";
    update(
        &spec("", "1Gi"),
        &spec("", "2Gi"),
        &format!(
            "{changed}@@ -6,7 +6,7 @@\n  \"Resources\": {{\n   \"Limits\": null,\n   \"Requests\": {{\n-   \"storage\": \"1Gi\"\n+   \"storage\": \"2Gi\"\n   }}\n  }},\n  \"VolumeName\": \"\",\n"
        ),
    );
    let mut tree = make(
        "v1",
        "PersistentVolumeClaim",
        &spec(r#","dataSource":{"kind":"VolumeSnapshot","apiGroup":"snapshot.storage.k8s.io","name":"s"}"#, "1"),
    );
    create(&crate::persistent_volume_claim::PersistentVolumeClaims, &mut tree, &context("", "v1"), true);
    assert!(
        json(&tree)
            .contains(r#""dataSourceRef":{"apiGroup":"snapshot.storage.k8s.io","kind":"VolumeSnapshot","name":"s"}"#),
        "{}",
        json(&tree)
    );
}

#[test]
fn flow_control() {
    let api = "flowcontrol.apiserver.k8s.io/v1";
    let schema = |body: &str, expected: &str| check(api, "FlowSchema", body, expected);
    schema(
        r#""spec":{"priorityLevelConfiguration":{"name":"p"},"rules":[{"subjects":[{"kind":"User","user":{"name":"u"}}],"nonResourceRules":[{"verbs":["get"],"nonResourceURLs":["/a/*"]}]}]}"#,
        "",
    );
    schema(
        r#""spec":{"matchingPrecedence":1,"rules":[{"subjects":[{"kind":"User","group":{"name":"g"}}],"nonResourceRules":[{"verbs":["odd"],"nonResourceURLs":["/a*"]}]}]}"#,
        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1\nspec.priorityLevelConfiguration.name: Required value: must reference a priority level\nspec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'\nspec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'\nspec.rules[0].nonResourceRules[0].verbs: Unsupported value: [\"odd\"]: supported values: \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"\nspec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*\": wildcard can only do suffix matching",
    );
    let level = |body: &str, expected: &str| check(api, "PriorityLevelConfiguration", body, expected);
    level(r#""spec":{"type":"Limited","limited":{"limitResponse":{"type":"Queue","queuing":{}}}}"#, "");
    level(
        r#""spec":{"type":"Exempt","limited":{"limitResponse":{"type":"Reject"}}}"#,
        "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'\nspec.limited: Forbidden: must be nil if the type is not Limited",
    );
    level(
        r#""spec":{"type":"Limited","limited":{"limitResponse":{"type":"Queue","queuing":{"queues":1024,"handSize":7}}}}"#,
        "spec.limited.limitResponse.queuing.handSize: Invalid value: 7: required entropy bits of deckSize 1024 and handSize 7 should not be greater than 60",
    );
    level(
        r#""metadata":{"name":"catch-all"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":5,"limitResponse":{"type":"Reject"}}}"#,
        "",
    );
}

#[test]
fn persistent_volumes_change() {
    let change = |old: &str, new: &str, expected: &str| {
        let body = |rest: &str| {
            format!(
                r#""spec":{{"capacity":{{"storage":"1Gi"}},"accessModes":["ReadWriteOnce"],"volumeMode":"Filesystem",{rest}}}"#
            )
        };
        check_update("v1", "PersistentVolume", &body(old), &body(new), expected);
    };
    let csi = |rest: &str| format!(r#""csi":{{"driver":"d","volumeHandle":"h"{rest}}}"#);
    change(&csi(""), &csi(""), "");
    change(&csi(""), &csi(r#","controllerExpandSecretRef":{"name":"s","namespace":"n"}"#), "");
    let affinity = |label: &str| {
        format!(
            r#"{},"nodeAffinity":{{"required":{{"nodeSelectorTerms":[{{"matchExpressions":[{{"key":"{label}","operator":"Exists"}}]}}]}}}}"#,
            csi("")
        )
    };
    change(&csi(""), &affinity("a"), "");
    change(&affinity("beta.kubernetes.io/os"), &affinity("kubernetes.io/os"), "");
    change(
        &affinity("a"),
        &csi(""),
        "nodeAffinity: Invalid value: null: field is immutable, except for updating from beta label to GA",
    );
    let class = format!(r#"{},"volumeAttributesClassName":"c""#, csi(""));
    change(
        &class,
        &csi(""),
        "spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden",
    );
    change(
        r#""nfs":{"server":"s","path":"/a"}"#,
        r#""nfs":{"server":"s","path":"/b"}"#,
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n\
         @@ -5,7 +5,7 @@\n  \"Glusterfs\": null,\n  \"NFS\": {\n   \"Server\": \"s\",\n\
         -  \"Path\": \"/a\",\n+  \"Path\": \"/b\",\n   \"ReadOnly\": false\n  },\n  \"RBD\": null,\n",
    );
}

#[test]
fn what_was_claimed_stays() {
    let claim = |name: &str| {
        format!(r#""spec":{{"devices":{{"requests":[{{"name":"{name}","exactly":{{"deviceClassName":"c"}}}}]}}}}"#)
    };
    let shown = r#"{"Devices":{"Requests":[{"Name":"b","Exactly":{"DeviceClassName":"c","Selectors":null,"AllocationMode":"ExactCount","Count":1,"AdminAccess":null,"Tolerations":null,"Capacity":null},"FirstAvailable":null}],"Constraints":null,"Config":null}}"#;
    check_update("resource.k8s.io/v1", "ResourceClaim", &claim("a"), &claim("a"), "");
    let expected = format!("spec: Invalid value: {shown}: field is immutable");
    check_update("resource.k8s.io/v1", "ResourceClaim", &claim("a"), &claim("b"), &expected);
}

/// The ranges of a node's pods are one thing under two names.
#[test]
fn nodes_have_one_list_of_ranges() {
    let check = |spec: &str, expected: &str| {
        let (_, version, strategy) = find("v1", "Node");
        let mut tree = make("v1", "Node", &format!(r#""spec":{{{spec}}}"#));
        strategy.default(version, &mut tree.edit());
        assert!(json(&tree).contains(&format!(r#""spec":{{{expected}}}"#)), "{spec}: {}", json(&tree));
    };
    check(r#""podCIDR":"10.0.0.0/24""#, r#""podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24"]"#);
    check(r#""podCIDRs":["10.0.0.0/24","fd::/64"]"#, r#""podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24","fd::/64"]"#);
    check(
        r#""podCIDR":"10.0.1.0/24","podCIDRs":["10.0.0.0/24"]"#,
        r#""podCIDR":"10.0.1.0/24","podCIDRs":["10.0.1.0/24"]"#,
    );
}
