//! Sessions: in order within each direction, lost with what is on the way when they end. A stall holds one direction back,
//! or both, as a partition does until the connection breaks.

use std::{collections::BTreeMap, time::Duration};

use api::{
    Timestamp, WorkerName,
    session::{WorkerDown, WorkerUp},
};
use rand::Rng;
use scheduler::Event;

use crate::world::{Happening, World};

/// How long a message travels at most.
const TRAVEL: Duration = Duration::from_millis(50);
/// How long a worker waits before it connects again.
const RECONNECT: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone)]
pub(crate) enum Message {
    Up(WorkerUp),
    Down(WorkerDown),
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    last: u64,
    open: BTreeMap<u64, Session>,
    /// What the control plane takes for each worker's session.
    pub(crate) named: BTreeMap<WorkerName, u64>,
}

#[derive(Debug)]
struct Session {
    worker: WorkerName,
    /// Whether the worker's end is open. The control plane may not know yet that it is not.
    worker_open: bool,
    up: Direction,
    down: Direction,
}

#[derive(Debug, Default)]
struct Direction {
    last_arrival: Timestamp,
    stalled_until: Timestamp,
}

impl World {
    /// A worker opens a session and says what it runs.
    pub(crate) fn connect(&mut self, name: &WorkerName) {
        let worker = &self.workers[name];
        if !worker.alive || worker.session.is_some() {
            return;
        }
        if !self.control.is_up() {
            return self.within(RECONNECT, Happening::Connect(name.clone()));
        }
        self.sessions.last += 1;
        let id = self.sessions.last;
        let session =
            Session { worker: name.clone(), worker_open: true, up: Direction::default(), down: Direction::default() };
        self.sessions.open.insert(id, session);
        let worker = self.workers.get_mut(name).expect("it is alive");
        worker.session = Some(id);
        let hello = worker.hello();
        self.send_up(name, WorkerUp::Hello(hello));
    }

    pub(crate) fn send_up(&mut self, name: &WorkerName, message: WorkerUp) {
        if let Some(session) = self.workers[name].session {
            self.send(session, Message::Up(message));
        }
    }

    pub(crate) fn send_down(&mut self, name: &WorkerName, message: WorkerDown) {
        if let Some(session) = self.sessions.named.get(name).copied() {
            self.send(session, Message::Down(message));
        }
    }

    fn send(&mut self, id: u64, message: Message) {
        let travel = self.spell(TRAVEL);
        let Some(session) = self.sessions.open.get_mut(&id) else { return };
        let direction = match message {
            Message::Up(_) => &mut session.up,
            Message::Down(_) => &mut session.down,
        };
        let arrival = (self.now + travel).max(direction.last_arrival).max(direction.stalled_until);
        direction.last_arrival = arrival;
        self.at(arrival, Happening::Arrive { session: id, message });
    }

    pub(crate) fn arrive(&mut self, id: u64, message: Message) {
        let Some(session) = self.sessions.open.get(&id) else { return };
        let (worker, worker_open) = (session.worker.clone(), session.worker_open);
        match message {
            Message::Down(message) if worker_open => self.told(&worker, message),
            Message::Down(_) => {}
            Message::Up(message) => {
                if matches!(message, WorkerUp::Hello(_)) {
                    // A later session replaces an earlier one of the same worker.
                    if let Some(earlier) = self.sessions.named.insert(worker.clone(), id) {
                        self.sessions.open.remove(&earlier);
                    }
                }
                if self.sessions.named.get(&worker) == Some(&id) {
                    self.step(Event::Worker { worker, message });
                }
            }
        }
    }

    /// The connection breaks. The worker notices at once; the control plane notices later. What was on the way down is lost, and
    /// of what was on the way up some arrives.
    pub(crate) fn break_session(&mut self, name: &WorkerName) {
        let Some(id) = self.workers.get_mut(name).and_then(|worker| worker.session.take()) else { return };
        if let Some(session) = self.sessions.open.get_mut(&id) {
            session.worker_open = false;
        }
        self.within(Duration::from_secs(3), Happening::NoticeEnd { session: id });
        if self.workers[name].alive {
            self.within(RECONNECT, Happening::Connect(name.clone()));
        }
    }

    pub(crate) fn notice_end(&mut self, id: u64) {
        let Some(session) = self.sessions.open.remove(&id) else { return };
        if self.sessions.named.get(&session.worker) == Some(&id) {
            self.sessions.named.remove(&session.worker);
            self.step(Event::WorkerDisconnected(session.worker));
        }
    }

    /// Nothing arrives for a while, in one direction or in both.
    pub(crate) fn stall_session(&mut self, name: &WorkerName) {
        let Some(id) = self.workers[name].session else { return };
        let until = self.now + self.spell(Duration::from_secs(20));
        let (up, down) = [(true, false), (false, true), (true, true)][self.rng.random_range(0..3)];
        let Some(session) = self.sessions.open.get_mut(&id) else { return };
        if up {
            session.up.stalled_until = until;
        }
        if down {
            session.down.stalled_until = until;
        }
    }

    /// All sessions end because the control plane does.
    pub(crate) fn end_all_sessions(&mut self) {
        self.sessions.open.clear();
        self.sessions.named.clear();
        let mut cut = Vec::new();
        for (name, worker) in &mut self.workers {
            if worker.session.take().is_some() {
                cut.push(name.clone());
            }
        }
        for name in cut {
            // Some come back after the scheduler has stopped waiting for them.
            let longest = if self.rng.random_bool(0.1) { RECONNECT * 4 } else { RECONNECT };
            self.within(longest, Happening::Connect(name));
        }
    }
}
