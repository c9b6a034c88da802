use std::{collections::BTreeMap, time::Duration};

use api::{
    ReplicaId, WorkerName,
    replica::{Failure, FailureReason, ReplicaPhase, ReplicaSpec},
    session::{Capacity, RunningReplica, WorkerDown, WorkerHello, WorkerUp},
};
use rand::Rng;

use crate::{
    scenario::{Scenario, zone},
    world::{Happening, World},
};

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A worker as it really is.
#[derive(Debug)]
pub(crate) struct SimWorker {
    pub(crate) number: u32,
    pub(crate) name: WorkerName,
    pub(crate) capacity: Capacity,
    pub(crate) alive: bool,
    /// Counts its lives: what was set off in an earlier one does not happen.
    pub(crate) life: u64,
    pub(crate) session: Option<u64>,
    pub(crate) running: BTreeMap<ReplicaId, Running>,
}

#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) spec: ReplicaSpec,
    pub(crate) phase: ReplicaPhase,
    pub(crate) room: Room,
}

/// The part of a worker's capacity that something there holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// None: it stands by, or is being made ready to.
    None,
    /// The scheduler has given it.
    Given,
    /// A request has started it where there was some; the scheduler hears of it afterwards.
    Taken,
}

/// A replica on a worker comes into a phase.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    worker: WorkerName,
    life: u64,
    id: ReplicaId,
    from: ReplicaPhase,
    to: ReplicaPhase,
}

impl SimWorker {
    pub(crate) fn named(number: u32, scenario: &Scenario) -> (WorkerName, Self) {
        let capacity = scenario.capacity;
        let name = WorkerName(format!("worker-{number}").into());
        let worker = Self {
            number,
            name: name.clone(),
            capacity,
            alive: true,
            life: 0,
            session: None,
            running: BTreeMap::new(),
        };
        (name, worker)
    }

    pub(crate) fn hello(&self) -> WorkerHello {
        let running = self.running.values();
        WorkerHello {
            name: self.name.clone(),
            capacity: self.capacity,
            labels: BTreeMap::from([("zone".to_owned(), zone(self.number))]),
            taints: Vec::new(),
            address: None,
            running: running
                .map(|Running { spec, phase, .. }| RunningReplica { spec: spec.clone(), phase: phase.clone() })
                .collect(),
            cached: Vec::new(),
        }
    }
}

impl World {
    /// A worker does what it is told, as the real one: a start is idempotent, a stop of what is not here is answered.
    pub(crate) fn told(&mut self, name: &WorkerName, message: WorkerDown) {
        if !self.workers[name].alive {
            return;
        }
        match message {
            WorkerDown::Start(spec) => {
                let id = spec.id.clone();
                if let Some(running) = self.workers[name].running.get(&id) {
                    let phase = running.phase.clone();
                    return self.send_up(name, WorkerUp::Phase { id, phase });
                }
                let running = Running { spec: (*spec).clone(), phase: ReplicaPhase::Starting, room: Room::Given };
                self.workers.get_mut(name).expect("it exists").running.insert(id.clone(), running);
                self.check_worker_truth(name);
                self.send_up(name, WorkerUp::Phase { id: id.clone(), phase: ReplicaPhase::Starting });
                self.set_off(name, id, ReplicaPhase::Starting);
            }
            WorkerDown::Standby(spec) => {
                let id = spec.id.clone();
                if let Some(running) = self.workers[name].running.get(&id) {
                    let phase = running.phase.clone();
                    return self.send_up(name, WorkerUp::Phase { id, phase });
                }
                let running = Running { spec: (*spec).clone(), phase: ReplicaPhase::Starting, room: Room::None };
                self.workers.get_mut(name).expect("it exists").running.insert(id.clone(), running);
                let fails = !self.is_quiet() && self.rng.random_bool(0.1);
                let (from, to) = (ReplicaPhase::Starting, if fails { failure() } else { ReplicaPhase::Standby });
                let pause = self.spell(Duration::from_millis(300));
                let life = Life { worker: name.clone(), life: self.workers[name].life, id, from, to };
                self.after(pause, Happening::Live(life));
            }
            WorkerDown::Stop { id, grace } => match self.workers.get_mut(name).and_then(|w| w.running.get_mut(&id)) {
                None => self.send_up(name, WorkerUp::Phase { id, phase: ReplicaPhase::Stopped }),
                Some(running) if running.phase == ReplicaPhase::Draining => {}
                Some(running) => {
                    running.phase = ReplicaPhase::Draining;
                    self.send_up(name, WorkerUp::Phase { id: id.clone(), phase: ReplicaPhase::Draining });
                    let (from, to) = (ReplicaPhase::Draining, ReplicaPhase::Stopped);
                    let pause = self.spell(grace);
                    let life = Life { worker: name.clone(), life: self.workers[name].life, id, from, to };
                    self.after(pause, Happening::Live(life));
                }
            },
        }
    }

    /// What becomes of a replica that is in this phase.
    fn set_off(&mut self, name: &WorkerName, id: ReplicaId, from: ReplicaPhase) {
        let fails = !self.is_quiet() && self.rng.random_bool(0.1);
        let (to, longest) = match from {
            _ if fails => (failure(), Duration::from_secs(5)),
            ReplicaPhase::Starting if self.rng.random_bool(0.3) => (ReplicaPhase::NotReady, Duration::from_millis(200)),
            ReplicaPhase::Starting => (ReplicaPhase::Ready, slow(self)),
            ReplicaPhase::NotReady => (ReplicaPhase::Ready, slow(self)),
            _ => return,
        };
        let pause = self.spell(longest);
        let life = Life { worker: name.clone(), life: self.workers[name].life, id, from, to };
        self.after(pause, Happening::Live(life));
    }

    pub(crate) fn live(&mut self, Life { worker: name, life, id, from, to }: Life) {
        let Some(worker) = self.workers.get_mut(&name).filter(|worker| worker.alive && worker.life == life) else {
            return;
        };
        let Some(running) = worker.running.get_mut(&id).filter(|running| running.phase == from) else { return };
        running.phase = to.clone();
        if matches!(to, ReplicaPhase::Stopped | ReplicaPhase::Failed(_)) {
            worker.running.remove(&id);
        }
        self.send_up(&name, WorkerUp::Phase { id: id.clone(), phase: to.clone() });
        self.set_off(&name, id, to);
    }

    pub(crate) fn start_beating(&mut self, name: &WorkerName) {
        let life = self.workers[name].life;
        self.within(HEARTBEAT, Happening::Beat { worker: name.clone(), life });
    }

    pub(crate) fn beat(&mut self, name: &WorkerName, life: u64) {
        let worker = &self.workers[name];
        if worker.alive && worker.life == life {
            self.send_up(name, WorkerUp::Heartbeat);
            self.after(HEARTBEAT, Happening::Beat { worker: name.clone(), life });
        }
    }

    /// A worker's process ends, and everything that it runs.
    pub(crate) fn crash(&mut self, name: &WorkerName) {
        let worker = self.workers.get_mut(name).expect("it exists");
        if !worker.alive {
            return;
        }
        worker.alive = false;
        worker.running.clear();
        self.break_session(name);
        self.within(Duration::from_secs(30), Happening::Revive(name.clone()));
    }

    pub(crate) fn revive(&mut self, name: &WorkerName) {
        let worker = self.workers.get_mut(name).expect("it exists");
        if worker.alive {
            return;
        }
        worker.alive = true;
        worker.life += 1;
        self.start_beating(name);
        self.within(Duration::from_secs(1), Happening::Connect(name.clone()));
    }
}

fn slow(world: &mut World) -> Duration {
    if !world.is_quiet() && world.rng.random_bool(0.1) { Duration::from_secs(20) } else { Duration::from_millis(300) }
}

fn failure() -> ReplicaPhase {
    ReplicaPhase::Failed(Failure { reason: FailureReason::Error, message: "it trapped".to_owned() })
}
