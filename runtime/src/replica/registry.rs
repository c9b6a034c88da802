use std::sync::Arc;

use api::{Body, Dialer, ReplicaId, Serve, ServeError, session::Endpoint};
use dashmap::DashMap;
use futures::future::{BoxFuture, ready};
use http::{Request, Response};

use super::Replica;

/// The replicas that run in this process, by name.
///
/// The worker puts them in; the gateway of the same process finds them through [`dialer`](Self::dialer). Clones share it.
#[derive(Clone, Default)]
pub struct Replicas {
    running: Arc<DashMap<ReplicaId, Present>>,
}

/// What a name stands for.
enum Present {
    Running(Arc<Replica>),
    /// It is started by its first request.
    Standby(Arc<dyn Serve>),
}

impl Replicas {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The way for a gateway to reach them. Dialled once for each endpoint, it costs nothing on a request.
    pub fn dialer(&self) -> Arc<dyn Dialer> {
        Arc::new(self.clone())
    }

    pub(crate) fn insert(&self, replica: Arc<Replica>) {
        self.running.insert(replica.spec.id.clone(), Present::Running(replica));
    }

    pub(crate) fn insert_standby(&self, id: &ReplicaId, on_demand: Arc<dyn Serve>) {
        self.running.insert(id.clone(), Present::Standby(on_demand));
    }

    pub(crate) fn remove(&self, id: &ReplicaId) {
        self.running.remove(id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Replica>> {
        let running = |present: &Present| match present {
            Present::Running(replica) => Some(replica.clone()),
            Present::Standby(_) => None,
        };
        self.running.iter().filter_map(|entry| running(entry.value())).collect()
    }
}

impl Dialer for Replicas {
    fn dial(&self, endpoint: &Endpoint) -> Arc<dyn Serve> {
        match self.running.get(&endpoint.replica).as_deref() {
            Some(Present::Running(replica)) => replica.serve_handle(),
            Some(Present::Standby(on_demand)) => on_demand.clone(),
            None => Arc::new(Gone(endpoint.replica.clone())),
        }
    }
}

/// A replica that does not run here (any more).
struct Gone(ReplicaId);

impl Serve for Gone {
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>> {
        let why = format!("replica {} does not run here", self.0);
        Box::pin(ready(Err(ServeError::Refused { request: Box::new(request), why })))
    }
}
