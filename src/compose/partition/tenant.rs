use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use api::{
    Address, Dialer, Digest, KeyValue, OpenArtifact, ReplicaId, Serve, WorkerName,
    replica::ReplicaSpec,
    session::{Endpoint, ForGateway, ForWorker, GatewayDown, Session, WorkerDown, WorkerUp},
};
use control_plane::Peers;
use futures::future::{BoxFuture, ready};
use runtime::Artifacts;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use transport::{Admission, Applicant, Certificate, ControlPlaneClient, Offer, RemoteDialer, machine};

use super::sharing::{Sharing, process_name};
use crate::{
    compose::{
        process::{Bound, Elsewhere},
        rules::Rules,
        supervisor::{WorkerProcess, serve_process},
    },
    config::WorkerLimitArgs,
    paths::DataDir,
};

/// What comes of the processes that waits for the loop. Beyond it, they wait.
const WAITING: usize = 1024;

/// What a process does.
pub(super) enum News {
    /// It has a session from now on.
    Joined(String, mpsc::Sender<WorkerDown>),
    /// It says this.
    Says(String, WorkerUp),
    /// It has ended; another is started in its place.
    Died(String),
}

/// The processes, one for each group of replicas of which something runs.
pub(super) struct Tenants {
    sharing: Sharing,
    name: WorkerName,
    dir: DataDir,
    limits: WorkerLimitArgs,
    threads: Option<u16>,
    artifacts: Artifacts,
    key_value: Arc<dyn KeyValue>,
    client: ControlPlaneClient,
    elsewhere: Arc<Elsewhere>,
    stop: CancellationToken,
    tasks: TaskTracker,
    running: HashMap<String, CancellationToken>,
    news: mpsc::Sender<News>,
    /// What runs in each process, and so may be asked and said by it.
    peers: Peers,
}

impl Tenants {
    pub(super) fn new(
        sharing: Sharing,
        (name, dir): (WorkerName, DataDir),
        (limits, threads, artifacts): (WorkerLimitArgs, Option<u16>, Artifacts),
        key_value: Arc<dyn KeyValue>,
        (client, elsewhere): (ControlPlaneClient, Arc<Elsewhere>),
        stop: CancellationToken,
    ) -> (Self, mpsc::Receiver<News>) {
        let (news, inbox) = mpsc::channel(WAITING);
        let (tasks, running, peers) = (TaskTracker::new(), HashMap::new(), Peers::default());
        let tenants = Self {
            sharing,
            name,
            dir,
            limits,
            threads,
            artifacts,
            key_value,
            client,
            elsewhere,
            stop,
            tasks,
            running,
            news,
            peers,
        };
        (tenants, inbox)
    }

    /// The process of a group is about to be told to run a replica.
    pub(super) fn place(&self, group: &str, spec: &ReplicaSpec) {
        self.peers.place(&self.process(group), spec);
    }

    /// The process of a group is told to stop a replica.
    pub(super) fn stop_within(&self, group: &str, id: &ReplicaId, grace: Duration) {
        self.peers.stop(&self.process(group), id, grace);
    }

    /// A replica of a group's process has ended.
    pub(super) fn ended(&self, group: &str, id: &ReplicaId) {
        self.peers.stopped(&self.process(group), id);
        self.peers.expire();
    }

    /// The images whose components have been compiled.
    pub(super) fn compiled(&self) -> BTreeSet<Digest> {
        self.artifacts.compiled().into_iter().collect()
    }

    fn process(&self, group: &str) -> WorkerName {
        WorkerName(process_name(&self.name, group).into())
    }

    /// This worker, and where its own processes find its replicas.
    fn found_at(&self) -> (WorkerName, Address) {
        let socket = self.dir.request_socket(&self.sharing.found_at(&self.name)).to_str().map(str::to_owned);
        (self.name.clone(), Address { machine: machine().to_owned(), socket, tcp: None })
    }

    /// Starts the process of a group, if it does not run.
    pub(super) fn ensure(&mut self, group: &str) {
        if self.running.contains_key(group) {
            return;
        }
        let stop = self.stop.child_token();
        self.running.insert(group.to_owned(), stop.clone());
        let name = process_name(&self.name, group);
        let bound = Bound::new(&name, &self.dir, self.elsewhere.clone(), self.artifacts.clone());
        let process = WorkerProcess::new(&bound, &name, &self.dir, &self.limits).with_threads(self.threads);
        let offer = bound.noting(self.offer(group));
        let (news, group) = (self.news.clone(), group.to_owned());
        self.tasks.spawn(async move {
            let died = || {
                // Without room, the process that is started in its place tells by what it does not run.
                let _ = news.try_send(News::Died(group.clone()));
            };
            serve_process(&WorkerName(name.into()), &process, (bound, offer), died, stop).await;
        });
    }

    /// Ends the process of a group of which nothing runs any more.
    pub(super) fn dismiss(&mut self, group: &str) {
        if let Some(stop) = self.running.remove(group) {
            stop.cancel();
            self.peers.forget(&self.process(group));
        }
    }

    /// Ends all of them, and waits for it.
    pub(super) async fn end(&mut self) {
        self.running.drain().for_each(|(_, stop)| stop.cancel());
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What a process is offered: its sessions end here, the rest is the control plane's, or the store's.
    fn offer(&self, group: &str) -> Offer {
        let (news, client, stop) = (self.news.clone(), self.client.clone(), self.stop.clone());
        let started = [self.process(group)].into();
        let rules = Rules { peers: self.peers.clone(), started, dir: self.dir.clone() };
        let (own, group) = (self.found_at(), group.to_owned());
        Offer {
            worker: Arc::new(move |session| hear(session, group.clone(), news.clone())),
            gateway: Arc::new(move |session, _| pass_on(session, &client, own.clone(), &stop)),
            rules: Arc::new(rules),
            key_value: self.key_value.clone(),
            images: Arc::new(self.artifacts.clone()),
            admission: Arc::new(Nobody),
        }
    }
}

/// Reads what a process says until its session ends.
fn hear(session: ForWorker, group: String, news: mpsc::Sender<News>) {
    let Session { tx, mut rx } = session;
    tokio::spawn(async move {
        if news.send(News::Joined(group.clone(), tx)).await.is_err() {
            return;
        }
        while let Some(message) = rx.recv().await {
            if news.send(News::Says(group.clone(), message)).await.is_err() {
                return;
            }
        }
    });
}

/// Joins the routing of a process' calls to the control plane's: each message is handed on.
fn pass_on(session: ForGateway, client: &ControlPlaneClient, own: (WorkerName, Address), stop: &CancellationToken) {
    let (stop, Session { tx: near_tx, rx: near_rx }) = (stop.child_token(), session);
    let Session { tx: far_tx, rx: far_rx } = client.gateway_session(stop.clone());
    tokio::spawn(async move {
        let _ended = stop.clone().drop_guard();
        tokio::select! {
            () = all(near_rx, far_tx, |_| {}) => {}
            () = all(far_rx, near_tx, |message| lead_home(message, &own)) => {}
            () = stop.cancelled() => {}
        }
    });
}

/// Of a worker that joined over the network the control plane tells an address alone, which its own processes cannot dial.
fn lead_home(message: &mut GatewayDown, (own, address): &(WorkerName, Address)) {
    let GatewayDown::Endpoints { endpoints, .. } = message else { return };
    for endpoint in endpoints.iter_mut().filter(|endpoint| endpoint.worker == *own) {
        endpoint.address = Some(address.clone());
    }
}

async fn all<M>(mut from: mpsc::Receiver<M>, to: mpsc::Sender<M>, change: impl Fn(&mut M)) {
    while let Some(mut message) = from.recv().await {
        change(&mut message);
        if to.send(message).await.is_err() {
            return;
        }
    }
}

/// Nobody joins a worker but the processes that it starts.
struct Nobody;

impl Admission for Nobody {
    fn join(&self, _: Applicant) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(ready(Err("a worker lets nobody join: ask the control plane".to_owned())))
    }

    fn renew(&self, _: Certificate, _: Vec<u8>) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(ready(Err("a worker gives no certificates: ask the control plane".to_owned())))
    }

    fn came(&self, _: &Certificate) {}
}

/// The way to a replica: through the socket of its process.
pub(super) struct ByProcess {
    sharing: Sharing,
    worker: WorkerName,
    dir: DataDir,
    elsewhere: RemoteDialer,
}

impl ByProcess {
    pub(super) fn new(sharing: Sharing, worker: WorkerName, dir: DataDir, elsewhere: RemoteDialer) -> Self {
        Self { sharing, worker, dir, elsewhere }
    }
}

impl Dialer for ByProcess {
    fn dial(&self, endpoint: &Endpoint) -> Arc<dyn Serve> {
        let name = process_name(&self.worker, self.sharing.group(&endpoint.replica));
        let socket = self.dir.request_socket(&name).to_str().map(str::to_owned);
        let address = Some(Address { machine: machine().to_owned(), socket, tcp: None });
        self.elsewhere.dial(&Endpoint { worker: WorkerName(name.into()), address, ..endpoint.clone() })
    }
}

#[cfg(test)]
mod tests {
    use api::ObjectKey;

    use super::*;

    #[test]
    fn processes_find_replicas_of_their_worker_at_its_socket_and_others_where_they_are() {
        let far = |worker: &str| Endpoint {
            replica: ReplicaId(ObjectKey::new("shop", "a")),
            worker: WorkerName(worker.into()),
            concurrency: 1,
            request_deadline: Duration::from_secs(1),
            address: Some(Address { tcp: Some("192.0.2.1:7500".to_owned()), ..Address::default() }),
            standby: false,
        };
        let home = Address { machine: machine().to_owned(), socket: Some("/run/w.sock".to_owned()), tcp: None };
        let mut told = GatewayDown::Endpoints {
            service: ObjectKey::new("shop", "a"),
            endpoints: vec![far("w"), far("other")],
            reason: None,
            hopeless: false,
        };
        lead_home(&mut told, &(WorkerName("w".into()), home.clone()));
        let GatewayDown::Endpoints { endpoints, .. } = told else { panic!("it is another message") };
        assert_eq!(endpoints[0].address, Some(home));
        assert_eq!(endpoints[1].address, far("other").address);
    }
}
