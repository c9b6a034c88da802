use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use api::session::{GatewayDown, GatewaySide, GatewayUp, Session, WorkerDown, WorkerSide, WorkerUp, in_process};
use futures::{Stream, StreamExt, future::BoxFuture, stream};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{sleep, sleep_until, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status, Streaming,
    transport::{Channel, Endpoint, Uri},
};

use super::{
    MAX_MESSAGE_BYTES, PROTOCOL,
    asker::say_name,
    frame::{Content, Message, Packet},
    pump::{Broken, Line},
};
use crate::{
    broker::{BrokerClient, Wanted},
    identity::{CONTROL_PLANE, Fingerprint, Heard, Identity, Role},
    peer::{Stream as ByteStream, connect_to},
    wire::proto::{Opening, control_plane_client::ControlPlaneClient as Grpc},
};

/// Frames on their way into a connection.
const IN_CONNECTION: usize = 64;
/// The wait before another try to connect; each further one doubles it.
const RETRY_FIRST: Duration = Duration::from_millis(20);
/// The longest wait before another try.
const RETRY_LAST: Duration = Duration::from_millis(500);
/// A connection that is missing for so long is warned of. Where all processes end together, each is gone before that.
const TOLD_AFTER: Duration = Duration::from_secs(3);
/// What was said last, as a session ended, has so long to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How the control plane is reached.
#[derive(Clone)]
pub enum ControlPlaneWay {
    /// It is on this machine.
    Socket(PathBuf),
    /// It started this process.
    Broker(BrokerClient),
    /// Over the network; each side shows who it is.
    Tls {
        /// `HOST:PORT`.
        address: String,
        /// What this process shows.
        identity: Arc<Identity>,
    },
    /// Over the network, to ask for a certificate: only the control plane shows who it is.
    Join {
        /// `HOST:PORT`.
        address: String,
        /// Of the installation's authority.
        authority: Fingerprint,
    },
}

impl ControlPlaneWay {
    async fn open(self) -> std::io::Result<TokioIo<Box<dyn ByteStream>>> {
        let (address, config, identity) = match self {
            Self::Socket(path) => return Ok(TokioIo::new(Box::new(connect_to(&path).await?))),
            Self::Broker(broker) => return Ok(TokioIo::new(Box::new(broker.connection(Wanted::Control).await?))),
            Self::Tls { address, identity } => (address, identity.client_config(), Some(identity)),
            Self::Join { address, authority } => {
                (address, Arc::new(authority.client_config().map_err(std::io::Error::other)?), None)
            }
        };
        let mut config = (*config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = Role::ControlPlane.server_name(CONTROL_PLANE);
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(TokioIo::new(match identity {
            Some(identity) => Box::new(Heard { stream, identity }),
            None => Box::new(stream),
        }))
    }

    fn identity(&self) -> Option<Arc<Identity>> {
        match self {
            Self::Tls { identity, .. } => Some(identity.clone()),
            Self::Socket(_) | Self::Broker(_) | Self::Join { .. } => None,
        }
    }

    /// A channel that connects when it is used, and again when it broke.
    pub(crate) fn channel(&self) -> Channel {
        let way = self.clone();
        let connector = tower::service_fn(move |_: Uri| way.clone().open());
        // The address is of no use to a connector that knows its own.
        Endpoint::from_static("http://control-plane").connect_timeout(CONNECT).connect_with_connector_lazy(connector)
    }
}

/// A worker's or a gateway's way to its control plane.
#[derive(Clone)]
pub struct ControlPlaneClient {
    way: ControlPlaneWay,
    naming: Naming,
    connected: Arc<AtomicBool>,
}

/// What a worker is called. On its own machine nothing else says so, beyond the network its certificate does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naming(Option<Arc<str>>);

impl Naming {
    /// A request that says it.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        self.0.iter().for_each(|name| say_name(&mut request, name));
        request
    }
}

/// What a client sends, and the call that carries it.
trait Opens: Message {
    type Down: Message;

    fn call(
        grpc: Grpc<Channel>,
        naming: &Naming,
        frames: impl Stream<Item = Self::Frame> + Send + 'static,
    ) -> BoxFuture<'static, Result<Streaming<<Self::Down as Message>::Frame>, Status>>;
}

impl Opens for WorkerUp {
    type Down = WorkerDown;

    fn call(
        mut grpc: Grpc<Channel>,
        naming: &Naming,
        frames: impl Stream<Item = Self::Frame> + Send + 'static,
    ) -> BoxFuture<'static, Result<Streaming<<WorkerDown as Message>::Frame>, Status>> {
        let frames = naming.request(frames);
        Box::pin(async move { Ok(grpc.worker_session(frames).await?.into_inner()) })
    }
}

impl Opens for GatewayUp {
    type Down = GatewayDown;

    fn call(
        mut grpc: Grpc<Channel>,
        naming: &Naming,
        frames: impl Stream<Item = Self::Frame> + Send + 'static,
    ) -> BoxFuture<'static, Result<Streaming<<GatewayDown as Message>::Frame>, Status>> {
        let frames = naming.request(frames);
        Box::pin(async move { Ok(grpc.gateway_session(frames).await?.into_inner()) })
    }
}

impl ControlPlaneClient {
    /// Connects nowhere yet.
    pub fn new(way: ControlPlaneWay) -> Self {
        Self { way, naming: Naming::default(), connected: Arc::default() }
    }

    /// Asks and speaks as the worker of this name, and may no more than that.
    #[must_use]
    pub fn as_worker(self, name: &str) -> Self {
        Self { naming: Naming(Some(name.into())), ..self }
    }

    pub(crate) fn naming(&self) -> Naming {
        self.naming.clone()
    }

    /// Whether a session has a connection now.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    pub(crate) fn grpc(&self) -> Grpc<Channel> {
        Grpc::new(self.way.channel())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Begins a worker session. It connects, and connects again, until the session ends or `stop`.
    pub fn worker_session(&self, stop: CancellationToken) -> WorkerSide {
        self.begin::<WorkerUp>(stop)
    }

    /// Begins a gateway session. It connects, and connects again, until the session ends or `stop`.
    pub fn gateway_session(&self, stop: CancellationToken) -> GatewaySide {
        self.begin::<GatewayUp>(stop)
    }

    fn begin<Up: Opens>(&self, stop: CancellationToken) -> Session<Up, Up::Down> {
        let (here, there) = in_process();
        let line = Line::new(there, Box::new(|message| Ok(Some(message)))).heard_by(self.way.identity());
        let client = self.clone();
        tokio::spawn(async move {
            client.keep::<Up>(line, &stop).await;
            client.connected.store(false, Relaxed);
        });
        here
    }

    /// Carries a session over one connection after the other.
    async fn keep<Up: Opens>(&self, mut line: Line<Up, Up::Down>, stop: &CancellationToken) {
        let session = random_session();
        let (mut opened, mut failures) = (false, 0);
        let mut missing = None;
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.connection(&mut line, &session, &mut opened, &mut failures, stop) => ended,
                () = self.tell(&mut missing) => return,
            };
            self.connected.store(false, Relaxed);
            match ended {
                _ if stop.is_cancelled() => return,
                Ended::Session => return,
                Ended::Connection(why) => {
                    match &mut missing {
                        Some(missing) if failures > 0 => missing.why = why,
                        missing => *missing = Some(Missing { since: Instant::now(), why, told: false }),
                    }
                    sleep(pause(failures)).await;
                    failures += 1;
                }
            }
        }
    }

    /// Warns once of a connection that has been missing for long, also while another try is still waited for. It never returns.
    async fn tell(&self, missing: &mut Option<Missing>) {
        if let Some(missing) = missing.as_mut().filter(|missing| !missing.told) {
            sleep_until((missing.since + TOLD_AFTER).into()).await;
            if !self.is_connected() {
                missing.told = true;
                tracing::warn!(
                    why = missing.why,
                    "the control plane is not reached: this process goes on with what it knows"
                );
            }
        }
        std::future::pending().await
    }

    async fn connection<Up: Opens>(
        &self,
        line: &mut Line<Up, Up::Down>,
        session: &[u8],
        opened: &mut bool,
        failures: &mut u32,
        stop: &CancellationToken,
    ) -> Ended {
        let (outgoing, mut frames) = mpsc::channel(IN_CONNECTION);
        let received = line.ledger.received();
        let opening = Opening { protocol: PROTOCOL, session: session.to_vec(), received, resumes: *opened };
        let first =
            Packet { sequence: 0, acknowledged: received, content: Some(Content::Opening(opening)), ends: false };
        let frames = stream::poll_fn(move |cx| frames.poll_recv(cx));
        let frames = stream::once(std::future::ready(Up::pack(first))).chain(frames);
        let answered = async {
            let mut incoming = Up::call(self.grpc(), &self.naming, frames).await?;
            let first = incoming.message().await?.ok_or_else(|| Status::unavailable("the connection was closed"))?;
            Ok::<_, Status>((incoming, Up::Down::unpack(first).map_err(|error| Status::internal(error.to_string()))?))
        };
        let (mut incoming, first) = match answered.await {
            Ok(answered) => answered,
            Err(status) if status.code() == Code::NotFound => return Ended::Session,
            Err(status) => return Ended::Connection(explain(&status)),
        };
        let Some(Content::Opened(answer)) = first.content else {
            return Ended::Connection("the control plane did not answer the opening of a session".to_owned());
        };
        let Some(again) = line.ledger.resend(answer.received) else { return Ended::Session };
        if *failures > 0 {
            tracing::info!("the control plane is reached again");
        }
        (*opened, *failures) = (true, 0);
        self.connected.store(true, Relaxed);
        match line.carry(&mut incoming, &outgoing, again, None, stop).await {
            Broken::Connection(why) => Ended::Connection(why),
            Broken::Over | Broken::Refused(_) => {
                // What was said last is still to arrive: the server then closes the stream.
                drop(outgoing);
                let rest = async { while incoming.next().await.is_some_and(|frame| frame.is_ok()) {} };
                let _ = timeout(LAST_WORDS, rest).await;
                Ended::Session
            }
        }
    }
}

/// A connection that is missing.
struct Missing {
    since: Instant,
    why: String,
    told: bool,
}

enum Ended {
    Connection(String),
    Session,
}

/// A failure with its causes.
pub(crate) fn explain(status: &Status) -> String {
    let mut words = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let further = error.to_string();
        if !words.contains(&further) {
            words = format!("{words}: {further}");
        }
        source = error.source();
    }
    if is_of_unknown_authority(status) {
        words.push_str(
            ": if its authority was replaced, and the one before ended while this process was away, join again with a token of \
             `sampan token create` (--token-file)",
        );
    }
    words
}

/// Whether the other side showed a certificate of an authority that is not known here.
pub(crate) fn is_of_unknown_authority(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let error_of_tls = match inner {
            Some(inner) => inner.downcast_ref::<rustls::Error>(),
            None => error.downcast_ref::<rustls::Error>(),
        };
        if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) = error_of_tls {
            return true;
        }
        source = error.source();
    }
    false
}

/// Doubled with each failure, and apart for processes that failed together.
fn pause(failures: u32) -> Duration {
    let mut byte = [128];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    let whole = RETRY_FIRST.saturating_mul(1 << failures.min(10)).min(RETRY_LAST);
    whole.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}

fn random_session() -> Vec<u8> {
    let mut session = vec![0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut session)
        .expect("the system's random numbers");
    session
}
