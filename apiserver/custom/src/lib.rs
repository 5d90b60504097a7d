use corten_kinds::table::Row; use corten_object::tree::{Node, Tree}; use corten_object::typing::TypeRef;
pub struct Version;
impl Version {
 pub fn serve(&self, t: Tree) -> Tree { t } pub fn to_storage(&self, t: Tree, _: &str) -> Tree { t } pub fn default(&self, _: &mut Tree) {}
 pub fn prune(&self, _: &mut Tree) -> Vec<String> { vec![] } pub fn row(&self, _: Node<'_>) -> Row { Row::default() } pub fn write_columns(&self, _: &mut Vec<u8>) {}
 pub fn typing(&self) -> TypeRef<'_> { TypeRef::deduced() }
 pub fn scale_values(&self, _: Node<'_>) -> Option<(i64, i64, String)> { None } pub fn set_replicas(&self, _: &mut Tree, _: i64) {}
}
