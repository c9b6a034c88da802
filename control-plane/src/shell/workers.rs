use std::collections::{BTreeMap, VecDeque};

use api::{WorkerName, session::WorkerDown};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::SessionId;

/// Messages that wait for a worker beyond what its session holds. A worker that is further behind is disconnected:
/// it says what it runs when it comes back.
const MAX_BACKLOG: usize = 65_536;

/// The worker sessions, and the way to each worker.
#[derive(Debug, Default)]
pub(super) struct Workers {
    sessions: BTreeMap<SessionId, Outbox>,
    by_name: BTreeMap<WorkerName, SessionId>,
}

#[derive(Debug)]
struct Outbox {
    tx: mpsc::Sender<WorkerDown>,
    backlog: VecDeque<WorkerDown>,
    /// Known from the first message.
    worker: Option<WorkerName>,
}

impl Workers {
    /// A session began; its worker has not said its name yet.
    pub(super) fn attach(&mut self, session: SessionId, tx: mpsc::Sender<WorkerDown>) {
        self.sessions.insert(session, Outbox { tx, backlog: VecDeque::new(), worker: None });
    }

    /// The worker said its name. An earlier session of the same name ends.
    pub(super) fn name(&mut self, session: SessionId, worker: &WorkerName) {
        let Some(outbox) = self.sessions.get_mut(&session) else { return };
        outbox.worker = Some(worker.clone());
        if let Some(earlier) = self.by_name.insert(worker.clone(), session).filter(|earlier| *earlier != session) {
            self.sessions.remove(&earlier);
        }
    }

    /// The name of a session's worker, unless a later session has taken its place.
    pub(super) fn worker(&self, session: SessionId) -> Option<WorkerName> {
        self.sessions.get(&session)?.worker.clone()
    }

    /// A session ended. Answers the worker that is now without one.
    pub(super) fn detach(&mut self, session: SessionId) -> Option<WorkerName> {
        self.sessions.remove(&session);
        let worker = self.by_name.iter().find(|(_, held)| **held == session)?.0.clone();
        self.by_name.remove(&worker);
        Some(worker)
    }

    /// Whether a worker has a session.
    pub(super) fn is_connected(&self, worker: &WorkerName) -> bool {
        self.by_name.contains_key(worker)
    }

    /// Sends, or keeps it until the session has room. Answers whether the worker is connected.
    pub(super) fn send(&mut self, worker: &WorkerName, message: WorkerDown) -> bool {
        let Some(session) = self.by_name.get(worker).copied() else { return false };
        let Some(outbox) = self.sessions.get_mut(&session) else { return false };
        outbox.backlog.push_back(message);
        outbox.flush();
        if outbox.backlog.len() > MAX_BACKLOG {
            tracing::warn!(%worker, "the worker does not keep up with what it is told: its session is ended");
            // The session's reader sees the end too and tells of it.
            self.sessions.remove(&session);
            return false;
        }
        true
    }

    /// Sends what was kept, as far as there is room now.
    pub(super) fn flush(&mut self) {
        self.sessions.values_mut().for_each(Outbox::flush);
    }

    /// Whether something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        self.sessions.values().any(|outbox| !outbox.backlog.is_empty())
    }
}

impl Outbox {
    fn flush(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            match self.tx.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    return;
                }
                // The session is over, which its reader tells.
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }
}
