use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use api::{Body, Serve, ServeError, replica::ReplicaSpec};
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::{
    sync::{Mutex, oneshot},
    time::timeout,
};

use super::{Ground, life::start, room::Held};
use crate::replica::Replica;

/// How long requests wait for a replica that they have started to become ready, as its probes say.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// A replica that does not run: its first request starts it, on the thread that has the request. Those that come meanwhile
/// wait for the same start, in order.
pub(super) struct Standby {
    ground: Arc<Ground>,
    spec: Arc<ReplicaSpec>,
    started: OnceLock<Arc<Replica>>,
    /// Whom to tell of the start: the replica's life. `None` once it was told, or has ended.
    life: Mutex<Option<oneshot::Sender<Started>>>,
}

/// A replica that a request has started, and the room that it holds.
pub(super) type Started = (Arc<Replica>, Held);

impl Standby {
    /// A standby, and what tells of its start.
    pub(super) fn new(ground: Arc<Ground>, spec: Arc<ReplicaSpec>) -> (Arc<Self>, oneshot::Receiver<Started>) {
        let (life, told) = oneshot::channel();
        (Arc::new(Self { ground, spec, started: OnceLock::new(), life: Mutex::new(Some(life)) }), told)
    }

    /// The replica, which this starts if nobody has; or why it does not run.
    async fn start(&self) -> Result<Arc<Replica>, String> {
        if let Some(replica) = self.started.get() {
            return Ok(replica.clone());
        }
        let mut life = self.life.lock().await;
        if let Some(replica) = self.started.get() {
            return Ok(replica.clone());
        }
        if life.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return Err("the replica is stopping".to_owned());
        }
        let id = &self.spec.id;
        let held = self.ground.room.try_hold(self.spec.reserves);
        let held = held.ok_or_else(|| format!("there is no room to start replica {id}"))?;
        let replica = start(&self.ground, self.spec.clone()).await;
        let replica = replica.map_err(|error| format!("replica {id} does not start: {error}"))?;
        match life.take().map(|life| life.send((replica.clone(), held))) {
            Some(Ok(())) => Ok(self.started.get_or_init(|| replica).clone()),
            _ => Err("the replica is stopping".to_owned()),
        }
    }
}

/// The way to a standby: to its replica, once that runs.
pub(super) struct OnDemand(pub(super) Arc<Standby>);

impl Serve for OnDemand {
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>> {
        if let Some(replica) = self.0.started.get().filter(|replica| replica.was_ready()) {
            return replica.serve_handle().serve(request);
        }
        let standby = self.0.clone();
        Box::pin(async move {
            let refused = |request, why| Err(ServeError::Refused { request: Box::new(request), why });
            let replica = match standby.start().await {
                Ok(replica) => replica,
                Err(why) => return refused(request, why),
            };
            if timeout(READY_WITHIN, replica.ready()).await.is_err() {
                return refused(request, format!("replica {} has not become ready", standby.spec.id));
            }
            replica.serve_handle().serve(request).await
        })
    }
}
