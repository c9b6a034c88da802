use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use api::{
    Digest, ReplicaId,
    replica::{Failure, FailureReason, ReplicaPhase, ReplicaSpec},
    session::{RunningReplica, WorkerDown, WorkerHello, WorkerSide, WorkerUp},
};
use runtime::{Ended, Ending, WorkerConfig};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    sharing::Sharing,
    tenant::{News, Tenants},
};

/// How often it says that it is alive.
const HEARTBEAT: Duration = Duration::from_millis(100);

type Up = mpsc::Sender<WorkerUp>;

/// The worker's side of the session, over all of its processes.
pub(super) struct Partition {
    sharing: Sharing,
    config: WorkerConfig,
    tenants: Tenants,
    news: mpsc::Receiver<News>,
    /// The session of each process that has one, by its group.
    sessions: HashMap<String, mpsc::Sender<WorkerDown>>,
    running: HashMap<ReplicaId, Held>,
    /// Images whose components have been compiled.
    cached: BTreeSet<Digest>,
}

/// A replica of one of the processes.
struct Held {
    spec: Arc<ReplicaSpec>,
    phase: ReplicaPhase,
    /// Requests that it takes at the same time, if its process has said.
    slots: Option<u32>,
    /// How its process is told of it.
    order: fn(Arc<ReplicaSpec>) -> WorkerDown,
}

impl Partition {
    pub(super) fn new(
        sharing: Sharing,
        config: WorkerConfig,
        (mut tenants, news): (Tenants, mpsc::Receiver<News>),
    ) -> Self {
        sharing.lasting().into_iter().for_each(|group| tenants.ensure(group));
        let cached = tenants.compiled();
        Self { sharing, config, tenants, news, sessions: HashMap::new(), running: HashMap::new(), cached }
    }

    /// Follows a session until it ends or the worker is to end.
    pub(super) async fn run(&mut self, mut session: WorkerSide, ending: &Ending) -> Ended {
        let up = session.tx.clone();
        if up.send(WorkerUp::Hello(self.hello())).await.is_err() {
            return Ended::Session;
        }
        for (id, held) in &self.running {
            if let Some(slots) = held.slots {
                send(&up, WorkerUp::Slots { id: id.clone(), slots }).await;
            }
        }
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaves = false;
        loop {
            tokio::select! {
                () = ending.now.cancelled() => return Ended::Worker,
                () = ending.leave.cancelled(), if !leaves => {
                    leaves = true;
                    send(&up, WorkerUp::Leaving).await;
                }
                down = session.rx.recv() => match down {
                    Some(down) => self.obey(down, &up).await,
                    None => return Ended::Session,
                },
                Some(news) = self.news.recv() => self.hear(news, &up).await,
                _ = heartbeat.tick() => drop(up.try_send(WorkerUp::Heartbeat)),
            }
            if leaves && self.running.is_empty() {
                return Ended::Worker;
            }
        }
    }

    /// Ends all processes.
    pub(super) async fn end(&mut self) {
        self.tenants.end().await;
    }

    fn hello(&self) -> WorkerHello {
        let running = |held: &Held| RunningReplica { spec: (*held.spec).clone(), phase: held.phase.clone() };
        WorkerHello {
            name: self.config.name.clone(),
            capacity: self.config.capacity,
            labels: self.config.labels.clone(),
            taints: self.config.taints.clone(),
            address: self.config.address.clone(),
            running: self.running.values().map(running).collect(),
            cached: self.cached.iter().cloned().collect(),
        }
    }

    async fn obey(&mut self, down: WorkerDown, up: &Up) {
        match down {
            WorkerDown::Start(spec) => self.take(spec, WorkerDown::Start, up).await,
            WorkerDown::Standby(spec) => self.take(spec, WorkerDown::Standby, up).await,
            WorkerDown::Stop { id, grace } if self.running.contains_key(&id) => {
                let group = self.sharing.group(&id).to_owned();
                self.tenants.stop_within(&group, &id, grace);
                self.tell(&group, WorkerDown::Stop { id, grace }).await;
            }
            WorkerDown::Stop { id, .. } => send(up, said(&id, ReplicaPhase::Stopped)).await,
        }
    }

    async fn take(&mut self, spec: Arc<ReplicaSpec>, order: fn(Arc<ReplicaSpec>) -> WorkerDown, up: &Up) {
        if let Some(held) = self.running.get(&spec.id) {
            return send(up, said(&spec.id, held.phase.clone())).await;
        }
        let group = self.sharing.group(&spec.id).to_owned();
        let held = Held { spec: spec.clone(), phase: ReplicaPhase::Starting, slots: None, order };
        self.running.insert(spec.id.clone(), held);
        self.tenants.place(&group, &spec);
        send(up, said(&spec.id, ReplicaPhase::Starting)).await;
        self.tenants.ensure(&group);
        // Without a session yet, it is told when it says hello.
        self.tell(&group, order(spec)).await;
    }

    async fn tell(&mut self, group: &str, message: WorkerDown) {
        if let Some(session) = self.sessions.get(group) {
            // One that has ended is followed by a hello, which sets it right.
            let _ = session.send(message).await;
        }
    }

    async fn hear(&mut self, news: News, up: &Up) {
        match news {
            News::Joined(group, session) => {
                self.sessions.insert(group, session);
            }
            News::Died(group) => {
                self.sessions.remove(&group);
                self.fail(&group, |_| true, up).await;
            }
            News::Says(group, WorkerUp::Hello(mut hello)) => {
                hello.cached.retain(|digest| self.of(&group).any(|held| held.spec.digest == *digest));
                for digest in hello.cached {
                    self.compiled(digest, up).await;
                }
                hello.running.retain(|running| self.is_of(&running.spec.id, &group));
                self.reconcile(&group, hello.running, up).await;
            }
            News::Says(_, WorkerUp::Cached { digest }) => self.compiled(digest, up).await,
            // Of what runs in another process, none says that it has ended.
            News::Says(group, WorkerUp::Phase { id, .. }) if !self.is_of(&id, &group) => {
                tracing::warn!(%id, group, "a process speaks of a replica of another: that is dropped");
            }
            News::Says(_, WorkerUp::Phase { id, phase }) => self.phase(id, phase, up).await,
            News::Says(_, WorkerUp::Slots { id, slots }) => {
                if let Some(held) = self.running.get_mut(&id) {
                    held.slots = Some(slots);
                }
                send(up, WorkerUp::Slots { id, slots }).await;
            }
            News::Says(_, WorkerUp::Heartbeat | WorkerUp::Leaving) => {}
            News::Says(_, message @ WorkerUp::Log { .. }) => drop(up.try_send(message)),
            News::Says(_, message) => send(up, message).await,
        }
    }

    async fn compiled(&mut self, digest: Digest, up: &Up) {
        if self.cached.insert(digest.clone()) {
            send(up, WorkerUp::Cached { digest }).await;
        }
    }

    /// A process says what it runs: what it should and does not is started, or failed if it did before.
    async fn reconcile(&mut self, group: &str, reported: Vec<RunningReplica>, up: &Up) {
        let reported: HashMap<ReplicaId, ReplicaPhase> =
            reported.into_iter().map(|running| (running.spec.id, running.phase)).collect();
        self.fail(group, |id| !reported.contains_key(id), up).await;
        let missing = self.of(group).filter(|held| !reported.contains_key(&held.spec.id));
        let orders: Vec<WorkerDown> = missing.map(|held| (held.order)(held.spec.clone())).collect();
        for order in orders {
            self.tell(group, order).await;
        }
        for (id, phase) in reported {
            match self.running.contains_key(&id) {
                true => self.phase(id, phase, up).await,
                false => self.tell(group, WorkerDown::Stop { id, grace: Duration::ZERO }).await,
            }
        }
    }

    /// Says that replicas have ended with their process. What did not run yet is taken up by the next.
    async fn fail(&mut self, group: &str, ended: impl Fn(&ReplicaId) -> bool, up: &Up) {
        let ran = |phase: &ReplicaPhase| !matches!(phase, ReplicaPhase::Starting | ReplicaPhase::Standby);
        let failed = self.of(group).filter(|held| ran(&held.phase) && ended(&held.spec.id));
        let failed: Vec<ReplicaId> = failed.map(|held| held.spec.id.clone()).collect();
        for id in failed {
            let message = match self.sharing {
                Sharing::Worker => "the process that it ran in ended".to_owned(),
                Sharing::Namespace => format!("the process of namespace {group} ended"),
            };
            let phase = ReplicaPhase::Failed(Failure { reason: FailureReason::Error, message });
            self.running.remove(&id);
            self.tenants.ended(group, &id);
            send(up, said(&id, phase)).await;
        }
    }

    /// Whether the process of a group is the one for this replica.
    fn is_of(&self, id: &ReplicaId, group: &str) -> bool {
        self.sharing.group(id) == group
    }

    fn of(&self, group: &str) -> impl Iterator<Item = &Held> {
        self.running.values().filter(move |held| self.sharing.group(&held.spec.id) == group)
    }

    async fn phase(&mut self, id: ReplicaId, phase: ReplicaPhase, up: &Up) {
        if matches!(phase, ReplicaPhase::Stopped | ReplicaPhase::Failed(_)) {
            self.running.remove(&id);
            self.tenants.ended(self.sharing.group(&id), &id);
        } else if let Some(held) = self.running.get_mut(&id) {
            held.phase = phase.clone();
        }
        let stopped = phase == ReplicaPhase::Stopped;
        send(up, said(&id, phase)).await;
        let group = self.sharing.group(&id).to_owned();
        // One that failed is started again soon; its process stays.
        if stopped && self.sharing.lasting().is_none() && self.of(&group).next().is_none() {
            self.sessions.remove(&group);
            self.tenants.dismiss(&group);
        }
    }
}

fn said(id: &ReplicaId, phase: ReplicaPhase) -> WorkerUp {
    WorkerUp::Phase { id: id.clone(), phase }
}

/// When nobody listens any more, the loop learns it from the other direction.
async fn send(up: &Up, message: WorkerUp) {
    let _ = up.send(message).await;
}
