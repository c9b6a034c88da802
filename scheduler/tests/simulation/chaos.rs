use std::time::Duration;

use api::WorkerName;
use rand::{Rng, rngs::SmallRng};

use crate::world::{Happening, World};

/// What may go wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    CrashWorker,
    BreakSession,
    StallSession,
    RestartControlPlane,
}

impl Fault {
    pub(crate) fn any(rng: &mut SmallRng) -> Self {
        match rng.random_range(0..10) {
            0..3 => Self::CrashWorker,
            3..6 => Self::BreakSession,
            6..9 => Self::StallSession,
            _ => Self::RestartControlPlane,
        }
    }
}

impl World {
    pub(crate) fn strike(&mut self, fault: Fault) {
        let worker = self.any_worker();
        self.trace(|| format!("{fault:?} {worker}"));
        match fault {
            Fault::CrashWorker => self.crash(&worker),
            Fault::BreakSession => self.break_session(&worker),
            Fault::StallSession => self.stall_session(&worker),
            Fault::RestartControlPlane => self.shut_down(),
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
    }
}
