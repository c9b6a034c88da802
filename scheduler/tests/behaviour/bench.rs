use std::{sync::Arc, time::Duration};

use api::{
    Digest, ObjectKey, ReplicaId, Taint, Timestamp, WorkerName,
    replica::{Failure, FailureReason, Grants, Limits, Probes, ReplicaPhase, ReplicaSpec},
    session::{Capacity, RunningReplica, WorkerHello, WorkerUp},
};
use scheduler::{
    Action, Deployment, DeploymentStatus, Event, ReplicaState, ReplicaView, Resources, Scheduler, Settings, Share,
    Strategy, Template,
};

/// A scheduler on a bench: its last actions are kept, and images are found at once.
pub(crate) struct Bench {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Timestamp,
    /// Of the last event, and of the answers to its image look-ups.
    pub(crate) actions: Vec<Action>,
    /// Whether images are found.
    pub(crate) image: Result<Digest, String>,
}

/// What a worker can hold, unless a test says otherwise.
const CAPACITY: Capacity = Capacity { cpu_millis: 4000, memory_bytes: 4 << 30, replicas: 100 };

pub(crate) fn app() -> ObjectKey {
    ObjectKey::new("default", "app")
}

pub(crate) fn digest() -> Digest {
    Digest::from_sha256([1; 32])
}

pub(crate) fn trap() -> ReplicaPhase {
    ReplicaPhase::Failed(Failure { reason: FailureReason::Error, message: "unreachable".to_owned() })
}

pub(crate) fn template(hash: &str) -> Arc<Template> {
    Arc::new(Template {
        hash: hash.to_owned(),
        source: Default::default(),
        container: "main".to_owned(),
        labels: Default::default(),
        image: "shop/app:1".to_owned(),
        pull: Default::default(),
        environment: Vec::new(),
        grants: Grants::default(),
        limits: Limits::default(),
        probes: Probes::default(),
        grace: Duration::from_secs(30),
        requests: Resources { cpu_millis: 100, memory_bytes: 64 << 20 },
        node_selector: Default::default(),
        node_affinity: Default::default(),
        spread: Vec::new(),
        tolerations: Vec::new(),
        priority: Default::default(),
    })
}

pub(crate) fn deployment(replicas: u32) -> Deployment {
    Deployment {
        key: app(),
        uid: "uid".to_owned(),
        generation: 1,
        replicas,
        template: template("a"),
        strategy: Strategy::RollingUpdate { max_surge: Share::Count(1), max_unavailable: Share::Count(0) },
        min_ready: Duration::ZERO,
        revision_history_limit: 10,
        progress_deadline: Duration::from_secs(600),
        paused: false,
        autoscaled: false,
    }
}

pub(crate) fn worker(number: u32) -> WorkerName {
    WorkerName(format!("worker-{number}").into())
}

impl Bench {
    /// Before the store has been read.
    pub(crate) fn new() -> Self {
        let scheduler = Scheduler::new(1, Settings::default());
        Self { scheduler, now: Timestamp::from_secs(1_000_000), actions: Vec::new(), image: Ok(digest()) }
    }

    /// An empty store has been read, and so many workers are there.
    pub(crate) fn with_workers(count: u32) -> Self {
        let mut bench = Self::new();
        bench.step(Event::Loaded);
        (0..count).for_each(|number| bench.hello(number, Vec::new()));
        bench
    }

    pub(crate) fn step(&mut self, event: Event) {
        self.actions = self.scheduler.step(event, self.now);
        let asked = self.actions.iter().filter_map(|action| match action {
            Action::ResolveImage { revision, .. } => Some(revision.clone()),
            _ => None,
        });
        for revision in asked.collect::<Vec<_>>() {
            let answer = Event::ImageResolved { revision, result: self.image.clone() };
            self.actions.extend(self.scheduler.step(answer, self.now));
        }
    }

    /// Time passes, while these workers say that they are alive.
    pub(crate) fn pass(&mut self, seconds: u64, alive: &[u32]) {
        let mut actions = Vec::new();
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            for number in alive {
                self.step(Event::Worker { worker: worker(*number), message: WorkerUp::Heartbeat });
                actions.append(&mut self.actions);
            }
            self.step(Event::Tick);
            actions.append(&mut self.actions);
        }
        self.actions = actions;
    }

    /// A worker with taints says hello again, with what it runs.
    pub(crate) fn hello_with(&mut self, number: u32, taints: Vec<Taint>) {
        let held = self.views().into_iter().filter(|view| view.worker == Some(worker(number)));
        let report = |view: ReplicaView| {
            let mut report = running(&view.template.hash, "x");
            report.spec.id = view.id;
            report
        };
        let held = held.map(report).collect();
        self.say_hello(number, held, taints, CAPACITY);
    }

    pub(crate) fn hello(&mut self, number: u32, running: Vec<RunningReplica>) {
        self.say_hello(number, running, Vec::new(), CAPACITY);
    }

    /// A worker that can hold so much, and runs nothing.
    pub(crate) fn hello_sized(&mut self, number: u32, capacity: Capacity) {
        self.say_hello(number, Vec::new(), Vec::new(), capacity);
    }

    fn say_hello(&mut self, number: u32, running: Vec<RunningReplica>, taints: Vec<Taint>, capacity: Capacity) {
        let name = worker(number);
        let hello = WorkerHello {
            name: name.clone(),
            capacity,
            labels: Default::default(),
            taints,
            address: None,
            running,
            cached: Vec::new(),
        };
        self.step(Event::Worker { worker: name, message: WorkerUp::Hello(hello) });
    }

    pub(crate) fn phase(&mut self, id: &ReplicaId, phase: ReplicaPhase) {
        let worker = self.view(id).worker.expect("it has a worker");
        self.step(Event::Worker { worker, message: WorkerUp::Phase { id: id.clone(), phase } });
    }

    /// Every replica that starts becomes ready and every one that stops ends, until nothing moves any more.
    pub(crate) fn work_off(&mut self) {
        loop {
            let moving = self.scheduler.replicas().find(|view| {
                matches!(view.state, ReplicaState::Starting | ReplicaState::NotReady | ReplicaState::Stopping)
            });
            match moving {
                Some(view) if view.state == ReplicaState::Stopping => self.phase(&view.id, ReplicaPhase::Stopped),
                Some(view) => self.phase(&view.id, ReplicaPhase::Ready),
                None => return,
            }
        }
    }

    pub(crate) fn view(&self, id: &ReplicaId) -> ReplicaView {
        self.scheduler.replicas().find(|view| view.id == *id).expect("it is there")
    }

    pub(crate) fn views(&self) -> Vec<ReplicaView> {
        self.scheduler.replicas().collect()
    }

    pub(crate) fn ids(&self) -> Vec<ReplicaId> {
        self.scheduler.replicas().map(|view| view.id).collect()
    }

    /// How many replicas of the revision with this hash are not being stopped.
    pub(crate) fn live(&self, hash: &str) -> usize {
        let of_hash = self.scheduler.replicas().filter(|view| view.template.hash == hash);
        of_hash.filter(|view| view.state != ReplicaState::Stopping).count()
    }

    pub(crate) fn status(&self) -> &DeploymentStatus {
        self.scheduler.deployment_status(&app()).expect("it has a status")
    }

    /// The reason of a condition, if it is there.
    pub(crate) fn reason(&self, kind: &str) -> Option<&'static str> {
        let of_kind = self.status().conditions.iter().find(|condition| condition.kind.as_str() == kind);
        of_kind.map(|condition| condition.reason.as_str())
    }

    pub(crate) fn starts(&self) -> Vec<ReplicaId> {
        let starts = self.actions.iter().filter_map(|action| match action {
            Action::Start { id, .. } => Some(id.clone()),
            _ => None,
        });
        starts.collect()
    }

    pub(crate) fn stops(&self) -> Vec<ReplicaId> {
        let stops = self.actions.iter().filter_map(|action| match action {
            Action::Stop { id, .. } => Some(id.clone()),
            _ => None,
        });
        stops.collect()
    }

    pub(crate) fn messages(&self, wanted: &str) -> Vec<String> {
        let messages = self.actions.iter().filter_map(|action| match action {
            Action::Emit { reason, message, .. } if *reason == wanted => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    }
}

/// A replica of `app`'s revision with this hash, as a worker reports it.
pub(crate) fn running(hash: &str, suffix: &str) -> RunningReplica {
    let template = template(hash);
    RunningReplica {
        spec: ReplicaSpec {
            id: ReplicaId(ObjectKey::new("default", format!("app-{hash}-{suffix}"))),
            revision: format!("app-{hash}"),
            created: Timestamp::from_secs(1),
            image: template.image.clone(),
            digest: digest(),
            environment: Default::default(),
            grants: template.grants.clone(),
            limits: template.limits.clone(),
            reserves: Default::default(),
            probes: template.probes.clone(),
            seal: Vec::new(),
        },
        phase: ReplicaPhase::Ready,
    }
}
