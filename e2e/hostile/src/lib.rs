//! `hostile`: large and crooked bodies for every kind, and what they may cost.
//!
//! The schema tables name each list, map and text of each kind, and each place where a type holds itself: a
//! [`sites::Site`]. A [`case::Case`] grows one site of one kind in one [`case::Style`] (in order, reversed, all equal, all
//! invalid) and sends it in one [`case::Form`] (an encoding and a verb, or a type of patch, against a small or a large
//! object). Every site is taken once; styles and forms are paired by a covering array, drawn from a seed.
//!
//! - [`growth`] runs the server in this process and compares what a body costs with what twice the body costs: CPU time
//!   and bytes allocated ([`meter::InProcess`]). A ratio needs no fast machine.
//! - [`limits`] runs the release binary and sends bodies as large as the server takes them: it asserts seconds, memory,
//!   and that another connection is served meanwhile.
//! - [`record`] has kube-apiserver's status for each case, which both compare with.

pub mod allocator;
pub mod body;
pub mod case;
pub mod client;
pub mod custom;
pub mod grow;
pub mod growth;
pub mod limits;
pub mod meter;
pub mod patches;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod samples;
pub mod server;
pub mod setup;
pub mod sites;
pub mod target;
