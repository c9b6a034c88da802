use std::time::Duration;

use api::{WorkerName, session::WorkerUp};
use rand::{Rng, rngs::SmallRng};
use scheduler::Event;

use crate::world::{Happening, World};

/// A worker that leaves, or another, ends after this time.
const LEAVES_WITHIN: Duration = Duration::from_secs(3);

/// What may go wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    CrashWorker,
    /// As a supervisor sees it: the control plane is told at once.
    WorkerDies,
    /// It leaves in order, and ends a while later whatever has been moved by then.
    WorkerLeaves,
    BreakSession,
    StallSession,
    RestartControlPlane,
    SilenceGateway,
}

impl Fault {
    pub(crate) fn any(rng: &mut SmallRng) -> Self {
        match rng.random_range(0..14) {
            0..3 => Self::CrashWorker,
            3..6 => Self::BreakSession,
            6..9 => Self::StallSession,
            9 => Self::RestartControlPlane,
            10 => Self::WorkerDies,
            11 => Self::SilenceGateway,
            _ => Self::WorkerLeaves,
        }
    }
}

impl World {
    pub(crate) fn strike(&mut self, fault: Fault) {
        let worker = self.any_worker();
        self.trace(|| format!("{fault:?} {worker}"));
        match fault {
            Fault::CrashWorker => self.crash(&worker),
            Fault::WorkerDies if self.workers[&worker].alive => {
                self.crash(&worker);
                self.step(Event::WorkerDied(worker));
            }
            Fault::WorkerDies => {}
            Fault::WorkerLeaves => {
                self.send_up(&worker, WorkerUp::Leaving);
                self.after(LEAVES_WITHIN, Happening::Fault(Fault::CrashWorker));
            }
            Fault::BreakSession => self.break_session(&worker),
            Fault::StallSession => self.stall_session(&worker),
            Fault::RestartControlPlane => self.shut_down(),
            Fault::SilenceGateway => self.silence_gateway(),
        }
    }

    pub(crate) fn any_worker(&mut self) -> WorkerName {
        let index = self.rng.random_range(0..self.workers.len());
        self.workers.keys().nth(index).expect("it is one of them").clone()
    }

    /// From now on everything works: what crashed is there again soon, nothing is cordoned or paused.
    pub(crate) fn heal(&mut self) {
        self.trace(|| "quiet".to_owned());
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            if !self.workers[&name].alive {
                self.within(Duration::from_secs(5), Happening::Revive(name));
            }
        }
        if !self.control.is_up() {
            self.after(Duration::ZERO, Happening::Boot);
        }
        self.lift_restrictions();
        self.end_all_traffic();
    }
}
