use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{ObjectKey, ReplicaId, Timestamp, WorkerMarks, WorkerName};
use rand::{SeedableRng, rngs::SmallRng};

use crate::{
    Action, Event, Settings,
    autoscale::Autoscaler,
    names::Names,
    placement::Room,
    plan::Plan,
    scaling::Gateways,
    state::{DeploymentState, Replica, RevisionState, Workers},
    timers::Timers,
};

/// The state machine. It is fed with [`Self::step`] and read through its views; nothing else reaches it.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) settings: Settings,
    pub(crate) rng: SmallRng,
    pub(crate) names: Names,
    // Boxed: a map keeps room for more entries than it has, and these are large.
    pub(crate) deployments: BTreeMap<ObjectKey, Box<DeploymentState>>,
    pub(crate) revisions: BTreeMap<ObjectKey, Box<RevisionState>>,
    pub(crate) replicas: BTreeMap<ReplicaId, Replica>,
    /// How many replicas there are of each priority.
    pub(crate) priorities: BTreeMap<i32, usize>,
    pub(crate) workers: Workers,
    pub(crate) cordoned: BTreeSet<WorkerName>,
    pub(crate) marks: BTreeMap<WorkerName, WorkerMarks>,
    /// Why gateways do not reach them, of workers that may still come.
    pub(crate) unreached: BTreeMap<WorkerName, Arc<str>>,
    /// Revisions with replicas that have no worker.
    pub(crate) waiting: BTreeSet<ObjectKey>,
    pub(crate) room: Room,
    /// Deployments whose standbys found no worker.
    pub(crate) homeless: BTreeSet<ObjectKey>,
    /// What each Deployment's number of replicas follows, also of those that are not told yet.
    pub(crate) autoscalers: BTreeMap<ObjectKey, Arc<Autoscaler>>,
    pub(crate) gateways: Gateways,
    pub(crate) timers: Timers,
    /// Whether the store has been read.
    pub(crate) loaded: bool,
    /// Whether workers have had their time to report what they run.
    pub(crate) settled: bool,
    /// Workers of an earlier life that have not said hello yet.
    pub(crate) expected: BTreeSet<WorkerName>,
    /// What workers said before the store was read.
    pub(crate) early: Vec<Event>,
    /// What has changed in this step, and is looked at again in it.
    pub(crate) dirty_deployments: BTreeSet<ObjectKey>,
    pub(crate) dirty_revisions: BTreeSet<ObjectKey>,
    pub(crate) dirty_replicas: BTreeSet<ReplicaId>,
    pub(crate) dirty_workers: BTreeSet<WorkerName>,
    /// Deployments and revisions whose statuses may have changed in this step.
    pub(crate) restated_deployments: BTreeSet<ObjectKey>,
    pub(crate) restated: BTreeSet<ObjectKey>,
    /// Revisions that are to be written.
    pub(crate) unsaved: BTreeSet<ObjectKey>,
    pub(crate) plan: Plan,
}

impl Scheduler {
    /// A scheduler that knows nothing yet. It decides nothing before [`Event::Loaded`].
    pub fn new(seed: u64, settings: Settings) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        Self {
            settings,
            names: Names::new(&mut rng),
            rng,
            deployments: BTreeMap::new(),
            revisions: BTreeMap::new(),
            replicas: BTreeMap::new(),
            priorities: BTreeMap::new(),
            workers: Workers::default(),
            cordoned: BTreeSet::new(),
            marks: BTreeMap::new(),
            unreached: BTreeMap::new(),
            waiting: BTreeSet::new(),
            room: Room::default(),
            homeless: BTreeSet::new(),
            autoscalers: BTreeMap::new(),
            gateways: Gateways::default(),
            timers: Timers::default(),
            loaded: false,
            settled: false,
            expected: BTreeSet::new(),
            early: Vec::new(),
            dirty_deployments: BTreeSet::new(),
            dirty_revisions: BTreeSet::new(),
            dirty_replicas: BTreeSet::new(),
            dirty_workers: BTreeSet::new(),
            restated_deployments: BTreeSet::new(),
            restated: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            plan: Plan::default(),
        }
    }

    /// Takes an event, and answers what is to be done about it and about what is due, in this order.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        self.take(event, now);
        self.fire_due_timers(now);
        if self.loaded {
            self.touch_what_waits_for_a_place();
            self.reconcile(now);
            self.place_waiting(now);
            self.reconcile(now);
            // Who had to make room for others may fit elsewhere. It ends: each round stops something that runs.
            while std::mem::take(&mut self.room.preempted) {
                self.place_waiting(now);
                self.reconcile(now);
            }
        }
        self.publish(now);
        let wake_at = self.timers.ask();
        self.plan.take(wake_at)
    }

    /// Looks at what has changed until nothing changes any more. It ends: each round only comes nearer to what is wanted.
    fn reconcile(&mut self, now: Timestamp) {
        loop {
            if let Some(key) = self.dirty_deployments.pop_first() {
                self.reconcile_deployment(&key, now);
                self.restated_deployments.insert(key);
            } else if let Some(key) = self.dirty_revisions.pop_first() {
                self.reconcile_replicas(&key, now);
            } else {
                return;
            }
        }
    }
}
