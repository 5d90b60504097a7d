//! What an apply would take from others.

use corten_api::field::quote;
use corten_api::status::{CAUSE_FIELD_MANAGER_CONFLICT, Cause, Status};

use super::element::Element;
use super::entries::Entry;
use super::set::Set;

#[derive(Clone, Debug)]
pub struct Conflict {
    /// What tells the manager apart, to sort by.
    identifier: String,
    manager: String,
    pub path: Vec<Element<'static>>,
}

/// The conflicts with one manager.
pub fn with(entry: &Entry, taken: &Set) -> Vec<Conflict> {
    let (identifier, manager) = (entry.identifier(), name(entry));
    let conflict = |path| Conflict { identifier: identifier.clone(), manager: manager.clone(), path };
    taken.paths().into_iter().map(conflict).collect()
}

fn name(entry: &Entry) -> String {
    let mut name = quote(&entry.manager);
    if !entry.subresource.is_empty() {
        name.push_str(&format!(" with subresource {}", quote(&entry.subresource)));
    }
    if !entry.applied {
        name.push_str(&format!(" using {}", entry.api_version));
    }
    name
}

fn text(path: &[Element<'static>]) -> String {
    path.iter().map(Element::to_string).collect()
}

pub fn status(mut conflicts: Vec<Conflict>) -> Status {
    conflicts.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    let cause = |conflict: &Conflict| {
        Cause::new(CAUSE_FIELD_MANAGER_CONFLICT, format!("conflict with {}", conflict.manager), text(&conflict.path))
    };
    let causes = conflicts.iter().map(cause).collect();
    let message = match &conflicts[..] {
        [one] => format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, text(&one.path)),
        _ => {
            let mut lines: Vec<String> = Vec::new();
            let mut last = None;
            for conflict in &conflicts {
                if last != Some(&conflict.identifier) {
                    lines.push(format!("conflicts with {}:", conflict.manager));
                    last = Some(&conflict.identifier);
                }
                lines.push(format!("- {}", text(&conflict.path)));
            }
            format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
        }
    };
    Status::apply_conflict(causes, message)
}
