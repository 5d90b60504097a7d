//! Lists in every form, piece by piece, so that memory grows neither with a list nor with its readers.
//!
//! What fits a first piece is sent whole. Of what does not, each piece is made when the one before it has been taken;
//! where making it costs more than copying, the threads for long computations do that. Protobuf says how long a message
//! is before the message, so the sizes of all items are found out first, without keeping the items.

mod forms;

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::{Result, Status};
use futures::StreamExt;
use http::StatusCode;

use self::forms::{Encoder, Writer};
use super::Page;
use super::cursor::Cursor;
use crate::call::Call;
use crate::computation::{LONG, Pieces};
use crate::http::{ApiResponse, ResponseBody};
use crate::negotiate::{Encoding, Form, Projection};
use crate::object::Object;
use crate::resource::Resource;
use crate::show;
use crate::table::Include;

/// How much of a list is put together before it is sent, where that is copying. With the object that goes beyond, it is
/// sent by one write (`http/gather`); the next is put together meanwhile, and both stay in a core's cache.
const COPIED_PIECE: usize = 120 << 10;
/// The same where objects have to be converted, and how much of their JSON is converted before others have their turn.
const CONVERTED_PIECE: usize = 64 << 10;
/// The same on the threads for long computations. What is sent of an object, its row in a table, may be far less than what
/// is converted for that, and each turn and each piece wakes a thread.
const LONG_TURN: usize = 8 * CONVERTED_PIECE;

/// Answers with a list.
pub async fn answer(
    call: &Arc<Call>,
    resource: &Arc<Resource>,
    form: Form,
    include: Include,
    page: Page,
) -> Result<ApiResponse> {
    let source = source(resource, form, &page).await;
    let writer = Writer::new(call, resource, form, include);
    let (size, work) = writer.first(&source);
    let converts = work >= LONG;
    if converts {
        call.weigh(LONG).await;
    }
    let encoder = Encoder::new(&writer, &page);
    let mut list = List { encoder, writer, source, items: 0, converts, converted: false, ended: false };
    if form.encoding == Encoding::Protobuf {
        list.measure().await;
    }
    let first = list.next(size).await.map_err(Status::internal)?;
    if !list.ended {
        return Ok(streamed(call, form, first, list));
    }
    if list.items == 0 && form.projection == Projection::MetadataList && form.encoding != Encoding::Protobuf {
        return Ok(empty_metadata_list(form, &page));
    }
    Ok(show::whole(StatusCode::OK, form.content_type(), first.into()))
}

fn streamed(call: &Call, form: Form, first: Vec<u8>, list: List) -> ApiResponse {
    let mut response = show::whole(StatusCode::OK, form.content_type(), Bytes::new());
    let first = futures::stream::iter([Ok(call.api.budget.carry(first))]);
    let converts = list.converts;
    let all = first.chain(pieces(list)).boxed();
    *response.body_mut() = if converts { ResponseBody::Conversion(all) } else { ResponseBody::List(all) };
    response
}

/// Upstream's nil.
fn empty_metadata_list(form: Form, page: &Page) -> ApiResponse {
    let (version, meta) = (form.meta_version(), page.meta());
    let json = format!(
        "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":null}}"
    );
    show::json_answer(json.as_bytes(), form.encoding, StatusCode::OK)
}

/// The objects of a list.
#[derive(Clone)]
enum Source {
    Stored(Cursor),
    /// In an order of their own.
    Sorted(std::vec::IntoIter<Arc<Object>>),
}

async fn source(resource: &Resource, form: Form, page: &Page) -> Source {
    let order = resource.storage.as_ref().and_then(|storage| Some((storage, storage.strategy().table_order()?)));
    let Some((storage, order)) = order.filter(|_| form.projection == Projection::Table) else {
        return Source::Stored(page.objects.clone());
    };
    let (mut objects, mut cursor) = (Vec::new(), page.objects.clone());
    loop {
        let some = cursor.some(32).await;
        if some.is_empty() {
            break;
        }
        objects.extend(some.into_iter().map(|object| (order(storage.tree(&object).root()), object)));
        tokio::task::yield_now().await;
    }
    objects.sort_by_key(|(place, _)| *place);
    let sorted: Vec<_> = objects.into_iter().map(|(_, object)| object).collect();
    Source::Sorted(sorted.into_iter())
}

impl Source {
    /// Gives some objects until `take` breaks. False if none are left.
    fn advance(&mut self, mut take: impl FnMut(&Arc<Object>) -> ControlFlow<()>) -> bool {
        match self {
            Source::Stored(cursor) => cursor.advance(take),
            Source::Sorted(objects) => objects.any(|object| take(&object).is_break()),
        }
    }
}

impl Writer {
    /// How large the first objects are that make up a piece, and how much of them has to be converted.
    fn first(&self, source: &Source) -> (usize, usize) {
        let (mut size, mut work) = (0, 0);
        source.clone().advance(|object| {
            size += object.json.len();
            work += self.work(object);
            go_on_while(size < COPIED_PIECE && work < CONVERTED_PIECE)
        });
        (size, work)
    }
}

fn go_on_while(condition: bool) -> ControlFlow<()> {
    if condition { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// A list that is being written.
struct List {
    encoder: Encoder,
    writer: Writer,
    source: Source,
    /// How many have been written.
    items: usize,
    /// Whether writing it costs more than copying.
    converts: bool,
    /// Whether the last piece did.
    converted: bool,
    ended: bool,
}

impl List {
    /// Finds out how long the message of all items is. The first of them are written on the way.
    async fn measure(&mut self) {
        let List { encoder: Encoder::Protobuf(message), writer, source, .. } = self else { return };
        let mut more = true;
        while more && message.ready.len() < CONVERTED_PIECE {
            let mut work = 0;
            more = source.advance(|object| {
                work += writer.work(object);
                writer.write_field(object, &mut message.ready);
                go_on_while(work < CONVERTED_PIECE && message.ready.len() < CONVERTED_PIECE)
            });
            if more {
                tokio::task::yield_now().await;
            }
        }
        message.left = 0;
        let mut rest = source.clone();
        while more {
            let mut work = 0;
            more = rest.advance(|object| {
                work += writer.measure_work(object);
                message.left += writer.field_size(object);
                go_on_while(work < CONVERTED_PIECE)
            });
            if more {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The next piece, for which the objects have so many bytes; it is empty only at the end.
    async fn next(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let budget = &self.writer.call.api.budget;
        let max = budget.piece(if self.converts { CONVERTED_PIECE } else { COPIED_PIECE });
        // Of what is converted it is not known how large it will be.
        let size = if self.converts { 0 } else { size.min(max) / 16 * 17 + 1024 };
        let turn = if self.converts { LONG_TURN } else { CONVERTED_PIECE };
        let mut piece = Vec::with_capacity(size);
        loop {
            let work = self.write(max, turn, &mut piece)?;
            self.converted = work > 0;
            if self.ended || piece.len() >= max || !piece.is_empty() && work >= turn {
                return Ok(piece);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Writes items until they are `max` bytes long or have taken the work of a turn, and how much it was.
    fn write(&mut self, max: usize, turn: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        let List { encoder, writer, source, items, .. } = self;
        let mut work = 0;
        let more = source.advance(|object| {
            work += writer.work(object);
            encoder.write(writer, *items == 0, object, out);
            *items += 1;
            go_on_while(out.len() < max && work < turn)
        });
        if !more {
            encoder.end(*items == 0, out)?;
            self.ended = true;
        }
        Ok(work)
    }
}

fn pieces(list: List) -> Pieces {
    let next = async |list: Option<List>| {
        let mut list = list?;
        let budget = list.writer.call.api.budget.clone();
        let _room = budget.room(list.writer.call.class).await;
        match list.next(COPIED_PIECE).await {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => {
                if list.converted {
                    // A reader who takes all at once is not the only one.
                    tokio::task::yield_now().await;
                }
                Some((Ok(budget.carry(piece)), Some(list).filter(|list| !list.ended)))
            }
            Err(error) => Some((Err(error), None)),
        }
    };
    futures::stream::unfold(Some(list), next).boxed()
}
