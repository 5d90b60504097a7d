use crate::tree::Tree; use corten_api::status::{Result, Status};
pub struct Patched { pub tree: Tree, pub strict: Vec<String> }
pub fn json(_d: &Tree, _p: &[u8]) -> Result<Patched> { Err(Status::internal("no")) }
pub fn merge(_d: &Tree, _p: &[u8]) -> Result<Patched> { Err(Status::internal("no")) }
pub fn strategic(_d: &Tree, _p: &[u8]) -> Result<Patched> { Err(Status::internal("no")) }
