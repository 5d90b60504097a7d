//! Which form of a document a client accepts.

/// Whether one of the clauses of an Accept header is met by JSON. An empty header accepts anything.
///
/// Clauses that weigh nothing (`q=0`) count as upstream counts them: as the last resort that they are not.
pub fn accepts_json(accept: &str) -> bool {
    accept.trim().is_empty() || accept.split(',').any(|clause| {
        let media = clause.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(media.as_str(), "application/json" | "application/*" | "*/*" | "*/json" | "*")
    })
}
