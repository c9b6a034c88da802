//! Sessions as the server holds them: over one connection after the other, and for a while over none.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use api::session::{Session, in_process};
use futures::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{
    PROTOCOL,
    frame::{Content, Message},
    listener::Who,
    pump::{Broken, Hear, Line},
};
use crate::wire::proto::{Opened, Opening};

/// A session whose connection broke is kept for so long.
const RESUME_WITHIN: Duration = Duration::from_secs(10);
/// The first frame of a stream comes within this time.
const OPENING: Duration = Duration::from_secs(5);
/// Frames on their way into a connection.
const IN_CONNECTION: usize = 64;

pub(super) type Frames<F> = Pin<Box<dyn Stream<Item = Result<F, Status>> + Send>>;

/// Sessions in one direction each, by their owners and the names that these chose.
pub(super) struct Sessions<Out: Message, In: Message> {
    held: Arc<Mutex<ByName<Out, In>>>,
}

type ByName<Out, In> = HashMap<Vec<u8>, Arc<Held<Out, In>>>;

impl<Out: Message, In: Message> Default for Sessions<Out, In> {
    fn default() -> Self {
        Self { held: Arc::default() }
    }
}

/// A session, whether or not a connection carries it now.
struct Held<Out: Message, In: Message> {
    line: Arc<tokio::sync::Mutex<Line<Out, In>>>,
    /// Ends the connection that carries it.
    carried: Mutex<CancellationToken>,
}

impl<Out: Message, In: Message> Sessions<Out, In> {
    /// Takes up a session of `owner`, who alone can resume it, over a new connection. `attach` takes a new one, with the protocol
    /// that its client speaks. It ends with the certificate of who opens it.
    pub(super) async fn open(
        &self,
        who: Who,
        mut incoming: Streaming<In::Frame>,
        owner: &str,
        shutdown: &CancellationToken,
        hear: Hear<In>,
        attach: impl Fn(u32, Session<Out, In>),
    ) -> Result<Frames<Out::Frame>, Status> {
        let mut opening = opening::<In>(&mut incoming).await?;
        opening.session = [owner.as_bytes(), b"\n", &opening.session].concat();
        let held = self.held(&opening, hear, attach)?;
        let stop = shutdown.child_token();
        std::mem::replace(&mut *held.carried.lock(), stop.clone()).cancel();
        let mut line = held.line.clone().lock_owned().await;
        let Some(again) = line.ledger.resend(opening.received) else {
            self.held.lock().remove(&opening.session);
            return Err(Status::not_found("what was not received is not here any more"));
        };
        let (outgoing, mut frames) = mpsc::channel(IN_CONNECTION);
        let opened = Opened { protocol: PROTOCOL, received: line.ledger.received() };
        let frame = line.frame(0, Some(Content::Opened(opened)));
        outgoing.send(frame).await.map_err(|_| Status::aborted("the connection is closed"))?;
        let sessions = self.held.clone();
        tokio::spawn(async move {
            let mut revoked = who.revoked();
            let ended = tokio::select! {
                ended = line.carry(&mut incoming, &outgoing, again, who.trust(), &stop) => ended,
                () = &mut revoked => Broken::Refused("its certificate was revoked".to_owned()),
            };
            drop((line, outgoing));
            if let Broken::Connection(why) = &ended {
                tracing::debug!(why, "a session's connection broke");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut revoked => {}
                    () = sleep(RESUME_WITHIN) => {}
                }
            }
            if let Broken::Refused(why) = &ended {
                tracing::warn!(why, "a session was ended");
            }
            sessions.lock().retain(|_, other| !Arc::ptr_eq(other, &held));
        });
        Ok(Box::pin(stream::poll_fn(move |cx| frames.poll_recv(cx)).map(Ok)))
    }

    fn held(
        &self,
        opening: &Opening,
        hear: Hear<In>,
        attach: impl Fn(u32, Session<Out, In>),
    ) -> Result<Arc<Held<Out, In>>, Status> {
        let mut held = self.held.lock();
        match held.get(&opening.session) {
            Some(known) => Ok(known.clone()),
            None if opening.resumes => Err(Status::not_found("this session is not known: begin another")),
            None => {
                let (there, here) = in_process::<In, Out>();
                let line = Arc::new(tokio::sync::Mutex::new(Line::new(there, hear)));
                let new = Arc::new(Held { line, carried: Mutex::default() });
                held.insert(opening.session.clone(), new.clone());
                attach(opening.protocol, here);
                Ok(new)
            }
        }
    }
}

/// The frame that a stream begins with.
async fn opening<In: Message>(incoming: &mut Streaming<In::Frame>) -> Result<Opening, Status> {
    let first = timeout(OPENING, incoming.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("the stream did not begin in time"))??;
    let first = first.map(In::unpack).transpose().map_err(|error| Status::invalid_argument(error.to_string()))?;
    match first.and_then(|packet| packet.content) {
        Some(Content::Opening(opening)) if !opening.session.is_empty() => Ok(opening),
        _ => Err(Status::invalid_argument("a stream begins with the opening of a session")),
    }
}
