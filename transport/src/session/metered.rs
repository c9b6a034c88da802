//! What one peer may have this process hold: of messages that it has begun to send, as each is held whole before it is read, and of
//! answers that it has not read yet.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body as AnyBody, codegen::Service, server::NamedService};

use super::{MAX_MESSAGE_BYTES, held::OF_A_PEER, listener::Who};
use crate::{
    identity::Peer,
    wire::weight::{Scale, Shape, shape_of},
};

/// Connections of one peer: each of its sessions has one, and few are for the rest.
const CONNECTIONS: usize = OF_A_PEER + 64;
/// Calls of one peer at a time; further ones wait.
const CALLS: usize = 4096;
/// Images that one peer is sent at a time, each of which is in memory; further ones wait.
const IMAGES: usize = 2;
/// Bytes of a message that are nobody's to count.
const FREE: usize = 1 << 10;
/// What stands before a message: whether it is compressed, and its length.
const HEADER: usize = 5;

/// What one peer may take, over all of its connections.
#[derive(Debug)]
pub(super) struct Room {
    connections: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    /// Bytes of messages: as many as the largest has.
    bytes: Arc<Semaphore>,
    /// Bytes that messages take in memory beyond their own, as many.
    surplus: Arc<Semaphore>,
    /// Bytes of answers, as many.
    answers: Arc<Semaphore>,
    /// Images that are being sent.
    images: Arc<Semaphore>,
}

impl Room {
    pub(super) fn new() -> Arc<Self> {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Arc::new(Self {
            connections: of(CONNECTIONS),
            calls: of(CALLS),
            bytes: of(MAX_MESSAGE_BYTES),
            surplus: of(MAX_MESSAGE_BYTES),
            answers: of(MAX_MESSAGE_BYTES),
            images: of(IMAGES),
        })
    }

    /// A place for a connection, if there is one.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        self.connections.clone().try_acquire_owned().ok()
    }
}

/// The rooms of those that are connected.
#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<HashMap<Peer, Weak<Room>>>);

impl Rooms {
    pub(super) fn of(&self, peer: &Peer) -> Arc<Room> {
        let mut rooms = self.0.lock();
        if let Some(room) = rooms.get(peer).and_then(Weak::upgrade) {
            return room;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let room = Room::new();
        rooms.insert(peer.clone(), Arc::downgrade(&room));
        room
    }
}

/// Who is at the other end of a connection, and what it may take; `None`: it is bounded otherwise, or trusted.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) who: Who,
    pub(super) room: Option<Arc<Room>>,
}

/// Where the answer to a call is counted; without a room it is not, since who asks is bounded otherwise, or trusted.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Option<Arc<Room>>);

impl Answers {
    /// Those of who calls.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Waits until an answer of at most so many bytes may be made. It is to be asked for before any of it is in memory.
    pub(super) async fn room(&self, bytes: usize) -> Taken {
        let bytes = bytes.min(MAX_MESSAGE_BYTES) as u32;
        Taken(match &self.0 {
            Some(room) => room.answers.clone().acquire_many_owned(bytes).await.ok(),
            None => None,
        })
    }

    /// Waits until an image may be read and sent.
    pub(super) async fn image(&self) -> Taken {
        Taken(match &self.0 {
            Some(room) => room.images.clone().acquire_owned().await.ok(),
            None => None,
        })
    }
}

/// What an answer takes of the room of who asked, until it was sent.
#[derive(Debug)]
#[must_use]
pub(super) struct Taken(Option<OwnedSemaphorePermit>);

impl Taken {
    /// Gives back what is beyond so many bytes.
    pub(super) fn keep(&mut self, bytes: usize) {
        if let Some(taken) = &mut self.0 {
            drop(taken.split(taken.num_permits().saturating_sub(bytes)));
        }
    }

    /// Makes an answer take it.
    pub(super) fn by<T>(self, answer: T) -> tonic::Response<T> {
        let mut response = tonic::Response::new(answer);
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Answers as the service within does, which is handed no more of a peer's messages than it has room for, and whose answers count as
/// long as they are not sent.
#[derive(Clone)]
pub(super) struct Metered<S>(pub(super) S);

impl<S: NamedService> NamedService for Metered<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<AnyBody>> for Metered<S>
where
    S: Service<http::Request<AnyBody>, Response = http::Response<AnyBody>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<AnyBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<AnyBody>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<AnyBody>) -> Self::Future {
        let mut service = self.0.clone();
        Box::pin(async move {
            let Some(Came { who, room }) = request.extensions_mut().remove() else {
                return service.call(request).await;
            };
            request.extensions_mut().insert(who);
            let Some(room) = room else { return service.call(request).await };
            // It is never closed.
            let call = room.calls.clone().acquire_owned().await.ok();
            let shape = shape_of(request.uri().path());
            request = request.map(|body| AnyBody::new(Messages::new(body, shape, &room)));
            request.extensions_mut().insert(Answers(Some(room)));
            let mut answer = service.call(request).await?;
            let taken = answer.extensions_mut().remove();
            Ok(answer.map(|body| AnyBody::new(Answered { body, taken, _call: call })))
        })
    }
}

/// The body of an answer.
struct Answered {
    body: AnyBody,
    taken: Option<Arc<Taken>>,
    _call: Option<OwnedSemaphorePermit>,
}

/// A piece of an answer, which is on its way as long as it is somewhere.
struct Piece {
    bytes: Bytes,
    _taken: Arc<Taken>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match (&self.taken, frame) {
            // Small ones are not worth it: they are as good as sent.
            (Some(taken), Some(Ok(frame))) if frame.data_ref().is_some_and(|data| data.len() >= FREE) => {
                let piece = |bytes| Bytes::from_owner(Piece { bytes, _taken: taken.clone() });
                Some(Ok(frame.map_data(piece)))
            }
            (_, frame) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a call: messages, each with its length before it.
struct Messages<B> {
    body: B,
    /// What each of them is made of; `None`: nobody reads them.
    shape: Option<&'static Shape>,
    bytes: Arc<Semaphore>,
    surplus: Arc<Semaphore>,
    /// What came and was not handed on.
    came: BytesMut,
    /// Of the message that is handed on, so much is still to be; of that, so much stands before it.
    left: usize,
    header: usize,
    scale: Option<Scale>,
    /// The end of a message, which is read once all of it is there: it waits for room for what the message stands for.
    end: Option<Bytes>,
    /// What that message takes.
    taken: Vec<OwnedSemaphorePermit>,
    waits: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
}

impl<B> Messages<B> {
    fn new(body: B, shape: Option<&'static Shape>, room: &Room) -> Self {
        let (bytes, surplus) = (room.bytes.clone(), room.surplus.clone());
        let (came, taken) = (BytesMut::new(), Vec::new());
        Self { body, shape, bytes, surplus, came, left: 0, header: 0, scale: None, end: None, taken, waits: None }
    }

    /// Begins with the message whose length has come.
    fn begin(&mut self) {
        // Whoever asks for this one has the one before.
        self.taken.clear();
        let length = (&self.came[1..]).get_u32() as usize;
        (self.left, self.header) = (HEADER + length, HEADER);
        // One that is longer than any may be is refused by who reads it, before it is held.
        let is_read = length <= MAX_MESSAGE_BYTES;
        self.scale = self.shape.filter(|_| is_read).map(|shape| Scale::new(shape, length));
        if is_read && length >= FREE {
            self.wait_for(self.bytes.clone(), length);
        }
    }

    fn wait_for(&mut self, room: Arc<Semaphore>, bytes: usize) {
        let bytes = bytes as u32;
        self.waits = Some(Box::pin(async move { room.acquire_many_owned(bytes).await.ok() }));
    }

    /// What can be handed on of the message that has begun; `None`: its end, which waits for room.
    fn piece(&mut self) -> Result<Option<Bytes>, Status> {
        let piece = self.came.split_to(self.left.min(self.came.len())).freeze();
        self.left -= piece.len();
        let header = self.header.min(piece.len());
        self.header -= header;
        let Some(scale) = &mut self.scale else { return Ok(Some(piece)) };
        scale.add(&piece[header..]).map_err(|_| Status::invalid_argument("the message is none of this protocol"))?;
        let surplus = scale.surplus();
        if surplus > MAX_MESSAGE_BYTES {
            return Err(Status::resource_exhausted(format!(
                "the message has so many elements that it takes more than {MAX_MESSAGE_BYTES} bytes"
            )));
        }
        if self.left > 0 || surplus < FREE {
            return Ok(Some(piece));
        }
        self.end = Some(piece);
        self.wait_for(self.surplus.clone(), surplus);
        Ok(None)
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for Messages<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(waits) = &mut this.waits {
                this.taken.extend(ready!(waits.as_mut().poll(cx)));
                this.waits = None;
            }
            if let Some(end) = this.end.take() {
                return Poll::Ready(Some(Ok(Frame::data(end))));
            }
            if this.left > 0 && !this.came.is_empty() {
                match this.piece() {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                    Ok(None) => continue,
                    Err(status) => return Poll::Ready(Some(Err(status))),
                }
            }
            if this.left == 0 && this.came.len() >= HEADER {
                this.begin();
                continue;
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.came.extend_from_slice(&data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if this.came.is_empty() => return Poll::Ready(None),
                // Less than a header: who reads it says so.
                None => return Poll::Ready(Some(Ok(Frame::data(this.came.split().freeze())))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut message = vec![0];
        message.extend((length as u32).to_be_bytes());
        message.resize(HEADER + length, 7);
        message
    }

    fn room(bytes: &Arc<Semaphore>) -> Room {
        let Room { connections, calls, surplus, answers, images, .. } = Arc::into_inner(Room::new()).unwrap();
        Room { bytes: bytes.clone(), connections, calls, surplus, answers, images }
    }

    fn messages(
        pieces: Vec<Vec<u8>>,
        bytes: &Arc<Semaphore>,
    ) -> Messages<impl Body<Data = Bytes, Error = Status> + Unpin + use<>> {
        shaped(pieces, None, &room(bytes))
    }

    fn shaped(
        pieces: Vec<Vec<u8>>,
        call: Option<&str>,
        room: &Room,
    ) -> Messages<impl Body<Data = Bytes, Error = Status> + Unpin + use<>> {
        let frames = stream::iter(pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece)))));
        let shape = call.map(|call| shape_of(&format!("/sampan.v1.ControlPlane/{call}")).unwrap());
        Messages::new(StreamBody::new(frames.boxed()), shape, room)
    }

    /// Says of a worker that it runs so many replicas, of which nothing is said.
    fn hello(running: usize) -> Vec<u8> {
        use crate::wire::proto::{RunningReplica, WorkerFrame, WorkerHello, WorkerUp, worker_frame, worker_up};
        let hello = WorkerHello { running: vec![RunningReplica::default(); running], ..WorkerHello::default() };
        let message = WorkerUp { content: Some(worker_up::Content::Hello(hello)) };
        let content = Some(worker_frame::Content::Message(message));
        let frame = prost::Message::encode_to_vec(&WorkerFrame { content, ..WorkerFrame::default() });
        let mut message = vec![0];
        message.extend((frame.len() as u32).to_be_bytes());
        message.extend(frame);
        message
    }

    #[tokio::test]
    async fn a_message_counts_with_what_it_stands_for_before_it_is_read() {
        let room = Room::new();
        let small = hello(1000);
        let mut first = shaped(vec![small.clone()], Some("WorkerSession"), &room);
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), small);
        let taken = MAX_MESSAGE_BYTES - room.surplus.available_permits();
        assert!(taken > 1000 * 500, "{taken}");
        // The next that has no room beside it waits with its end.
        let other = room.surplus.clone().acquire_many_owned((MAX_MESSAGE_BYTES - taken) as u32).await.unwrap();
        let mut second = shaped(small.chunks(100).map(<[u8]>::to_vec).collect(), Some("WorkerSession"), &room);
        for _ in 0..small.len() / 100 {
            second.frame().await.unwrap().unwrap();
        }
        assert!(futures::poll!(std::pin::pin!(second.frame())).is_pending());
        drop((first, other));
        second.frame().await.unwrap().unwrap();
        assert!(second.frame().await.is_none());
        drop(second);
        assert_eq!(room.surplus.available_permits(), MAX_MESSAGE_BYTES, "all is given back");
        let large = hello(1_000_000);
        assert!(large.len() < 3 << 20);
        let refused = shaped(vec![large], Some("WorkerSession"), &room).collect().await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    }

    #[tokio::test]
    async fn messages_come_as_they_were_sent_however_they_were_cut() {
        let sent = [message(0), message(3), message(FREE * 3), message(1)].concat();
        for length in [1, 4, 5, 7, 1000, sent.len()] {
            let bytes = Arc::new(Semaphore::new(FREE * 3));
            let pieces = sent.chunks(length).map(<[u8]>::to_vec).collect();
            let came = messages(pieces, &bytes).collect().await.unwrap().to_bytes();
            assert_eq!(came, sent, "in pieces of {length}");
            assert_eq!(bytes.available_permits(), FREE * 3, "all is given back");
        }
        // One that breaks off, and one that is longer than any may be, are for who reads them.
        let bytes = Arc::new(Semaphore::new(FREE));
        let broken = [vec![0, 0, 0], [vec![0], u32::MAX.to_be_bytes().to_vec(), vec![1, 2]].concat()];
        for sent in broken {
            assert_eq!(messages(vec![sent.clone()], &bytes).collect().await.unwrap().to_bytes(), sent);
        }
    }

    #[tokio::test]
    async fn nothing_of_a_message_is_handed_on_before_there_is_room_for_all_of_it() {
        let bytes = Arc::new(Semaphore::new(FREE * 3));
        let mut first = messages(vec![message(FREE * 2)[..100].to_vec()], &bytes);
        first.frame().await.unwrap().unwrap();
        assert_eq!(bytes.available_permits(), FREE);
        let mut second = messages(vec![message(FREE * 2)], &bytes);
        assert!(futures::poll!(std::pin::pin!(second.frame())).is_pending());
        // A small one goes on.
        messages(vec![message(FREE - 1)], &bytes).frame().await.unwrap().unwrap();
        drop(first);
        let whole = second.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(whole, message(FREE * 2));
    }

    #[test]
    fn a_peer_has_one_room_over_all_of_its_connections_as_long_as_it_has_any() {
        let (rooms, peer) =
            (Rooms::default(), |name: &str| Peer { role: crate::identity::Role::Worker, name: name.to_owned() });
        let room = rooms.of(&peer("w"));
        assert!(Arc::ptr_eq(&room, &rooms.of(&peer("w"))) && !Arc::ptr_eq(&room, &rooms.of(&peer("v"))));
        let places: Vec<_> = (0..CONNECTIONS).filter_map(|_| room.enter()).collect();
        assert_eq!(places.len(), CONNECTIONS);
        assert!(rooms.of(&peer("w")).enter().is_none() && rooms.of(&peer("v")).enter().is_some());
        drop((room, places));
        rooms.of(&peer("x"));
        assert_eq!(rooms.0.lock().len(), 1, "nothing is kept of who has gone");
    }
}
