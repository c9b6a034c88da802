//! The control plane's side of sessions and of what comes beside them.

use std::{io, net::IpAddr, sync::Arc};

use api::{
    Authorize, Call, FetchImage, KeyValue, WorkerName,
    session::{ForGateway, ForWorker, GatewayDown, GatewayUp, WorkerDown, WorkerUp},
};
use futures::{future::BoxFuture, stream};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::{
    MAX_MESSAGE_BYTES,
    asker::{Asker, Hearing},
    held::{Frames, OF_GATEWAYS, OF_WORKERS, Sessions},
    listener::{Accepted, Connection, SessionListener, Shown, Who},
    metered::{Answers, Metered},
    whole_routes::for_protocol,
};
use crate::{
    handles,
    identity::{Certificate, Peer, Role},
    wire::proto::{
        CertifyAnswer, CertifyRequest, Empty, GatewayFrame, ImageChunk, ImageRequest, KeyValueAnswer, KeyValueRequest,
        ToGatewayFrame, ToWorkerFrame, Trust, WorkerFrame,
        control_plane_server::{ControlPlane, ControlPlaneServer},
    },
};

/// Connections that wait to be served.
const ACCEPTED: usize = 64;

/// Calls at a time on a connection of who is known.
const CALLS: u32 = 256;
/// What a call may hold unread: less than all of them together leave of the connection, so that none that waits for room keeps
/// those from going on that have it.
const CALL_WINDOW: u32 = 16 << 10;
const WINDOW: u32 = CALLS * CALL_WINDOW + (1 << 20);

/// Bytes of all keys and values of an answer, beside their own.
const ANSWER_OVERHEAD: usize = api::MAX_BATCH * 16;

/// What a stranger's connection may hold unread; a message of theirs is no longer.
const STRANGER_WINDOW: u32 = 64 << 10;
/// Calls at a time on a stranger's connection, which has one to make.
const STRANGER_CALLS: u32 = 2;
/// Bytes of the head of a stranger's call.
const STRANGER_HEAD: u32 = 8 << 10;

/// Who asks to be let in.
#[derive(Debug)]
pub struct Applicant {
    /// What it wants to be.
    pub peer: Peer,
    /// The join token that it shows.
    pub token: String,
    /// Its key, as a certificate signing request in DER.
    pub request: Vec<u8>,
    /// Where it is; `None`: on this machine.
    pub source: Option<IpAddr>,
}

/// Decides who may join.
pub trait Admission: Send + Sync {
    /// A certificate for who shows a join token, or why there is none, for people.
    fn join(&self, applicant: Applicant) -> BoxFuture<'static, Result<String, String>>;
    /// A certificate for who shows one that still holds, or why there is none, for people.
    fn renew(&self, shown: Certificate, request: Vec<u8>) -> BoxFuture<'static, Result<String, String>>;
    /// Who showed this certificate begins a session.
    fn came(&self, shown: &Certificate);
}

/// What a control plane offers to workers and gateways of other processes.
#[derive(Clone)]
pub struct Offer {
    /// Takes a worker session.
    pub worker: Arc<dyn Fn(ForWorker) + Send + Sync>,
    /// Takes a gateway session: of a gateway, or of a worker that routes what its guests call.
    pub gateway: Arc<dyn Fn(ForGateway, Option<WorkerName>) + Send + Sync>,
    /// What workers may ask and say.
    pub rules: Arc<dyn Authorize>,
    /// The store behind `wasi:keyvalue`.
    pub key_value: Arc<dyn KeyValue>,
    /// The images that have been pulled.
    pub images: Arc<dyn FetchImage>,
    /// Who may join.
    pub admission: Arc<dyn Admission>,
}

/// Takes sessions until `shutdown`.
pub async fn serve_sessions(listener: SessionListener, offer: Offer, shutdown: CancellationToken) -> io::Result<()> {
    let (known, connections) = mpsc::channel(ACCEPTED);
    let (strangers, strangers_connections) = mpsc::channel(ACCEPTED);
    let limits = listener.limits();
    tokio::spawn(listener.accept(Accepted { known, strangers }));
    let desk = Arc::new(Desk {
        offer,
        workers: Sessions::new(OF_WORKERS),
        gateways: Sessions::new(OF_GATEWAYS),
        shutdown: shutdown.clone(),
    });
    let service = ControlPlaneServer::from_arc(desk.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let serving = Server::builder()
        .max_concurrent_streams(CALLS)
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(Metered(service))
        .serve_with_incoming_shutdown(incoming(connections), shutdown.clone().cancelled_owned());
    // The same desk, at which a stranger takes little room.
    let service = ControlPlaneServer::from_arc(desk).max_decoding_message_size(limits.message_bytes);
    let serving_strangers = Server::builder()
        .initial_connection_window_size(STRANGER_WINDOW)
        .initial_stream_window_size(STRANGER_WINDOW)
        .max_concurrent_streams(STRANGER_CALLS)
        .http2_max_header_list_size(STRANGER_HEAD)
        .add_service(Metered(service))
        .serve_with_incoming_shutdown(incoming(strangers_connections), shutdown.cancelled_owned());
    tokio::try_join!(serving, serving_strangers).map(drop).map_err(io::Error::other)
}

fn incoming(
    mut connections: mpsc::Receiver<io::Result<Connection>>,
) -> impl stream::Stream<Item = io::Result<Connection>> {
    stream::poll_fn(move |cx| connections.poll_recv(cx))
}

/// Answers the calls of all connections.
struct Desk {
    offer: Offer,
    workers: Sessions<WorkerDown, WorkerUp>,
    gateways: Sessions<GatewayDown, GatewayUp>,
    shutdown: CancellationToken,
}

fn who<T>(request: &Request<T>) -> Who {
    // Each connection says who it is; of one that did not, nothing is known.
    request.extensions().get::<Who>().cloned().unwrap_or(Who::Stranger(IpAddr::from([0, 0, 0, 0])))
}

impl Desk {
    fn came(&self, who: &Who) {
        if let Who::Peer(shown) = who {
            self.offer.admission.came(&shown.certificate);
        }
    }

    fn asker<T>(&self, request: &Request<T>) -> Result<Asker, Status> {
        Asker::of(request, &*self.offer.rules)
    }

    /// Whether a worker may ask this; the machine's user may.
    fn allow(&self, worker: Option<(WorkerName, bool)>, call: Call<'_>) -> Result<(), Status> {
        match worker {
            Some((name, _)) => self.offer.rules.call(&name, call).map_err(Status::permission_denied),
            None => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl ControlPlane for Desk {
    type WorkerSessionStream = Frames<ToWorkerFrame>;
    type GatewaySessionStream = Frames<ToGatewayFrame>;
    type FetchImageStream = Frames<ImageChunk>;

    async fn worker_session(
        &self,
        request: Request<Streaming<WorkerFrame>>,
    ) -> Result<Response<Self::WorkerSessionStream>, Status> {
        let who = who(&request);
        let asker = self.asker(&request)?;
        let (owner, worker) = (who.owner(&asker), asker.worker()?);
        self.came(&who);
        let attach = |_, session| (self.offer.worker)(session);
        let mut hearing = Hearing::new(self.offer.rules.clone(), worker);
        let hear = Box::new(move |message| hearing.hear(message));
        self.workers.open(who, request.into_inner(), owner, &self.shutdown, hear, attach).await.map(Response::new)
    }

    async fn gateway_session(
        &self,
        request: Request<Streaming<GatewayFrame>>,
    ) -> Result<Response<Self::GatewaySessionStream>, Status> {
        // A worker routes what its guests call, as a gateway does.
        let who = who(&request);
        let asker = self.asker(&request)?;
        self.came(&who);
        let owner = who.owner(&asker);
        let of = match asker {
            Asker::Worker { name, .. } => Some(name),
            Asker::Gateway(_) | Asker::User => None,
        };
        let attach = |protocol, session| (self.offer.gateway)(for_protocol(protocol, session), of.clone());
        let hear = Box::new(|message: GatewayUp| Ok(Some(message)));
        self.gateways.open(who, request.into_inner(), owner, &self.shutdown, hear, attach).await.map(Response::new)
    }

    async fn fetch_image(&self, request: Request<ImageRequest>) -> Result<Response<Self::FetchImageStream>, Status> {
        let (worker, answers) = (self.asker(&request)?.worker()?, Answers::of(&request));
        let digest = handles::digest(&request.into_inner().digest)?;
        self.allow(worker, Call::Image(&digest))?;
        let taken = answers.image().await;
        let chunks = handles::image_chunks(&*self.offer.images, digest).await?;
        Ok(taken.by(Box::pin(stream::iter(chunks.map(Ok)))))
    }

    async fn certify(&self, request: Request<CertifyRequest>) -> Result<Response<CertifyAnswer>, Status> {
        let who = who(&request);
        let CertifyRequest { token, role, name, request } = request.into_inner();
        let role = Role::parse(&role).filter(|role| *role != Role::ControlPlane);
        let role = role.ok_or_else(|| Status::invalid_argument("the role is `worker` or `gateway`"))?;
        let peer = Peer { role, name };
        let admission = &self.offer.admission;
        let source = match &who {
            Who::Stranger(from) | Who::Peer(Shown { from, .. }) => Some(*from),
            Who::Started(_) | Who::Local(_) => None,
        };
        let certificate = match &who {
            Who::Peer(shown) if token.is_empty() && shown.certificate.peer == peer => {
                admission.renew(shown.holds()?.clone(), request)
            }
            _ => admission.join(Applicant { peer, token, request, source }),
        };
        let certificate = certificate.await.map_err(Status::permission_denied)?;
        Ok(Response::new(CertifyAnswer { certificate }))
    }

    async fn get_trust(&self, request: Request<Empty>) -> Result<Response<Trust>, Status> {
        match who(&request) {
            Who::Peer(shown) => {
                shown.holds()?;
                Ok(Response::new((&**shown.trust.borrow()).into()))
            }
            Who::Started(_) | Who::Local(_) => {
                Err(Status::unimplemented("who comes over a Unix socket shows no certificate"))
            }
            Who::Stranger(_) => Err(Status::unauthenticated("no certificate was shown: join with a token")),
        }
    }

    async fn key_value(&self, request: Request<KeyValueRequest>) -> Result<Response<KeyValueAnswer>, Status> {
        let (worker, answers) = (self.asker(&request)?.worker()?, Answers::of(&request));
        let mut asked = request.into_inner();
        let bucket = handles::bucket(&mut asked);
        self.allow(worker, Call::KeyValue(&bucket))?;
        let mut taken = answers.room(handles::most_bytes(&asked) + ANSWER_OVERHEAD).await;
        let answer = handles::key_value_answer(&*self.offer.key_value, &bucket, asked).await?;
        taken.keep(answer.encoded_len());
        Ok(taken.by(answer))
    }
}
