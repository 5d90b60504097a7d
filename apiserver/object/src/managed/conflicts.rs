//! What an apply would take from others.

use corten_api::field::quote;
use corten_api::status::{CAUSE_FIELD_MANAGER_CONFLICT, Cause, Status};

use super::entries::Entry;
use super::set::Set;

/// How many bytes of paths an answer lists. Paths that are deep and many would be a list without an end.
const LISTED_MAX: usize = 1 << 20;

/// The conflicts with one manager.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// What tells the manager apart, to sort by.
    identifier: String,
    manager: String,
    /// What would be taken from it.
    pub taken: Set,
}

/// None where nothing is taken.
pub fn with(entry: &Entry, taken: Set) -> Option<Conflict> {
    (!taken.is_empty()).then(|| Conflict { identifier: entry.identifier(), manager: name(entry), taken })
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

pub fn status(mut conflicts: Vec<Conflict>) -> Status {
    conflicts.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    let count: usize = conflicts.iter().map(|conflict| conflict.taken.len()).sum();
    let mut causes = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let mut bytes = 0;
    for conflict in &conflicts {
        let with = format!("conflict with {}", conflict.manager);
        lines.push(format!("conflicts with {}:", conflict.manager));
        conflict.taken.paths(&mut String::new(), &mut |path| {
            bytes += with.len() + path.len();
            lines.push(format!("- {path}"));
            causes.push(Cause::new(CAUSE_FIELD_MANAGER_CONFLICT, with.clone(), path.to_owned()));
            bytes <= LISTED_MAX
        });
        if bytes > LISTED_MAX && count > causes.len() {
            lines.push(format!("... and {} more", count - causes.len()));
            break;
        }
    }
    let message = match &causes[..] {
        [one] if count == 1 => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        _ => format!("Apply failed with {count} conflicts: {}", lines.join("\n")),
    };
    Status::apply_conflict(causes, message)
}
