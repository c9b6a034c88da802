//! A worker with its session, and what a test does with it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use api::{
    Body, Dialer, Digest, ObjectKey, ReplicaId, Serve, ServeError, Timestamp, WorkerName, empty_body,
    replica::{Grants, Limits, LogLine, Probes, ReplicaPhase, ReplicaSpec, Reserves},
    session::{self, Endpoint, ForWorker, WorkerDown, WorkerSide, WorkerUp},
};
use http::{Request, Response};
use http_body_util::BodyExt;
use registry_client::ImageStore;
use runtime::{Compile, Ending, Replicas, Worker, WorkerConfig};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::fakes;

/// Long enough for a slow machine; a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Fleet {
    pub(crate) control: ForWorker,
    pub(crate) log: Vec<LogLine>,
    pub(crate) traps: Vec<(u32, String)>,
    /// What its guests keep.
    pub(crate) store: Arc<fakes::MemoryStore>,
    images: ImageStore,
    dialer: Arc<dyn Dialer>,
    shutdown: CancellationToken,
    worker: JoinHandle<Worker>,
    _dir: tempfile::TempDir,
}

/// The bytes of a guest that `make guests` built.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/guests");
    let dir = std::env::var_os("SAMPAN_GUESTS").map_or(built, PathBuf::from);
    let path = dir.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run make guests", path.display()))
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut WorkerConfig)) -> Self {
        // Shared by all tests, so that each guest is compiled once.
        let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        Self::compiling(Compile::InThreads, &cache, configure).await
    }

    /// One whose components are compiled so, and kept in `cache`.
    pub(crate) async fn compiling(compile: Compile, cache: &Path, configure: impl FnOnce(&mut WorkerConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(dir.path().join("images")).unwrap();
        let mut config = WorkerConfig::new(WorkerName("one".into()));
        config.max_instances = 100;
        configure(&mut config);
        let (replicas, store) = (Replicas::new(), Arc::<fakes::MemoryStore>::default());
        let dialer = replicas.dialer();
        let worker = Worker::new(config, replicas, fakes::handles(&images, cache, compile, store.clone())).unwrap();
        let shutdown = CancellationToken::new();
        let (worker_side, control) = session::in_process();
        let worker = tokio::spawn(follow(worker, worker_side, shutdown.clone()));
        Self { control, log: Vec::new(), traps: Vec::new(), store, images, dialer, shutdown, worker, _dir: dir }
    }

    /// The spec of a replica of a guest, which a test then changes.
    pub(crate) fn spec(&self, name: &str, guest_name: &str) -> ReplicaSpec {
        self.spec_of(name, &format!("{guest_name}:test"), guest(guest_name))
    }

    /// The same, of a component that a test has made.
    pub(crate) fn spec_of(&self, name: &str, image: &str, component: Vec<u8>) -> ReplicaSpec {
        let image = self.images.put_component(image, component.into()).unwrap();
        ReplicaSpec {
            id: ReplicaId(ObjectKey::new("shop", name)),
            revision: "probe-1".into(),
            created: Timestamp::default(),
            image: image.reference,
            digest: image.digest,
            environment: [("GREETING".to_owned(), "ahoy".to_owned())].into(),
            grants: Grants { outbound: Vec::new(), key_value: vec!["carts".into()] },
            reserves: Reserves::default(),
            limits: Limits { request_deadline: Duration::from_secs(20), ..Limits::default() },
            probes: Probes::default(),
            seal: Vec::new(),
        }
    }

    /// Starts a replica and waits until it is ready.
    pub(crate) async fn ready(&mut self, spec: ReplicaSpec) -> Arc<dyn Serve> {
        let id = spec.id.clone();
        self.start(spec).await;
        self.wait(&id, |phase| *phase == ReplicaPhase::Ready).await;
        self.dial(&id)
    }

    /// A ready replica of the probe, with these changes to its spec.
    pub(crate) async fn probe(&mut self, change: impl FnOnce(&mut ReplicaSpec)) -> Arc<dyn Serve> {
        let mut spec = self.spec("probe-1", "probe");
        change(&mut spec);
        self.ready(spec).await
    }

    /// The file of an image's manifest, whose age says when the image was used.
    pub(crate) fn manifest(&self, image: &Digest) -> File {
        let name = image.to_string().replace(':', "/");
        File::options().write(true).open(self.images.dir().join("blobs").join(name)).unwrap()
    }

    pub(crate) async fn start(&self, spec: ReplicaSpec) {
        self.control.tx.send(WorkerDown::Start(Arc::new(spec))).await.unwrap();
    }

    pub(crate) async fn stop(&self, id: &ReplicaId, grace: Duration) {
        self.control.tx.send(WorkerDown::Stop { id: id.clone(), grace }).await.unwrap();
    }

    pub(crate) fn dial(&self, id: &ReplicaId) -> Arc<dyn Serve> {
        self.dialer.dial(&Endpoint {
            replica: id.clone(),
            worker: WorkerName("one".into()),
            concurrency: 100,
            request_deadline: Duration::from_secs(20),
            address: None,
            standby: false,
        })
    }

    /// Waits until the replica is in a phase that is wanted, and tells which.
    pub(crate) async fn wait(&mut self, id: &ReplicaId, wanted: impl Fn(&ReplicaPhase) -> bool) -> ReplicaPhase {
        loop {
            if let WorkerUp::Phase { id: of, phase } = self.next().await
                && of == *id
            {
                if wanted(&phase) {
                    return phase;
                }
                assert!(!matches!(phase, ReplicaPhase::Failed(_)), "{phase:?}");
            }
        }
    }

    /// Waits for a log line that contains this.
    pub(crate) async fn wait_for_line(&mut self, text: &str) -> LogLine {
        loop {
            if let Some(line) = self.log.iter().find(|line| line.text.contains(text)) {
                return line.clone();
            }
            self.next().await;
        }
    }

    /// Waits for a report of traps.
    pub(crate) async fn wait_for_traps(&mut self) -> (u32, String) {
        while self.traps.is_empty() {
            self.next().await;
        }
        self.traps.remove(0)
    }

    /// The next message from the worker; what others may wait for is kept.
    pub(crate) async fn next(&mut self) -> WorkerUp {
        let message = timeout(PATIENCE, self.control.rx.recv()).await.expect("no message in time").unwrap();
        match &message {
            WorkerUp::Log { lines, .. } => self.log.extend(lines.clone()),
            WorkerUp::Traps { count, last, .. } => self.traps.push((*count, last.clone())),
            _ => {}
        }
        message
    }

    /// Loses the session, as when the control plane goes away, and begins another.
    pub(crate) async fn reconnect(&mut self) {
        let (worker_side, control) = session::in_process();
        drop(std::mem::replace(&mut self.control, control));
        let lost = std::mem::replace(&mut self.worker, tokio::spawn(std::future::pending()));
        let worker = timeout(PATIENCE, lost).await.expect("the worker did not notice").unwrap();
        self.worker = tokio::spawn(follow(worker, worker_side, self.shutdown.clone()));
    }

    pub(crate) async fn shut_down(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.worker).await.expect("the worker did not end").unwrap();
    }
}

async fn follow(mut worker: Worker, session: WorkerSide, shutdown: CancellationToken) -> Worker {
    worker.run(session, &Ending { now: shutdown, ..Ending::default() }).await;
    worker
}

pub(crate) fn get(path: &str) -> Request<Body> {
    request("GET", path, empty_body())
}

pub(crate) fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(path).header("host", "probe.shop.localhost").body(body).unwrap()
}

/// The status and the text of the answer.
pub(crate) async fn ask(replica: &Arc<dyn Serve>, request: Request<Body>) -> Result<(u16, String), ServeError> {
    let response = answer(replica, request).await?;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(bytes.to_vec()).unwrap()))
}

pub(crate) async fn answer(replica: &Arc<dyn Serve>, request: Request<Body>) -> Result<Response<Body>, ServeError> {
    timeout(PATIENCE, replica.serve(request)).await.expect("no answer in time")
}

/// Asks until it is not refused for want of room.
pub(crate) async fn ask_patiently(replica: &Arc<dyn Serve>, path: &str) -> (u16, String) {
    let asking = async {
        loop {
            match ask(replica, get(path)).await {
                Err(ServeError::Refused { .. } | ServeError::Busy { .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await
                }
                answer => return answer.unwrap(),
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("refused all the time")
}
