//! What a test plays: the images, a worker that does as it is told, a gateway that keeps what it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use api::{
    Digest, ObjectKey, ReplicaId, WorkerName,
    replica::{ReplicaPhase, ReplicaSpec},
    session::{
        Capacity, Endpoint, GatewayDown, GatewaySide, RunningReplica, ServiceRoute, WorkerDown, WorkerHello,
        WorkerSide, WorkerUp, in_process,
    },
};
use bytes::Bytes;
use kube_api::{identity::now, kind::Kind};
use parking_lot::Mutex;
use registry_client::Request;
use serde_json::Value;
use store::{MemoryStore, Op, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Commands, Measurements, Peers,
    logs::Logs,
    projection::Projection,
    shell::{Expected, Handles, Input, ResolveImage, Shell, queue},
    testing::digest,
};

pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// Where the gateway beside the control plane is.
const INGRESS_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until a condition holds, and answers what it found.
pub(super) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("this did not happen in time: {what}"))
}

struct Images;

impl ResolveImage for Images {
    fn resolve(&self, request: &Request, _: &CancellationToken) -> Result<Digest, String> {
        let reference = &request.reference;
        if reference.contains("missing") { Err(format!("image {reference} not found")) } else { Ok(digest()) }
    }

    fn answers_once(&self, _: &Digest) -> Option<String> {
        None
    }
}

/// A control plane without its API, and what it is connected to.
pub(super) struct Cluster {
    pub(super) store: MemoryStore,
    pub(super) live: MemoryStore,
    pub(super) commands: Commands,
    pub(super) logs: Logs,
    pub(super) measurements: Measurements,
    pub(super) peers: Peers,
    inputs: tokio::sync::mpsc::Sender<Input>,
    shutdown: CancellationToken,
    shell: JoinHandle<()>,
}

impl Cluster {
    pub(super) fn start() -> Self {
        Self::over(MemoryStore::new(now()))
    }

    /// Starts over what an earlier one has stored.
    pub(super) fn over(store: MemoryStore) -> Self {
        Self::expecting(Expected { others: true, ..Expected::default() }, store)
    }

    /// The same, where these workers may come.
    pub(super) fn expecting(expected: Expected, store: MemoryStore) -> Self {
        let live = MemoryStore::new(now());
        let (inputs, inbox) = queue();
        let (logs, measurements, peers) = (Logs::default(), Measurements::default(), Peers::default());
        let shutdown = CancellationToken::new();
        let handles = Handles {
            store: Arc::new(store.clone()),
            projection: Projection::new(live.clone()),
            logs: logs.clone(),
            measurements: measurements.clone(),
            peers: peers.clone(),
            images: Arc::new(Images),
            seed: 1,
            silence: crate::Silence::IN_PROCESS,
            confirm: None,
            ingress: Some(INGRESS_ADDRESS),
            expected,
        };
        let shell = Shell::new(handles, (inputs.clone(), inbox), shutdown.clone());
        let shell = tokio::spawn(async move { shell.run(|| {}).await.expect("the store can be read") });
        let commands = Commands::new(inputs.clone());
        Self { store, live, commands, logs, measurements, peers, inputs, shutdown, shell }
    }

    /// Ends it, and answers what it has stored.
    pub(super) async fn stop(self) -> MemoryStore {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.shell).await.expect("it ends").expect("it ends well");
        self.store
    }

    /// Ends it in the middle of what it does, and answers what it has stored.
    pub(super) async fn kill(self) -> MemoryStore {
        self.shell.abort();
        assert!(self.shell.await.expect_err("it was in the middle").is_cancelled());
        self.store
    }

    pub(super) async fn put(&self, kind: Kind, object: &Value) {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().unwrap();
        let key = match metadata["namespace"].as_str() {
            Some(namespace) => kind.key(&ObjectKey::new(namespace, name)),
            None => kind.cluster_key(name),
        };
        self.store.txn(Vec::new(), vec![Op::Put(key, Bytes::from(object.to_string()))]).await.unwrap();
    }

    pub(super) async fn delete(&self, kind: Kind, name: &str) {
        let key = kind.key(&ObjectKey::new("default", name));
        self.store.txn(Vec::new(), vec![Op::Delete(key)]).await.unwrap();
    }

    pub(super) async fn get(&self, kind: Kind, name: &str) -> Option<Value> {
        let held = self.store.get(&kind.key(&ObjectKey::new("default", name))).await.unwrap()?;
        Some(serde_json::from_slice(&held.value).unwrap())
    }

    /// All objects of a kind that is kept in `store`.
    pub(super) async fn all(&self, store: &MemoryStore, kind: Kind) -> Vec<Value> {
        let page = store.list(&kind.prefix(), usize::MAX, None).await.unwrap();
        page.items.iter().map(|item| serde_json::from_slice(&item.value).unwrap()).collect()
    }

    /// A worker that starts and stops what it is told to.
    pub(super) fn worker(&self, name: &str, running: Vec<RunningReplica>) -> Worker {
        let (side, ours) = in_process();
        self.inputs.try_send(Input::AttachWorker(ours)).unwrap();
        Worker::start(side, name, running)
    }

    /// A worker session that the test plays itself.
    pub(super) fn worker_session(&self) -> WorkerSide {
        let (side, ours) = in_process();
        self.inputs.try_send(Input::AttachWorker(ours)).unwrap();
        side
    }

    /// The session in which a worker routes what its guests call, which the test plays itself.
    pub(super) fn router(&self, worker: &str) -> GatewaySide {
        let (side, ours) = in_process();
        self.inputs.try_send(Input::AttachGateway(ours, Some(WorkerName(worker.into())))).unwrap();
        side
    }

    pub(super) fn gateway(&self) -> Gateway {
        let (side, ours) = in_process();
        self.inputs.try_send(Input::AttachGateway(ours, None)).unwrap();
        Gateway { side, routes: BTreeMap::new(), endpoints: BTreeMap::new() }
    }
}

/// What a worker says first.
pub(super) fn hello(name: &str, running: Vec<RunningReplica>) -> WorkerUp {
    WorkerUp::Hello(WorkerHello {
        name: WorkerName(name.into()),
        capacity: Capacity { cpu_millis: 64_000, memory_bytes: 64 << 30, replicas: 1000 },
        labels: BTreeMap::new(),
        taints: Vec::new(),
        address: None,
        running,
        cached: Vec::new(),
    })
}

/// What a worker has been told.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) started: Vec<Arc<ReplicaSpec>>,
    pub(super) standing_by: Vec<Arc<ReplicaSpec>>,
    pub(super) stopped: Vec<ReplicaId>,
}

pub(super) struct Worker {
    pub(super) heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

impl Worker {
    fn start(mut side: WorkerSide, name: &str, running: Vec<RunningReplica>) -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (noted, hello) = (heard.clone(), hello(name, running));
        let task = tokio::spawn(async move {
            side.tx.send(hello).await.unwrap();
            while let Some(message) = side.rx.recv().await {
                let (id, phases) = match message {
                    WorkerDown::Start(spec) => {
                        let id = spec.id.clone();
                        noted.lock().started.push(spec);
                        (id, [ReplicaPhase::Starting, ReplicaPhase::Ready])
                    }
                    WorkerDown::Standby(spec) => {
                        let id = spec.id.clone();
                        noted.lock().standing_by.push(spec);
                        (id, [ReplicaPhase::Starting, ReplicaPhase::Standby])
                    }
                    WorkerDown::Stop { id, .. } => {
                        noted.lock().stopped.push(id.clone());
                        (id, [ReplicaPhase::Draining, ReplicaPhase::Stopped])
                    }
                };
                for phase in phases {
                    if side.tx.send(WorkerUp::Phase { id: id.clone(), phase }).await.is_err() {
                        return;
                    }
                }
            }
        });
        Self { heard, task }
    }

    /// What it would say that it runs.
    pub(super) fn running(&self) -> Vec<RunningReplica> {
        let heard = self.heard.lock();
        let runs = heard.started.iter().filter(|spec| !heard.stopped.contains(&spec.id));
        runs.map(|spec| RunningReplica { spec: (**spec).clone(), phase: ReplicaPhase::Ready }).collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A gateway as far as a test needs one: it keeps the newest of everything.
pub(super) struct Gateway {
    pub(super) side: GatewaySide,
    pub(super) routes: BTreeMap<ObjectKey, ServiceRoute>,
    pub(super) endpoints: BTreeMap<ObjectKey, (Vec<Endpoint>, Option<String>)>,
}

impl Gateway {
    /// Takes what has arrived.
    pub(super) fn take(&mut self) {
        while let Ok(message) = self.side.rx.try_recv() {
            match message {
                GatewayDown::Routes(routes) => {
                    self.routes = routes.services.iter().map(|route| (route.key.clone(), route.clone())).collect();
                }
                GatewayDown::Service(route) => drop(self.routes.insert(route.key.clone(), route)),
                GatewayDown::ServiceGone(key) => drop(self.routes.remove(&key)),
                GatewayDown::Ingress(_) | GatewayDown::Leaving(_) => {}
                GatewayDown::Endpoints { service, endpoints, reason, .. } => {
                    self.endpoints.insert(service, (endpoints, reason));
                }
            }
        }
    }

    /// The replicas that are endpoints of a Service, and why there are none.
    pub(super) fn of(&mut self, service: &str) -> (BTreeSet<ReplicaId>, String) {
        self.take();
        let known = self.endpoints.get(&ObjectKey::new("default", service)).cloned();
        let (endpoints, reason) = known.unwrap_or_default();
        (endpoints.into_iter().map(|endpoint| endpoint.replica).collect(), reason.unwrap_or_default())
    }

    /// Waits until a Service has so many endpoints.
    pub(super) async fn has(&mut self, service: &str, count: usize) -> BTreeSet<ReplicaId> {
        eventually(&format!("{service} has {count} endpoints"), async || {
            let (endpoints, _) = self.of(service);
            (endpoints.len() == count).then_some(endpoints)
        })
        .await
    }

    /// Waits until a Service has none, for a reason that says this.
    pub(super) async fn lacks(&mut self, service: &str, why: &str) {
        eventually(&format!("{service} has no endpoint because: {why}"), async || {
            let (endpoints, reason) = self.of(service);
            (endpoints.is_empty() && reason.contains(why)).then_some(())
        })
        .await;
    }
}
