//! The tests that need a running server, in one program.
//!
//! Tests that take a [`corten_e2e::Server`] by `start` also pass against any cluster that `CORTEN_E2E_KUBECONFIG` names;
//! those of `engines` and `faults` are about the process itself and always start their own.

mod access;
mod anyday;
mod beneath;
mod convergence;
mod custom;
mod damage;
mod definitions;
mod deletes;
mod engines;
mod faults;
mod kubectl;
mod lists;
mod observed;
mod openapi;
mod representations;
mod support;
mod torture;
mod upkeep;
mod watches;
mod writes;
