//! Carries the messages of a session over one connection, until it breaks or the session ends.

use std::{sync::Arc, time::Duration};

use api::session::Session;
use futures::StreamExt;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::{
    frame::{Content, Message, Packet},
    ledger::{Ledger, SAY_AFTER},
};
use crate::identity::{Identity, Trust};

/// How often a side says how much it has received, and with it that it is there.
const WORD_EVERY: Duration = Duration::from_millis(250);
/// A connection over which nothing came for so long is given up for another.
const SILENCE: Duration = Duration::from_secs(2);
/// A session whose other side speaks, and takes nothing of what it is told for so long, ends: what waits for it is held in memory.
const DEAF: Duration = Duration::from_secs(15);
/// The same in tests, which wait for it.
const DEAF_IN_TESTS: Duration = Duration::from_secs(3);

/// A session apart from its connections: what is to be sent and received, and how far both are.
pub(super) struct Line<Out, In> {
    pub(super) inner: Session<In, Out>,
    pub(super) ledger: Ledger<Out>,
    /// A message that came and has not been taken yet.
    pending: Option<In>,
    /// What counts of what the other side says.
    hear: Hear<In>,
    /// What hears from the control plane whom to trust, if this process is known by a certificate.
    hears: Option<Arc<Identity>>,
    /// How long the other side may take nothing of what it is told; `None`: it is the control plane, which is waited for.
    deaf: Option<Duration>,
}

/// What is left of a message when what may not be said is taken out; or why the session ends with it.
pub(super) type Hear<M> = Box<dyn FnMut(M) -> Result<Option<M>, String> + Send>;

/// Why a connection carries no more.
#[derive(Debug)]
pub(super) enum Broken {
    /// The session goes on over another connection.
    Connection(String),
    /// Either side has ended the session.
    Over,
    /// The other side said what it may not.
    Refused(String),
}

impl<Out: Message, In: Message> Line<Out, In> {
    /// `inner` is the far side of the session that somebody here holds: what they send comes out of it.
    pub(super) fn new(inner: Session<In, Out>, hear: Hear<In>) -> Self {
        Self { inner, ledger: Ledger::new(), pending: None, hear, hears: None, deaf: None }
    }

    /// The control plane's side ends a session whose other side takes nothing.
    pub(super) fn of_control_plane(self) -> Self {
        Self { deaf: Some(if cfg!(test) { DEAF_IN_TESTS } else { DEAF }), ..self }
    }

    /// The side of a process that has an identity hears whom to trust.
    pub(super) fn heard_by(self, identity: Option<Arc<Identity>>) -> Self {
        Self { hears: identity, ..self }
    }

    /// Carries messages both ways. `again` is what the other side has not received; `trust` is told to it, now and as it
    /// changes.
    pub(super) async fn carry(
        &mut self,
        incoming: &mut Streaming<In::Frame>,
        outgoing: &mpsc::Sender<Out::Frame>,
        again: Vec<(u64, Out)>,
        mut trust: Option<watch::Receiver<Arc<Trust>>>,
        stop: &CancellationToken,
    ) -> Broken {
        if let Some(trust) = &mut trust {
            trust.mark_changed();
        }
        for (sequence, message) in again {
            let frame = self.frame(sequence, Some(Content::Message(message)));
            if let Err(broken) = push(outgoing, frame, self.deaf, stop).await {
                return broken;
            }
        }
        let mut said = self.ledger.received();
        let mut word = interval(WORD_EVERY);
        word.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return Broken::Connection("another connection took over".to_owned()),
                // Nothing more is read before what came is taken: the sender then waits.
                frame = incoming.next(), if self.pending.is_none() => Next::<Out, In>::Came(frame),
                place = self.inner.tx.reserve(), if self.pending.is_some() => match place {
                    Ok(place) => {
                        place.send(self.pending.take().expect("checked by the branch's condition"));
                        // What waited to be read meanwhile is no silence.
                        heard = Instant::now();
                        continue;
                    }
                    Err(_) => return Broken::Over,
                },
                message = send(&mut self.inner.rx, outgoing), if self.ledger.has_room() => Next::Send(message),
                trust = changed(&mut trust) => Next::Trust(trust),
                _ = word.tick() => Next::Word,
            };
            let done = match next {
                Next::Came(frame) => {
                    heard = Instant::now();
                    self.came(frame)
                }
                Next::Send(message) => self.send(message),
                Next::Word => self.word(outgoing, heard),
                Next::Trust(trust) => {
                    let frame = self.frame(0, Some(Content::Trust(Trust::clone(&trust))));
                    push(outgoing, frame, self.deaf, stop).await
                }
            };
            if let Err(broken) = done {
                return broken;
            }
            if self.ledger.received() - said >= SAY_AFTER {
                said = self.ledger.received();
                word.reset_immediately();
            }
        }
    }

    fn came(&mut self, frame: Option<Result<In::Frame, tonic::Status>>) -> Result<(), Broken> {
        let broken = |why: String| Err(Broken::Connection(why));
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(status)) => return broken(status.message().to_owned()),
            None => return broken("the other side closed the connection".to_owned()),
        };
        let Packet { sequence, acknowledged, content, ends } = match In::unpack(frame) {
            Ok(packet) => packet,
            Err(error) => return broken(format!("a message cannot be read: {error}")),
        };
        self.ledger.acknowledged(acknowledged);
        let new = match sequence {
            0 => true,
            sequence => match self.ledger.receive(sequence) {
                Ok(new) => new,
                Err(gap) => return broken(gap.to_string()),
            },
        };
        match content.filter(|_| new) {
            Some(Content::Message(message)) => {
                self.pending = (self.hear)(message).map_err(Broken::Refused)?;
            }
            Some(Content::Trust(trust)) => {
                if let Some(Err(error)) = self.hears.as_ref().map(|identity| identity.set_trust(trust)) {
                    tracing::error!(%error, "whom to trust was told in a way that cannot be used: it stays as it was");
                }
            }
            _ => {}
        }
        if ends { Err(Broken::Over) } else { Ok(()) }
    }

    fn send(&mut self, taken: Taken<'_, Out>) -> Result<(), Broken> {
        let (place, message) = match taken {
            Taken::Message(place, message) => (place, message),
            Taken::Over(place) => {
                place.send(Out::pack(Packet { ends: true, ..self.packet(0, None) }));
                return Err(Broken::Over);
            }
            Taken::Closed => return Err(Broken::Connection("the connection is closed".to_owned())),
        };
        let sequence = if message.is_counted() { self.ledger.send(message.clone()) } else { 0 };
        let frame = self.frame(sequence, Some(Content::Message(message)));
        place.send(frame);
        Ok(())
    }

    fn word(&mut self, outgoing: &mpsc::Sender<Out::Frame>, heard: Instant) -> Result<(), Broken> {
        if heard.elapsed() > SILENCE && self.pending.is_none() {
            return Err(Broken::Connection(format!("nothing was heard for {SILENCE:?}")));
        }
        if let Some(deaf) = self.deaf.filter(|deaf| self.ledger.waited() > *deaf) {
            return Err(took_nothing(deaf));
        }
        // One that is full says as much by itself.
        if let Ok(place) = outgoing.try_reserve() {
            place.send(self.frame(0, None));
        }
        Ok(())
    }

    pub(super) fn frame(&self, sequence: u64, content: Option<Content<Out>>) -> Out::Frame {
        Out::pack(self.packet(sequence, content))
    }

    fn packet(&self, sequence: u64, content: Option<Content<Out>>) -> Packet<Out> {
        Packet { sequence, acknowledged: self.ledger.received(), content, ends: false }
    }
}

fn took_nothing(within: Duration) -> Broken {
    Broken::Refused(format!("it has taken nothing of what it was told for {within:?}"))
}

/// Sends a frame that waits for nothing else, to who may not read.
async fn push<F>(
    outgoing: &mpsc::Sender<F>,
    frame: F,
    deaf: Option<Duration>,
    stop: &CancellationToken,
) -> Result<(), Broken> {
    let late = async {
        match deaf {
            Some(deaf) => sleep(deaf).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => Err(Broken::Connection("another connection took over".to_owned())),
        sent = outgoing.send(frame) => sent.map_err(|_| Broken::Connection("the connection is closed".to_owned())),
        () = late => Err(took_nothing(deaf.unwrap_or_default())),
    }
}

enum Next<'a, Out: Message, In: Message> {
    Came(Option<Result<In::Frame, tonic::Status>>),
    Send(Taken<'a, Out>),
    Trust(Arc<Trust>),
    Word,
}

/// Whom to trust, once that has changed.
async fn changed(trust: &mut Option<watch::Receiver<Arc<Trust>>>) -> Arc<Trust> {
    if let Some(trust) = trust
        && trust.changed().await.is_ok()
    {
        return trust.borrow_and_update().clone();
    }
    std::future::pending().await
}

enum Taken<'a, Out: Message> {
    Message(mpsc::Permit<'a, Out::Frame>, Out),
    /// Nobody sends any more.
    Over(mpsc::Permit<'a, Out::Frame>),
    Closed,
}

/// Takes a message only when the connection has room for it.
async fn send<'a, Out: Message>(
    messages: &mut mpsc::Receiver<Out>,
    outgoing: &'a mpsc::Sender<Out::Frame>,
) -> Taken<'a, Out> {
    let Ok(place) = outgoing.reserve().await else { return Taken::Closed };
    match messages.recv().await {
        Some(message) => Taken::Message(place, message),
        None => Taken::Over(place),
    }
}
