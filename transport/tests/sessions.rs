//! Sessions over a real socket, through a relay that can be cut.

#![allow(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use api::{
    Authorize, Bucket, Call, Digest, FetchImage, ImageBytes, KeyValue, KeyValueError, Listing, ObjectKey, ReplicaId,
    WorkerName,
    replica::ReplicaPhase,
    session::{ForWorker, WorkerDown, WorkerSide, WorkerUp},
};
use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use transport::{
    Admission, Applicant, Certificate, ControlPlaneClient, ControlPlaneWay, Offer, RemoteImages, RemoteKeyValue,
    SessionListener, StrangerLimits, serve_sessions,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A control plane that hands out the sessions that it is given.
struct Server {
    sessions: mpsc::UnboundedReceiver<ForWorker>,
    stop: CancellationToken,
}

impl Server {
    async fn start(socket: &Path) -> Self {
        let (given, sessions) = mpsc::unbounded_channel();
        let offer = Offer {
            worker: Arc::new(move |session| given.send(session).unwrap()),
            gateway: Arc::new(|_, _| {}),
            rules: Arc::new(Anything),
            key_value: Arc::new(OneValue),
            images: Arc::new(OneImage),
            admission: Arc::new(Nobody),
        };
        let (listener, stop) = (
            SessionListener::bind(socket.to_owned(), None, StrangerLimits::default()).await.unwrap(),
            CancellationToken::new(),
        );
        tokio::spawn(serve_sessions(listener, offer, stop.clone()));
        Self { sessions, stop }
    }

    async fn session(&mut self) -> ForWorker {
        timeout(PATIENCE, self.sessions.recv()).await.expect("a session").unwrap()
    }
}

/// Passes connections on, until it is cut.
struct Relay {
    open: watch::Sender<bool>,
}

impl Relay {
    fn start(from: PathBuf, to: PathBuf) -> Self {
        let open = watch::Sender::new(true);
        let watched = open.subscribe();
        let listener = UnixListener::bind(from).unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (to, mut watched) = (to.clone(), watched.clone());
                tokio::spawn(async move {
                    if !*watched.borrow_and_update() {
                        return;
                    }
                    let Ok(mut far) = UnixStream::connect(to).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = watched.changed() => {}
                    }
                });
            }
        });
        Self { open }
    }

    fn cut(&self) {
        self.open.send(false).unwrap();
    }

    fn heal(&self) {
        self.open.send(true).unwrap();
    }
}

struct World {
    folder: tempfile::TempDir,
    relay: Relay,
    server: Server,
    client: ControlPlaneClient,
    stop: CancellationToken,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let (socket, relayed) = (folder.path().join("control"), folder.path().join("relay"));
    let server = Server::start(&socket).await;
    let relay = Relay::start(relayed.clone(), socket);
    let client = ControlPlaneClient::new(ControlPlaneWay::Socket(relayed));
    World { folder, relay, server, client, stop: CancellationToken::new() }
}

impl World {
    async fn session(&mut self) -> (WorkerSide, ForWorker) {
        let worker = self.client.worker_session(self.stop.clone());
        (worker, self.server.session().await)
    }
}

fn id(number: usize) -> ReplicaId {
    ReplicaId(ObjectKey::new("shop", number.to_string()))
}

fn up(number: usize) -> WorkerUp {
    WorkerUp::Phase { id: id(number), phase: ReplicaPhase::Ready }
}

fn down(number: usize) -> WorkerDown {
    WorkerDown::Stop { id: id(number), grace: Duration::ZERO }
}

/// The numbers of messages as they come; heartbeats are left out.
async fn ups(session: &mut ForWorker, count: usize) -> Vec<String> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        match timeout(PATIENCE, session.rx.recv()).await.expect("a message").expect("the session goes on") {
            WorkerUp::Phase { id, .. } => numbers.push(id.0.name.to_string()),
            WorkerUp::Heartbeat => {}
            other => panic!("{other:?}"),
        }
    }
    numbers
}

async fn downs(session: &mut WorkerSide, count: usize) -> Vec<String> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        match timeout(PATIENCE, session.rx.recv()).await.expect("a message").expect("the session goes on") {
            WorkerDown::Stop { id, .. } => numbers.push(id.0.name.to_string()),
            other => panic!("{other:?}"),
        }
    }
    numbers
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn messages_arrive_once_and_in_order_however_often_the_connection_breaks() {
    let mut world = world().await;
    let (mut worker, mut control) = world.session().await;
    for round in 0..5 {
        let (first, last) = (round * 100, round * 100 + 100);
        for number in first..last {
            worker.tx.send(up(number)).await.unwrap();
            control.tx.send(down(number)).await.unwrap();
            if number == first + 50 {
                world.relay.cut();
                world.relay.heal();
            }
        }
        assert_eq!(ups(&mut control, 100).await, numbers(first..last));
        assert_eq!(downs(&mut worker, 100).await, numbers(first..last));
    }
    assert!(world.server.sessions.try_recv().is_err(), "it was one session all the time");
}

#[tokio::test]
async fn what_is_said_while_the_connection_is_cut_arrives_when_it_is_there_again() {
    let mut world = world().await;
    let (mut worker, mut control) = world.session().await;
    worker.tx.send(up(0)).await.unwrap();
    assert_eq!(ups(&mut control, 1).await, numbers(0..1));
    world.relay.cut();
    for number in 1..50 {
        worker.tx.send(up(number)).await.unwrap();
        worker.tx.send(WorkerUp::Heartbeat).await.unwrap();
        control.tx.send(down(number)).await.unwrap();
    }
    world.relay.heal();
    assert_eq!(ups(&mut control, 49).await, numbers(1..50));
    assert_eq!(downs(&mut worker, 49).await, numbers(1..50));
}

#[tokio::test]
async fn a_session_ends_when_the_server_has_been_started_anew_and_another_begins() {
    let mut world = world().await;
    let (mut worker, mut control) = world.session().await;
    worker.tx.send(up(0)).await.unwrap();
    assert_eq!(ups(&mut control, 1).await, numbers(0..1));
    world.server.stop.cancel();
    world.relay.cut();
    drop(control);
    world.server = Server::start(&world.folder.path().join("control")).await;
    world.relay.heal();
    assert!(timeout(PATIENCE, worker.rx.recv()).await.unwrap().is_none(), "the worker sees the end");
    let (worker, mut control) = world.session().await;
    worker.tx.send(up(1)).await.unwrap();
    assert_eq!(ups(&mut control, 1).await, numbers(1..2));
}

#[tokio::test]
async fn an_end_that_a_side_wants_is_seen_by_the_other_after_what_was_said_before() {
    let mut world = world().await;
    let (worker, mut control) = world.session().await;
    for number in 0..20 {
        worker.tx.send(up(number)).await.unwrap();
    }
    drop(worker);
    assert_eq!(ups(&mut control, 20).await, numbers(0..20));
    assert!(timeout(PATIENCE, control.rx.recv()).await.unwrap().is_none());
    let (mut worker, control) = world.session().await;
    control.tx.send(down(0)).await.unwrap();
    drop(control);
    assert_eq!(downs(&mut worker, 1).await, numbers(0..1));
    assert!(timeout(PATIENCE, worker.rx.recv()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_makes_the_sender_wait_and_loses_nothing() {
    let mut world = world().await;
    let (worker, mut control) = world.session().await;
    // More than all queues and the ledger hold together.
    let total = 40_000;
    let sending = tokio::spawn(async move {
        for number in 0..total {
            worker.tx.send(up(number)).await.unwrap();
        }
        worker
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sending.is_finished(), "it waits");
    assert_eq!(ups(&mut control, total).await, numbers(0..total));
    sending.await.unwrap();
}

#[tokio::test]
async fn images_and_entries_are_had_through_the_control_plane() {
    let world = world().await;
    let images = RemoteImages::new(&world.client);
    let image = images.fetch(Digest::from_sha256([1; 32])).await.unwrap();
    assert_eq!((&image.manifest[..], image.component.len()), (&b"manifest"[..], 3 << 20));
    let missing = images.fetch(Digest::from_sha256([2; 32])).await.unwrap_err();
    assert!(missing.contains("not here"), "{missing}");

    let store = RemoteKeyValue::new(&world.client);
    let bucket = Bucket { namespace: "shop".into(), name: "default".into() };
    let values = store.get(&bucket, vec!["a".into(), "b".into()]).await.unwrap();
    assert_eq!(values, [Some(Bytes::from_static(b"a of shop")), None]);
    let error = store.increment(&bucket, "a".into(), 1).await.unwrap_err();
    assert!(matches!(error, KeyValueError::NotANumber { key } if key == "a"));
}

struct OneImage;

impl FetchImage for OneImage {
    fn fetch(&self, digest: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        let found = digest == Digest::from_sha256([1; 32]);
        let image = ImageBytes { manifest: Bytes::from_static(b"manifest"), component: vec![0; 3 << 20].into() };
        Box::pin(ready(if found { Ok(image) } else { Err("it is not here".to_owned()) }))
    }
}

struct OneValue;

impl KeyValue for OneValue {
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        _: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        let namespace = bucket.namespace.clone();
        let value = move |key: String| (key == "a").then(|| Bytes::from(format!("a of {namespace}")));
        Box::pin(ready(Ok(keys.into_iter().map(value).collect())))
    }

    fn set(&self, _: &Bucket, _: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        Box::pin(ready(Ok(())))
    }

    fn delete(&self, _: &Bucket, _: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        Box::pin(ready(Ok(())))
    }

    fn list(&self, _: &Bucket, _: Option<String>, _: usize) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        Box::pin(ready(Ok(Listing::default())))
    }

    fn increment(&self, _: &Bucket, key: String, _: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        Box::pin(ready(Err(KeyValueError::NotANumber { key })))
    }

    fn swap(
        &self,
        _: &Bucket,
        _: String,
        _: Option<Bytes>,
        _: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        Box::pin(ready(Ok(true)))
    }
}

/// Nothing was started here, and everybody may everything.
struct Anything;

impl Authorize for Anything {
    fn local(&self, started: Option<&WorkerName>, says: Option<&WorkerName>) -> Result<Option<WorkerName>, String> {
        Ok(started.or(says).cloned())
    }

    fn socket(&self, _: &WorkerName) -> Option<String> {
        None
    }

    fn call(&self, _: &WorkerName, _: Call<'_>) -> Result<(), String> {
        Ok(())
    }

    fn hear(&self, _: &WorkerName, message: WorkerUp) -> Option<WorkerUp> {
        Some(message)
    }
}

struct Nobody;

impl Admission for Nobody {
    fn join(&self, _: Applicant) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(ready(Err("nobody joins".to_owned())))
    }

    fn renew(&self, _: Certificate, _: Vec<u8>) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(ready(Err("nobody renews".to_owned())))
    }

    fn came(&self, _: &Certificate) {}
}
