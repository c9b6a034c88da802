//! The worker role: it follows a session, and each replica that it is told to run has a life of its own.

mod config;
mod life;
mod log_batch;
mod machine;
mod room;
mod session;
mod standby;
mod starts;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use api::{
    ClusterHttp, Digest, FetchImage, KeyValue, OpenArtifact, ReplicaId,
    outbound::Connect,
    replica::{ReplicaPhase, ReplicaSpec},
};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Replicas, WorkerError,
    compile::Components,
    log::{LOG_QUEUE, Waiting},
    replica::{Host, Replica},
};

pub use config::WorkerConfig;
use room::Room;
use starts::Starts;

/// Reports of replicas that wait for the worker's loop. Beyond it, they wait.
const REPORT_QUEUE: usize = 1024;

/// What guests reach through other roles.
#[derive(Clone)]
pub struct Handles {
    /// The store behind `wasi:keyvalue`.
    pub key_value: Arc<dyn KeyValue>,
    /// The way to Services of the cluster.
    pub cluster_http: Arc<dyn ClusterHttp>,
    /// Where the compiled components of images come from.
    pub artifacts: Arc<dyn OpenArtifact>,
    /// Where images come from, for what is to be known of them beside their code.
    pub images: Arc<dyn FetchImage>,
    /// What makes connections to hosts outside that guests are granted.
    pub connect: Arc<dyn Connect>,
}

/// How a worker is told to end.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Its replicas are to be moved elsewhere; it ends when it runs none.
    pub leave: CancellationToken,
    /// It drains what it runs, and ends.
    pub now: CancellationToken,
}

/// Why a worker follows a session no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The session has ended: the replicas run on.
    Session,
    /// The worker has ended, as it was told.
    Worker,
}

/// The worker role.
pub struct Worker {
    config: WorkerConfig,
    ground: Arc<Ground>,
    running: HashMap<ReplicaId, Running>,
    reports: mpsc::Receiver<Report>,
    log: mpsc::Receiver<Waiting>,
    lives: TaskTracker,
    /// When it was last said which images are used. A start says it too.
    images_told: Instant,
}

/// What the lives of replicas stand on.
struct Ground {
    host: Arc<Host>,
    components: Components,
    handles: Handles,
    replicas: Replicas,
    room: Arc<Room>,
    /// Images of which this session's control plane knows that they are compiled here.
    told_cached: Mutex<HashSet<Digest>>,
    /// Components that were instantiated here with the memory that they had for it, and what an instance took of that, in bytes.
    proven: Mutex<HashMap<(Digest, u64), u64>>,
    starts: Arc<Starts>,
    reports: mpsc::Sender<Report>,
    log: mpsc::Sender<Waiting>,
}

/// A replica as the worker's loop knows it.
struct Running {
    spec: Arc<ReplicaSpec>,
    phase: ReplicaPhase,
    /// CPU time that the control plane has been told of.
    told_used: Duration,
    /// Requests at the same time that the control plane has been told of, if it was another number than the concurrency.
    told_slots: Option<u32>,
    /// Taken when it was told to stop.
    stop: Option<oneshot::Sender<Duration>>,
}

/// What a replica's life tells the loop.
enum Report {
    Phase(ReplicaId, ReplicaPhase),
    Slots(ReplicaId, u32),
    Cached(Digest),
}

impl Ground {
    /// Links a replica's component where memory is kept, if that has turned out to be worth it.
    fn keep(self: &Arc<Self>, replica: &Replica) {
        let component = replica.component.clone();
        if component.keeping.is_wanted() {
            let (ground, spec) = (self.clone(), replica.spec.clone());
            tokio::spawn(async move { ground.components.keep(&spec, &component).await });
        }
    }
}

impl Worker {
    /// A worker that runs nothing yet. Its threads start now; they end when it is dropped.
    pub fn new(config: WorkerConfig, replicas: Replicas, handles: Handles) -> Result<Self, WorkerError> {
        let host = Arc::new(Host::new(&config, handles.connect.clone())?);
        let components = Components::new(&config, &host.engine, handles.artifacts.clone(), handles.images.clone())?;
        let (reports_in, reports) = mpsc::channel(REPORT_QUEUE);
        let (log_in, log) = mpsc::channel(LOG_QUEUE);
        let ground = Arc::new(Ground {
            host,
            components,
            handles,
            replicas,
            room: Room::new(config.capacity),
            told_cached: Mutex::default(),
            proven: Mutex::default(),
            starts: Arc::default(),
            reports: reports_in,
            log: log_in,
        });
        Ok(Self {
            config,
            ground,
            running: HashMap::new(),
            reports,
            log,
            lives: TaskTracker::new(),
            images_told: Instant::now(),
        })
    }
}
