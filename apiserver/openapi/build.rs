//! Gathers the descriptions of the API's types and fields from k8s-openapi's own schemas into one deflated text, so that
//! the binary holds them once, compact, and only the build links those schemas.
//!
//! The text has a line `T <type> <description>` for each type, followed by a line `<field> <description>` for each field
//! that has one; descriptions are JSON strings. A field of few values says of each what it means; k8s-openapi leaves that
//! out, so it comes from `facts/enum_values.tsv`.

use std::io::Write;
use std::{env, fs, io, path::Path};

use flate2::{Compression, write::DeflateEncoder};
use k8s_openapi::schemars::SchemaGenerator;
use k8s_openapi::{api, apiextensions_apiserver, apimachinery, kube_aggregator};
use serde_json::Value;

/// Visits types; the generator visits what they refer to.
macro_rules! visit {
    ($generator:ident; $($($module:ident)::+ { $($kind:ident)* })*) => {
        $({
            use $($module)::+ as module;
            $(let _ = $generator.subschema_for::<module::$kind>();)*
        })*
    };
}

/// Lines of type, field and what is said of one of its values.
const ENUM_VALUES: &str = "facts/enum_values.tsv";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ENUM_VALUES}");
    let values = fs::read_to_string(ENUM_VALUES)?;
    let values: Vec<&str> = values.lines().collect();
    let mut text = String::new();
    for (name, schema) in generator().definitions() {
        text.push_str(&lines(name, schema, &values));
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    fs::write(Path::new(&out).join("descriptions.deflate"), encoder.finish()?)
}

fn lines(name: &str, schema: &Value, enum_values: &[&str]) -> String {
    let described = |schema: &Value| schema.get("description").filter(|value| value.is_string()).map(Value::to_string);
    let mut text = format!("T {name} {}\n", described(schema).unwrap_or_else(|| "\"\"".into()));
    for (field, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let values = enum_values.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        let values: Vec<_> = values.filter_map(|line| line.strip_prefix(field.as_str())?.strip_prefix('\t')).collect();
        if let Some(description) = with_values(schema, &values) {
            text.push_str(&format!("{field} {description}\n"));
        }
    }
    text
}

/// The description as JSON text, if there is one.
fn with_values(schema: &Value, values: &[&str]) -> Option<String> {
    let mut description = schema.get("description")?.as_str()?.to_owned();
    if !values.is_empty() {
        description.push_str("\n\nPossible enum values:");
        values.iter().for_each(|value| description.push_str(&format!("\n - {value}")));
    }
    Some(Value::from(description).to_string())
}

fn generator() -> SchemaGenerator {
    let mut generator = SchemaGenerator::default();
    builtin(&mut generator);
    builtin_unstable(&mut generator);
    generator
}

fn builtin(g: &mut SchemaGenerator) {
    visit! { g;
        api::admissionregistration::v1 {
            MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
            ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
        }
        api::apps::v1 { ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet }
        api::authentication::v1 { SelfSubjectReview TokenRequest TokenReview }
        api::authorization::v1 {
            LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
        }
        api::autoscaling::v1 { HorizontalPodAutoscaler Scale }
        api::autoscaling::v2 { HorizontalPodAutoscaler }
        api::batch::v1 { CronJob Job }
        api::certificates::v1 { CertificateSigningRequest }
        api::coordination::v1 { Lease }
        api::core::v1 {
            Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume
            PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
        }
        api::discovery::v1 { EndpointSlice }
        api::events::v1 { Event }
        api::flowcontrol::v1 { FlowSchema PriorityLevelConfiguration }
        api::networking::v1 { IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR }
        api::node::v1 { RuntimeClass }
        api::policy::v1 { Eviction PodDisruptionBudget }
        api::rbac::v1 { ClusterRole ClusterRoleBinding Role RoleBinding }
        api::resource::v1 { DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice }
        api::scheduling::v1 { PriorityClass }
        api::storage::v1 {
            CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass
        }
        apiextensions_apiserver::pkg::apis::apiextensions::v1 { CustomResourceDefinition }
        apimachinery::pkg::apis::meta::v1 {
            APIGroup APIGroupList APIResourceList APIVersions DeleteOptions ListMeta Patch Status
        }
        apimachinery::pkg::version { Info }
        kube_aggregator::pkg::apis::apiregistration::v1 { APIService }
    }
}

fn builtin_unstable(g: &mut SchemaGenerator) {
    visit! { g;
        api::admissionregistration::v1alpha1 { MutatingAdmissionPolicy MutatingAdmissionPolicyBinding }
        api::admissionregistration::v1beta1 { MutatingAdmissionPolicy MutatingAdmissionPolicyBinding }
        api::apiserverinternal::v1alpha1 { StorageVersion }
        api::certificates::v1alpha1 { ClusterTrustBundle }
        api::certificates::v1beta1 { ClusterTrustBundle PodCertificateRequest }
        api::coordination::v1alpha2 { LeaseCandidate }
        api::coordination::v1beta1 { LeaseCandidate }
        api::networking::v1beta1 { IPAddress ServiceCIDR }
        api::resource::v1alpha3 { DeviceTaintRule ResourcePoolStatusRequest }
        api::resource::v1beta1 { DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice }
        api::resource::v1beta2 { DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice }
        api::scheduling::v1alpha2 { PodGroup Workload }
        api::storage::v1beta1 { VolumeAttributesClass }
        api::storagemigration::v1beta1 { StorageVersionMigration }
    }
}
