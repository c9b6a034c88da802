use std::{
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    Address, Digest, ObjectKey, OpenArtifact, ReplicaId, Timestamp, WorkerName,
    outbound::Reach,
    replica::{Failure, FailureReason, Grants, Limits, Probes, ReplicaPhase, ReplicaSpec, Reserves},
    session::{
        Capacity, Endpoint, ForWorker, GatewayDown, GatewaySide, RunningReplica, WorkerDown, WorkerHello, WorkerSide,
        WorkerUp, in_process,
    },
};
use futures::future::BoxFuture;
use tokio::{runtime::Handle, time::timeout};
use transport::{Permit, RemoteDialer, RequestLimits};

use super::{Elsewhere, Granted, Told, routed, watched};
use crate::paths::DataDirArgs;

/// Long enough for a slow machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// What may be in flight when a replica is stopped.
const GRACE: Duration = Duration::from_secs(3600);

/// Of the namespace of the replicas.
const GUESTS: Option<&str> = Some("shop");

fn id(name: &str) -> ReplicaId {
    ReplicaId(ObjectKey::new("shop", name))
}

fn spec(name: &str, outbound: &str) -> ReplicaSpec {
    ReplicaSpec {
        id: id(name),
        revision: "probe-1".to_owned(),
        created: Timestamp::default(),
        image: "probe:test".to_owned(),
        digest: Digest::from_sha256([0; 32]),
        environment: Default::default(),
        grants: Grants { outbound: vec![outbound.to_owned()], key_value: Vec::new() },
        limits: Limits::default(),
        reserves: Reserves::default(),
        probes: Probes::default(),
        seal: Vec::new(),
    }
}

fn start(name: &str, outbound: &str) -> WorkerDown {
    WorkerDown::Start(Arc::new(spec(name, outbound)))
}

fn stop(name: &str) -> WorkerDown {
    WorkerDown::Stop { id: id(name), grace: GRACE }
}

fn phase(name: &str, phase: ReplicaPhase) -> WorkerUp {
    WorkerUp::Phase { id: id(name), phase }
}

fn hello(running: &[(&str, &str)]) -> WorkerUp {
    let running = running
        .iter()
        .map(|(name, outbound)| RunningReplica { spec: spec(name, outbound), phase: ReplicaPhase::Ready });
    WorkerUp::Hello(WorkerHello {
        name: WorkerName("w".into()),
        capacity: Capacity { cpu_millis: 0, memory_bytes: 0, replicas: 0 },
        labels: Default::default(),
        taints: Vec::new(),
        address: None,
        running: running.collect(),
        cached: Vec::new(),
    })
}

/// Where nothing is compiled yet.
struct NothingCompiled;

impl OpenArtifact for NothingCompiled {
    fn open_artifact(&self, _: &str, _: &str, _: &Digest) -> BoxFuture<'static, Result<File, Failure>> {
        unreachable!("nobody asks")
    }
}

/// Both ends of a session that is watched.
struct Watched {
    worker: WorkerSide,
    control_plane: ForWorker,
}

impl Watched {
    fn begin(granted: &Arc<Granted>) -> Self {
        let (worker, watched_side) = in_process();
        let granted = granted.clone();
        Self { worker, control_plane: watched(watched_side, granted, Arc::new(NothingCompiled)) }
    }

    /// Sends, and waits until it is there: what is to be noted of it has been.
    async fn tell(&mut self, message: WorkerDown) {
        self.control_plane.tx.send(message).await.unwrap();
        timeout(PATIENCE, self.worker.rx.recv()).await.expect("it comes").unwrap();
    }

    /// The same, in the other direction.
    async fn say(&mut self, message: WorkerUp) {
        self.worker.tx.send(message).await.unwrap();
        timeout(PATIENCE, self.control_plane.rx.recv()).await.expect("it comes").unwrap();
    }
}

#[tokio::test]
async fn a_process_is_lent_what_was_compiled_of_what_runs_in_it_alone_and_says_nothing_of_the_rest() {
    let granted = Arc::new(Granted::default());
    let mut session = Watched::begin(&granted);
    let WorkerUp::Hello(lies) = hello(&[("a", "a.example")]) else { panic!("it says hello") };
    let lies = WorkerHello { cached: vec![Digest::from_sha256([7; 32])], ..lies };
    session.worker.tx.send(WorkerUp::Hello(lies)).await.unwrap();
    match timeout(PATIENCE, session.control_plane.rx.recv()).await.expect("it comes").unwrap() {
        WorkerUp::Hello(hello) => assert!(hello.cached.is_empty(), "{:?}", hello.cached),
        other => panic!("{other:?}"),
    }
    let digest = Digest::from_sha256([0; 32]);
    assert_eq!(granted.image("shop", &digest), None, "that it runs there it says itself");
    session.tell(start("a", "a.example")).await;
    assert_eq!(granted.image("shop", &digest).as_deref(), Some("probe:test"));
    assert_eq!(granted.image("shop", &Digest::from_sha256([1; 32])), None);
    assert_eq!(granted.image("other", &digest), None, "it is not for a namespace that runs none of it");
    session.say(phase("a", ReplicaPhase::Stopped)).await;
    assert!(granted.image("shop", &digest).is_none() && granted.images().is_empty());
}

#[tokio::test]
async fn what_runs_is_granted_until_it_has_stopped_or_failed() {
    let granted = Arc::new(Granted::default());
    let mut session = Watched::begin(&granted);
    session.say(hello(&[])).await;
    assert_eq!(granted.allow(GUESTS, "a.example", 443), None);
    session.tell(start("a", "a.example:443")).await;
    session.tell(WorkerDown::Standby(Arc::new(spec("b", "10.0.0.1")))).await;
    assert_eq!(granted.allow(GUESTS, "a.example", 443), Some(Reach::Public));
    assert_eq!(granted.allow(GUESTS, "10.0.0.1", 80), Some(Reach::Any));
    for others in [Some("ops"), None] {
        assert_eq!(granted.allow(others, "a.example", 443), None, "of {others:?}");
    }
    assert_eq!((granted.allow(GUESTS, "a.example", 80), granted.allow(GUESTS, "b.example", 443)), (None, None));
    session.say(phase("a", ReplicaPhase::Ready)).await;
    session.tell(stop("a")).await;
    assert_eq!(granted.allow(GUESTS, "a.example", 443), Some(Reach::Public), "it has its grace");
    session.say(phase("a", ReplicaPhase::Stopped)).await;
    assert_eq!(granted.allow(GUESTS, "a.example", 443), None);
    let failure = Failure { reason: FailureReason::Error, message: "trapped".to_owned() };
    session.say(phase("b", ReplicaPhase::Failed(failure))).await;
    assert_eq!(granted.allow(GUESTS, "10.0.0.1", 80), None);
    session.tell(start("b", "10.0.0.1")).await;
    assert_eq!(granted.allow(GUESTS, "10.0.0.1", 80), Some(Reach::Any), "it was started again");
}

#[tokio::test]
async fn who_never_says_that_it_stopped_has_its_grace_and_no_more() {
    let granted = Granted::default();
    let (session, now) = (granted.joined(&[]), Instant::now());
    granted.told(session, &start("a", "a.example"), now);
    granted.told(session, &stop("a"), now);
    // Another order to stop gives it no more.
    granted.told(session, &stop("a"), now + GRACE / 2);
    assert!(granted.allow_at("shop", "a.example", 80, now + GRACE / 2).is_some());
    assert_eq!(granted.allow_at("shop", "a.example", 80, now + GRACE), None);
}

#[tokio::test]
async fn a_worker_grants_itself_nothing() {
    let granted = Arc::new(Granted::default());
    let mut first = Watched::begin(&granted);
    first.say(hello(&[("own", "evil.example")])).await;
    first.tell(start("a", "a.example")).await;
    first.tell(start("b", "b.example")).await;
    assert_eq!(granted.allow(GUESTS, "evil.example", 443), None);
    // Another session tells what still runs, as it was told before.
    let mut second = Watched::begin(&granted);
    second.say(hello(&[("b", "evil.example")])).await;
    let allowed = |host| granted.allow(GUESTS, host, 443).is_some();
    assert_eq!([allowed("a.example"), allowed("b.example"), allowed("evil.example")], [false, true, false]);
    // What an earlier session still held does not arrive.
    first.tell(start("a", "a.example")).await;
    assert!(!allowed("a.example"));
    second.tell(start("a", "a.example")).await;
    assert!(allowed("a.example"));
}

#[test]
fn another_process_has_nothing_of_what_the_one_before_had() {
    let granted = Granted::default();
    granted.told(granted.joined(&[]), &start("a", "a.example"), Instant::now());
    assert!(granted.allow(GUESTS, "a.example", 443).is_some());
    granted.began();
    assert!(granted.allow(GUESTS, "a.example", 443).is_none());
}

#[tokio::test]
async fn a_process_is_led_to_workers_that_it_was_told_of_and_to_no_other_socket() {
    let told = Arc::<Told>::default();
    let (process, session) = in_process();
    let dir = DataDirArgs { data_dir: Some("/data".into()) }.resolve().unwrap();
    let far = RemoteDialer::new(RequestLimits::default(), None, Handle::current());
    let control_plane = routed(session, told.clone(), Elsewhere::new("w", &dir, far));
    let mut process: GatewaySide = process;
    let endpoint = |worker: &str, socket: &str| Endpoint {
        replica: id("a"),
        worker: WorkerName(worker.into()),
        concurrency: 1,
        request_deadline: GRACE,
        address: Some(Address { machine: String::new(), socket: Some(socket.to_owned()), tcp: None }),
        standby: false,
    };
    let endpoints = |endpoints: Vec<Endpoint>| GatewayDown::Endpoints {
        service: ObjectKey::new("shop", "a"),
        endpoints,
        reason: None,
        hopeless: false,
    };
    control_plane.tx.send(endpoints(vec![endpoint("w", "/run/w.sock")])).await.unwrap();
    timeout(PATIENCE, process.rx.recv()).await.expect("it comes").unwrap();
    let leads = |worker: &str, socket: &str| told.leads_to(&WorkerName(worker.into()), socket);
    assert!(leads("w", "/run/w.sock"));
    assert!(!leads("w", "/run/docker.sock") && !leads("docker", "/run/w.sock"));
    control_plane.tx.send(endpoints(Vec::new())).await.unwrap();
    timeout(PATIENCE, process.rx.recv()).await.expect("it comes").unwrap();
    assert!(!leads("w", "/run/w.sock"));
}
