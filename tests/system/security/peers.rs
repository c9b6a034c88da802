//! A machine that has joined with a token of its own, and then says and asks what it likes: it gains nothing but what was
//! placed on it.

use std::{
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use api::{
    Address, Bucket, Digest, FetchImage, KeyValue, ObjectKey, ReplicaId, Taint, TaintEffect, Timestamp, WorkerName,
    replica::{
        Failure, FailureReason, Grants, Limits, LogLine, LogSource, Probes, ReplicaPhase, ReplicaSpec, Reserves,
    },
    session::{
        Capacity, CpuUsage, GatewayDown, GatewayUp, RunningReplica, ServiceSample, WorkerDown, WorkerHello, WorkerSide,
        WorkerUp,
    },
};
use tokio::{
    runtime::Runtime,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use transport::{ControlPlaneClient, ControlPlaneWay, Fingerprint, Peer, RemoteImages, RemoteKeyValue, Role, machine};

use super::strangers::most_held;
use crate::{
    client::Client,
    failures::HOST,
    kubectl::{apply_probe_with, deploy_probe},
    sampan::{PATIENCE, Sampan, free_address, wait_for},
};

/// What is sure not to come has so long to come.
const QUIET: Duration = Duration::from_secs(2);

/// A flood of messages goes on for so long.
const FLOOD: Duration = Duration::from_secs(3);

/// How often the attacker says that it is alive.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// A server with one worker of its own, where others may join.
fn server(folder: &Path) -> (Sampan, String) {
    let sessions = free_address();
    (Sampan::server_with(folder, 1, &["--sessions", &sessions]), sessions)
}

/// What nobody has placed anywhere.
fn replica(id: ReplicaId) -> ReplicaSpec {
    ReplicaSpec {
        id,
        revision: String::new(),
        created: Timestamp::from_secs(1),
        image: "probe:test".to_owned(),
        digest: Digest::from_sha256([7; 32]),
        environment: Default::default(),
        grants: Grants::default(),
        limits: Limits::default(),
        reserves: Reserves::default(),
        probes: Probes::default(),
        seal: Vec::new(),
    }
}

/// The attacker: it speaks the protocol as a worker does, with a certificate of its own.
struct Attacker {
    name: &'static str,
    client: ControlPlaneClient,
    /// Where it takes requests, of which it answers none.
    found_at: String,
    stop: CancellationToken,
    runtime: Runtime,
}

impl Attacker {
    fn join(sampan: &Sampan, sessions: &str, role: Role, name: &'static str) -> Self {
        Self::join_with(sampan, sessions, role, name, &[])
    }

    /// With a token that was made with these flags.
    fn join_with(sampan: &Sampan, sessions: &str, role: Role, name: &'static str, flags: &[&str]) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let token = sampan.cli_ok(&[&["token", "create", "--role", role.as_str()], flags].concat());
        let authority: Fingerprint = token.trim().rsplit('.').next().expect("a token").parse().expect("a fingerprint");
        let peer = Peer { role, name: name.to_owned() };
        let identity = runtime.block_on(async {
            let way = ControlPlaneWay::Join { address: sessions.to_owned(), authority };
            transport::join(&ControlPlaneClient::new(way), token.trim(), &peer, None).await.expect("it may join")
        });
        let identity = Arc::new(identity);
        let stop = CancellationToken::new();
        let found_at = runtime.block_on(async {
            let own = Some(("127.0.0.1:0".parse().expect("an address"), identity.clone()));
            let listener = transport::RequestListener::bind(None, own).await.expect("a listener");
            let found_at = listener.tcp_addr().expect("an address").to_string();
            let threads = transport::ServingThreads { count: 1, start: api::start_thread };
            tokio::spawn(transport::serve_requests(listener, Arc::new(NoReplica), threads, stop.clone()));
            found_at
        });
        let way = ControlPlaneWay::Tls { address: sessions.to_owned(), identity };
        Self { name, client: ControlPlaneClient::new(way), found_at, stop, runtime }
    }

    /// What it says of itself, as one that takes so many replicas.
    fn hello(&self, replicas: u32) -> WorkerHello {
        WorkerHello {
            name: WorkerName(self.name.into()),
            capacity: Capacity { cpu_millis: 64_000, memory_bytes: 1 << 40, replicas },
            labels: Default::default(),
            taints: Vec::new(),
            address: Some(at(&self.found_at)),
            running: Vec::new(),
            cached: Vec::new(),
        }
    }

    /// A session that has begun with this.
    fn session(&self, hello: WorkerHello) -> WorkerSide {
        self.runtime.block_on(async {
            let session = self.client.worker_session(self.stop.clone());
            session.tx.send(WorkerUp::Hello(hello)).await.expect("the session is there");
            let up = session.tx.clone();
            tokio::spawn(async move {
                while up.send(WorkerUp::Heartbeat).await.is_ok() {
                    sleep(HEARTBEAT).await;
                }
            });
            session
        })
    }

    fn say(&self, session: &WorkerSide, message: WorkerUp) {
        self.runtime.block_on(session.tx.send(message)).expect("the session goes on");
    }

    /// What was said before has been heard: its Node shows a label that is said last.
    fn is_heard(&self, sampan: &Sampan, session: &WorkerSide, hello: WorkerHello) {
        let labels = [("heard".to_owned(), "yes".to_owned())].into();
        self.say(session, WorkerUp::Hello(WorkerHello { labels, ..hello }));
        wait_for("what was said is heard", || {
            let found = sampan.kubectl_ok(&["get", "nodes", "-l", "heard=yes", "-o", "name"]);
            found.contains(self.name).then_some(())
        });
    }
}

fn at(tcp: &str) -> Address {
    Address { machine: String::new(), socket: None, tcp: Some(tcp.to_owned()) }
}

fn jsonpath(sampan: &Sampan, what: &[&str], path: &str) -> String {
    let path = format!("jsonpath={path}");
    sampan.kubectl_ok(&[&["get"], what, &["-o", &path]].concat())
}

/// The first pod of the probe, its revision, and the digest of its image.
fn victim(sampan: &Sampan) -> (ReplicaId, String, Digest) {
    let first = |path: &str| jsonpath(sampan, &["pods", "-l", "app=probe"], &format!("{{.items[0]{path}}}"));
    let id = ReplicaId(ObjectKey::new("default", first(".metadata.name")));
    let image = first(".status.containerStatuses[0].imageID");
    let digest = image.rsplit('@').next().expect("an image").parse().expect("a digest");
    (id, first(".metadata.ownerReferences[0].name"), digest)
}

/// A sample of a Service that has far more requests than it can answer.
fn forged(service: ObjectKey) -> ServiceSample {
    let second = Duration::from_secs(1);
    ServiceSample {
        service,
        window: second,
        arrivals: 1_000_000,
        completed: 1_000_000,
        failed: 0,
        in_flight: 1000,
        queued: 1000,
        latency_sum: second,
        served: 1_000_000,
        service_sum: second,
        presence: second,
    }
}

#[test]
fn a_joined_worker_has_no_store_and_no_image_of_what_is_not_placed_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    deploy_probe(&sampan);
    let (_, revision, digest) = victim(&sampan);
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let (store, images) = {
        let _inside = attacker.runtime.enter();
        (RemoteKeyValue::new(&attacker.client), RemoteImages::new(&attacker.client))
    };
    let bucket = Bucket { namespace: "default".to_owned(), name: "default".to_owned() };
    let all_is_refused = || {
        attacker.runtime.block_on(async {
            let said = store.get(&bucket, vec!["visits".to_owned()]).await.expect_err("it reads").to_string();
            assert!(said.contains("may not use store `default` of namespace `default`"), "{said}");
            store.set(&bucket, vec![("visits".to_owned(), "forged".into())]).await.expect_err("it writes");
            store.list(&bucket, None, 10).await.expect_err("it lists");
            store.delete(&bucket, vec!["visits".to_owned()]).await.expect_err("it deletes");
            store.increment(&bucket, "visits".to_owned(), 1).await.expect_err("it counts");
            let said = images.fetch(digest.clone()).await.expect_err("it has the image");
            assert!(said.contains("no replica of it is placed there"), "{said}");
        });
    };
    all_is_refused();
    // As little once it says that it runs a replica of that revision.
    let running = RunningReplica {
        spec: ReplicaSpec {
            id: ReplicaId(ObjectKey::new("default", format!("{revision}-forged"))),
            revision,
            created: Timestamp::from_secs(1),
            image: "probe:test".to_owned(),
            digest: digest.clone(),
            environment: Default::default(),
            grants: Grants { outbound: Vec::new(), key_value: vec!["default".to_owned()] },
            limits: Limits::default(),
            reserves: Reserves::default(),
            probes: Probes::default(),
            seal: vec![0; 32],
        },
        phase: ReplicaPhase::Ready,
    };
    let hello = attacker.hello(0);
    let mut session = attacker.session(WorkerHello { running: vec![running], ..hello.clone() });
    attacker.runtime.block_on(async {
        match timeout(PATIENCE, session.rx.recv()).await.expect("an answer").expect("the session goes on") {
            WorkerDown::Stop { id, .. } => assert!(id.0.name.ends_with("-forged"), "{id}"),
            other => panic!("{other:?}"),
        }
    });
    all_is_refused();
    assert!(!sampan.kubectl_ok(&["get", "pods"]).contains("-forged"));
    // The guests of the server's own worker have their store.
    assert_eq!(Client::new(&sampan.http, Some(HOST)).put_text("/kv/default/visits", "1").status, 200);
}

#[test]
fn a_joined_worker_says_nothing_of_replicas_of_others_and_has_no_rights_of_the_administrators() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    deploy_probe(&sampan);
    let (id, ..) = victim(&sampan);
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let taint = |key: &str| Taint { key: key.to_owned(), value: String::new(), effect: TaintEffect::NoSchedule };
    let hello = WorkerHello { taints: vec![taint("own"), taint("sampan.dev/own")], ..attacker.hello(0) };
    let own = [("zone", "a"), ("topology.kubernetes.io/zone", "a")];
    let reserved = [("sampan.dev/tier", "gold"), ("node-restriction.kubernetes.io/tier", "gold")];
    let labels = own.into_iter().chain(reserved).map(|(key, value)| (key.into(), value.into())).collect();
    let session = attacker.session(WorkerHello { labels, ..hello.clone() });
    wait_for("the label of its own is there", || {
        sampan.kubectl_ok(&["get", "nodes", "-l", "zone=a", "-o", "name"]).contains("mallory").then_some(())
    });
    assert!(
        sampan.kubectl_ok(&["get", "nodes", "-l", "topology.kubernetes.io/zone=a", "-o", "name"]).contains("mallory")
    );
    for (label, _) in reserved {
        assert_eq!(sampan.kubectl_ok(&["get", "nodes", "-l", label, "-o", "name"]), "", "{label}");
    }
    wait_for("it has the taint of its own alone", || {
        (jsonpath(&sampan, &["node", "mallory"], "{.spec.taints[*].key}") == "own").then_some(())
    });
    let line = LogLine { at: Timestamp::from_secs(1), source: LogSource::Stdout, text: "a forged line".to_owned() };
    let failure = Failure { reason: FailureReason::Error, message: "forged".to_owned() };
    for message in [
        WorkerUp::Log { id: id.clone(), lines: vec![line] },
        WorkerUp::Phase { id: id.clone(), phase: ReplicaPhase::Failed(failure) },
        WorkerUp::Phase { id: id.clone(), phase: ReplicaPhase::Stopped },
        WorkerUp::Slots { id: id.clone(), slots: 1 },
        WorkerUp::Traps { id: id.clone(), count: 7, last: "forged".to_owned() },
        WorkerUp::Usage(vec![CpuUsage { id: id.clone(), used: Duration::from_secs(99) }]),
    ] {
        attacker.say(&session, message);
    }
    attacker.is_heard(&sampan, &session, hello);
    assert!(!sampan.kubectl_ok(&["logs", &id.0.name]).contains("forged"));
    assert!(!sampan.kubectl_ok(&["get", "events"]).contains("forged"));
    assert_eq!(jsonpath(&sampan, &["pod", &id.0.name], "{.status.containerStatuses[0].restartCount}"), "0");
    let warnings = sampan.output().lines().filter(|line| line.contains("mallory") && line.contains("refused")).count();
    assert!(warnings <= 2, "each worker is warned of in few lines:\n{}", sampan.output());
}

#[test]
fn a_worker_has_no_more_than_its_token_allows_and_the_labels_that_it_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let limits = ["--max-cpu", "2", "--max-memory", "1Gi", "--max-replicas", "5"];
    let given = ["--label", "sampan.dev/tier=edge", "--taint", "sampan.dev/edge=yes:NoSchedule"];
    let flags = [&limits[..], &given].concat();
    let attacker = Attacker::join_with(&sampan, &sessions, Role::Worker, "mallory", &flags);
    let hello = attacker.hello(1000);
    let session = attacker.session(hello.clone());
    attacker.is_heard(&sampan, &session, hello);
    let of = |path: &str| jsonpath(&sampan, &["node", "mallory"], path);
    assert_eq!(of("{.status.capacity.pods}"), "5");
    assert_eq!(of("{.status.capacity.cpu}"), "2000m");
    wait_for("it has the taint of its token alone", || {
        (of("{.spec.taints[*].key}") == "sampan.dev/edge").then_some(())
    });
    assert!(sampan.kubectl_ok(&["get", "nodes", "-l", "sampan.dev/tier=edge", "-o", "name"]).contains("mallory"));
    sampan.wait_for_output("more than its token allows");
}

#[test]
fn a_joined_worker_that_is_refused_again_and_again_fills_no_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let attacker = Attacker::join_with(&sampan, &sessions, Role::Worker, "mallory", &["--max-cpu", "1"]);
    let id = ReplicaId(ObjectKey::new("default", "forged"));
    let spec = ReplicaSpec { revision: "forged".to_owned(), seal: vec![0; 40], ..replica(id) };
    let running = vec![RunningReplica { spec, phase: ReplicaPhase::Ready }];
    let hello = WorkerHello { running, ..attacker.hello(0) };
    let session = attacker.session(hello.clone());
    for _ in 0..500 {
        attacker.say(&session, WorkerUp::Hello(hello.clone()));
    }
    attacker.is_heard(&sampan, &session, hello);
    let of_it = |line: &&str| line.contains("mallory");
    let printed = sampan.output();
    let lines = printed.lines().filter(of_it).count();
    assert!(lines < 10, "{lines} lines:\n{printed}");
}

#[test]
fn a_joined_machine_that_begins_many_large_messages_brings_no_memory() {
    const MESSAGES: usize = 200;
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let store = {
        let _inside = attacker.runtime.enter();
        RemoteKeyValue::new(&attacker.client)
    };
    let bucket = Bucket { namespace: "default".to_owned(), name: "default".to_owned() };
    let before = most_held(sampan.id());
    let value = bytes::Bytes::from(vec![7; 4_000_000]);
    let refused = attacker.runtime.block_on(async {
        let sent = (0..MESSAGES).map(|_| store.set(&bucket, vec![("a".to_owned(), value.clone())]));
        futures::future::join_all(sent).await
    });
    assert!(refused.iter().all(Result::is_err), "it was not placed there");
    let grown = most_held(sampan.id()).saturating_sub(before) / 1024;
    assert!(grown < 300, "it grew by {grown} MiB");
    assert!(sampan.kubectl_ok(&["get", "nodes"]).contains(" Ready "));
}

#[test]
fn a_joined_machine_whose_message_stands_for_much_memory_brings_none() {
    /// Of each the name alone, which is short, is other than that of the one before.
    const RUNNING: usize = 200_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let running = |number: usize| RunningReplica {
        spec: replica(ReplicaId(ObjectKey::new("a", number.to_string()))),
        phase: ReplicaPhase::Ready,
    };
    let before = most_held(sampan.id());
    let hello = WorkerHello { running: (0..RUNNING).map(running).collect(), ..attacker.hello(10) };
    let _session = attacker.session(hello);
    // Another of the same machine is heard meanwhile; that one is sent again and again.
    let small = attacker.session(attacker.hello(0));
    attacker.is_heard(&sampan, &small, attacker.hello(0));
    let grown = most_held(sampan.id()).saturating_sub(before) / 1024;
    assert!(grown < 200, "it grew by {grown} MiB");
    let nodes = sampan.kubectl_ok(&["get", "nodes"]);
    assert!(nodes.lines().any(|line| !line.contains("mallory") && line.contains(" Ready ")), "{nodes}");
}

#[test]
fn a_joined_machine_that_guesses_tokens_is_known_by_its_address_as_strangers_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let peer = Peer { role: Role::Worker, name: "another".to_owned() };
    let guessed = format!("sampan1.{}.{}.x", "0".repeat(8), "0".repeat(32));
    let guess = || attacker.runtime.block_on(transport::join(&attacker.client, &guessed, &peer, None)).map(drop);
    for _ in 0..20 {
        guess().expect_err("it is guessed");
    }
    let said = guess().expect_err("it is guessed").to_string();
    assert!(said.contains("too many joins from this address have failed"), "{said}");
    let printed = sampan.output();
    let told: Vec<&str> = printed.lines().filter(|line| line.contains("the join token is wrong")).collect();
    assert!(told.len() == 1 && told[0].contains("127.0.0.1"), "{told:?}");
}

#[test]
fn a_joined_worker_without_guests_is_told_no_routes_and_measures_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    deploy_probe(&sampan);
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let _worker = attacker.session(attacker.hello(0));
    attacker.runtime.block_on(async {
        let mut session = attacker.client.gateway_session(attacker.stop.clone());
        let service = ObjectKey::new("default", "probe");
        let listens = Ok("192.0.2.1".to_owned());
        for message in [
            GatewayUp::Samples(vec![forged(service.clone())]),
            GatewayUp::Wake { service: service.clone(), queued: 1000, in_flight: 0 },
            GatewayUp::Listener { service, port: 80, outcome: listens },
        ] {
            session.tx.send(message).await.expect("the session goes on");
        }
        if let Ok(told) = timeout(QUIET, session.rx.recv()).await {
            panic!("it was told {told:?}");
        }
    });
    let status = jsonpath(&sampan, &["service", "probe"], "{.status.loadBalancer}");
    assert!(!status.contains("192.0.2.1"), "{status}");
    sampan.wait_for_output("worker `mallory` speaks of Service default/probe");
}

#[test]
fn a_gateway_is_no_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let gateway = Attacker::join(&sampan, &sessions, Role::Gateway, "mallory");
    let bucket = Bucket { namespace: "default".to_owned(), name: "default".to_owned() };
    gateway.runtime.block_on(async {
        let said = RemoteKeyValue::new(&gateway.client).get(&bucket, vec!["a".to_owned()]).await;
        let said = said.expect_err("it reads").to_string();
        assert!(said.contains("a gateway is no worker"), "{said}");
        let session = gateway.client.worker_session(gateway.stop.clone());
        session.tx.send(WorkerUp::Hello(gateway.hello(100))).await.expect("the session is there");
        sleep(QUIET).await;
    });
    assert!(!sampan.kubectl_ok(&["get", "nodes"]).contains("mallory"));
}

/// A listener that notes whether anybody came.
fn trap(listener: impl FnOnce() + Send + 'static) -> Arc<AtomicBool> {
    let came = Arc::new(AtomicBool::new(false));
    let note = came.clone();
    thread::spawn(move || {
        listener();
        note.store(true, SeqCst);
    });
    came
}

/// Has the attacker's worker be the only one for a replica, which it says is ready, and that it is at this address meanwhile.
fn be_placed(sampan: &Sampan, attacker: &Attacker, address: Address) -> (WorkerSide, Arc<ReplicaSpec>) {
    let own = jsonpath(sampan, &["nodes"], "{.items[0].metadata.name}");
    sampan.kubectl_ok(&["cordon", &own]);
    let mut session = attacker.session(attacker.hello(10));
    apply_probe_with(sampan, "");
    let spec = attacker.runtime.block_on(async {
        match timeout(PATIENCE, session.rx.recv()).await.expect("a replica").expect("the session goes on") {
            WorkerDown::Start(spec) => spec,
            other => panic!("{other:?}"),
        }
    });
    let running = vec![RunningReplica { spec: (*spec).clone(), phase: ReplicaPhase::Ready }];
    attacker.say(&session, WorkerUp::Hello(WorkerHello { address: Some(address), running, ..attacker.hello(10) }));
    wait_for("the control plane takes it for ready", || {
        let ready = jsonpath(sampan, &["pod", &spec.id.0.name], "{.status.containerStatuses[0].ready}");
        (ready == "true").then_some(())
    });
    (session, spec)
}

#[test]
fn a_joined_worker_points_nobody_at_a_socket_of_their_own_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let socket = folder.path().join("other.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let came = trap(move || drop(listener.accept()));
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let socket = socket.to_str().map(str::to_owned);
    let address = Address { machine: machine().to_owned(), socket, tcp: None };
    let (mut session, spec) = be_placed(&sampan, &attacker, address);
    let id = spec.id.clone();
    wait_for("it is known to be nowhere", || {
        let taints = jsonpath(&sampan, &["node", "mallory"], "{.spec.taints[*].key}");
        taints.contains("network-unavailable").then_some(())
    });
    let answer = Client::new(&sampan.http, Some(HOST)).get("/env");
    assert_eq!(answer.status, 503, "{answer:?}");
    thread::sleep(QUIET);
    assert!(!came.load(SeqCst), "the server spoke to a socket that a worker named");
    // What is placed on it, it may ask for and speak of.
    let line = LogLine { at: Timestamp::from_secs(1), source: LogSource::Stdout, text: "its own line".to_owned() };
    attacker.say(&session, WorkerUp::Log { id: id.clone(), lines: vec![line] });
    wait_for("its line is there", || sampan.kubectl_ok(&["logs", &id.0.name]).contains("its own line").then_some(()));
    let bucket = Bucket { namespace: "default".to_owned(), name: "default".to_owned() };
    let store = {
        let _inside = attacker.runtime.enter();
        RemoteKeyValue::new(&attacker.client)
    };
    attacker.runtime.block_on(store.get(&bucket, vec!["a".to_owned()])).expect("it may");
    // Once it has stopped what it was told to stop, it may no more.
    sampan.kubectl_ok(&["delete", "deployment", "probe", "--wait=false"]);
    attacker.runtime.block_on(async {
        while !matches!(session.rx.recv().await.expect("the session goes on"), WorkerDown::Stop { .. }) {}
    });
    let may = || attacker.runtime.block_on(store.get(&bucket, vec!["a".to_owned()]));
    may().expect("its requests in flight go on");
    attacker.say(&session, WorkerUp::Phase { id, phase: ReplicaPhase::Stopped });
    wait_for("it may no more", || may().err());
}

/// Says that it runs a replica as it was told to, in a new session, and waits until it is told to stop that.
fn claim(attacker: &Attacker, spec: &ReplicaSpec) -> WorkerSide {
    let running = vec![RunningReplica { spec: spec.clone(), phase: ReplicaPhase::Ready }];
    let mut session = attacker.session(WorkerHello { running, ..attacker.hello(0) });
    attacker.runtime.block_on(async {
        loop {
            match timeout(PATIENCE, session.rx.recv()).await.expect("it is told").expect("the session goes on") {
                WorkerDown::Stop { id, .. } => break assert_eq!(id, spec.id),
                WorkerDown::Start(_) | WorkerDown::Standby(_) => {}
            }
        }
    });
    session
}

#[test]
fn a_joined_worker_has_what_one_placement_needs_until_that_is_over_and_lends_it_to_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let accomplice = Attacker::join(&sampan, &sessions, Role::Worker, "eve");
    let address = Address { tcp: Some(free_address()), ..Address::default() };
    let (mut session, spec) = be_placed(&sampan, &attacker, address);
    let uses = |attacker: &Attacker, namespace: &str, name: &str| {
        let bucket = Bucket { namespace: namespace.to_owned(), name: name.to_owned() };
        let _inside = attacker.runtime.enter();
        let store = RemoteKeyValue::new(&attacker.client);
        attacker.runtime.block_on(store.get(&bucket, vec!["a".to_owned()])).map(drop)
    };
    let fetches = |attacker: &Attacker, digest: Digest| {
        let _inside = attacker.runtime.enter();
        let images = RemoteImages::new(&attacker.client);
        attacker.runtime.block_on(images.fetch(digest)).map(drop)
    };
    uses(&attacker, "default", "default").expect("its guest may");
    fetches(&attacker, spec.digest.clone()).expect("its guest is made of it");
    for (namespace, name) in
        [("kube-system", "default"), ("default", "other"), ("", "default"), ("default/", "default")]
    {
        uses(&attacker, namespace, name).expect_err("it is not granted there");
    }
    fetches(&attacker, Digest::from_sha256([7; 32])).expect_err("no guest there is made of it");
    // What was placed on one worker is not on another that has been told of it.
    let _accomplice = claim(&accomplice, &spec);
    uses(&accomplice, "default", "default").expect_err("it was not placed there");
    fetches(&accomplice, spec.digest.clone()).expect_err("it was not placed there");
    // It moves away, and comes back by no word of its worker: neither in this session nor in another.
    sampan.kubectl_ok(&["scale", "deployment/probe", "--replicas", "0"]);
    attacker.runtime.block_on(async {
        while !matches!(session.rx.recv().await.expect("the session goes on"), WorkerDown::Stop { .. }) {}
    });
    attacker.say(&session, WorkerUp::Phase { id: spec.id.clone(), phase: ReplicaPhase::Stopped });
    wait_for("it may no more", || uses(&attacker, "default", "default").err());
    attacker.say(&session, WorkerUp::Phase { id: spec.id.clone(), phase: ReplicaPhase::Ready });
    let running = vec![RunningReplica { spec: (*spec).clone(), phase: ReplicaPhase::Ready }];
    attacker.say(&session, WorkerUp::Hello(WorkerHello { running, ..attacker.hello(10) }));
    let _again = claim(&attacker, &spec);
    for _ in 0..10 {
        uses(&attacker, "default", "default").expect_err("it was over");
        fetches(&attacker, spec.digest.clone()).expect_err("it was over");
        thread::sleep(QUIET / 10);
    }
    assert!(!sampan.kubectl_ok(&["get", "pods"]).contains(&*spec.id.0.name), "nobody takes it for a replica");
}

#[test]
fn a_joined_worker_is_told_no_endpoints_that_policies_keep_all_its_guests_from_and_measures_none_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    deploy_probe(&sampan);
    let (victim, ..) = victim(&sampan);
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    sampan.kubectl_ok(&["create", "namespace", "shop"]);
    let policy = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: own, namespace: default}
spec: {podSelector: {matchLabels: {app: probe}}, ingress: [{from: [{podSelector: {}}]}]}
";
    let guest = "apiVersion: apps/v1
kind: Deployment
metadata: {name: guest, namespace: shop}
spec:
  selector: {matchLabels: {app: guest}}
  template: {metadata: {labels: {app: guest}}, spec: {containers: [{name: main, image: 'probe:test'}]}}
";
    let apply = |text: &str| {
        let file = folder.path().join("applied.yaml");
        std::fs::write(&file, text).expect("a manifest");
        sampan.kubectl_ok(&["apply", "-f", file.to_str().expect("UTF-8")]);
    };
    sampan.kubectl_ok(&["cordon", &jsonpath(&sampan, &["nodes"], "{.items[0].metadata.name}")]);
    let mut worker = attacker.session(attacker.hello(10));
    apply(guest);
    let placed = attacker.runtime.block_on(async { timeout(PATIENCE, worker.rx.recv()).await.expect("a replica") });
    assert!(matches!(placed, Some(WorkerDown::Start(_))), "{placed:?}");
    let key = || ObjectKey::new("default", "probe");
    let mut session = attacker.runtime.block_on(async { attacker.client.gateway_session(attacker.stop.clone()) });
    let mut told = |wanted: &str, is_it: &dyn Fn(&[ReplicaId]) -> bool| {
        attacker.runtime.block_on(async {
            loop {
                let message = timeout(PATIENCE, session.rx.recv()).await.unwrap_or_else(|_| panic!("{wanted}"));
                if let GatewayDown::Endpoints { service, endpoints, .. } = message.expect("the session goes on")
                    && service == key()
                    && is_it(&endpoints.into_iter().map(|endpoint| endpoint.replica).collect::<Vec<_>>())
                {
                    return;
                }
            }
        });
    };
    told("without a policy all may call it", &|replicas| replicas.contains(&victim));
    apply(policy);
    told("what it knew of it is taken back", &<[ReplicaId]>::is_empty);
    attacker.runtime.block_on(session.tx.send(GatewayUp::Samples(vec![forged(key())]))).expect("the session goes on");
    sampan.wait_for_output("worker `mallory` speaks of Service default/probe");
    // Who comes anew is told as little, and who may call it is told again.
    let mut session = attacker.runtime.block_on(async { attacker.client.gateway_session(attacker.stop.clone()) });
    attacker.runtime.block_on(async {
        let until = tokio::time::Instant::now() + QUIET;
        while let Ok(message) = tokio::time::timeout_at(until, session.rx.recv()).await {
            match message.expect("the session goes on") {
                GatewayDown::Endpoints { service, endpoints, .. } if service == key() => assert_eq!(endpoints, []),
                _ => {}
            }
        }
    });
    sampan.kubectl_ok(&["delete", "networkpolicy", "own"]);
    attacker.runtime.block_on(async {
        loop {
            let message = timeout(PATIENCE, session.rx.recv()).await.expect("it is told again");
            match message.expect("the session goes on") {
                GatewayDown::Endpoints { service, endpoints, .. } if service == key() && !endpoints.is_empty() => {
                    return;
                }
                _ => {}
            }
        }
    });
}

#[test]
fn an_address_that_a_worker_advertises_is_used_once_it_has_shown_itself_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = elsewhere.local_addr().expect("an address").to_string();
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let (mut session, spec) = be_placed(&sampan, &attacker, at(&address));
    sampan.wait_for_output("the worker is not found where it advertises that it is");
    let said = sampan.kubectl_ok(&["get", "events"]);
    assert!(said.contains("AddressNotConfirmed") && said.contains(&address), "{said}");
    wait_for("it is no endpoint", || {
        jsonpath(&sampan, &["endpointslices"], "{.items[*].endpoints[*].addresses}").is_empty().then_some(())
    });
    assert_eq!(Client::new(&sampan.http, Some(HOST)).get("/env").status, 503);
    // It gets no more of them, which its Node and their events say.
    sampan.kubectl_ok(&["scale", "deployment/probe", "--replicas", "2"]);
    wait_for("the second waits", || {
        let said = sampan.kubectl_ok(&["get", "events"]);
        said.contains("node.kubernetes.io/network-unavailable").then_some(())
    });
    let nodes = sampan.kubectl_ok(&["get", "nodes"]);
    assert!(nodes.contains("Ready,NetworkUnavailable"), "{nodes}");
    // Where it does show itself, it is found, and is given what waits.
    let running = vec![RunningReplica { spec: (*spec).clone(), phase: ReplicaPhase::Ready }];
    attacker.say(&session, WorkerUp::Hello(WorkerHello { running, ..attacker.hello(10) }));
    wait_for("it is found", || {
        let found = jsonpath(&sampan, &["endpointslices"], "{.items[*].endpoints[*].addresses}");
        found.contains(&*spec.id.0.name).then_some(())
    });
    let told = attacker.runtime.block_on(async { timeout(PATIENCE, session.rx.recv()).await.expect("it is given it") });
    assert!(matches!(told, Some(WorkerDown::Start(_))), "{told:?}");
}

/// A worker's way to replicas, of which it has none.
struct NoReplica;

impl api::Dialer for NoReplica {
    fn dial(&self, _: &api::session::Endpoint) -> Arc<dyn api::Serve> {
        Arc::new(Self)
    }
}

impl api::Serve for NoReplica {
    fn serve(
        &self,
        _: http::Request<api::Body>,
    ) -> futures::future::BoxFuture<'static, Result<http::Response<api::Body>, api::ServeError>> {
        Box::pin(std::future::ready(Ok(http::Response::new(api::full_body("nothing runs here")))))
    }
}

#[test]
fn a_joined_worker_that_says_small_things_without_end_keeps_nobody_else_from_being_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sampan, sessions) = server(folder.path());
    let attacker = Attacker::join(&sampan, &sessions, Role::Worker, "mallory");
    let own = jsonpath(&sampan, &["nodes"], "{.items[0].metadata.name}");
    let (session, spec) = be_placed(&sampan, &attacker, at(&attacker.found_at));
    sampan.kubectl_ok(&["uncordon", &own]);
    let id = spec.id.clone();
    let lines = |_| {
        let line = LogLine { at: Timestamp::from_secs(1), source: LogSource::Stdout, text: "again".to_owned() };
        WorkerUp::Log { id: id.clone(), lines: vec![line] }
    };
    let phases = |n: u32| {
        let phase = if n.is_multiple_of(2) { ReplicaPhase::NotReady } else { ReplicaPhase::Ready };
        WorkerUp::Phase { id: id.clone(), phase }
    };
    let traps = |n: u32| WorkerUp::Traps { id: id.clone(), count: 1, last: format!("it says {n}") };
    let slots = |n: u32| WorkerUp::Slots { id: id.clone(), slots: 1 + n % 50 };
    let hello = |n: u32| {
        let labels = [("n".to_owned(), n.to_string())].into();
        let running = vec![RunningReplica { spec: (*spec).clone(), phase: ReplicaPhase::Ready }];
        WorkerUp::Hello(WorkerHello { labels, running, address: Some(at(&attacker.found_at)), ..attacker.hello(10) })
    };
    let kinds: [(&str, &dyn Fn(u32) -> WorkerUp); 6] = [
        ("heartbeats", &|_| WorkerUp::Heartbeat),
        ("lines", &lines),
        ("phases", &phases),
        ("traps", &traps),
        ("slots", &slots),
        ("hello", &hello),
    ];
    for (kind, message) in kinds {
        let until = std::time::Instant::now() + FLOOD;
        attacker.runtime.block_on(async {
            for n in 0.. {
                if std::time::Instant::now() > until {
                    break;
                }
                session.tx.send(message(n)).await.expect("the session goes on");
            }
        });
        // While what it said is still on its way.
        sampan.kubectl_ok(&["annotate", "deployment", "probe", "--overwrite", &format!("heard={kind}")]);
        let ready = jsonpath(&sampan, &["node", &own], "{.status.conditions[?(@.type=='Ready')].status}");
        assert_eq!(ready, "True", "{kind}: the other worker is heard");
    }
}
