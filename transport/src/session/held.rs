//! Sessions as the server holds them: over one connection after the other, and for a while over none.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use api::session::{SESSION_QUEUE, Session, between};
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
    asker::Owner,
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
/// Sessions of each kind that one peer has at a time. A worker has one, and one for what each of its processes calls. Tests have few.
pub(super) const OF_A_PEER: usize = if cfg!(test) { 8 } else { 1024 };
/// How fast one peer begins sessions: so many at once, then one for each such span. To begin one costs who holds it more than who
/// begins it. A worker says once what it runs; each of the processes of a worker hears routes.
pub(super) const OF_WORKERS: Pace = Pace { at_once: WORKERS_AT_ONCE, every: WORKERS_EVERY };
pub(super) const OF_GATEWAYS: Pace = Pace { at_once: GATEWAYS_AT_ONCE, every: GATEWAYS_EVERY };
const WORKERS_AT_ONCE: u32 = 8;
const WORKERS_EVERY: Duration = Duration::from_secs(4);
const GATEWAYS_AT_ONCE: u32 = 64;
const GATEWAYS_EVERY: Duration = Duration::from_millis(50);
/// Messages that wait for a session's connection, beyond which the control plane keeps what is newest by itself.
const DOWN: usize = 256;
/// That a session was ended with what it said is told so often at most: its other side may begin another at once.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// The longest number of a session, in bytes.
const MAX_NUMBER: usize = 64;

pub(super) type Frames<F> = Pin<Box<dyn Stream<Item = Result<F, Status>> + Send>>;

/// Sessions of one kind, by their owners and the numbers that these chose.
pub(super) struct Sessions<Out: Message, In: Message> {
    held: Arc<Mutex<ByOwner<Out, In>>>,
    told: Arc<Mutex<Told>>,
    pace: Pace,
    paces: Mutex<HashMap<Owner, Instant>>,
}

/// How fast something may come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    at_once: u32,
    every: Duration,
}

impl Pace {
    /// Whether another may come now, and until when it counts. `until`: the same of the one before.
    fn takes(self, until: Option<Instant>, now: Instant) -> Option<Instant> {
        let until = until.unwrap_or(now).max(now) + self.every;
        (until <= now + self.every * self.at_once).then_some(until)
    }
}

/// When it was last told that a session was ended, and how many were not told since.
#[derive(Default)]
struct Told {
    at: Option<Instant>,
    untold: u64,
}

impl Told {
    /// Whether another is told, and how many before were not.
    fn tell(&mut self) -> Option<u64> {
        if self.at.is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            self.untold += 1;
            return None;
        }
        self.at = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }
}

type ByOwner<Out, In> = HashMap<Owner, HashMap<Vec<u8>, Arc<Held<Out, In>>>>;

/// A session, whether or not a connection carries it now.
struct Held<Out: Message, In: Message> {
    line: Arc<tokio::sync::Mutex<Line<Out, In>>>,
    /// Ends the connection that carries it.
    carried: Mutex<CancellationToken>,
}

impl<Out: Message, In: Message> Sessions<Out, In> {
    /// Of which peers begin some as fast as this.
    pub(super) fn new(pace: Pace) -> Self {
        Self { held: Arc::default(), told: Arc::default(), pace, paces: Mutex::default() }
    }

    fn may_begin(&self, owner: &Owner) -> bool {
        let (mut paces, now) = (self.paces.lock(), Instant::now());
        let Some(until) = self.pace.takes(paces.get(owner).copied(), now) else { return false };
        paces.retain(|_, until| *until > now);
        paces.insert(owner.clone(), until);
        true
    }

    /// Takes up a session of `owner`, who alone can resume it, over a new connection. `attach` takes a new one, with the protocol
    /// that its client speaks. It ends with the certificate of who opens it.
    pub(super) async fn open(
        &self,
        who: Who,
        mut incoming: Streaming<In::Frame>,
        owner: Owner,
        shutdown: &CancellationToken,
        hear: Hear<In>,
        attach: impl Fn(u32, Session<Out, In>),
    ) -> Result<Frames<Out::Frame>, Status> {
        let opening = opening::<In>(&mut incoming).await?;
        let held = self.held(&owner, &opening, hear, attach)?;
        let stop = shutdown.child_token();
        std::mem::replace(&mut *held.carried.lock(), stop.clone()).cancel();
        // Who leaves before it is carried ends it: nobody would else, as what carried it before has let go of it.
        let mut unless_left =
            Abandoned { sessions: self.held.clone(), owner: owner.clone(), held: held.clone(), goes_on: false };
        let mut line = held.line.clone().lock_owned().await;
        let Some(again) = line.ledger.resend(opening.received) else {
            return Err(Status::not_found("what was not received is not here any more"));
        };
        let (outgoing, mut frames) = mpsc::channel(IN_CONNECTION);
        let opened = Opened { protocol: PROTOCOL, received: line.ledger.received() };
        let frame = line.frame(0, Some(Content::Opened(opened)));
        outgoing.send(frame).await.map_err(|_| Status::aborted("the connection is closed"))?;
        unless_left.goes_on = true;
        drop(unless_left);
        let (sessions, told) = (self.held.clone(), self.told.clone());
        tokio::spawn(async move {
            let mut revoked = who.revoked();
            let by_revocation = || Broken::Refused("its certificate was revoked".to_owned());
            // Its connection ends with its certificate too, and which of both is seen first says nothing about why.
            let mut ended = tokio::select! {
                biased;
                () = &mut revoked => by_revocation(),
                ended = line.carry(&mut incoming, &outgoing, again, who.trust(), &stop) => ended,
            };
            drop((line, outgoing));
            if let Broken::Connection(why) = &ended {
                tracing::debug!(why, "a session's connection broke");
                tokio::select! {
                    biased;
                    () = &mut revoked => ended = by_revocation(),
                    () = stop.cancelled() => return,
                    () = sleep(RESUME_WITHIN) => {}
                }
            }
            if let Broken::Refused(why) = &ended
                && let Some(untold) = told.lock().tell()
            {
                tracing::warn!(peer = %owner, why, untold, "a session was ended: others are not told for a while");
            }
            forget(&mut sessions.lock(), &owner, &held);
        });
        Ok(Box::pin(stream::poll_fn(move |cx| frames.poll_recv(cx)).map(Ok)))
    }

    fn held(
        &self,
        owner: &Owner,
        opening: &Opening,
        hear: Hear<In>,
        attach: impl Fn(u32, Session<Out, In>),
    ) -> Result<Arc<Held<Out, In>>, Status> {
        let mut held = self.held.lock();
        let own = held.get(owner);
        match own.and_then(|own| own.get(&opening.session)) {
            Some(known) => Ok(known.clone()),
            None if opening.resumes => Err(Status::not_found("this session is not known: begin another")),
            None if own.is_some_and(|own| own.len() >= OF_A_PEER) => {
                Err(Status::resource_exhausted(format!("it has {OF_A_PEER} sessions: end others first")))
            }
            None if !self.may_begin(owner) => {
                Err(Status::unavailable("it begins sessions faster than they are taken: begin this one later"))
            }
            None => {
                let (there, here) = between::<In, Out>(SESSION_QUEUE, DOWN);
                let line = Arc::new(tokio::sync::Mutex::new(Line::new(there, hear).of_control_plane()));
                let new = Arc::new(Held { line, carried: Mutex::default() });
                held.entry(owner.clone()).or_default().insert(opening.session.clone(), new.clone());
                attach(opening.protocol, here);
                Ok(new)
            }
        }
    }
}

/// A session that is being taken up. Dropped before it goes on, it ends.
struct Abandoned<Out: Message, In: Message> {
    sessions: Arc<Mutex<ByOwner<Out, In>>>,
    owner: Owner,
    held: Arc<Held<Out, In>>,
    goes_on: bool,
}

impl<Out: Message, In: Message> Drop for Abandoned<Out, In> {
    fn drop(&mut self) {
        if !self.goes_on {
            forget(&mut self.sessions.lock(), &self.owner, &self.held);
        }
    }
}

fn forget<Out: Message, In: Message>(held: &mut ByOwner<Out, In>, owner: &Owner, gone: &Arc<Held<Out, In>>) {
    if let Some(own) = held.get_mut(owner) {
        own.retain(|_, other| !Arc::ptr_eq(other, gone));
        if own.is_empty() {
            held.remove(owner);
        }
    }
}

/// The frame that a stream begins with.
async fn opening<In: Message>(incoming: &mut Streaming<In::Frame>) -> Result<Opening, Status> {
    let first = timeout(OPENING, incoming.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("the stream did not begin in time"))??;
    let first = first.map(In::unpack).transpose().map_err(|error| Status::invalid_argument(error.to_string()))?;
    match first.and_then(|packet| packet.content) {
        Some(Content::Opening(opening)) if (1..=MAX_NUMBER).contains(&opening.session.len()) => Ok(opening),
        _ => Err(Status::invalid_argument("a stream begins with the opening of a session")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_one_after_the_other() {
        let (pace, now) = (Pace { at_once: 3, every: Duration::from_secs(1) }, Instant::now());
        let mut until = None;
        for _ in 0..3 {
            until = Some(pace.takes(until, now).expect("of the burst"));
        }
        assert_eq!(pace.takes(until, now), None);
        let later = now + Duration::from_secs(1);
        until = Some(pace.takes(until, later).expect("one more"));
        assert_eq!(pace.takes(until, later), None);
    }
}
