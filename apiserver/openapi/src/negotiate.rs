//! Which form of a document a client accepts.

/// The forms of version 2. Version 3 is told in JSON only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    Protobuf,
}

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As older clients ask for it.
const PROTOBUF_WITH_AT: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

impl Form {
    pub fn content_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Protobuf => PROTOBUF,
        }
    }

    /// The form of version 2 that an Accept header prefers, or None where it takes neither. An empty one takes JSON.
    pub fn of_v2(accept: &str) -> Option<Form> {
        ordered(accept).into_iter().find_map(|media| match media.as_str() {
            PROTOBUF | PROTOBUF_WITH_AT => Some(Form::Protobuf),
            _ => takes_json(&media).then_some(Form::Json),
        })
    }
}

/// Whether an Accept header takes JSON; an empty one does.
pub fn accepts_json(accept: &str) -> bool {
    ordered(accept).iter().any(|media| takes_json(media))
}

fn takes_json(media: &str) -> bool {
    matches!(media, "application/json" | "application/*" | "*/*" | "*/json" | "*")
}

/// Media types by their weight, those of equal weight as they stand.
fn ordered(accept: &str) -> Vec<String> {
    if accept.trim().is_empty() {
        return vec!["*/*".to_owned()];
    }
    let mut clauses: Vec<(f64, String)> = accept.split(',').map(clause).collect();
    clauses.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    clauses.into_iter().map(|(_, media)| media).collect()
}

fn clause(text: &str) -> (f64, String) {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
    (weight.unwrap_or(1.0), media)
}
