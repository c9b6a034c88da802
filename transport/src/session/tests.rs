#![allow(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use api::{
    Authorize, Bucket, Call, Digest, FetchImage, ImageBytes, KeyValue, KeyValueError, Listing, ObjectKey, ReplicaId,
    WorkerName,
    session::{Capacity, ForWorker, WorkerDown, WorkerHello, WorkerUp},
};
use bytes::Bytes;
use futures::{
    StreamExt,
    future::{BoxFuture, ready},
    stream,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Response, Status, Streaming, transport::Channel};

use super::{
    Admission, Applicant, ControlPlaneClient, ControlPlaneWay, Naming, Offer, PROTOCOL, SessionListener,
    frame::{Content, Message, Packet},
    serve_sessions,
};
use crate::{
    handles::RemoteKeyValue,
    identity::{Asked, Authority, Certificate, Identity, Peer, Request as CertificateRequest, Role},
    strangers::StrangerLimits,
    wire::proto::{
        ImageRequest, Opening, ToWorkerFrame, WorkerFrame, control_plane_client::ControlPlaneClient as Grpc,
    },
};

const PATIENCE: Duration = Duration::from_secs(20);
/// The worker that was started here.
const OWN: &str = "own";

struct World {
    authority: Authority,
    address: String,
    socket: std::path::PathBuf,
    sessions: mpsc::UnboundedReceiver<ForWorker>,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    world_of(Duration::from_secs(600)).await
}

/// Where certificates hold for so long.
async fn world_of(lifetime: Duration) -> World {
    world_with(lifetime, Arc::new(Nothing), Arc::new(Nothing)).await
}

async fn world_with(lifetime: Duration, key_value: Arc<dyn KeyValue>, images: Arc<dyn FetchImage>) -> World {
    let folder = tempfile::tempdir().unwrap();
    let identity = Authority::open(folder.path(), Duration::from_secs(600)).unwrap().own_identity().unwrap();
    let authority = Authority::open(folder.path(), lifetime).unwrap();
    let identity = Arc::new(identity);
    let (given, sessions) = mpsc::unbounded_channel();
    let offer = Offer {
        worker: Arc::new(move |session| drop(given.send(session))),
        gateway: Arc::new(|_, _| {}),
        rules: Arc::new(OneStarted),
        key_value,
        images,
        admission: Arc::new(Nothing),
    };
    let socket = folder.path().join("s");
    let tcp = Some(("127.0.0.1:0".parse().unwrap(), identity));
    let listener = SessionListener::bind(socket.clone(), tcp, StrangerLimits::default()).await.unwrap();
    let address = listener.tcp_addr().unwrap().to_string();
    tokio::spawn(serve_sessions(listener, offer, CancellationToken::new()));
    World { authority, address, socket, sessions, _folder: folder }
}

impl World {
    fn identity(&self, request: CertificateRequest, name: &str) -> Arc<Identity> {
        let peer = Peer { role: Role::Worker, name: name.to_owned() };
        let (pem, _) = self.authority.sign(&Asked::read(request.der()).unwrap(), &peer).unwrap();
        Arc::new(Identity::of(request, &pem).unwrap())
    }

    fn over_tls(&self, identity: &Arc<Identity>) -> ControlPlaneClient {
        let (address, identity) = (self.address.clone(), identity.clone());
        ControlPlaneClient::new(ControlPlaneWay::Tls { address, identity })
    }

    async fn session(&mut self) -> ForWorker {
        timeout(PATIENCE, self.sessions.recv()).await.expect("a session").unwrap()
    }
}

fn local(socket: &Path) -> ControlPlaneClient {
    ControlPlaneClient::new(ControlPlaneWay::Socket(socket.to_owned()))
}

fn frame(sequence: u64, content: Content<WorkerUp>) -> WorkerFrame {
    WorkerUp::pack(Packet { sequence, acknowledged: 0, content: Some(content), ends: false })
}

type Opened = (mpsc::UnboundedSender<WorkerFrame>, Streaming<ToWorkerFrame>);

/// Opens a session of this number, or goes on with it, as a client does that chooses what it says.
async fn open(client: &ControlPlaneClient, number: &[u8], resumes: bool) -> Result<Opened, Status> {
    let (frames, mut sent) = mpsc::unbounded_channel();
    let opening = Opening { protocol: PROTOCOL, session: number.to_vec(), received: 0, resumes };
    frames.send(frame(0, Content::Opening(opening))).unwrap();
    let sent = stream::poll_fn(move |cx| sent.poll_recv(cx));
    let answered = async {
        let mut incoming = client.grpc().worker_session(client.naming().request(sent)).await?.into_inner();
        incoming.message().await?.ok_or_else(|| Status::unavailable("closed"))?;
        Ok((frames, incoming))
    };
    timeout(PATIENCE, answered).await.expect("an answer")
}

fn hello(name: &str) -> WorkerUp {
    WorkerUp::Hello(WorkerHello {
        name: WorkerName(name.into()),
        capacity: Capacity { cpu_millis: 1, memory_bytes: 1, replicas: 1 },
        labels: Default::default(),
        taints: Vec::new(),
        address: None,
        running: Vec::new(),
        cached: Vec::new(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_gone_on_with_by_who_has_the_key_that_began_it_and_by_nobody_else() {
    let mut world = world().await;
    let first = world.identity(CertificateRequest::new().unwrap(), "w");
    let (began, _said) = open(&world.over_tls(&first), b"number", false).await.unwrap();
    let mut session = world.session().await;
    // Another key under the same name, another name, and a process of this machine that says the name.
    let same_name = world.over_tls(&world.identity(CertificateRequest::new().unwrap(), "w"));
    let other = world.over_tls(&world.identity(CertificateRequest::new().unwrap(), "other"));
    let here = local(&world.socket).as_worker("w");
    for thief in [same_name, other, here] {
        let refused = open(&thief, b"number", true).await.expect_err("it is another's");
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
    }
    began.send(frame(1, Content::Message(hello("w")))).unwrap();
    assert!(matches!(timeout(PATIENCE, session.rx.recv()).await.unwrap(), Some(WorkerUp::Hello(_))), "it goes on");
    drop(began);
    // With another certificate for the same key.
    let renewed = world.identity(first.request().unwrap(), "w");
    assert_ne!(renewed.certificate().serial, first.certificate().serial);
    let (went_on, _said) = open(&world.over_tls(&renewed), b"number", true).await.expect("it is its own");
    went_on.send(frame(2, Content::Message(WorkerUp::Leaving))).unwrap();
    assert!(matches!(timeout(PATIENCE, session.rx.recv()).await.unwrap(), Some(WorkerUp::Leaving)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_by_itself_is_no_worker_that_was_started_here_whether_it_says_so_first_or_later() {
    let mut world = world().await;
    let refused = open(&local(&world.socket).as_worker(OWN), b"a", false).await.expect_err("it says so first");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let (late, mut said) = open(&local(&world.socket), b"b", false).await.unwrap();
    let mut session = world.session().await;
    late.send(frame(1, Content::Message(hello(OWN)))).unwrap();
    assert!(timeout(PATIENCE, session.rx.recv()).await.unwrap().is_none(), "the session ends without a word of it");
    timeout(PATIENCE, async { while said.next().await.is_some_and(|frame| frame.is_ok()) {} }).await.unwrap();
    let (another, _said) = open(&local(&world.socket), b"c", false).await.unwrap();
    let mut session = world.session().await;
    another.send(frame(1, Content::Message(hello("second")))).unwrap();
    assert!(matches!(timeout(PATIENCE, session.rx.recv()).await.unwrap(), Some(WorkerUp::Hello(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_has_a_bounded_number_of_sessions_and_takes_none_of_anothers() {
    let mut world = world().await;
    let (greedy, other) = (local(&world.socket).as_worker("greedy"), local(&world.socket).as_worker("other"));
    let mut kept = Vec::new();
    for number in 0..super::held::OF_A_PEER {
        let (frames, _) = open(&greedy, &number.to_be_bytes(), false).await.unwrap();
        // The session is held for a while after its connection has ended.
        kept.push((frames, world.session().await));
    }
    let refused = open(&greedy, b"one more", false).await.expect_err("it has enough");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    open(&other, b"first", false).await.expect("another has its own");
    let long = open(&other, &[0; 65], false).await.expect_err("a number is short");
    assert_eq!(long.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_somebody_began_to_take_up_and_left_ends_as_any_other() {
    const MESSAGES: usize = 2000;
    let mut world = world().await;
    let client = local(&world.socket).as_worker("w");
    let (began, mut said) = open(&client, b"number", false).await.unwrap();
    let mut session = world.session().await;
    let id = ReplicaId(ObjectKey::new("n", "r".repeat(5000).as_str()));
    let sent = async {
        for _ in 0..MESSAGES {
            session.tx.send(WorkerDown::Stop { id: id.clone(), grace: PATIENCE }).await.unwrap();
        }
    };
    let read = async {
        let mut messages = 0;
        while messages < MESSAGES {
            messages += usize::from(said.message().await.unwrap().unwrap().sequence > 0);
        }
    };
    timeout(PATIENCE, async { tokio::join!(sent, read) }).await.expect("all of it comes");
    drop((began, said));
    // What comes again is more than a connection takes that nobody reads: whoever comes next takes over all the same.
    let unread = open(&client, b"number", true).await.expect("it goes on");
    let next = open(&client, b"number", true).await.expect("it does not wait for who does not read");
    let left = Box::pin(open(&client, b"number", true));
    assert!(futures::poll!(left).is_pending());
    drop((unread, next));
    assert!(timeout(PATIENCE, session.rx.recv()).await.expect("it ends").is_none());
    let refused = open(&client, b"number", true).await.expect_err("nobody has it any more");
    assert_eq!(refused.code(), Code::NotFound, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_the_time_of_the_certificate_that_it_showed_and_its_session_goes_on_over_another() {
    let mut world = world_of(Duration::from_secs(5)).await;
    let first = world.identity(CertificateRequest::new().unwrap(), "w");
    let client = world.over_tls(&first);
    let (began, mut said) = open(&client, b"number", false).await.unwrap();
    let mut session = world.session().await;
    let ended = async {
        loop {
            match timeout(Duration::from_millis(500), said.next()).await {
                Ok(Some(Ok(_))) | Err(_) => {}
                Ok(_) => return,
            }
            // Who says nothing is let go of, too.
            let word = Packet::<WorkerUp> { sequence: 0, acknowledged: 0, content: None, ends: false };
            let _ = began.send(WorkerUp::pack(word));
        }
    };
    timeout(PATIENCE, ended).await.expect("it ends");
    assert!(first.remaining().is_zero(), "it held until then");
    let renewed = world.over_tls(&world.identity(first.request().unwrap(), "w"));
    let (went_on, _said) = open(&renewed, b"number", true).await.expect("it is its own");
    went_on.send(frame(1, Content::Message(hello("w")))).unwrap();
    assert!(matches!(timeout(PATIENCE, session.rx.recv()).await.unwrap(), Some(WorkerUp::Hello(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_of_one_peer_wait_for_room_and_all_of_them_come() {
    let world = world().await;
    let client = world.over_tls(&world.identity(CertificateRequest::new().unwrap(), "w"));
    let (store, value) = (crate::RemoteKeyValue::new(&client), Bytes::from(vec![7; 4_000_000]));
    let bucket = Bucket { namespace: "shop".to_owned(), name: "default".to_owned() };
    // Far more than there is room for at a time, and no more calls than a connection takes.
    let sent = (0..200).map(|_| store.set(&bucket, vec![("a".to_owned(), value.clone())]));
    let answered =
        timeout(PATIENCE * 3, futures::future::join_all(sent)).await.expect("none keeps another from going on");
    assert!(answered.iter().all(|answer| answer.as_ref().is_err_and(|why| why.to_string().contains("no store"))));
}

/// One worker was started here. Everybody may everything.
struct OneStarted;

impl Authorize for OneStarted {
    fn local(&self, started: Option<&WorkerName>, says: Option<&WorkerName>) -> Result<Option<WorkerName>, String> {
        match says {
            Some(name) if started.is_none() && *name.0 == *OWN => Err("it was started here".to_owned()),
            _ => Ok(started.or(says).cloned()),
        }
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

#[tokio::test]
async fn a_peer_that_reads_no_answers_has_a_bounded_number_of_them_held_and_takes_nothing_of_anothers() {
    type Client = (RemoteKeyValue, Grpc<Channel>, Naming);
    /// Of the 64 MiB: each has a little around it.
    const HELD: usize = 15;
    let (values, images) = (Arc::new(Large::default()), Arc::new(Large::default()));
    let world = world_with(Duration::from_secs(600), values.clone(), images.clone()).await;
    // Each has a connection for values and one for images.
    let client = |name: &str| {
        let client = world.over_tls(&world.identity(CertificateRequest::new().unwrap(), name));
        (RemoteKeyValue::new(&client), client.grpc(), client.naming())
    };
    let get =
        |(store, ..): &Client| store.get(&Bucket { namespace: "n".into(), name: "b".into() }, vec!["k".to_owned()]);
    let fetch = |(_, grpc, naming): &Client| {
        let (mut grpc, digest) = (grpc.clone(), format!("sha256:{}", "0".repeat(64)));
        let asked = naming.request(ImageRequest { digest });
        async move { grpc.fetch_image(asked).await.map(Response::into_inner) }
    };
    let (hostile, other) = ([client("w"), client("w")], client("v"));
    // What is polled once is asked for, and its answer is read by nobody.
    let asking = || hostile.iter().flat_map(|client| (0..30).map(move |_| client));
    let mut gets: Vec<_> = asking().map(get).collect();
    for get in &mut gets {
        assert!(futures::poll!(get).is_pending());
    }
    let begun = [fetch(&hostile[0]).await.unwrap(), fetch(&hostile[1]).await.unwrap()];
    let mut fetches: Vec<_> = asking().map(|client| Box::pin(fetch(client))).collect();
    for fetch in &mut fetches {
        assert!(futures::poll!(fetch).is_pending());
    }
    while values.read() < HELD {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Another has its answers meanwhile: what is there of the first one's was made before them.
    assert_eq!(get(&other).await.unwrap()[0].as_ref().unwrap().len(), api::MAX_VALUE_BYTES);
    let sent: Vec<_> = fetch(&other).await.unwrap().collect().await;
    assert!(sent.len() > 1 && sent.iter().all(Result::is_ok));
    assert_eq!((values.read() - 1, images.read() - 1), (HELD, begun.len()));
    drop((gets, begun, fetches));
    let again = async {
        assert!(get(&hostile[0]).await.is_ok(), "the room of answers that nobody wants is given back");
        assert!(fetch(&hostile[0]).await.is_ok());
    };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn who_speaks_and_takes_nothing_of_what_it_is_told_loses_its_session_and_who_takes_it_does_not() {
    let mut world = world().await;
    let (deaf, other) = (
        world.identity(CertificateRequest::new().unwrap(), "w"),
        world.identity(CertificateRequest::new().unwrap(), "v"),
    );
    let stop = || WorkerDown::Stop { id: ReplicaId(ObjectKey::new("shop", "cart-1")), grace: Duration::ZERO };
    let mut listening = world.over_tls(&other).worker_session(CancellationToken::new());
    listening.tx.send(hello("v")).await.unwrap();
    let heard = world.session().await;
    heard.tx.send(stop()).await.unwrap();
    assert!(matches!(timeout(PATIENCE, listening.rx.recv()).await.unwrap(), Some(WorkerDown::Stop { .. })));
    let client = world.over_tls(&deaf);
    let (frames, _unread) = open(&client, b"deaf", false).await.unwrap();
    frames.send(frame(1, Content::Message(hello("w")))).unwrap();
    let mut session = world.session().await;
    session.tx.send(stop()).await.unwrap();
    // It says that it is there, and never that anything has come.
    let speaking = tokio::spawn(async move {
        while frames.send(frame(0, Content::Message(WorkerUp::Heartbeat))).is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let ended = async { while session.rx.recv().await.is_some() {} };
    timeout(PATIENCE, ended).await.expect("it ends");
    speaking.abort();
    heard.tx.send(stop()).await.unwrap();
    assert!(matches!(timeout(PATIENCE, listening.rx.recv()).await.unwrap(), Some(WorkerDown::Stop { .. })));
}

/// Where all that is asked for is as large as it may be. It counts how often that was read.
#[derive(Default)]
struct Large(AtomicUsize);

impl Large {
    fn read(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl FetchImage for Large {
    fn fetch(&self, _: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        self.0.fetch_add(1, Relaxed);
        let image = ImageBytes { manifest: Bytes::new(), component: vec![7; api::MAX_VALUE_BYTES].into() };
        Box::pin(ready(Ok(image)))
    }
}

impl KeyValue for Large {
    fn get_within(
        &self,
        _: &Bucket,
        _: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        let bytes = api::MAX_VALUE_BYTES;
        if bytes > limit_bytes {
            return Box::pin(ready(Err(KeyValueError::TooLarge { what: "batch", bytes, limit_bytes })));
        }
        self.0.fetch_add(1, Relaxed);
        Box::pin(ready(Ok(vec![Some(vec![7; bytes].into())])))
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        Nothing.set(bucket, entries)
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        Nothing.delete(bucket, keys)
    }

    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        Nothing.list(bucket, cursor, limit)
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        Nothing.increment(bucket, key, delta)
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        Nothing.swap(bucket, key, expected, value)
    }
}

/// Nothing is asked of it here.
struct Nothing;

impl Admission for Nothing {
    fn join(&self, _: Applicant) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(ready(Err("nobody joins here".to_owned())))
    }

    fn renew(&self, _: Certificate, _: Vec<u8>) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(ready(Err("nobody renews here".to_owned())))
    }

    fn came(&self, _: &Certificate) {}
}

impl FetchImage for Nothing {
    fn fetch(&self, _: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        Box::pin(ready(Err("there are no images".to_owned())))
    }
}

fn no_store<T>() -> BoxFuture<'static, Result<T, KeyValueError>>
where
    T: Send + 'static,
{
    Box::pin(ready(Err(KeyValueError::Store("there is no store".into()))))
}

impl KeyValue for Nothing {
    fn get_within(
        &self,
        _: &Bucket,
        _: Vec<String>,
        _: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        no_store()
    }

    fn set(&self, _: &Bucket, _: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        no_store()
    }

    fn delete(&self, _: &Bucket, _: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        no_store()
    }

    fn list(&self, _: &Bucket, _: Option<String>, _: usize) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        no_store()
    }

    fn increment(&self, _: &Bucket, _: String, _: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        no_store()
    }

    fn swap(
        &self,
        _: &Bucket,
        _: String,
        _: Option<Bytes>,
        _: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        no_store()
    }
}
