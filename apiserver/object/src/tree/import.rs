//! Copying: from another tree, within one, and from maps into typed structs and back.

use super::{Id, Link, Node, Slot, Text, Tree, Value};

impl Tree {
    /// A deep copy of a node of another tree.
    pub fn import(&mut self, node: Node<'_>) -> Id {
        match node.value() {
            Value::Null => self.null(),
            Value::Bool(value) => self.bool(value),
            Value::Int(value) => self.int(value),
            Value::Float(value) => self.float(value),
            Value::Str(value) => self.string(value),
            Value::Raw(value) => self.raw(value),
            Value::List(list) => {
                let items: Vec<Id> = list.iter().map(|item| self.import(item)).collect();
                self.list(&items)
            }
            Value::Struct(structure) => {
                let ty = structure.ty().expect("a struct node has a type");
                let links: Vec<Link> = structure
                    .fields()
                    .map(|(field, node)| Link {
                        key: Text { start: u32::from(field.0), len: 0 },
                        value: self.import(node),
                    })
                    .collect();
                let span = self.add_links(links.into_iter());
                self.push(Slot::Struct(ty, span))
            }
            Value::Map(map) => {
                let links: Vec<Link> = map
                    .iter()
                    .map(|(key, node)| {
                        let key = self.add_text(key);
                        Link { key, value: self.import(node) }
                    })
                    .collect();
                let span = self.add_links(links.into_iter());
                self.push(Slot::Map(span))
            }
        }
    }

    /// A deep copy of a slot, so that changing one leaves the other as it is. Texts are shared: they never change.
    pub fn duplicate(&mut self, id: Id) -> Id {
        let slot = self.slot(id);
        let (Slot::List(span) | Slot::Struct(_, span) | Slot::Map(span)) = slot else { return self.push(slot) };
        let mut links = self.links(span).to_vec();
        for link in &mut links {
            link.value = self.duplicate(link.value);
        }
        let span = self.add_links(links.into_iter());
        self.push(match slot {
            Slot::List(_) => Slot::List(span),
            Slot::Struct(ty, _) => Slot::Struct(ty, span),
            _ => Slot::Map(span),
        })
    }
}
