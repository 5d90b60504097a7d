//! Lists: from a snapshot of the cache, streamed, so that memory grows neither with a list nor with its readers.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use corten_api::field::{Error as FieldError, Errors, Path};
use corten_api::status::{Reason, Result, Status};
use corten_object::continue_token::Continue;
use corten_store::{Error, Read, Span};
use futures::StreamExt;
use http::StatusCode;

use crate::cache::{Objects, Snapshot, Unreadable, Unreadables};
use crate::call::Call;
use crate::http::{ApiResponse, ResponseBody};
use crate::negotiate::{Encoding, Form, Projection};
use crate::object::Object;
use crate::resource::{Lifetime, Resource, Storage};
use crate::select::Selection;
use crate::show;
use crate::table::Include;

/// How much of a list is put together before it is sent.
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Default)]
pub struct ListOptions {
    pub limit: i64,
    pub continue_token: String,
    pub resource_version: String,
    pub resource_version_match: String,
    pub send_initial_events: Option<bool>,
    pub bookmarks: bool,
    pub timeout_seconds: Option<i64>,
}

impl ListOptions {
    pub fn read(call: &Call, watch: bool) -> Result<ListOptions> {
        let text = |key: &str| call.query.get(key).unwrap_or_default().to_owned();
        let int = |key: &str| match call.query.get(key) {
            None | Some("") => Ok(None),
            Some(value) => value
                .parse::<i64>()
                .map(Some)
                .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {value:?}: invalid syntax"))),
        };
        let mut options = ListOptions {
            limit: int("limit")?.unwrap_or(0),
            continue_token: text("continue"),
            resource_version: text("resourceVersion"),
            resource_version_match: text("resourceVersionMatch"),
            send_initial_events: call.query.get("sendInitialEvents").map(|_| call.query.flag("sendInitialEvents")),
            bookmarks: call.query.flag("allowWatchBookmarks"),
            timeout_seconds: int("timeoutSeconds")?,
        };
        if watch {
            options.default_initial_events();
        }
        let errors = if watch { options.watch_errors() } else { options.list_errors() };
        if !errors.is_empty() {
            return Err(Status::invalid("meta.k8s.io", "ListOptions", "", &errors));
        }
        Ok(options)
    }

    /// A watch from no revision is one that wants to see what there is first.
    fn default_initial_events(&mut self) {
        let unsaid = self.send_initial_events.is_none() && self.resource_version_match.is_empty();
        if unsaid && matches!(self.resource_version.as_str(), "" | "0") {
            self.send_initial_events = Some(true);
            self.resource_version_match = "NotOlderThan".to_owned();
        }
    }

    fn list_errors(&self) -> Errors {
        let mut errors = Errors::default();
        let path = Path::new("resourceVersionMatch");
        let wanted = self.resource_version_match.as_str();
        if !wanted.is_empty() {
            if self.resource_version.is_empty() {
                errors.push(FieldError::forbidden(
                    &path,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            if !self.continue_token.is_empty() {
                errors
                    .push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
            }
            if !matches!(wanted, "Exact" | "NotOlderThan") {
                errors.push(FieldError::not_supported(&path, wanted, &["Exact", "NotOlderThan", ""]));
            }
            if wanted == "Exact" && self.resource_version == "0" {
                errors.push(FieldError::forbidden(
                    &path,
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
        }
        if self.send_initial_events.is_some() {
            errors.push(FieldError::forbidden(
                &Path::new("sendInitialEvents"),
                "sendInitialEvents is forbidden for list",
            ));
        }
        errors
    }

    fn watch_errors(&self) -> Errors {
        let mut errors = Errors::default();
        let path = Path::new("resourceVersionMatch");
        let wanted = self.resource_version_match.as_str();
        if self.send_initial_events.is_some() && wanted != "NotOlderThan" {
            errors.push(FieldError::forbidden(
                &path,
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        if !wanted.is_empty() {
            if self.send_initial_events.is_none() {
                errors.push(FieldError::forbidden(
                    &path,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            if wanted != "NotOlderThan" {
                errors.push(FieldError::not_supported(&path, wanted, &["NotOlderThan"]));
            }
            if !self.continue_token.is_empty() {
                errors
                    .push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
            }
        }
        errors
    }

    /// The resourceVersion as a number; None where there is none.
    pub fn revision(&self) -> Result<Option<u64>> {
        let bad = |error: String| Status::bad_request(format!("invalid resource version: {error}"));
        self.parsed_revision().map_err(bad)
    }

    /// The same for a watch, whose resourceVersion upstream forgets to make a bad request of.
    pub fn watched_revision(&self) -> Result<Option<u64>> {
        self.parsed_revision().map_err(|error| Status::failure(500, Reason::Unknown, error))
    }

    fn parsed_revision(&self) -> std::result::Result<Option<u64>, String> {
        match self.resource_version.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
            }),
        }
    }
}

pub async fn list(call: &Arc<Call>, resource: &Arc<Resource>, form: Form) -> Result<ApiResponse> {
    let storage = resource.storage.as_ref().ok_or_else(|| Status::internal("nothing is kept of this kind"))?;
    let selection = Selection::read(&call.query, resource)?;
    let options = ListOptions::read(call, false)?;
    let mut page = page(call, resource, storage, &options, &selection).await?;
    if let (Projection::Table, Some(order)) = (form.projection, storage.strategy().table_order()) {
        page.objects.sort_by_cached_key(|object| order(storage.tree(object).root()));
    }
    check_form(resource, form)?;
    let include = if form.projection == Projection::Table { show::include(call)? } else { Include::None };
    Ok(answer(call, resource, form, include, page))
}

/// What a list answers with.
pub struct Page {
    pub objects: Vec<Arc<Object>>,
    revision: u64,
    continue_token: String,
    remaining: Option<i64>,
}

pub async fn page(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    options: &ListOptions,
    selection: &Selection,
) -> Result<Page> {
    // A namespace that the field selector names narrows a list over all of them.
    let namespace = match (call.info.namespace.as_str(), selection.namespace()) {
        ("", Some(one)) if resource.namespaced => one,
        (given, _) => given,
    };
    let prefix = if resource.namespaced && !namespace.is_empty() { format!("{namespace}/") } else { String::new() };
    let prefix = prefix.as_str();
    let (snapshot, start) = if options.continue_token.is_empty() {
        (snapshot(call, storage, options).await?, None)
    } else {
        resume(call, storage, options).await?
    };
    snapshot.check_readable(prefix, selection.name())?;
    let lower = match &start {
        Some(start) => Bound::Included(format!("{prefix}{start}")),
        None => Bound::Included(prefix.to_owned()),
    };
    let bound = match &lower {
        Bound::Included(key) => Bound::Included(key.as_str()),
        _ => Bound::Unbounded,
    };
    let mut rest =
        snapshot.objects.range::<_, str>((bound, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
    // Upstream's watch cache, which has everything but events, pays no heed to the limit where any state will do.
    let unlimited = options.resource_version == "0" && !matches!(storage.lifetime, Lifetime::Event { .. });
    let limit = usize::try_from(options.limit).ok().filter(|&limit| limit > 0 && !unlimited).unwrap_or(usize::MAX);
    let mut objects = Vec::new();
    if let Some(name) = selection.name() {
        // One object at most; its key is known when the namespace is.
        let found =
            (!prefix.is_empty() || !storage.namespaced).then(|| snapshot.objects.get(&*format!("{prefix}{name}")));
        if let Some(found) = found {
            objects.extend(found.filter(|object| selection.matches(object)).cloned());
            return Ok(Page { objects, revision: snapshot.revision, continue_token: String::new(), remaining: None });
        }
    }
    for (_, object) in rest.by_ref() {
        if selection.matches(object) {
            objects.push(Arc::clone(object));
            if objects.len() == limit {
                break;
            }
        }
    }
    let mut page = Page { objects, revision: snapshot.revision, continue_token: String::new(), remaining: None };
    if page.objects.len() == limit {
        let more = rest.next().is_some();
        if more {
            let last = page.objects.last().map_or("", |object| &object.key[prefix.len()..]);
            page.continue_token = Continue::after(snapshot.revision as i64, last).encode();
            page.remaining = selection.is_everything().then(|| 1 + rest.count() as i64);
        }
    }
    Ok(page)
}

/// The snapshot that the options ask for.
async fn snapshot(call: &Call, storage: &Storage, options: &ListOptions) -> Result<Snapshot> {
    let revision = options.revision()?;
    let exact = options.resource_version_match == "Exact"
        || (options.resource_version_match.is_empty()
            && options.limit > 0
            && revision.is_some_and(|revision| revision > 0));
    match revision {
        None => {
            call.api.catch_up().await?;
            Ok(storage.cache.snapshot())
        }
        Some(0) => Ok(storage.cache.snapshot()),
        Some(revision) if exact => at_revision(call, storage, revision).await,
        Some(revision) => {
            call.api.feed.wait_for(revision).await?;
            Ok(storage.cache.snapshot())
        }
    }
}

async fn at_revision(call: &Call, storage: &Storage, revision: u64) -> Result<Snapshot> {
    // What the store has forgotten is too old for everybody, whatever a cache still knows.
    if revision >= call.api.store.compacted_revision()
        && revision <= call.api.feed.progress()
        && let Some(snapshot) = storage.cache.snapshot_at(revision)
    {
        return Ok(snapshot);
    }
    let read = Read::of(Span::prefix(Arc::clone(&storage.prefix))).at(revision);
    let listing = call.api.store.range(read).await.map_err(|error| match error {
        Error::Compacted { .. } => {
            Status::resource_expired("The resourceVersion for the provided list is too old.".to_string())
        }
        Error::FutureRevision { requested, current } => Status::resource_version_too_large(requested, current, 0),
        error => Status::internal(error),
    })?;
    let mut objects = Objects::new();
    for kv in &listing.kvs {
        let ingested = storage.ingest(&kv.key[storage.prefix.len()..], &kv.value);
        let unreadable = |status: Status| {
            let (key, reason) = (Arc::clone(&kv.key), status.message().into());
            Unreadable { key, revision: kv.mod_revision, reason }.status()
        };
        let object = ingested.map_err(unreadable)?.object(kv.mod_revision);
        objects.insert(Arc::clone(&object.key), object);
    }
    Ok(Snapshot { objects, unreadable: Unreadables::new(), revision })
}

async fn resume(call: &Call, storage: &Storage, options: &ListOptions) -> Result<(Snapshot, Option<String>)> {
    let token = Continue::decode(&options.continue_token)
        .map_err(|error| Status::bad_request(format!("invalid continue token: {error}")))?;
    if !matches!(options.resource_version.as_str(), "" | "0") {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    if token.revision < 0 {
        // A token for those who would rather have an inconsistent list than none.
        call.api.catch_up().await?;
        return Ok((storage.cache.snapshot(), Some(token.start)));
    }
    let revision = token.revision as u64;
    call.api.feed.wait_for(revision).await?;
    match at_revision(call, storage, revision).await {
        Ok(snapshot) => Ok((snapshot, Some(token.start))),
        Err(status) if status.is_expired() => {
            let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
            let inconsistent = Continue { revision: -1, start: token.start }.encode();
            Err(Status::resource_expired(message).with_continue(inconsistent))
        }
        Err(status) => Err(status),
    }
}

/// The page of a collection that was deleted.
pub fn answer_with(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, page: Page) -> Result<ApiResponse> {
    check_form(resource, form)?;
    Ok(answer(call, resource, form, Include::Metadata, page))
}

/// A list's metadata as built-in lists show it.
fn list_meta(page: &Page) -> String {
    let mut meta = format!("{{\"resourceVersion\":\"{}\"", page.revision);
    if !page.continue_token.is_empty() {
        meta.push_str(&format!(",\"continue\":\"{}\"", page.continue_token));
    }
    if let Some(remaining) = page.remaining {
        meta.push_str(&format!(",\"remainingItemCount\":{remaining}"));
    }
    meta.push('}');
    meta
}

/// Custom lists have their keys sorted, and always a continue.
fn custom_list_meta(page: &Page) -> String {
    let remaining = page.remaining.map_or(String::new(), |n| format!(",\"remainingItemCount\":{n}"));
    format!("{{\"continue\":\"{}\"{remaining},\"resourceVersion\":\"{}\"}}", page.continue_token, page.revision)
}

fn answer(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, include: Include, page: Page) -> ApiResponse {
    let mut head = Vec::with_capacity(512);
    let mut tail: &'static str = "]}";
    let mut custom_tail = None;
    match (form.projection, form.encoding) {
        (_, Encoding::Protobuf) => return protobuf_list(resource, form, &page),
        (Projection::Table, _) => show::write_table_head(resource, &list_meta(&page), form, true, &mut head),
        (Projection::Metadata | Projection::MetadataList, _) => {
            // An empty one is upstream's nil.
            if page.objects.is_empty() {
                return empty_metadata_list(form, &page);
            }
            let meta = list_meta(&page);
            let version = form.meta_version();
            head.extend_from_slice(
                format!("{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":[").as_bytes(),
            );
        }
        (Projection::Object, _) if resource.is_custom() => {
            head.extend_from_slice(format!("{{\"apiVersion\":\"{}\",\"items\":[", resource.api_version()).as_bytes());
            custom_tail =
                Some(format!("],\"kind\":\"{}\",\"metadata\":{}}}", resource.list_kind, custom_list_meta(&page)));
        }
        (Projection::Object, _) => {
            let (kind, version, meta) = (&resource.list_kind, resource.api_version(), list_meta(&page));
            head.extend_from_slice(
                format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":[")
                    .as_bytes(),
            );
        }
    }
    let tail: Bytes = match custom_tail {
        Some(text) => text.into_bytes().into(),
        None => Bytes::from_static(std::mem::take(&mut tail).as_bytes()),
    };
    let writer = Writer { call: Arc::clone(call), resource: Arc::clone(resource), form, include };
    // People's forms are made from the whole.
    if form.encoding != Encoding::Json {
        let mut whole = head;
        for (i, object) in page.objects.iter().enumerate() {
            writer.item(i, object, &mut whole);
        }
        whole.extend_from_slice(&tail);
        return show::json_answer(&whole, form.encoding, StatusCode::OK);
    }
    stream(writer, head, page.objects, tail)
}

fn empty_metadata_list(form: Form, page: &Page) -> ApiResponse {
    let (version, meta) = (form.meta_version(), list_meta(page));
    let json = format!(
        "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":null}}"
    );
    show::json_answer(json.as_bytes(), form.encoding, StatusCode::OK)
}

/// The metadata of one object is not what a list is shown as.
fn check_form(resource: &Resource, form: Form) -> Result<()> {
    if form.projection != Projection::Metadata {
        return Ok(());
    }
    let go_type = resource.go_type();
    Err(Status::not_acceptable(format!(
        "you requested PartialObjectMetadata, but the requested object is a list ({go_type}List)"
    )))
}

struct Writer {
    call: Arc<Call>,
    resource: Arc<Resource>,
    form: Form,
    include: Include,
}

impl Writer {
    fn item(&self, index: usize, object: &Arc<Object>, out: &mut Vec<u8>) {
        if index > 0 {
            out.push(b',');
        }
        match self.form.projection {
            Projection::Table => {
                show::write_table_row(self.call.now.seconds, &self.resource, object, self.include, self.form, out);
            }
            Projection::Metadata | Projection::MetadataList => {
                show::metadata_json(object, self.form.meta_version(), out)
            }
            Projection::Object if self.resource.is_custom() => {
                out.extend_from_slice(&show::object_json(&self.resource, object));
            }
            Projection::Object if self.resource.shows_kept_bytes(object) => {
                out.push(b'{');
                out.extend_from_slice(object.list_item());
            }
            Projection::Object => {
                let tree = self.resource.tree(object);
                let canonical = corten_object::json::canonical(tree.root());
                let json = canonical.splice(object.revision);
                out.push(b'{');
                out.extend_from_slice(&json[canonical.prefix.max(1) as usize..]);
            }
        }
    }
}

/// Sends a list piece by piece; short ones at once.
fn stream(writer: Writer, mut head: Vec<u8>, objects: Vec<Arc<Object>>, tail: Bytes) -> ApiResponse {
    let estimate: usize = objects.iter().map(|object| object.json.len()).sum();
    if estimate < CHUNK {
        head.reserve(estimate + tail.len() + 1);
        for (i, object) in objects.iter().enumerate() {
            writer.item(i, object, &mut head);
        }
        head.extend_from_slice(&tail);
        head.push(b'\n');
        return show::whole(StatusCode::OK, "application/json", head.into());
    }
    struct State {
        writer: Writer,
        objects: std::vec::IntoIter<Arc<Object>>,
        next: usize,
        head: Vec<u8>,
        tail: Option<Bytes>,
    }
    let state = State { writer, objects: objects.into_iter(), next: 0, head, tail: Some(tail) };
    let chunks = futures::stream::unfold(state, |mut state| async move {
        state.tail.as_ref()?;
        let mut chunk = std::mem::take(&mut state.head);
        chunk.reserve(CHUNK + 16 * 1024);
        while chunk.len() < CHUNK {
            let Some(object) = state.objects.next() else {
                if let Some(tail) = state.tail.take() {
                    chunk.extend_from_slice(&tail);
                    chunk.push(b'\n');
                }
                break;
            };
            state.writer.item(state.next, &object, &mut chunk);
            state.next += 1;
        }
        Some((Ok::<_, io::Error>(Bytes::from(chunk)), state))
    });
    let mut response = show::whole(StatusCode::OK, "application/json", Bytes::new());
    *response.body_mut() = ResponseBody::List(chunks.boxed());
    response
}

/// A protobuf list: metadata is field 1, each item field 2.
fn protobuf_list(resource: &Arc<Resource>, form: Form, page: &Page) -> ApiResponse {
    use corten_object::protobuf::{self, wire::Writer};
    let (version, kind) = match form.projection {
        Projection::Object => (resource.api_version(), resource.list_kind.to_string()),
        _ => (form.meta_version().to_owned(), "PartialObjectMetadataList".to_owned()),
    };
    let mut out = Writer::with_capacity(page.objects.iter().map(|object| object.json.len()).sum::<usize>() + 256);
    for object in page.objects.iter().rev() {
        match form.projection {
            Projection::Object => {
                let enveloped = show::object_protobuf(resource, object);
                let message = protobuf::open(&enveloped).map(|envelope| envelope.message).unwrap_or_default();
                out.string(2, &enveloped[message]);
            }
            _ => out.string(2, &show::metadata_message(object)),
        }
    }
    let end = out.len();
    if let Some(remaining) = page.remaining {
        out.int(4, remaining);
    }
    out.string(3, page.continue_token.as_bytes());
    out.string(2, page.revision.to_string().as_bytes());
    out.string(1, b"");
    out.head_since(1, end);
    let body = protobuf::envelope(&version, &kind, &out.into_vec());
    show::whole(StatusCode::OK, form.content_type(), BytesMut::from(&body[..]).freeze())
}
