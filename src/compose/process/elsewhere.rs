//! The way from processes without network and certificate to workers of other machines: it leads through who started them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Weak},
};

use api::{
    Address, Body, Dialer, ObjectKey, ReplicaId, Serve, ServeError,
    session::{Endpoint, GatewayDown},
};
use futures::future::{BoxFuture, ready};
use http::{Request, Response};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use transport::{RemoteDialer, RequestListener, ServingThreads, machine, serve_requests};

use crate::paths::DataDir;

/// The ways to replicas.
type Ways = HashMap<ReplicaId, Arc<dyn Serve>>;

/// Hands requests of processes that were started here on to replicas on other machines that these were told of.
pub(in crate::compose) struct Elsewhere {
    socket: PathBuf,
    dialer: RemoteDialer,
    /// By Service, so that what is told of one replaces what was.
    known: Mutex<HashMap<ObjectKey, Ways>>,
}

impl Elsewhere {
    /// Of the process of this name; a directory may be that of several.
    pub(in crate::compose) fn new(of: &str, dir: &DataDir, dialer: RemoteDialer) -> Arc<Self> {
        // No worker is called so.
        let socket = dir.request_socket(&format!("{of}_elsewhere"));
        Arc::new(Self { socket, dialer, known: Mutex::default() })
    }

    /// Takes requests until `stop`.
    pub(in crate::compose) async fn serve(self: Arc<Self>, stop: CancellationToken) -> std::io::Result<()> {
        let listener = RequestListener::bind(Some(self.socket.clone()), None).await?;
        let threads = ServingThreads { count: 1, start: runtime::start_serving_thread };
        serve_requests(listener, Arc::new(Way(Arc::downgrade(&self))), threads, stop).await
    }

    /// Leads endpoints on other machines through here, in what a process is told.
    pub(super) fn lead(&self, message: &mut GatewayDown) {
        match message {
            GatewayDown::Endpoints { service, endpoints, .. } => {
                let far = endpoints.iter_mut().filter(|endpoint| endpoint.address.as_ref().is_some_and(is_far));
                let known: Ways = far.map(|endpoint| self.through_here(endpoint)).collect();
                let mut all = self.known.lock();
                let before = if known.is_empty() { all.remove(service) } else { all.insert(service.clone(), known) };
                // Connections end outside of the lock.
                drop(all);
                drop(before);
            }
            GatewayDown::ServiceGone(service) => drop(self.known.lock().remove(service)),
            GatewayDown::Routes(_) | GatewayDown::Service(_) | GatewayDown::Ingress(_) | GatewayDown::Leaving(_) => {}
        }
    }

    fn through_here(&self, endpoint: &mut Endpoint) -> (ReplicaId, Arc<dyn Serve>) {
        let way = self.dialer.dial(endpoint);
        let socket = self.socket.to_str().map(str::to_owned);
        endpoint.address = Some(Address { machine: machine().to_owned(), socket, tcp: None });
        (endpoint.replica.clone(), way)
    }

    fn way(&self, replica: &ReplicaId) -> Option<Arc<dyn Serve>> {
        self.known.lock().values().find_map(|replicas| replicas.get(replica).cloned())
    }
}

fn is_far(address: &Address) -> bool {
    address.tcp.is_some() && (address.socket.is_none() || address.machine != machine())
}

/// What answers at its socket.
struct Way(Weak<Elsewhere>);

impl Dialer for Way {
    fn dial(&self, endpoint: &Endpoint) -> Arc<dyn Serve> {
        Arc::new(Onward { elsewhere: self.0.clone(), replica: endpoint.replica.clone() })
    }
}

/// A replica on another machine, wherever that is by now.
struct Onward {
    elsewhere: Weak<Elsewhere>,
    replica: ReplicaId,
}

impl Serve for Onward {
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>> {
        match self.elsewhere.upgrade().and_then(|elsewhere| elsewhere.way(&self.replica)) {
            Some(way) => way.serve(request),
            None => {
                let why = format!("replica {} is on no other machine that is known here", self.replica);
                Box::pin(ready(Err(ServeError::Refused { request: Box::new(request), why })))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api::WorkerName;
    use tokio::runtime::Handle;
    use transport::RequestLimits;

    use super::*;
    use crate::paths::DataDirArgs;

    fn endpoint(replica: &str, address: Address) -> Endpoint {
        Endpoint {
            replica: ReplicaId(ObjectKey::new("shop", replica)),
            worker: WorkerName("w".into()),
            concurrency: 1,
            request_deadline: Duration::from_secs(1),
            address: Some(address),
            standby: false,
        }
    }

    #[tokio::test]
    async fn who_has_no_network_is_led_through_here_to_other_machines_and_nowhere_else() {
        let dir = DataDirArgs { data_dir: Some("/data".into()) }.resolve().unwrap();
        let dialer = RemoteDialer::new(RequestLimits::default(), None, Handle::current());
        let elsewhere = Elsewhere::new("w", &dir, dialer);
        let near = Address { machine: machine().to_owned(), socket: Some("/data/run/w.sock".to_owned()), tcp: None };
        let far = Address { tcp: Some("192.0.2.1:7500".to_owned()), ..Address::default() };
        let service = ObjectKey::new("shop", "a");
        let tell = |endpoints| {
            let (reason, hopeless) = (None, false);
            let mut told = GatewayDown::Endpoints { service: service.clone(), endpoints, reason, hopeless };
            elsewhere.lead(&mut told);
            let GatewayDown::Endpoints { endpoints, .. } = told else { panic!("it is another message") };
            endpoints.into_iter().map(|endpoint| endpoint.address.unwrap()).collect::<Vec<_>>()
        };
        let id = |name: &str| ReplicaId(ObjectKey::new("shop", name));
        let led = tell(vec![endpoint("near", near.clone()), endpoint("far", far.clone())]);
        assert_eq!(led[0], near);
        assert_eq!((&*led[1].machine, led[1].socket.as_deref()), (machine(), Some("/data/run/w_elsewhere.sock")));
        assert!(elsewhere.way(&id("far")).is_some() && elsewhere.way(&id("near")).is_none());
        tell(vec![endpoint("another", far)]);
        assert!(elsewhere.way(&id("another")).is_some() && elsewhere.way(&id("far")).is_none(), "it is gone");
        tell(Vec::new());
        assert!(elsewhere.way(&id("another")).is_none());
    }
}
