use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use api::{
    ReplicaId,
    outbound::{OutboundGrants, Reach},
    replica::{ReplicaPhase, ReplicaSpec},
    session::{RunningReplica, WorkerDown, WorkerUp},
};
use parking_lot::Mutex;
use transport::Permit;

/// What runs in a worker's process, and with it where that process may connect. What the process says of itself takes
/// grants away, and never adds one.
pub(in crate::compose) struct Granted {
    /// The host and port of the key-value store, which who started the process named.
    store: Option<(String, u16)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    process: Option<u32>,
    /// Which session of the process is the last one.
    session: u64,
    /// Replicas that are granted something.
    replicas: HashMap<ReplicaId, Replica>,
}

struct Replica {
    grants: OutboundGrants,
    /// When what it was doing must have ended; `None`: it has not been told to stop.
    ends: Option<Instant>,
}

impl Granted {
    /// Nothing, but the store's host and port if there is one.
    pub(super) fn new(store: Option<(String, u16)>) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// The process was started, and has this id. Nothing runs in it yet.
    pub(in crate::compose) fn began(&self, process: Option<u32>) {
        let mut state = self.state.lock();
        (state.process, state.replicas) = (process, HashMap::new());
    }

    /// The process has ended: what comes with its id now is another.
    pub(in crate::compose) fn ended(&self) {
        self.began(None);
    }

    /// The process begins a session, and says what runs in it from an earlier one. Returns the session's number.
    pub(super) fn joined(&self, running: &[RunningReplica]) -> u64 {
        let running: HashSet<&ReplicaId> = running.iter().map(|running| &running.spec.id).collect();
        let mut state = self.state.lock();
        state.replicas.retain(|id, _| running.contains(id));
        state.session += 1;
        state.session
    }

    /// The process is told something in a session, or is about to be.
    pub(super) fn told(&self, session: u64, message: &WorkerDown, now: Instant) {
        let mut state = self.state.lock();
        // What an ended session still held does not arrive.
        if session != state.session {
            return;
        }
        match message {
            WorkerDown::Start(spec) | WorkerDown::Standby(spec) => state.grant(spec),
            WorkerDown::Stop { id, grace } => {
                if let Some(replica) = state.replicas.get_mut(id) {
                    replica.ends.get_or_insert(now + *grace);
                }
            }
        }
    }

    /// The process said something.
    pub(super) fn heard(&self, message: &WorkerUp) {
        if let WorkerUp::Phase { id, phase: ReplicaPhase::Stopped | ReplicaPhase::Failed(_) } = message {
            self.state.lock().replicas.remove(id);
        }
    }

    /// Which addresses a host may have at this moment.
    pub(super) fn allow_at(&self, host: &str, port: u16, now: Instant) -> Option<Reach> {
        if self.store.as_ref().is_some_and(|(store, at)| store.eq_ignore_ascii_case(host) && *at == port) {
            return Some(Reach::Any);
        }
        let state = self.state.lock();
        let mut running = state.replicas.values().filter(|replica| replica.ends.is_none_or(|ends| now < ends));
        running.find_map(|replica| replica.grants.allow(host, port))
    }
}

impl State {
    fn grant(&mut self, spec: &ReplicaSpec) {
        // A replica whose grants cannot be read does not start.
        let grants = OutboundGrants::parse(&spec.grants.outbound).unwrap_or_default();
        match spec.grants.outbound.is_empty() {
            true => self.replicas.remove(&spec.id),
            false => self.replicas.insert(spec.id.clone(), Replica { grants, ends: None }),
        };
    }
}

impl Permit for Granted {
    fn admits(&self, process: u32) -> bool {
        self.state.lock().process == Some(process)
    }

    fn allow(&self, host: &str, port: u16) -> Option<Reach> {
        self.allow_at(host, port, Instant::now())
    }
}
