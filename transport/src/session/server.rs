//! The control plane's side of sessions and of what comes beside them.

use std::{io, sync::Arc};

use api::{
    FetchImage, KeyValue,
    session::{ForGateway, ForWorker, GatewayDown, GatewayUp, WorkerDown, WorkerUp},
};
use futures::{future::BoxFuture, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::{
    MAX_MESSAGE_BYTES,
    held::{Frames, Sessions},
    listener::{SessionListener, Who},
    whole_routes::for_protocol,
};
use crate::{
    handles,
    identity::{Peer, Role},
    wire::proto::{
        CertifyAnswer, CertifyRequest, GatewayFrame, ImageChunk, ImageRequest, KeyValueAnswer, KeyValueRequest,
        ToGatewayFrame, ToWorkerFrame, WorkerFrame,
        control_plane_server::{ControlPlane, ControlPlaneServer},
    },
};

/// Connections that wait to be served.
const ACCEPTED: usize = 64;

/// Decides who may join.
pub trait Admission: Send + Sync {
    /// A certificate for who shows this join token, or why there is none, for people.
    fn join(&self, token: String, peer: Peer, request: Vec<u8>) -> BoxFuture<'static, Result<String, String>>;
    /// A certificate for who shows one that still holds, or why there is none, for people.
    fn renew(&self, peer: Peer, request: Vec<u8>) -> BoxFuture<'static, Result<String, String>>;
}

/// What a control plane offers to workers and gateways of other processes.
#[derive(Clone)]
pub struct Offer {
    /// Takes a worker session.
    pub worker: Arc<dyn Fn(ForWorker) + Send + Sync>,
    /// Takes a gateway session.
    pub gateway: Arc<dyn Fn(ForGateway) + Send + Sync>,
    /// The store behind `wasi:keyvalue`.
    pub key_value: Arc<dyn KeyValue>,
    /// The images that have been pulled.
    pub images: Arc<dyn FetchImage>,
    /// Who may join.
    pub admission: Arc<dyn Admission>,
}

/// Takes sessions until `shutdown`.
pub async fn serve_sessions(listener: SessionListener, offer: Offer, shutdown: CancellationToken) -> io::Result<()> {
    let (accepted, mut connections) = mpsc::channel(ACCEPTED);
    tokio::spawn(listener.accept(accepted));
    let desk = Desk { offer, workers: Sessions::default(), gateways: Sessions::default(), shutdown: shutdown.clone() };
    let service = ControlPlaneServer::new(desk)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let incoming = stream::poll_fn(move |cx| connections.poll_recv(cx));
    let serving =
        Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned());
    serving.await.map_err(io::Error::other)
}

/// Answers the calls of all connections.
struct Desk {
    offer: Offer,
    workers: Sessions<WorkerDown, WorkerUp>,
    gateways: Sessions<GatewayDown, GatewayUp>,
    shutdown: CancellationToken,
}

fn who<T>(request: &Request<T>) -> Who {
    request.extensions().get::<Who>().cloned().unwrap_or(Who::Stranger)
}

/// A worker speaks for itself alone.
fn says_own_name(bound: Option<String>) -> impl Fn(&WorkerUp) -> Result<(), String> + Send + Sync {
    move |message| match (message, &bound) {
        (WorkerUp::Hello(hello), Some(name)) if *hello.name.0 != **name => {
            Err(format!("worker `{name}` called itself `{}`", hello.name))
        }
        _ => Ok(()),
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
        let bound = who(&request).must_be(Role::Worker)?;
        let attach = |_, session| (self.offer.worker)(session);
        let check = Box::new(says_own_name(bound));
        self.workers.open(request.into_inner(), &self.shutdown, check, attach).await.map(Response::new)
    }

    async fn gateway_session(
        &self,
        request: Request<Streaming<GatewayFrame>>,
    ) -> Result<Response<Self::GatewaySessionStream>, Status> {
        let who = who(&request);
        // A worker routes what its guests call, as a gateway does.
        who.must_be(Role::Gateway).or_else(|refused| who.must_be(Role::Worker).map_err(|_| refused))?;
        let attach = |protocol, session| (self.offer.gateway)(for_protocol(protocol, session));
        let check = Box::new(|_: &GatewayUp| Ok(()));
        self.gateways.open(request.into_inner(), &self.shutdown, check, attach).await.map(Response::new)
    }

    async fn fetch_image(&self, request: Request<ImageRequest>) -> Result<Response<Self::FetchImageStream>, Status> {
        who(&request).must_be(Role::Worker)?;
        let chunks = handles::image_chunks(&*self.offer.images, &request.into_inner().digest).await?;
        Ok(Response::new(Box::pin(stream::iter(chunks.into_iter().map(Ok)))))
    }

    async fn certify(&self, request: Request<CertifyRequest>) -> Result<Response<CertifyAnswer>, Status> {
        let who = who(&request);
        let CertifyRequest { token, role, name, request } = request.into_inner();
        let role = Role::parse(&role).filter(|role| *role != Role::ControlPlane);
        let role = role.ok_or_else(|| Status::invalid_argument("the role is `worker` or `gateway`"))?;
        let peer = Peer { role, name };
        let admission = &self.offer.admission;
        let certificate = match who {
            Who::Peer(shown) if token.is_empty() && shown == peer => admission.renew(peer, request),
            _ => admission.join(token, peer, request),
        };
        let certificate = certificate.await.map_err(Status::permission_denied)?;
        Ok(Response::new(CertifyAnswer { certificate }))
    }

    async fn key_value(&self, request: Request<KeyValueRequest>) -> Result<Response<KeyValueAnswer>, Status> {
        who(&request).must_be(Role::Worker)?;
        let answer = handles::key_value_answer(&*self.offer.key_value, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}
