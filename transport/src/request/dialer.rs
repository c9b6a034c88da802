use std::{
    collections::HashMap,
    future::poll_fn,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use api::{
    Address, Body, BodyError, Dialer, ReplicaId, Serve, ServeError, WorkerName, frame_request, session::Endpoint,
};
use futures::future::BoxFuture;
use http::{
    HeaderValue, Method, Request, Response, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    RequestLimits,
    body::Answer,
    carried::{self, Packed},
    connect::Way,
    headers::{self, DEADLINE, FAILURE, MAX_WHY_BYTES, REPLICA},
    link::{Link, watch_over},
};
use crate::{
    broker::BrokerClient,
    identity::{Identity, Role},
    machine::machine,
};

/// The way to replicas in other processes.
pub struct RemoteDialer {
    limits: RequestLimits,
    /// What this process shows to workers of other machines, if it has something to show.
    identity: Option<Arc<Identity>>,
    /// Who connects to workers of this machine, if this process may not.
    broker: Option<BrokerClient>,
    links: Mutex<HashMap<(WorkerName, Address), Weak<Link>>>,
    background: Handle,
    until: CancellationToken,
}

impl RemoteDialer {
    /// Watches over workers on `background`. Without an identity, only workers of this machine are reached.
    pub fn new(limits: RequestLimits, identity: Option<Arc<Identity>>, background: Handle) -> Self {
        Self { limits, identity, broker: None, links: Mutex::default(), background, until: CancellationToken::new() }
    }

    /// Connections to workers of this machine are asked of who started this process.
    #[must_use]
    pub fn through(self, broker: BrokerClient) -> Self {
        Self { broker: Some(broker), ..self }
    }

    /// Workers that do not answer any more once `until` is cancelled are not warned of: they are about to end, or this process
    /// is.
    #[must_use]
    pub fn until(self, until: CancellationToken) -> Self {
        Self { until, ..self }
    }

    fn link(&self, worker: &WorkerName, address: &Address) -> Arc<Link> {
        let mut links = self.links.lock();
        links.retain(|_, link| link.strong_count() > 0);
        let key = (worker.clone(), address.clone());
        if let Some(link) = links.get(&key).and_then(Weak::upgrade) {
            return link;
        }
        let link = Link::new(worker.to_string(), self.way(worker, address), self.limits.clone(), self.until.clone());
        self.background.spawn(watch_over(Arc::downgrade(&link)));
        links.insert(key, Arc::downgrade(&link));
        link
    }

    fn way(&self, worker: &WorkerName, address: &Address) -> Way {
        match (&address.socket, &address.tcp, &self.identity) {
            (Some(socket), ..) if address.machine == machine() => match &self.broker {
                Some(broker) => Way::Broker { broker: broker.clone(), worker: worker.clone(), socket: socket.clone() },
                None => Way::Socket(PathBuf::from(socket)),
            },
            (_, Some(tcp), Some(identity)) => {
                Way::Tls { address: tcp.clone(), name: Role::Worker.server_name(&worker.0), identity: identity.clone() }
            }
            (_, Some(_), None) => Way::None("this gateway has not joined with a token".to_owned()),
            (_, None, _) => Way::None("the worker is on another machine and listens on no address".to_owned()),
        }
    }
}

impl Dialer for RemoteDialer {
    fn dial(&self, endpoint: &Endpoint) -> Arc<dyn Serve> {
        let address = endpoint.address.clone().unwrap_or_default();
        Arc::new(RemoteReplica {
            link: self.link(&endpoint.worker, &address),
            replica: headers::replica(&endpoint.replica),
            deadline: headers::deadline(endpoint.request_deadline),
            id: endpoint.replica.clone(),
        })
    }
}

/// A replica in another process.
struct RemoteReplica {
    link: Arc<Link>,
    id: ReplicaId,
    replica: HeaderValue,
    deadline: HeaderValue,
}

impl Serve for RemoteReplica {
    fn serve(&self, mut request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>> {
        carried::fold(request.headers_mut());
        request.headers_mut().insert(REPLICA, self.replica.clone());
        request.headers_mut().insert(DEADLINE, self.deadline.clone());
        // Over HTTP/2 trailers may follow a body whose length is known, too.
        let whole = request.version() != Version::HTTP_2 && request.body().size_hint().exact().is_some();
        *request.version_mut() = Version::HTTP_11;
        if whole || request.body().is_end_stream() {
            frame_request(&mut request);
        } else {
            carried::chunk(request.headers_mut());
            request = request.map(|body| Packed(body).boxed_unsync());
        }
        Box::pin(exchange(self.link.clone(), self.id.clone(), request))
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn is_reachable(&self) -> bool {
        self.link.is_reachable()
    }

    fn lost(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.link.lost())
    }
}

async fn exchange(link: Arc<Link>, id: ReplicaId, mut request: Request<Body>) -> Result<Response<Body>, ServeError> {
    let method = request.method().clone();
    loop {
        let (mut sender, is_new) = match link.connection().await {
            Ok(connection) => connection,
            Err(error) => {
                link.set_lost(&error.to_string());
                let why = format!("replica {id} cannot be reached: {error}");
                return Err(ServeError::Refused { request: Box::new(request), why });
            }
        };
        match sender.try_send_request(request).await {
            Ok(response) => {
                let hold = Hold::of(&method, &response, &link.limits);
                return answer(response.map(|body| Answer::new(body, sender, link)), hold).await;
            }
            Err(mut failed) => match failed.take_message() {
                // It was closed while it waited: nothing has been sent.
                Some(back) if !is_new => request = back,
                Some(back) => {
                    let why = format!("replica {id} cannot be reached: {}", failed.error());
                    return Err(ServeError::Refused { request: Box::new(back), why });
                }
                None => return Err(gone(&link, failed.error())),
            },
        }
    }
}

/// What became of a request that was gone when its exchange failed.
fn gone(link: &Link, error: &hyper::Error) -> ServeError {
    // Its own body broke off, which says nothing of the worker.
    if let Some(why) = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<BodyError>()) {
        return ServeError::BadRequest { why: format!("the request body could not be read: {why}") };
    }
    // A worker that answers what cannot be read does answer.
    if !error.is_parse() {
        link.set_lost(&error.to_string());
    }
    ServeError::Unreachable { why: error.to_string() }
}

/// How an answer is held, so that it is passed on whole or not at all if its worker is lost.
struct Hold {
    whole: bool,
    at_most: Duration,
}

impl Hold {
    fn of<B>(method: &Method, response: &Response<B>, limits: &RequestLimits) -> Self {
        let is_stream = || {
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
        };
        // What cannot be sent again gains little, and answers to GET may be streams if nobody says how long they are.
        let (whole, at_most) = match *method {
            Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE => (true, limits.answer_held),
            Method::GET if response.headers().contains_key(CONTENT_LENGTH) => (true, limits.answer_held),
            Method::GET if !is_stream() => (true, limits.head_held),
            _ => (false, limits.head_held),
        };
        Self { whole, at_most }
    }
}

/// What the worker answered: for the guest, or for itself.
async fn answer(mut response: Response<Answer>, hold: Hold) -> Result<Response<Body>, ServeError> {
    carried::restore(response.headers_mut());
    carried::unfold(response.headers_mut());
    let Some(failure) = response.headers().get(FAILURE).cloned() else {
        // While the client has seen nothing of an answer that has broken off, it can be told so, or another be asked.
        let held = poll_fn(|cx| response.body_mut().poll_held(hold.whole, cx));
        if let Ok(Err(error)) = timeout(hold.at_most, held).await {
            return Err(ServeError::Unreachable { why: error.to_string() });
        }
        return Ok(response.map(BodyExt::boxed_unsync));
    };
    let why = Limited::new(response.into_body(), MAX_WHY_BYTES).collect().await;
    let why = why.map(|why| String::from_utf8_lossy(&why.to_bytes()).into_owned()).unwrap_or_default();
    Err(headers::parse_failure(&failure, why))
}
