//! Plain defaults: what a table says for an absent scalar, wherever the struct that holds it is present.

use corten_schema::{Default, FieldId, Shape, TypeId};

use crate::json;
use crate::tree::{Id, Tree};

/// The defaults of a kind, made ready: a trie over fields, so that all are set in one walk.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Step>,
}

impl std::default::Default for Step {
    fn default() -> Self {
        Step { field: FieldId(0), value: None, below: Plan { steps: Vec::new() } }
    }
}

#[derive(Debug)]
struct Step {
    field: FieldId,
    value: Option<Tree>,
    below: Plan,
}

impl Plan {
    /// The defaults whose group, version and kind are these, for objects of a type. A path that the type does not have is
    /// left out: facts are checked where they are generated.
    pub fn new(ty: TypeId, rows: impl Iterator<Item = &'static Default>) -> Plan {
        let mut plan = Plan { steps: Vec::new() };
        for row in rows {
            if let Ok(value) = json::parse(row.value.as_bytes().to_vec(), json::Form::Plain) {
                plan.add(ty, row.path, value.tree);
            }
        }
        plan
    }

    /// No defaults.
    pub fn none() -> Plan {
        Plan { steps: Vec::new() }
    }

    fn add(&mut self, ty: TypeId, path: &str, value: Tree) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let Some(field) = ty.get().field_named(name.trim_end_matches("[]").trim_end_matches("{}")) else { return };
        let place = match self.steps.iter().position(|step| step.field == field) {
            Some(place) => place,
            None => {
                self.steps.push(Step { field, ..Step::default() });
                self.steps.len() - 1
            }
        };
        let step = &mut self.steps[place];
        let below = match ty.field(field).shape {
            Shape::Struct(ty) => Some(ty),
            Shape::List(Shape::Struct(ty)) | Shape::Map(Shape::Struct(ty)) => Some(*ty),
            _ => None,
        };
        match below {
            Some(ty) if !rest.is_empty() => step.below.add(ty, rest, value),
            _ if rest.is_empty() && !name.ends_with("[]") => step.value = Some(value),
            _ => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Sets what is absent. A struct that is no pointer is there even when nothing in it is.
    pub fn apply(&self, tree: &mut Tree, id: Id) {
        let Some(ty) = tree.type_of(id) else { return };
        for step in &self.steps {
            let field = ty.field(step.field);
            let present = tree.field(id, step.field);
            if let (None, Some(value)) = (present, &step.value) {
                let value = tree.import(value.root());
                tree.set_field(id, step.field, value);
            }
            if step.below.is_empty() {
                continue;
            }
            match (present, field.shape) {
                (Some(child), Shape::Struct(_)) => step.below.apply(tree, child),
                (Some(child), Shape::List(_) | Shape::Map(_)) => {
                    let items: Vec<Id> = tree.items(child).collect();
                    items.into_iter().for_each(|item| step.below.apply(tree, item));
                }
                (None, Shape::Struct(_)) if !field.pointer => {
                    let child = tree.ensure_field(id, step.field);
                    step.below.apply(tree, child);
                    if tree.is_empty(child) {
                        tree.remove_field(id, step.field);
                    }
                }
                _ => {}
            }
        }
    }
}
