//! Certificates over real sockets: who is revoked is cut off by the control plane and by others, and comes in nowhere again.

#![allow(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::{
    Address, Body, Dialer, FetchImage, ImageBytes, KeyValue, KeyValueError, Listing, ObjectKey, ReplicaId, Serve,
    ServeError, WorkerName,
    session::{Endpoint, ForWorker, WorkerSide, WorkerUp},
};
use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use http::{Request, Response};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    runtime::Handle,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use transport::{
    Admission, Applicant, Asked, Authority, Certificate, ControlPlaneClient, ControlPlaneWay, Identity, JoinError,
    Offer, Peer, RemoteDialer, RequestLimits, RequestListener, Revoked, Role, ServingThreads, SessionListener,
    StrangerLimits, TakenBack, Trust, ask_for_trust, join, serve_requests, serve_sessions,
};

const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    authority: Arc<Authority>,
    identity: Arc<Identity>,
    address: SocketAddr,
    sessions: mpsc::UnboundedReceiver<ForWorker>,
    asked: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

async fn world(strangers: StrangerLimits) -> World {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::open(folder.path(), Duration::from_secs(600)).unwrap());
    let identity = Arc::new(authority.own_identity().unwrap());
    let (given, sessions) = mpsc::unbounded_channel();
    let asked = Arc::<AtomicUsize>::default();
    let offer = Offer {
        worker: Arc::new(move |session| drop(given.send(session))),
        gateway: Arc::new(|_, _| {}),
        rules: Arc::new(Anything),
        key_value: Arc::new(Nothing),
        images: Arc::new(Nothing),
        admission: Arc::new(Counting(asked.clone())),
    };
    let tcp = Some(("127.0.0.1:0".parse().unwrap(), identity.clone()));
    let listener = SessionListener::bind(folder.path().join("s"), tcp, strangers).await.unwrap();
    let address = listener.tcp_addr().unwrap();
    tokio::spawn(serve_sessions(listener, offer, CancellationToken::new()));
    World { authority, identity, address, sessions, asked, _folder: folder }
}

impl World {
    fn peer(&self, role: Role, name: &str) -> Arc<Identity> {
        let request = transport::Request::new().unwrap();
        let peer = Peer { role, name: name.to_owned() };
        let (pem, _) = self.authority.sign(&Asked::read(request.der()).unwrap(), &peer).unwrap();
        Arc::new(Identity::of(request, &pem).unwrap())
    }

    fn client(&self, identity: &Arc<Identity>) -> ControlPlaneClient {
        let (address, identity) = (self.address.to_string(), identity.clone());
        ControlPlaneClient::new(ControlPlaneWay::Tls { address, identity })
    }

    async fn session(&mut self, client: &ControlPlaneClient) -> (WorkerSide, ForWorker) {
        let side = client.worker_session(CancellationToken::new());
        (side, timeout(PATIENCE, self.sessions.recv()).await.unwrap().unwrap())
    }

    fn revoke(&self, revoked: Revoked) {
        self.identity.set_trust(Trust::new(self.authority.trusted(), revoked)).unwrap();
    }
}

fn serial(identity: &Identity) -> Revoked {
    Revoked { serials: [identity.certificate().serial].into(), ..Revoked::default() }
}

fn key(identity: &Identity) -> Revoked {
    Revoked { keys: [identity.certificate().key].into(), ..Revoked::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_cut_off_comes_back_nowhere_and_is_told_while_others_stay() {
    for revoked in [serial as fn(&Identity) -> Revoked, key] {
        let mut world = world(StrangerLimits::default()).await;
        let (bad, good) = (world.peer(Role::Worker, "bad"), world.peer(Role::Worker, "good"));
        let (bad_client, good_client) = (world.client(&bad), world.client(&good));
        let (_bad_side, mut for_bad) = world.session(&bad_client).await;
        let (good_side, mut for_good) = world.session(&good_client).await;
        ask_for_trust(&bad_client, &bad).await.unwrap();
        let at = Instant::now();
        world.revoke(revoked(&bad));
        let ended = timeout(PATIENCE, for_bad.rx.recv()).await.unwrap();
        assert!(ended.is_none(), "{ended:?}");
        println!("cut off after {:?}", at.elapsed());
        timeout(PATIENCE, bad.taken_back().cancelled()).await.expect("it is told");
        assert!(ask_for_trust(&world.client(&bad), &bad).await.is_err());
        good_side.tx.send(WorkerUp::Heartbeat).await.unwrap();
        assert!(matches!(timeout(PATIENCE, for_good.rx.recv()).await.unwrap(), Some(WorkerUp::Heartbeat)));
        // Told over its session.
        let told = async {
            while !good.trust().borrow().revoked.has(&bad.certificate()) {
                tokio::task::yield_now().await
            }
        };
        timeout(PATIENCE, told).await.unwrap();
        assert!(!good.taken_back().is_cancelled());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_gateways_cut_each_other_off_when_they_hear_of_it() {
    let world = world(StrangerLimits::default()).await;
    for the_worker in [true, false] {
        let (worker, gateway) = (world.peer(Role::Worker, "w1"), world.peer(Role::Gateway, "g1"));
        let tcp = Some(("127.0.0.1:0".parse().unwrap(), worker.clone()));
        let listener = RequestListener::bind(None, tcp).await.unwrap();
        let address =
            Address { machine: "elsewhere".into(), socket: None, tcp: Some(listener.tcp_addr().unwrap().to_string()) };
        let threads = ServingThreads { count: 1, start: api::start_thread };
        let stop = CancellationToken::new();
        tokio::spawn(serve_requests(listener, Arc::new(Silent), threads, stop.clone()));
        let dialer = RemoteDialer::new(RequestLimits::default(), Some(gateway.clone()), Handle::current());
        let replica = dialer.dial(&endpoint(address));
        // The guest never answers: what ends the request is the end of its connection.
        let serving = tokio::spawn(replica.serve(Request::new(api::empty_body())));
        timeout(PATIENCE, REACHED.notified()).await.unwrap();
        let (knows, revoked) = if the_worker { (&gateway, &worker) } else { (&worker, &gateway) };
        knows.set_trust(Trust::new(world.authority.trusted(), serial(revoked))).unwrap();
        let ended = timeout(PATIENCE, serving).await.expect("it is cut off").unwrap();
        assert!(matches!(ended, Err(ServeError::Unreachable { .. })), "{:?}", ended.err());
        let again = timeout(PATIENCE, replica.serve(Request::new(api::empty_body()))).await.unwrap();
        assert!(matches!(again, Err(ServeError::Refused { .. } | ServeError::Unreachable { .. })), "{:?}", again.err());
        stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_many_connections_to_a_worker_gets_no_more_and_keeps_no_other_from_theirs() {
    let world = world(StrangerLimits::default()).await;
    let tcp = Some(("127.0.0.1:0".parse().unwrap(), world.peer(Role::Worker, "w1")));
    // Two with a request, and the one on which it asks whether the worker is there.
    let listener = RequestListener::bind(None, tcp).await.unwrap().with_connections_of_peer(3);
    let tcp = Some(listener.tcp_addr().unwrap().to_string());
    let threads = ServingThreads { count: 1, start: api::start_thread };
    tokio::spawn(serve_requests(listener, Arc::new(Silent), threads, CancellationToken::new()));
    let [greedy, other] = ["greedy", "other"].map(|name| {
        let identity = Some(world.peer(Role::Gateway, name));
        let dialer = RemoteDialer::new(RequestLimits::default(), identity, Handle::current());
        dialer.dial(&endpoint(Address { machine: "elsewhere".into(), socket: None, tcp: tcp.clone() }))
    });
    // The guest never answers: each request keeps its connection.
    let asked = |replica: &Arc<dyn Serve>| tokio::spawn(replica.serve(Request::new(api::empty_body())));
    let mut asking = Vec::new();
    for _ in 0..2 {
        asking.push(asked(&greedy));
        timeout(PATIENCE, REACHED.notified()).await.unwrap();
    }
    let third = timeout(PATIENCE, asked(&greedy)).await.expect("it is told at once").unwrap();
    assert!(matches!(third, Err(ServeError::Refused { .. } | ServeError::Unreachable { .. })), "{:?}", third.err());
    asking.push(asked(&other));
    timeout(PATIENCE, REACHED.notified()).await.unwrap();
    assert!(asking.iter().all(|asking| !asking.is_finished()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_with_its_key_and_kept_with_whom_it_trusts() {
    let world = world(StrangerLimits::default()).await;
    let identity = world.peer(Role::Worker, "w1");
    let again = Identity::from_pem(&identity.pem()).unwrap();
    assert_eq!(again.certificate(), identity.certificate());
    let request = again.request().unwrap();
    let asked = Asked::read(request.der()).unwrap();
    assert_eq!(asked.key(), identity.certificate().key);
    let (pem, signed) = world.authority.sign(&asked, &identity.certificate().peer).unwrap();
    again.renew(request, &pem).unwrap();
    assert_eq!(again.certificate(), signed);
    assert_ne!(signed.serial, identity.certificate().serial);
    assert_eq!(signed.key, identity.certificate().key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_sends_no_large_message_and_is_let_go_after_a_while() {
    let limits = StrangerLimits { time: Duration::from_millis(700), ..StrangerLimits::default() };
    let world = world(limits).await;
    let (address, authority) = (world.address.to_string(), world.authority.fingerprint());
    let client = ControlPlaneClient::new(ControlPlaneWay::Join { address, authority });
    let peer = Peer { role: Role::Worker, name: "w1".into() };
    let small = join(&client, "token", &peer, None).await.err().unwrap();
    assert!(matches!(&small, JoinError::Refused { why, .. } if why == "nobody joins"), "{small}");
    for bytes in [limits.message_bytes + 1, 20 << 20] {
        assert!(join(&client, &"x".repeat(bytes), &peer, None).await.is_err());
    }
    assert_eq!(world.asked.load(Ordering::SeqCst), 1, "what is too large is not even read");
    // A session opens for nobody who has shown nothing.
    let side = client.worker_session(CancellationToken::new());
    assert!(timeout(Duration::from_secs(1), async { side.tx.closed().await }).await.is_err() || side.tx.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_from_one_address_have_few_connections_and_the_time_of_a_handshake() {
    let limits = StrangerLimits { connections: 64, by_source: 4, ..StrangerLimits::default() };
    let mut world = world(limits).await;
    let known = world.peer(Role::Worker, "known");
    let client = world.client(&known);
    let _session = world.session(&client).await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(TcpStream::connect(world.address).await.unwrap());
    }
    let mut turned_away = 0;
    for stream in &mut crowd {
        let mut byte = [0];
        if timeout(Duration::from_millis(300), stream.read(&mut byte)).await.is_ok() {
            turned_away += 1;
        }
    }
    assert_eq!(turned_away, 16);
    for stream in &mut crowd {
        let mut byte = [0];
        let closed = timeout(PATIENCE, stream.read(&mut byte)).await.expect("nobody stays who says nothing");
        assert!(!matches!(closed, Ok(1..)), "{closed:?}");
    }
    ask_for_trust(&client, &known).await.unwrap();
}

static REACHED: tokio::sync::Notify = tokio::sync::Notify::const_new();

/// Replicas that never answer.
struct Silent;

impl Dialer for Silent {
    fn dial(&self, _: &Endpoint) -> Arc<dyn Serve> {
        Arc::new(Silent)
    }
}

impl Serve for Silent {
    fn serve(&self, _: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>> {
        REACHED.notify_one();
        Box::pin(std::future::pending())
    }
}

fn endpoint(address: Address) -> Endpoint {
    Endpoint {
        replica: ReplicaId(ObjectKey::new("default", "a")),
        worker: WorkerName("w1".into()),
        concurrency: 1,
        request_deadline: PATIENCE,
        address: Some(address),
        standby: false,
    }
}

/// Counts who asks to be let in, and lets nobody.
struct Counting(Arc<AtomicUsize>);

impl Admission for Counting {
    fn join(&self, _: Applicant) -> BoxFuture<'static, Result<String, String>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(ready(Err("nobody joins".to_owned())))
    }

    fn renew(&self, _: Certificate, _: Vec<u8>) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(ready(Err("nobody renews".to_owned())))
    }

    fn came(&self, _: &Certificate) {}
}

struct Nothing;

impl FetchImage for Nothing {
    fn fetch(&self, _: api::Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        Box::pin(ready(Err("there is none".to_owned())))
    }
}

type Kept<T> = BoxFuture<'static, Result<T, KeyValueError>>;

fn none<T: Send + 'static>() -> Kept<T> {
    Box::pin(ready(Err(KeyValueError::Store("there is none".to_owned()))))
}

impl KeyValue for Nothing {
    fn get_within(&self, _: &api::Bucket, _: Vec<String>, _: usize) -> Kept<Vec<Option<Bytes>>> {
        none()
    }
    fn set(&self, _: &api::Bucket, _: Vec<(String, Bytes)>) -> Kept<()> {
        none()
    }
    fn delete(&self, _: &api::Bucket, _: Vec<String>) -> Kept<()> {
        none()
    }
    fn list(&self, _: &api::Bucket, _: Option<String>, _: usize) -> Kept<Listing> {
        none()
    }
    fn increment(&self, _: &api::Bucket, _: String, _: i64) -> Kept<i64> {
        none()
    }
    fn swap(&self, _: &api::Bucket, _: String, _: Option<Bytes>, _: Bytes) -> Kept<bool> {
        none()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_authority_is_replaced_who_knows_the_former_alone_is_served_and_after_that_is_not() {
    let mut world = world(StrangerLimits::default()).await;
    let (old, untold) = (world.peer(Role::Worker, "w1"), world.peer(Role::Worker, "w1"));
    let before = world.authority.fingerprint();
    let told = |world: &World| {
        world.revoke(Revoked::default());
        world.authority.renew_own(&world.identity).unwrap();
    };
    world.authority.rotate().unwrap();
    told(&world);
    // Who trusts the former alone, and has not been told, comes in; so do tokens of before, and those of now.
    let (_side, mut for_old) = world.session(&world.client(&old)).await;
    for authority in [before.clone(), world.authority.fingerprint()] {
        let client = ControlPlaneClient::new(ControlPlaneWay::Join { address: world.address.to_string(), authority });
        let answered = join(&client, "token", &old.certificate().peer, None).await.err().unwrap();
        assert!(matches!(&answered, JoinError::Refused { why, .. } if why == "nobody joins"), "{answered}");
    }
    let new = world.peer(Role::Worker, "w2");
    ask_for_trust(&world.client(&new), &new).await.unwrap();
    assert_eq!(new.trust().borrow().authorities(), world.authority.trusted());
    // A certificate of the new one is shown to a server that knows the former alone.
    let listener = RequestListener::bind(None, Some(("127.0.0.1:0".parse().unwrap(), untold.clone()))).await.unwrap();
    let address = listener.tcp_addr().unwrap();
    tokio::spawn(serve_requests(
        listener,
        Arc::new(Silent),
        ServingThreads { count: 1, start: api::start_thread },
        CancellationToken::new(),
    ));
    let dialer = RemoteDialer::new(RequestLimits::default(), Some(new.clone()), Handle::current());
    let address = Address { machine: "elsewhere".into(), socket: None, tcp: Some(address.to_string()) };
    let serving = tokio::spawn(dialer.dial(&endpoint(address)).serve(Request::new(api::empty_body())));
    timeout(PATIENCE, REACHED.notified()).await.expect("it is served");
    serving.abort();

    world.authority.drop_former().unwrap();
    told(&world);
    assert!(ask_for_trust(&world.client(&untold), &untold).await.is_err());
    ask_for_trust(&world.client(&new), &new).await.unwrap();
    // Who was in with a certificate of the former is cut off, and told why when it comes again.
    timeout(PATIENCE, old.taken_back().cancelled()).await.expect("it comes again");
    assert_eq!(old.why_taken_back(), Some(TakenBack::AuthorityEnded));
    assert!(timeout(PATIENCE, for_old.rx.recv()).await.unwrap().is_none());
    let address = world.address.to_string();
    let client = ControlPlaneClient::new(ControlPlaneWay::Join { address, authority: before });
    assert!(matches!(join(&client, "token", &new.certificate().peer, None).await, Err(JoinError::Unreached(_))));
}

/// Nothing was started here, and everybody may everything.
struct Anything;

impl api::Authorize for Anything {
    fn local(
        &self,
        started: Option<&api::WorkerName>,
        says: Option<&api::WorkerName>,
    ) -> Result<Option<api::WorkerName>, String> {
        Ok(started.or(says).cloned())
    }

    fn socket(&self, _: &api::WorkerName) -> Option<String> {
        None
    }

    fn call(&self, _: &api::WorkerName, _: api::Call<'_>) -> Result<(), String> {
        Ok(())
    }

    fn hear(&self, _: &api::WorkerName, message: api::session::WorkerUp) -> Option<api::session::WorkerUp> {
        Some(message)
    }
}
