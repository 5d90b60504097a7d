//! The rules of CustomResourceDefinitions themselves.

mod defaults;

pub(crate) use defaults::prune_defaults;
