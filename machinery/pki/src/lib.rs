//! The cluster's certificates, keys and kubeconfigs.
