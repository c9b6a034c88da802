use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
};

use api::{Body, BodyError};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Bytes of an answer that are read before the guest asks for them, while it is still sending its request.
const AHEAD_BYTES: usize = 1 << 20;
/// An answer whose size is known, and no more than this, is in buffers on its way anyhow.
const SMALL_BYTES: u64 = 64 << 10;
/// Answers of a worker that are read ahead at the same time. Beyond, guests do without.
const AT_ONCE: usize = 64;

static SEATS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// Reads on in an answer while its request is still being sent.
///
/// Many guests send all of a request before they look at its answer. A Service that answers as it reads would then wait for the
/// guest, which waits for the Service. Between processes the buffers of their sockets let both go on; between guests this does.
pub(super) fn read_ahead(body: Body) -> Body {
    let size = body.size_hint();
    if body.is_end_stream() || size.exact().is_some_and(|bytes| bytes <= SMALL_BYTES) {
        return body;
    }
    let Ok(seat) = SEATS.clone().try_acquire_owned() else { return body };
    let room = Arc::new(Semaphore::new(AHEAD_BYTES));
    let (read, frames) = mpsc::unbounded_channel();
    let reading = AbortOnDropHandle::new(tokio::spawn(read_on(body, room.clone(), read)));
    Ahead { frames, room, size, ended: false, _reading: reading, _seat: seat }.boxed_unsync()
}

type Piece = Result<Frame<Bytes>, BodyError>;

async fn read_on(mut body: Body, room: Arc<Semaphore>, read: mpsc::UnboundedSender<Piece>) {
    while let Some(piece) = body.frame().await {
        // The semaphore is never closed.
        if let Ok(taken) = room.acquire_many(weight(&piece)).await {
            taken.forget();
        }
        if read.send(piece).is_err() {
            return;
        }
    }
}

/// What a piece takes of the room: none takes more than all of it.
fn weight(piece: &Piece) -> u32 {
    let bytes = piece.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
    bytes.min(AHEAD_BYTES) as u32
}

/// An answer that is read ahead.
struct Ahead {
    frames: mpsc::UnboundedReceiver<Piece>,
    room: Arc<Semaphore>,
    /// What was known of its size when nothing was read.
    size: SizeHint,
    ended: bool,
    _reading: AbortOnDropHandle<()>,
    _seat: OwnedSemaphorePermit,
}

impl http_body::Body for Ahead {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let piece = ready!(self.frames.poll_recv(cx));
        match &piece {
            Some(piece) => self.room.add_permits(weight(piece) as usize),
            None => self.ended = true,
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        // Of a body whose frames were taken nobody asks any more.
        self.size
    }
}
