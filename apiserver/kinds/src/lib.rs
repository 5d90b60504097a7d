//! What is particular to each built-in kind: one file for a kind, one row for it in [`rows::ROWS`].
//!
//! Nothing in here does I/O. The pipeline of the API server calls a kind's [`strategy::Strategy`] at fixed places; all
//! that strategies share (metadata, managedFields, deletion, storage) is the pipeline's.

mod access;
pub mod api_service;
pub mod certificate_signing_request;
pub mod columns;
pub mod config_map;
pub mod controller_revision;
pub mod cron_job;
pub mod csi;
pub mod daemon_set;
pub mod deployment;
pub mod device_class;
pub mod devices;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub mod flow_schema;
pub mod horizontal_pod_autoscaler;
pub mod ingress;
pub mod ingress_class;
pub mod ip_address;
pub mod job;
pub mod label_selector;
pub mod lease;
pub mod namespace;
pub mod network_policy;
pub mod node;
pub mod node_labels;
pub mod object_meta;
mod pem;
pub mod persistent_volume;
pub mod persistent_volume_claim;
pub mod pod;
pub mod pod_disruption_budget;
pub mod pod_template;
pub mod priority_class;
pub mod priority_level_configuration;
pub mod rbac;
pub mod replica_set;
pub mod replication_controller;
pub mod resource_claim;
pub mod resource_name;
pub mod resource_slice;
pub mod rolling_update;
pub mod rows;
pub mod runtime_class;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod service_cidr;
pub mod stateful_set;
pub mod storage;
pub mod strategy;
pub mod table;
#[cfg(test)]
mod tests;
mod workload_status;
