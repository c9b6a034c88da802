//! The shell around the scheduler: it feeds events to the state machine and carries out its actions.
//!
//! One task owns the state machine and everything that is live; it never waits for the disk, an image, or a session.
//! Around it are tasks of their own: a reader for each session, image look-ups, and the writer to the durable store.

mod actions;
mod advertised;
mod autoscaler_status;
mod autoscaler_trouble;
mod autoscalers;
mod commands;
mod denied_calls;
mod deployment;
mod environment;
mod gateways;
mod images;
mod ingress_status;
mod intake;
mod known_workers;
mod measurements;
mod network;
mod objects;
mod owned;
mod priority;
mod quotas;
mod replica_set;
mod revisions;
mod run;
mod scaling;
mod service_status;
mod sessions;
mod wishes;
mod workers;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use api::{
    Address, ConfirmAddress, ObjectKey, OverQuota, ReplicaId, Timestamp, WorkerName,
    session::{ForGateway, ForWorker, GatewayUp, WorkerUp},
};
use scheduler::{Event, GatewayId, Scheduler, Settings};
use store::Store;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Silence,
    logs::Logs,
    peers::{Peers, Seal},
    projection::Projection,
    routing::{Claims, Refused},
};

pub use commands::{CommandError, Commands};
pub(crate) use images::{NotReused, PullNews, ResolveImage, Sources};
pub(crate) use known_workers::{Expected, Known as KnownWorker, key as worker_key};
pub(crate) use measurements::KeyValueFigures;
pub use measurements::{Autoscaled, Measured, Measurements, Total};

use advertised::Advertised;
use autoscalers::Autoscalers;
use gateways::Gateways;
use images::Images;
use known_workers::KnownWorkers;
use network::Network;
use objects::Objects;
use revisions::Revisions;
use service_status::ServiceStatus;
use workers::Workers;
use writer::Writer;

/// Events that wait for the shell at most. Sessions then wait; commands are told that the scheduler is busy.
pub(crate) const QUEUE: usize = 8192;

/// Tells sessions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(u64);

impl SessionId {
    /// What the scheduler calls the gateway of a session.
    fn gateway(self) -> GatewayId {
        GatewayId(self.0)
    }
}

/// What comes into the shell's queue.
#[derive(Debug)]
pub(crate) enum Input {
    /// For the scheduler.
    Event(Event),
    /// A worker is to be forgotten. Answers whether it is: one that has a session stays.
    Forget(WorkerName, oneshot::Sender<bool>),
    /// The certificate of a worker was revoked.
    Revoked(WorkerName),
    /// An image is on its way.
    PullNews(PullNews),
    /// A revision's isolation is another one than it asks for.
    NotReused(NotReused),
    /// A quota has refused something.
    OverQuota(OverQuota),
    /// A worker session begins.
    AttachWorker(ForWorker),
    /// A worker says something.
    FromWorker(SessionId, WorkerUp),
    /// A worker was looked for where it advertises that it is. The error is for people.
    Confirmed { worker: WorkerName, address: Address, result: Result<(), String> },
    /// A worker session ended.
    WorkerGone(SessionId),
    /// A gateway session begins: of a gateway, or of a worker that routes what its guests call.
    AttachGateway(ForGateway, Option<WorkerName>),
    /// A gateway says something.
    FromGateway(SessionId, GatewayUp),
    /// A gateway session ended.
    GatewayGone(SessionId),
    /// One of these out of a session, with its seat among those of the session that wait.
    Seated(Box<Input>, OwnedSemaphorePermit),
}

/// What the shell works with.
pub(crate) struct Handles {
    /// Where intent is kept.
    pub(crate) store: Arc<dyn Store>,
    /// Where what is live is shown.
    pub(crate) projection: Projection,
    pub(crate) logs: Logs,
    pub(crate) measurements: Measurements,
    /// What each worker may ask and say.
    pub(crate) peers: Peers,
    pub(crate) images: Arc<dyn ResolveImage>,
    /// Makes decisions that are left to chance the same in each run with the same seed.
    pub(crate) seed: u64,
    pub(crate) silence: Silence,
    /// Finds out whether workers are where they advertise that they are; `None`: it is believed.
    pub(crate) confirm: Option<Arc<dyn ConfirmAddress>>,
    /// Where a gateway of this process takes requests for Ingresses.
    pub(crate) ingress: Option<SocketAddr>,
    /// The workers that may come.
    pub(crate) expected: Expected,
}

/// The task that owns everything live.
pub(crate) struct Shell {
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    projection: Projection,
    logs: Logs,
    measurements: Measurements,
    peers: Peers,
    /// Known once the store is read.
    seal: Option<Seal>,
    images: Images,
    inbox: mpsc::Receiver<Input>,
    /// For the tasks that report to the shell.
    inputs: mpsc::Sender<Input>,
    objects: Objects,
    /// uid and generation that the scheduler has been told, so that a status written is no news.
    told: BTreeMap<(&'static str, ObjectKey), (String, u64)>,
    revisions: Revisions,
    /// The revision of each replica that is published.
    replicas: BTreeMap<ReplicaId, ObjectKey>,
    autoscalers: Autoscalers,
    network: Network,
    /// Which Ingress has which hosts and paths.
    claims: Claims,
    /// What Ingresses do not get, as was said of them last.
    refused: BTreeMap<ObjectKey, BTreeSet<Refused>>,
    workers: Workers,
    advertised: Advertised,
    gateways: Gateways,
    expected: Expected,
    known_workers: KnownWorkers,
    listeners: BTreeMap<ObjectKey, ServiceStatus>,
    /// What Ingresses show as their address.
    ingress: Option<SocketAddr>,
    writer: Writer,
    /// Events that came of carrying out actions.
    follow_ups: VecDeque<Event>,
    wake_at: Option<Timestamp>,
    /// When it is written down what is placed where; `None`: nothing has changed.
    note_at: Option<Instant>,
    next_session: u64,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// The way into a shell: its queue, before it runs.
pub(crate) fn queue() -> (mpsc::Sender<Input>, mpsc::Receiver<Input>) {
    mpsc::channel(QUEUE)
}

impl Shell {
    pub(crate) fn new(
        handles: Handles,
        (inputs, inbox): (mpsc::Sender<Input>, mpsc::Receiver<Input>),
        shutdown: CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        Self {
            scheduler: Scheduler::new(handles.seed, settings(handles.silence)),
            store: handles.store,
            projection: handles.projection,
            logs: handles.logs,
            measurements: handles.measurements,
            peers: handles.peers,
            seal: None,
            images: Images::new(handles.images, inputs.clone(), (tasks.clone(), shutdown.clone())),
            inbox,
            inputs,
            objects: Objects::default(),
            told: BTreeMap::new(),
            revisions: Revisions::default(),
            replicas: BTreeMap::new(),
            autoscalers: Autoscalers::default(),
            network: Network::default(),
            claims: Claims::default(),
            refused: BTreeMap::new(),
            workers: Workers::default(),
            advertised: Advertised::new(handles.confirm),
            gateways: Gateways::default(),
            expected: handles.expected,
            known_workers: KnownWorkers::default(),
            listeners: BTreeMap::new(),
            ingress: handles.ingress,
            writer: Writer::default(),
            follow_ups: VecDeque::new(),
            wake_at: None,
            note_at: None,
            next_session: 0,
            tasks,
            shutdown,
        }
    }
}

fn settings(silence: Silence) -> Settings {
    let Silence { not_ready_after, lost_after } = silence;
    Settings { not_ready_after, lost_after, ..Settings::default() }
}
