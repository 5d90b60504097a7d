//! Flags, configuration files and feature gates, decoded strictly: what is unknown or not supported is an error that
//! names it, never ignored. Nothing in here reads the environment.

pub mod features;
pub mod flags;
pub mod strict;
pub mod values;
pub mod yaml;

pub use features::{FeatureGates, Gate};
