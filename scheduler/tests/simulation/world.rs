use std::{collections::BTreeMap, time::Duration};

use api::{ObjectKey, Timestamp, WorkerName};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use scheduler::Event;

use crate::{
    chaos::Fault,
    control::Control,
    scenario::Scenario,
    sessions::{Message, Sessions},
    store::{Store, Write},
    traffic::Traffic,
    worker::{Life, SimWorker},
};

/// What happens at a time.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The shell of this life of the control plane asked to be woken.
    Wake { life: u64 },
    /// A worker tries to open a session.
    Connect(WorkerName),
    /// A message arrives, unless its session has ended.
    Arrive { session: u64, message: Message },
    /// The control plane finds out that a session has ended.
    NoticeEnd { session: u64 },
    /// A worker says that it is alive.
    Beat { worker: WorkerName, life: u64 },
    /// A replica on a worker goes on to its next phase.
    Live(Life),
    /// A worker that crashed is there again.
    Revive(WorkerName),
    /// The durable store takes a write of this life of the control plane.
    Apply { life: u64, write: Write },
    /// An image look-up ends.
    Resolved { life: u64, revision: ObjectKey, reference: String },
    /// The control plane is there again.
    Boot,
    /// A window of the gateway ends.
    Window,
    /// Trouble.
    Fault(Fault),
    /// A user does something.
    Edit,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) rng: SmallRng,
    pub(crate) now: Timestamp,
    pub(crate) control: Control,
    pub(crate) store: Store,
    pub(crate) sessions: Sessions,
    pub(crate) workers: BTreeMap<WorkerName, SimWorker>,
    pub(crate) traffic: Traffic,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    happened: u64,
    /// After this time nothing goes wrong.
    pub(crate) quiet_from: Timestamp,
    trace_hash: u64,
}

/// Any time will do.
const BEGIN: Timestamp = Timestamp::from_secs(1_700_000_000);

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let mut rng = SmallRng::seed_from_u64(scenario.seed);
        let mut world = Self {
            control: Control::down(),
            store: Store::default(),
            sessions: Sessions::default(),
            workers: (0..scenario.workers).map(|number| SimWorker::named(number, &scenario)).collect(),
            traffic: Traffic::default(),
            agenda: BTreeMap::new(),
            happened: 0,
            now: BEGIN,
            quiet_from: BEGIN + scenario.trouble,
            trace_hash: rng.random(),
            rng,
            scenario,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.start_beating(&name);
            self.within(Duration::from_secs(2), Happening::Connect(name));
        }
        self.create_deployments();
        self.after(Duration::ZERO, Happening::Boot);
        self.change_load();
        self.after(Duration::ZERO, Happening::Window);
        let mut at = BEGIN + self.spell(self.scenario.trouble_every * 2);
        while at < self.quiet_from {
            let is_edit = self.rng.random_bool(0.4);
            let happening = if is_edit { Happening::Edit } else { Happening::Fault(Fault::any(&mut self.rng)) };
            self.at(at, happening);
            at = at + self.spell(self.scenario.trouble_every * 2);
        }
    }

    /// Runs until it is over, and checks that it has converged.
    pub(crate) fn run(&mut self) {
        self.run_until(self.quiet_from);
        self.heal();
        self.run_until(self.quiet_from + self.scenario.quiet);
        self.check_convergence();
    }

    fn run_until(&mut self, end: Timestamp) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= end) {
            let (at, _) = *entry.key();
            let happening = entry.remove();
            self.now = self.now.max(at);
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake { life } if self.control.is_life(life) => self.step(Event::Tick),
            Happening::Wake { .. } => {}
            Happening::Connect(worker) => self.connect(&worker),
            Happening::Arrive { session, message } => self.arrive(session, message),
            Happening::NoticeEnd { session } => self.notice_end(session),
            Happening::Beat { worker, life } => self.beat(&worker, life),
            Happening::Live(life) => self.live(life),
            Happening::Revive(worker) => self.revive(&worker),
            Happening::Apply { life, write } => {
                if self.control.is_life(life) {
                    self.apply(write);
                }
            }
            Happening::Resolved { life, revision, reference } => self.resolved(life, revision, &reference),
            Happening::Boot => self.boot(),
            Happening::Window => self.window(),
            Happening::Fault(fault) => self.strike(fault),
            Happening::Edit => self.edit(),
        }
    }

    pub(crate) fn at(&mut self, at: Timestamp, happening: Happening) {
        self.happened += 1;
        self.agenda.insert((at, self.happened), happening);
    }

    pub(crate) fn after(&mut self, pause: Duration, happening: Happening) {
        self.at(self.now + pause, happening);
    }

    /// At some time within `longest`.
    pub(crate) fn within(&mut self, longest: Duration, happening: Happening) {
        let pause = self.spell(longest);
        self.after(pause, happening);
    }

    /// A random time of at most `longest`.
    pub(crate) fn spell(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.rng.random_range(1..=longest.as_micros().max(1) as u64))
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.now >= self.quiet_from
    }

    /// Notes what was done: printed where one seed is rerun, and compared between runs.
    pub(crate) fn trace(&mut self, what: impl FnOnce() -> String) {
        let what = what();
        for byte in what.bytes() {
            self.trace_hash = (self.trace_hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.scenario.trace {
            println!("{:>10.3} {what}", self.now.since(BEGIN).as_secs_f64());
        }
    }

    /// Tells runs apart.
    pub(crate) fn digest(&self) -> u64 {
        self.trace_hash
    }
}
