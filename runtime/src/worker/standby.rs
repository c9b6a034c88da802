use std::{
    mem,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use api::{Body, Serve, ServeError, replica::ReplicaSpec};
use futures::future::BoxFuture;
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{Ground, life::start, room::Held};
use crate::replica::Replica;

/// How long requests wait for a replica that they have started to become ready, as its probes say.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// A replica that does not run: its first request starts it, on the thread that has the request. Those that come meanwhile
/// wait for the same start, in order.
pub(super) struct Standby {
    ground: Arc<Ground>,
    spec: Arc<ReplicaSpec>,
    /// The runtime of the replica's life.
    home: Handle,
    /// Who keeps a way to the standby keeps nothing of a replica that is gone.
    started: OnceLock<Weak<Replica>>,
    /// Held by the request that starts it.
    starting: tokio::sync::Mutex<()>,
    stage: Mutex<Stage>,
}

/// Where a standby is between the request that starts it and the replica's life.
enum Stage {
    /// With whom to tell of the start: the life.
    Standing(oneshot::Sender<()>),
    /// With what was started, until its life takes it over.
    Started(Started),
    /// The life has taken over what was started, or has ended.
    Over,
}

/// A replica that a request has started, and the room that it holds.
pub(super) type Started = (Arc<Replica>, Held);

impl Standby {
    /// A standby whose life is the calling task, and what tells the life of its start.
    pub(super) fn new(ground: Arc<Ground>, spec: Arc<ReplicaSpec>) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (life, told) = oneshot::channel();
        let standby = Self {
            ground,
            spec,
            home: Handle::current(),
            started: OnceLock::new(),
            starting: tokio::sync::Mutex::default(),
            stage: Mutex::new(Stage::Standing(life)),
        };
        (Arc::new(standby), told)
    }

    /// Nobody starts it any more. Answers what a request has started, told or not.
    pub(super) fn end(&self) -> Option<Started> {
        match mem::replace(&mut *self.stage.lock(), Stage::Over) {
            Stage::Started(started) => Some(started),
            Stage::Standing(_) | Stage::Over => None,
        }
    }

    /// The replica, which this starts if nobody has; or why it does not run.
    async fn start(&self) -> Result<Arc<Replica>, String> {
        if let Some(replica) = self.started.get() {
            return replica.upgrade().ok_or_else(|| STOPPING.to_owned());
        }
        let _starting = self.starting.lock().await;
        if let Some(replica) = self.started.get() {
            return replica.upgrade().ok_or_else(|| STOPPING.to_owned());
        }
        let stands = matches!(&*self.stage.lock(), Stage::Standing(life) if !life.is_closed());
        if !stands {
            return Err(STOPPING.to_owned());
        }
        let id = &self.spec.id;
        let held = self.ground.room.try_hold(self.spec.reserves);
        let held = held.ok_or_else(|| format!("there is no room to start replica {id}"))?;
        let replica = start(&self.ground, self.spec.clone()).await;
        let replica = replica.map_err(|error| format!("replica {id} does not start: {error}"))?;
        self.hand_over(replica, held)
    }

    /// Leaves what was started to the replica's life.
    fn hand_over(&self, replica: Arc<Replica>, held: Held) -> Result<Arc<Replica>, String> {
        let life = {
            let mut stage = self.stage.lock();
            let Stage::Standing(life) = mem::replace(&mut *stage, Stage::Over) else { return Err(STOPPING.to_owned()) };
            *stage = Stage::Started((replica.clone(), held));
            // Before the life can look for it.
            self.started.get_or_init(|| Arc::downgrade(&replica));
            life
        };
        if replica.has_to_become_ready() {
            // Its life runs the probes that the request waits for.
            let _ = life.send(());
        } else {
            replica.set_ready();
            self.ground.starts.tell(life, &self.home);
        }
        Ok(replica)
    }
}

const STOPPING: &str = "the replica is stopping";

/// The way to a standby: to its replica, once that runs.
pub(super) struct OnDemand(pub(super) Arc<Standby>);

impl Serve for OnDemand {
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>> {
        let started = self.0.started.get().and_then(Weak::upgrade);
        if let Some(replica) = started.filter(|replica| replica.was_ready()) {
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
