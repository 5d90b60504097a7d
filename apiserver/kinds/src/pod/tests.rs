//! Recorded answers of kube-apiserver, and what they do not show.

mod defaults;
mod replay;
mod updates;
