//! placeholder
pub struct Etcd;
