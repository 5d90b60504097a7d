use crate::Files;
use crate::rows::{Kind, Resource};
use crate::types::Types;
use anyhow::Result;
pub fn views(_types: &Types, _kinds: &[Kind], _resources: &[Resource]) -> Result<Files> {
    let mut f = Files::new();
    f.insert("lib.rs".into(), "//! Views.\n".into());
    Ok(f)
}
