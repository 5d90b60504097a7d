//! Watches: frames of events from a cursor into a resource's window, with what a selector makes of them.

mod encoder;

use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use corten_api::status::{Result, Status};
use corten_runtime::clock::Instant;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use http::{HeaderValue, StatusCode, header};
use tokio_util::sync::WaitForCancellationFutureOwned;

pub use self::encoder::LastFrame;
use self::encoder::{Encoder, write_error};
use crate::budget::{Budget, Room};
use crate::cache::{Event, EventKind, Scope, Stop, TooOld, Watcher};
use crate::call::Call;
use crate::http::websocket::{self, Framing};
use crate::http::{ApiResponse, ResponseBody};
use crate::list::{Cursor, ListOptions};
use crate::metrics;
use crate::negotiate::{self, Encoding, Form, Projection};
use crate::object::Object;
use crate::resource::Resource;
use crate::select::Selection;
use crate::show;
use crate::table::Include;

const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// Watches without a timeout of their own end after half an hour to an hour.
const TIMEOUT_MIN: u64 = 1800;
/// How many events are put together into one piece.
const EVENTS_AT_ONCE: usize = 256;
const PIECE: usize = 256 * 1024;
/// How much of the initial objects' JSON is looked at for one piece, where it has to be converted.
const CONVERTED: usize = 64 * 1024;

pub async fn watch(call: &Arc<Call>, resource: &Arc<Resource>, form: Form) -> Result<ApiResponse> {
    let storage = resource.storage.as_ref().ok_or_else(|| Status::internal("nothing is kept of this kind"))?;
    if form.encoding == Encoding::Yaml {
        return Err(negotiate::not_acceptable(&negotiate::STREAMED));
    }
    let selection = Arc::new(Selection::read(&call.query, resource)?);
    let options = ListOptions::read(call, true)?;
    let include = if form.projection == Projection::Table { show::include(call)? } else { Include::None };
    let scope = scope(call, resource, &selection);
    let revision = options.watched_revision()?;
    let initial = options.send_initial_events.unwrap_or(revision.unwrap_or(0) == 0);
    let mut pending = None;
    let (watcher, revision) = if initial {
        match (options.send_initial_events, revision) {
            (Some(true), None) => call.api.catch_up().await?,
            (_, Some(revision)) if revision > 0 => call.api.feed.wait_for(revision).await?,
            _ => {}
        }
        let (snapshot, behind) = storage.cache.snapshot_and_watch(scope);
        let below = below(call, resource);
        snapshot.check_readable(&below, selection.name().or(name_of(call)))?;
        let revision = snapshot.revision;
        pending = Some(Cursor::new(snapshot, &below, &below, &selection));
        (behind, revision)
    } else {
        let from = match revision.unwrap_or(0) {
            0 => storage.cache.progress(),
            revision => revision,
        };
        match storage.cache.watch(scope, from) {
            Ok(behind) => (behind, from),
            Err(too_old) => return Ok(expired(form, too_old)),
        }
    };
    let seconds = options
        .timeout_seconds
        .filter(|&seconds| seconds > 0)
        .map_or_else(|| TIMEOUT_MIN + call.api.random.below(TIMEOUT_MIN), |seconds| seconds as u64);
    let now = call.api.clock.monotonic();
    let (next_bookmark, end) = (now + BOOKMARK_EVERY, now + Duration::from_secs(seconds));
    let reminder = watcher.reminder();
    // The alarm and the end of the server have yet to hear of it.
    reminder.wake_by_ref();
    let frames = Frames {
        encoder: Encoder::new(call, resource, form, include),
        watcher,
        more: true,
        selection,
        initial: pending,
        budget: call.api.budget.clone(),
        room: None,
        gives_way: false,
        mark_initial: options.send_initial_events == Some(true) && options.bookmarks,
        bookmarks: options.bookmarks,
        revision,
        began: now,
        next_bookmark,
        end,
        alarm: alarm(call, options.bookmarks, next_bookmark, end),
        stopping: Box::pin(call.api.stopping.clone().cancelled_owned()),
        reminder,
        done: false,
    };
    if websocket::is_wanted(&call.headers) {
        return Ok(over_websocket(call, form, frames.boxed()));
    }
    Ok(streaming(form, ResponseBody::Stream(frames.boxed())))
}

/// The same as messages of a WebSocket, each an event.
fn over_websocket(call: &Call, form: Form, frames: BoxStream<'static, io::Result<Bytes>>) -> ApiResponse {
    let answer = match websocket::shake_hands(&call.headers) {
        Ok(answer) => answer,
        Err(refusal) => return *refusal,
    };
    let framing = if form.encoding == Encoding::Protobuf { Framing::Lengths } else { Framing::Lines };
    if let Some(upgrade) = call.upgrade.lock().take() {
        let clock = call.api.clock.clone();
        call.api.websockets.spawn(websocket::send(upgrade, framing, frames, clock, call.api.stopping.clone()));
    }
    answer
}

fn streaming(form: Form, body: ResponseBody) -> ApiResponse {
    let mut response = show::whole(StatusCode::OK, "application/json", Bytes::new());
    *response.body_mut() = body;
    if form.encoding == Encoding::Protobuf {
        let value = HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// The narrowest scope that covers what is watched.
fn scope(call: &Call, resource: &Resource, selection: &Selection) -> Scope {
    let namespace = call.info.namespace.as_str();
    let name = selection.name().or(name_of(call));
    if let Some(name) = name {
        if !resource.namespaced {
            return Scope::Object(name.into());
        }
        if !namespace.is_empty() {
            return Scope::Object(format!("{namespace}/{name}").into());
        }
    }
    if resource.namespaced && !namespace.is_empty() {
        return Scope::Namespace(namespace.into());
    }
    let dispatch = resource.storage.as_ref().and_then(|storage| selection.field(storage.cache.dispatch_field()?));
    dispatch.map_or(Scope::All, |value| Scope::Field(value.into()))
}

fn covers(call: &Call, resource: &Resource, selection: &Selection, object: &Object) -> bool {
    let namespace = call.info.namespace.as_str();
    (namespace.is_empty() || !resource.namespaced || object.is_in(namespace))
        && (call.info.name.is_empty() || object.name() == call.info.name)
        && selection.matches(object)
}

/// With what the keys begin of what is watched.
fn below(call: &Call, resource: &Resource) -> String {
    let namespace = call.info.namespace.as_str();
    if resource.namespaced && !namespace.is_empty() { format!("{namespace}/") } else { String::new() }
}

/// The name in the path of a watch of one object.
fn name_of(call: &Call) -> Option<&str> {
    Some(call.info.name.as_str()).filter(|name| !name.is_empty())
}

fn too_old(error: TooOld) -> Status {
    Status::resource_expired(format!("too old resource version: {} ({})", error.requested, error.oldest))
}

/// A watch that begins too far back: one event says so.
fn expired(form: Form, error: TooOld) -> ApiResponse {
    let mut out = Vec::new();
    write_error(form, &too_old(error), &mut out);
    streaming(form, ResponseBody::from(out))
}

/// What a watch sends, in pieces of whole frames.
struct Frames {
    encoder: Encoder,
    watcher: Watcher,
    /// Whether the watcher may have more than was taken.
    more: bool,
    selection: Arc<Selection>,
    /// What there was when the watch began, as long as not all of it has been sent.
    initial: Option<Cursor>,
    budget: Budget,
    /// Rings when there are bytes for more of it.
    room: Option<BoxFuture<'static, Option<Room>>>,
    /// Whether the last piece of it was converted: then others have their turn first.
    gives_way: bool,
    /// Whether the end of the initial objects is marked by a bookmark.
    mark_initial: bool,
    bookmarks: bool,
    /// Up to which everything has been sent: what bookmarks say. Where to go on, the watcher knows.
    revision: u64,
    began: Instant,
    next_bookmark: Instant,
    end: Instant,
    /// Rings at the next bookmark or the end.
    alarm: BoxFuture<'static, ()>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Wakes this watch for those two, which are looked at only then.
    reminder: Waker,
    done: bool,
}

fn alarm(call: &Arc<Call>, bookmarks: bool, next_bookmark: Instant, end: Instant) -> BoxFuture<'static, ()> {
    let clock = call.api.clock.clone();
    async move { clock.sleep_until(if bookmarks { next_bookmark.min(end) } else { end }).await }.boxed()
}

impl Stream for Frames {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let frames = &mut *self;
        let mut out = Vec::new();
        while out.is_empty() {
            if frames.done {
                return Poll::Ready(None);
            }
            ready!(frames.poll_initial(context, &mut out));
            if out.len() < PIECE && frames.initial.is_none() && frames.more {
                let events = frames.take_events(&mut out);
                if let ([event], true) = (&events[..], out.is_empty()) {
                    let Some((kind, object)) = frames.shown(event) else { continue };
                    return Poll::Ready(Some(Ok(frames.encoder.event_alone(kind, &object))));
                }
                frames.write_events(&events, &mut out);
            } else if out.is_empty() {
                ready!(frames.poll_wait(context, &mut out));
            }
        }
        Poll::Ready(Some(Ok(frames.budget.carry(out))))
    }
}

impl Frames {
    /// Until there may be more events, or time has come for a bookmark or the end.
    fn poll_wait(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        if self.watcher.poll_changed(context).is_ready() {
            self.more = true;
            return Poll::Ready(());
        }
        if !self.watcher.was_reminded() {
            return Poll::Pending;
        }
        let reminder = self.reminder.clone();
        let context = &mut Context::from_waker(&reminder);
        if self.stopping.as_mut().poll(context).is_ready() {
            self.write_last(out);
            return Poll::Ready(());
        }
        ready!(self.alarm.poll_unpin(context));
        let now = self.encoder.call.api.clock.monotonic();
        if now >= self.end {
            self.write_last(out);
            return Poll::Ready(());
        }
        if self.bookmarks && now >= self.next_bookmark {
            self.next_bookmark = now + BOOKMARK_EVERY;
            self.write_up_to_bookmark(out);
        }
        self.alarm = alarm(&self.encoder.call, self.bookmarks, self.next_bookmark, self.end);
        reminder.wake();
        Poll::Ready(())
    }

    /// A watch that ends in time says how far it has come, where that is wanted.
    fn write_last(&mut self, out: &mut Vec<u8>) {
        if self.bookmarks {
            self.write_up_to_bookmark(out);
        }
        self.done = true;
    }

    fn write_up_to_bookmark(&mut self, out: &mut Vec<u8>) {
        let events = self.take_events(out);
        self.write_events(&events, out);
        if !self.done {
            self.encoder.bookmark(self.revision, false, out);
        }
    }

    /// Writes some of the initial objects, when there is room for them.
    fn poll_initial(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        if self.initial.is_some() && self.budget.is_full(self.encoder.call.class) {
            let Call { api, class, .. } = &*self.encoder.call;
            let (budget, stopping, class) = (self.budget.clone(), api.stopping.clone(), *class);
            let room = async move {
                tokio::select! {
                    room = budget.room(class) => Some(room),
                    () = stopping.cancelled() => None,
                }
            };
            self.room.get_or_insert_with(|| room.boxed());
        }
        let _room = match &mut self.room {
            Some(room) => ready!(room.poll_unpin(context)),
            None => None,
        };
        self.room = None;
        if !std::mem::take(&mut self.gives_way) {
            self.write_initial(out);
            self.gives_way = self.initial.is_some() && self.encoder.converts();
            if self.initial.is_none() || !out.is_empty() {
                return Poll::Ready(());
            }
            // Nothing was selected so far.
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn write_initial(&mut self, out: &mut Vec<u8>) {
        let piece = self.budget.piece(PIECE);
        if let Some(mut initial) = self.initial.take() {
            let converts = self.encoder.converts();
            let mut looked_at = 0;
            let more = initial.advance(|object| {
                let Encoder { call, resource, .. } = &self.encoder;
                if covers(call, resource, &self.selection, object) {
                    looked_at += object.json.len();
                    self.encoder.event("ADDED", object, out);
                }
                let goes_on = out.len() < piece && !(converts && looked_at >= CONVERTED);
                if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            self.initial = Some(initial).filter(|_| more);
        }
        if self.initial.is_none() && std::mem::take(&mut self.mark_initial) {
            let Encoder { call, resource, .. } = &self.encoder;
            let took = call.api.clock.monotonic() - self.began;
            call.api.metrics.watch_list_sent(resource, metrics::scope(&call.info), took);
            self.encoder.bookmark(self.revision, true, out);
        }
    }

    /// What has come, or in `out` that the watch cannot go on.
    fn take_events(&mut self, out: &mut Vec<u8>) -> Vec<Arc<Event>> {
        match self.watcher.take(EVENTS_AT_ONCE) {
            Ok((events, revision)) => {
                self.more = events.len() == EVENTS_AT_ONCE;
                self.revision = self.revision.max(revision);
                events
            }
            // The client watches anew, and finds what is served now.
            Err(Stop::Ended) => {
                self.done = true;
                Vec::new()
            }
            Err(Stop::TooOld(error)) => {
                write_error(self.encoder.form, &too_old(TooOld { requested: self.revision, ..error }), out);
                self.done = true;
                Vec::new()
            }
        }
    }

    fn write_events(&mut self, events: &[Arc<Event>], out: &mut Vec<u8>) {
        for event in events {
            if let Some((kind, object)) = self.shown(event) {
                self.encoder.event(kind, &object, out);
            }
        }
    }

    /// An object that comes into a selection is added to it, one that leaves it is deleted, in its former shape.
    fn shown(&self, event: &Event) -> Option<(&'static str, Arc<Object>)> {
        let (call, resource) = (&self.encoder.call, &self.encoder.resource);
        let sees = |object: &Object| covers(call, resource, &self.selection, object);
        let before = event.previous.as_deref().is_some_and(sees);
        let after = event.kind != EventKind::Deleted && sees(&event.object);
        let present = || Arc::clone(&event.object);
        match (before, after) {
            (false, true) => Some(("ADDED", present())),
            (true, true) => Some(("MODIFIED", present())),
            (true, false) if event.kind == EventKind::Deleted => Some(("DELETED", present())),
            (true, false) => {
                let previous = event.previous.as_ref()?;
                Some(("DELETED", Arc::new(previous.at_revision(event.revision))))
            }
            (false, false) => None,
        }
    }
}
