//! Lists: what is listed, from a snapshot of the cache. How it is sent, `answer` knows.

mod answer;
mod cursor;

use std::sync::Arc;

use corten_api::field::{Error as FieldError, Errors, Path};
use corten_api::status::{Reason, Result, Status};
use corten_object::continue_token::Continue;
use corten_store::{Error, Read, Span};

pub use self::cursor::Cursor;
use crate::cache::{Objects, Snapshot, Unreadable, Unreadables};
use crate::call::Call;
use crate::computation;
use crate::http::ApiResponse;
use crate::negotiate::{Form, Projection};
use crate::resource::{Lifetime, Resource, Storage};
use crate::select::Selection;
use crate::show;
use crate::table::Include;

/// So many comparisons of a selector take longer than a serving thread may compute.
const COMPARISONS_LONG: usize = 1 << 20;

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
    let selection = Arc::new(Selection::read(&call.query, resource)?);
    let options = ListOptions::read(call, false)?;
    let page = page(call, resource, storage, &options, &selection).await?;
    check_form(resource, form)?;
    let include = if form.projection == Projection::Table { show::include(call)? } else { Include::None };
    answer::answer(call, resource, form, include, page).await
}

/// What a list answers with.
pub struct Page {
    pub objects: Cursor,
    revision: u64,
    continue_token: String,
    remaining: Option<i64>,
}

pub async fn page(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    options: &ListOptions,
    selection: &Arc<Selection>,
) -> Result<Page> {
    // A namespace that the field selector names narrows a list over all of them.
    let namespace = match (call.info.namespace.as_str(), selection.namespace()) {
        ("", Some(one)) if resource.namespaced => one,
        (given, _) => given,
    };
    let prefix = if resource.namespaced && !namespace.is_empty() { format!("{namespace}/") } else { String::new() };
    let (snapshot, start) = if options.continue_token.is_empty() {
        (snapshot(call, storage, options).await?, None)
    } else {
        resume(call, storage, options).await?
    };
    snapshot.check_readable(&prefix, selection.name())?;
    let Snapshot { objects, revision, .. } = snapshot;
    let whole = |objects| Page { objects, revision, continue_token: String::new(), remaining: None };
    if let Some(name) = selection.name() {
        // One object at most; its key is known when the namespace is.
        if !prefix.is_empty() || !storage.namespaced {
            return Ok(whole(Cursor::one(objects, &format!("{prefix}{name}"), selection)));
        }
    }
    let start = start.map_or_else(|| prefix.clone(), |start| format!("{prefix}{start}"));
    let objects = Cursor::new(objects, &prefix, &start, selection);
    if objects.cost() > COMPARISONS_LONG {
        call.weigh(computation::LONG).await;
    }
    // Upstream's watch cache, which has everything but events, pays no heed to the limit where any state will do.
    let unlimited = options.resource_version == "0" && !matches!(storage.lifetime, Lifetime::Event { .. });
    let limit = usize::try_from(options.limit).ok().filter(|&limit| limit > 0 && limit < usize::MAX && !unlimited);
    let Some(limit) = limit else { return Ok(whole(objects)) };
    let (_, Some(last)) = objects.clone().count(limit).await else { return Ok(whole(objects)) };
    let rest = objects.rest(&last);
    let mut page = whole(objects.up_to(&last));
    if rest.clone().count(1).await.0 > 0 {
        page.continue_token = Continue::after(revision as i64, &last[prefix.len()..]).encode();
        if selection.is_everything() {
            page.remaining = Some(rest.count(usize::MAX).await.0 as i64);
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
        let unreadable =
            |status: Status| Unreadable::new(Arc::clone(&kv.key), kv.mod_revision, status.message()).status();
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
pub async fn answer_with(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, page: Page) -> Result<ApiResponse> {
    check_form(resource, form)?;
    answer::answer(call, resource, form, Include::Metadata, page).await
}

impl Page {
    /// A list's metadata as built-in lists show it.
    fn meta(&self) -> String {
        let mut meta = format!("{{\"resourceVersion\":\"{}\"", self.revision);
        if !self.continue_token.is_empty() {
            meta.push_str(&format!(",\"continue\":\"{}\"", self.continue_token));
        }
        if let Some(remaining) = self.remaining {
            meta.push_str(&format!(",\"remainingItemCount\":{remaining}"));
        }
        meta.push('}');
        meta
    }

    /// Custom lists have their keys sorted, and always a continue.
    fn custom_meta(&self) -> String {
        let remaining = self.remaining.map_or(String::new(), |n| format!(",\"remainingItemCount\":{n}"));
        format!("{{\"continue\":\"{}\"{remaining},\"resourceVersion\":\"{}\"}}", self.continue_token, self.revision)
    }
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
