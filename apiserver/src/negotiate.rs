//! Which form an answer takes: encoding (JSON, YAML, protobuf) and projection (the object, a Table, only its metadata).

use corten_api::status::{Result, Status};
use http::HeaderMap;
use http::header::ACCEPT;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Json,
    /// JSON, indented for people.
    Pretty,
    Yaml,
    Protobuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Projection {
    Object,
    Table,
    Metadata,
    /// The metadata of a list's items.
    MetadataList,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    pub encoding: Encoding,
    pub projection: Projection,
    /// The version of meta.k8s.io of a projection: `v1` or `v1beta1`.
    pub beta: bool,
}

impl Form {
    pub const JSON: Form = Form { encoding: Encoding::Json, projection: Projection::Object, beta: false };

    pub const PRETTY: Form = Form { encoding: Encoding::Pretty, ..Form::JSON };

    pub fn content_type(self) -> &'static str {
        match self.encoding {
            Encoding::Json | Encoding::Pretty => "application/json",
            Encoding::Yaml => "application/yaml",
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    pub fn meta_version(self) -> &'static str {
        if self.beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" }
    }
}

/// What a resource can be shown as.
#[derive(Debug, Clone, Copy)]
pub struct Offers {
    /// Custom objects have no protobuf form.
    pub protobuf: bool,
    /// Metadata alone is shown of it.
    pub projections: bool,
    pub tables: bool,
}

/// What a client is told of that asked for none that there is. Upstream names protobuf to it for custom objects too,
/// which have no such form.
const MEDIA_TYPES: [&str; 3] = ["application/json", "application/yaml", PROTOBUF];
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// The same of a watch.
pub const STREAMED: [&str; 2] = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];

pub fn not_acceptable(accepted: &[&str]) -> Status {
    Status::not_acceptable(format!("only the following media types are accepted: {}", accepted.join(", ")))
}

struct Clause<'a> {
    media: &'a str,
    params: Vec<(&'a str, &'a str)>,
    quality: u32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Clause<'a> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let params: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let quality = params
            .iter()
            .find(|(key, _)| *key == "q")
            .and_then(|(_, value)| value.parse::<f32>().ok())
            .map_or(1000, |q| (q * 1000.0) as u32);
        Clause { media, params, quality }
    }

    fn param(&self, key: &str) -> &'a str {
        self.params.iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value)
    }
}

/// The form that a request asks for. `pretty` is the query's, else browsers and curl get it.
pub fn negotiate(headers: &HeaderMap, pretty: Option<bool>, offers: Offers) -> Result<Form> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut clauses: Vec<Clause<'_>> =
        accept.split(',').map(str::trim).filter(|text| !text.is_empty()).map(Clause::parse).collect();
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.quality));
    let found =
        if clauses.is_empty() { Some(Form::JSON) } else { clauses.iter().find_map(|clause| form_of(clause, offers)) };
    let Some(mut form) = found else {
        return Err(not_acceptable(&MEDIA_TYPES));
    };
    if form.encoding == Encoding::Json && pretty.unwrap_or_else(|| for_people(headers)) {
        form.encoding = Encoding::Pretty;
    }
    Ok(form)
}

/// Whether somebody reads the answer: browsers and curl are taken for people.
pub fn for_people(headers: &HeaderMap) -> bool {
    let agent = headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix))
}

fn form_of(clause: &Clause<'_>, offers: Offers) -> Option<Form> {
    let encoding = match clause.media {
        "application/json" | "*/*" | "application/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        "application/vnd.kubernetes.protobuf" if offers.protobuf || !clause.param("as").is_empty() => {
            Encoding::Protobuf
        }
        _ => return None,
    };
    let projection = match clause.param("as") {
        "" => Projection::Object,
        // Tables have no protobuf form.
        "Table" if offers.tables && encoding != Encoding::Protobuf => Projection::Table,
        "PartialObjectMetadata" if offers.projections => Projection::Metadata,
        "PartialObjectMetadataList" if offers.projections => Projection::MetadataList,
        _ => return None,
    };
    let beta = match (projection, clause.param("g"), clause.param("v")) {
        (Projection::Object, _, _) => false,
        (_, "meta.k8s.io", "v1") => false,
        (_, "meta.k8s.io", "v1beta1") => true,
        _ => return None,
    };
    let streams = matches!(clause.param("stream"), "" | "watch");
    streams.then_some(Form { encoding, projection, beta })
}

/// Whether a request would take one of these media types, whatever their parameters.
pub fn accepts_any(headers: &HeaderMap, produced: &[&str]) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.is_empty()
        || accept
            .split(',')
            .map(|clause| clause.split(';').next().unwrap_or_default().trim())
            .any(|media| media == "*/*" || produced.iter().any(|known| *known == media || *known == "*/*"))
}

/// The media type of a configuration to apply.
pub const APPLY: &str = "application/apply-patch+yaml";

/// A body's media type without its parameters.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    Json,
    Yaml,
    Protobuf,
}

/// The encoding that a Content-Type names; JSON where there is none.
pub fn body_encoding(headers: &HeaderMap, protobuf: bool) -> Result<BodyEncoding> {
    let media = content_type(headers);
    match media {
        "" | "application/json" => Ok(BodyEncoding::Json),
        "application/yaml" => Ok(BodyEncoding::Yaml),
        PROTOBUF if protobuf => Ok(BodyEncoding::Protobuf),
        _ => Err(Status::unsupported_media_type(format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            MEDIA_TYPES[..if media == PROTOBUF { 2 } else { 3 }].join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, expected: Option<(Encoding, Projection)>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a header"));
        let form = negotiate(&headers, None, Offers { protobuf: true, projections: true, tables: true });
        assert_eq!(form.ok().map(|form| (form.encoding, form.projection)), expected, "{accept}");
    }

    #[test]
    fn clauses_are_tried_in_order() {
        check("application/json", Some((Encoding::Json, Projection::Object)));
        check("*/*", Some((Encoding::Json, Projection::Object)));
        check("text/html, */*;q=0.8", Some((Encoding::Json, Projection::Object)));
        check("application/vnd.kubernetes.protobuf,application/json", Some((Encoding::Protobuf, Projection::Object)));
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            Some((Encoding::Json, Projection::Table)),
        );
        check(
            "application/json;as=Table;v=v9;g=meta.k8s.io,application/json",
            Some((Encoding::Json, Projection::Object)),
        );
        check(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some((Encoding::Protobuf, Projection::MetadataList)),
        );
        check("text/plain", None);
    }
}
