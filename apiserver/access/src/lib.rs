//! Who asks, and what they may do.
//!
//! A request is authenticated (`authenticate`: client certificate, front proxy or token, else anonymous), may ask to be
//! somebody else (`impersonate`), and is authorized (`authorize`, `rbac`). Nothing in here reads or writes storage: RBAC
//! objects are fed to the index as they change, and what a service-account token is bound to is looked up through a
//! trait. A decision reads a snapshot and never waits.

pub mod authenticate;
pub mod authorize;
pub mod impersonate;
pub mod rbac;
pub mod review;
pub mod service_account;
pub mod tokens;
pub mod user;
mod words;

pub use authorize::{Attributes, Authorizer, Decision, Verdict};
pub use user::User;
