//! Requests and answers as the pipeline sees them, and the bodies of both.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use corten_access::user::User;
use corten_api::status::{Result, Status};
use corten_runtime::clock::Clock;
use futures::stream::{BoxStream, Stream, StreamExt};
use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::budget::Charge;
use crate::in_flight::Class;

/// Who is at the other end of a connection.
#[derive(Clone, Default)]
pub struct Peer {
    pub address: Option<SocketAddr>,
    /// The client's certificates, as sent; nobody has verified them.
    pub certificates: Option<Arc<corten_access::authenticate::Peer>>,
    /// Set only by code of this process: a request that did not come over the network.
    pub internal: Option<User>,
}

pub struct ApiRequest {
    pub method: Method,
    /// As sent, percent signs and all.
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: RequestBody,
    pub peer: Peer,
    /// The connection, for those who go on in another protocol.
    pub upgrade: Option<OnUpgrade>,
}

pub type ApiResponse = Response<ResponseBody>;

pub enum RequestBody {
    Full(Bytes),
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

/// The most that a body may hold: 3 MiB.
pub const BODY_MAX: usize = 3 * 1024 * 1024;
/// How long an answer waits for the rest of a body that nobody wants.
const DRAINED_FOR: Duration = Duration::from_secs(1);

impl RequestBody {
    /// The whole body, unless it is too large. What has been read is added to the charge.
    pub async fn read(self, mut charge: Charge, class: Class) -> Result<(Vec<u8>, Charge)> {
        let too_large = || Status::too_large(format!("limit is {BODY_MAX}"));
        let mut stream = match self {
            RequestBody::Full(bytes) if bytes.len() > BODY_MAX => return Err(too_large()),
            RequestBody::Full(bytes) => {
                charge.add(bytes.len(), class)?;
                return Ok((bytes.into(), charge));
            }
            RequestBody::Stream(stream) => stream,
        };
        let mut whole = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| Status::bad_request(error.to_string()))?;
            if whole.len() + chunk.len() > BODY_MAX {
                return Err(too_large());
            }
            charge.add(chunk.len(), class)?;
            whole.extend_from_slice(&chunk);
        }
        Ok((whole.into(), charge))
    }
}

/// The body of a request that may be answered before it is read to its end: what is left of it comes back, to be
/// drained before the answer is sent. Without that an HTTP/2 stream is reset, and some clients never see the answer.
struct Lent {
    stream: Option<BoxStream<'static, io::Result<Bytes>>>,
    back: Option<oneshot::Sender<BoxStream<'static, io::Result<Bytes>>>>,
}

/// What nobody has read.
pub(super) struct Unread(oneshot::Receiver<BoxStream<'static, io::Result<Bytes>>>);

pub(super) fn lend(stream: BoxStream<'static, io::Result<Bytes>>) -> (RequestBody, Unread) {
    let (back, unread) = oneshot::channel();
    let lent = Lent { stream: Some(stream), back: Some(back) };
    (RequestBody::Stream(lent.boxed()), Unread(unread))
}

impl Stream for Lent {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let item = ready!(stream.poll_next_unpin(context));
        if !matches!(item, Some(Ok(_))) {
            self.stream = None;
        }
        Poll::Ready(item)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(stream), Some(back)) = (self.stream.take(), self.back.take()) {
            // Nobody waits for it where the connection is gone.
            let _ = back.send(stream);
        }
    }
}

impl Unread {
    /// Reads on for a bounded while.
    pub(super) async fn drain(mut self, clock: &Clock) {
        let Ok(mut stream) = self.0.try_recv() else { return };
        let read = async {
            let mut left = 4 * BODY_MAX;
            while let Some(Ok(chunk)) = stream.next().await {
                match left.checked_sub(chunk.remaining()) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        // A client that announces a body and never sends it is answered all the same.
        let _ = clock.timeout(DRAINED_FOR, read).await;
    }
}

pub enum ResponseBody {
    Full(Option<Bytes>),
    /// Waits for what others make.
    Stream(BoxStream<'static, io::Result<Bytes>>),
    /// Makes its pieces as they are asked for, and has an end in sight; it may be compressed.
    List(BoxStream<'static, io::Result<Bytes>>),
    /// The same where a piece costs more than copying: no serving thread makes them (`Pool::ahead`).
    Conversion(BoxStream<'static, io::Result<Bytes>>),
    /// What a warp route made.
    Route(http_body_util::combinators::BoxBody<Bytes, io::Error>),
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        ResponseBody::Full(Some(bytes))
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(bytes: Vec<u8>) -> Self {
        ResponseBody::Full(Some(bytes.into()))
    }
}

impl hyper::body::Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            ResponseBody::Full(bytes) => {
                Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            ResponseBody::Stream(stream) | ResponseBody::List(stream) | ResponseBody::Conversion(stream) => {
                stream.poll_next_unpin(context).map(|item| item.map(|i| i.map(Frame::data)))
            }
            ResponseBody::Route(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            ResponseBody::Stream(_) | ResponseBody::List(_) | ResponseBody::Conversion(_) => false,
            ResponseBody::Route(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            ResponseBody::Full(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            ResponseBody::Stream(_) | ResponseBody::List(_) | ResponseBody::Conversion(_) => {
                hyper::body::SizeHint::default()
            }
            ResponseBody::Route(body) => body.size_hint(),
        }
    }
}

/// Carries an answer's body past warp, whose own answers are always whole, from the route to the connection.
#[derive(Clone)]
pub(super) struct Passed(Arc<Mutex<Option<ResponseBody>>>);

impl Passed {
    pub(super) fn wrap(response: ApiResponse) -> Response<Bytes> {
        let (parts, body) = response.into_parts();
        let mut response = Response::from_parts(parts, Bytes::new());
        response.extensions_mut().insert(Passed(Arc::new(Mutex::new(Some(body)))));
        response
    }

    pub(super) fn unwrap(mut response: warp::reply::Response) -> ApiResponse {
        let passed = response.extensions_mut().remove::<Passed>().and_then(|passed| passed.0.lock().take());
        let (parts, body) = response.into_parts();
        let body = passed.unwrap_or_else(|| ResponseBody::Route(body.map_err(io::Error::other).boxed()));
        Response::from_parts(parts, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    /// How large a piece is; more than one of them counts.
    const PIECE: usize = 4000;

    /// A body of three pieces, and how many of them have been taken.
    fn body() -> (Arc<Mutex<usize>>, BoxStream<'static, io::Result<Bytes>>) {
        let taken = Arc::new(Mutex::new(0));
        let count = Arc::clone(&taken);
        let pieces = futures::stream::iter(*b"abc").map(move |piece| {
            *count.lock() += 1;
            Ok(Bytes::from(vec![piece; PIECE]))
        });
        (taken, pieces.boxed())
    }

    #[tokio::test]
    async fn what_nobody_reads_is_drained() {
        let (taken, stream) = body();
        let (request, unread) = lend(stream);
        drop(request);
        assert_eq!(*taken.lock(), 0);
        unread.drain(&Clock::system()).await;
        assert_eq!(*taken.lock(), 3);
    }

    #[tokio::test]
    async fn a_body_without_room_gives_back_what_it_took() {
        let budget = Budget::new(2 * PIECE);
        let read = RequestBody::Stream(body().1).read(budget.charge(), Class::System).await;
        assert_eq!(read.err().map(|status| status.http_code()), Some(429));
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn what_is_read_is_not_touched_again() {
        let (taken, stream) = body();
        let (request, unread) = lend(stream);
        let budget = Budget::new(3 * PIECE);
        let (read, charge) = request.read(budget.charge(), Class::System).await.expect("it fits");
        assert_eq!(read, [[b'a'; PIECE], [b'b'; PIECE], [b'c'; PIECE]].concat());
        assert_eq!(budget.held(), 3 * PIECE);
        drop(charge);
        assert_eq!(budget.held(), 0);
        unread.drain(&Clock::system()).await;
        assert_eq!(*taken.lock(), 3);
    }
}
