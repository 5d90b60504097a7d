//! What every component needs of the process that it runs in: tasks that are owned and end in order, time and
//! randomness that a test can hold, health, metrics and logs. Nothing in here knows Kubernetes' objects.

pub mod clock;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod random;
pub mod tasks;

pub use clock::{Clock, Instant, Wall};
pub use random::{Random, Uuid};
pub use tasks::{CancellationToken, Handle, Kind, OnFailure, Policy, Scope};
