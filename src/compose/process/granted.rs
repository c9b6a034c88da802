use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use api::{
    Digest, ReplicaId,
    outbound::{OutboundGrants, Reach},
    replica::{ReplicaPhase, ReplicaSpec},
    session::{RunningReplica, WorkerDown, WorkerUp},
};
use parking_lot::Mutex;
use transport::Permit;

/// What runs in a worker's process, and with it which hosts that process may be connected to, and of which images it is given what was
/// compiled. What the process says of itself takes grants away, and never adds one.
#[derive(Default)]
pub(in crate::compose) struct Granted {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which session of the process is the last one.
    session: u64,
    replicas: HashMap<ReplicaId, Replica>,
}

struct Replica {
    outbound: OutboundGrants,
    digest: Digest,
    /// What users call the image.
    image: String,
    /// When what it was doing must have ended; `None`: it has not been told to stop.
    ends: Option<Instant>,
}

impl Granted {
    /// Another process begins, in which nothing runs yet.
    pub(in crate::compose) fn began(&self) {
        self.state.lock().replicas.clear();
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

    /// Which addresses a host may have at this moment for guests of a namespace.
    pub(super) fn allow_at(&self, guests: &str, host: &str, port: u16, now: Instant) -> Option<Reach> {
        let state = self.state.lock();
        let mut own = state.running(now).filter(|(id, _)| &*id.0.namespace == guests);
        own.find_map(|(_, replica)| replica.outbound.allow(host, port))
    }

    /// What users call the image, if a replica of the namespace in the process is of it.
    pub(super) fn image(&self, namespace: &str, digest: &Digest) -> Option<String> {
        let state = self.state.lock();
        let mut running = state.running(Instant::now());
        running
            .find(|(id, replica)| &*id.0.namespace == namespace && replica.digest == *digest)
            .map(|(_, replica)| replica.image.clone())
    }

    /// The images that replicas in the process are of.
    pub(super) fn images(&self) -> HashSet<Digest> {
        self.state.lock().running(Instant::now()).map(|(_, replica)| replica.digest.clone()).collect()
    }
}

impl State {
    fn grant(&mut self, spec: &ReplicaSpec) {
        // A replica whose grants cannot be read does not start.
        let outbound = OutboundGrants::parse(&spec.grants.outbound).unwrap_or_default();
        let (digest, image) = (spec.digest.clone(), spec.image.clone());
        self.replicas.insert(spec.id.clone(), Replica { outbound, digest, image, ends: None });
    }

    fn running(&self, now: Instant) -> impl Iterator<Item = (&ReplicaId, &Replica)> {
        self.replicas.iter().filter(move |(_, replica)| replica.ends.is_none_or(|ends| now < ends))
    }
}

impl Permit for Granted {
    /// The process itself reaches nothing: what it needs is given to it.
    fn allow(&self, guests: Option<&str>, host: &str, port: u16) -> Option<Reach> {
        self.allow_at(guests?, host, port, Instant::now())
    }
}
