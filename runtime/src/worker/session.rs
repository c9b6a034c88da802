use std::{sync::Arc, time::Duration};

use api::{
    ReplicaId,
    replica::{ReplicaPhase, ReplicaSpec},
    session::{CpuUsage, RunningReplica, SESSION_QUEUE, WorkerDown, WorkerHello, WorkerSide, WorkerUp},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{compile::Artifacts, log::Waiting};

use super::{
    Ended, Ending, Report, Running, Worker,
    life::{live, stand_by},
    log_batch::{BATCH_LINES, LogBatches},
    machine::is_short_of_memory,
};

/// How often the worker says that it is alive.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// How often it looks after its replicas.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Places in the session's queue that only what must arrive may take: not heartbeats, not logs.
pub(super) const RESERVED: usize = SESSION_QUEUE / 2;
/// What guests still have when the whole worker stops. The gateway has drained before: what is left is work after answers.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

type Up = mpsc::Sender<WorkerUp>;

impl Worker {
    /// Follows a session until it ends or the worker is to end.
    ///
    /// When the session ends the replicas run on, and another session may be followed: it is told what runs.
    /// When the worker is to end, its replicas are first moved elsewhere or drained, as [`Ending`] says.
    pub async fn run(&mut self, mut session: WorkerSide, ending: &Ending) -> Ended {
        let up = session.tx.clone();
        if up.send(WorkerUp::Hello(self.hello())).await.is_err() {
            return Ended::Session;
        }
        for (id, running) in &self.running {
            if let Some(slots) = running.told_slots {
                send(&up, WorkerUp::Slots { id: id.clone(), slots }).await;
            }
        }
        let (mut heartbeat, mut housekeeping) = (interval(HEARTBEAT), interval(HOUSEKEEPING));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaves = false;
        let (mut lines, mut batches) = (Vec::new(), LogBatches::new(RESERVED));
        loop {
            tokio::select! {
                () = ending.now.cancelled() => break,
                () = ending.leave.cancelled(), if !leaves => {
                    leaves = true;
                    send(&up, WorkerUp::Leaving).await;
                }
                down = session.rx.recv() => match down {
                    Some(down) => self.obey(down, &up).await,
                    None => return Ended::Session,
                },
                Some(report) = self.reports.recv() => self.pass_on(report, &up).await,
                _ = self.log.recv_many(&mut lines, BATCH_LINES) => {
                    batches.send(lines.drain(..).map(Waiting::into_line), &up);
                }
                _ = heartbeat.tick() => beat(&up),
                _ = housekeeping.tick() => self.look_after(&up),
            }
            if leaves && self.running.is_empty() {
                break;
            }
        }
        self.drain(&up).await;
        Ended::Worker
    }

    fn hello(&self) -> WorkerHello {
        let running =
            |running: &Running| RunningReplica { spec: (*running.spec).clone(), phase: running.phase.clone() };
        let cached = self.ground.components.cached();
        *self.ground.told_cached.lock() = cached.iter().cloned().collect();
        WorkerHello {
            name: self.config.name.clone(),
            capacity: self.config.capacity,
            labels: self.config.labels.clone(),
            taints: self.config.taints.clone(),
            address: self.config.address.clone(),
            running: self.running.values().map(running).collect(),
            cached,
        }
    }

    async fn obey(&mut self, down: WorkerDown, up: &Up) {
        match down {
            WorkerDown::Start(spec) => match self.running.get(&spec.id) {
                Some(running) => send(up, phase(spec.id.clone(), running.phase.clone())).await,
                None => self.start(spec),
            },
            WorkerDown::Standby(spec) => match self.running.get(&spec.id) {
                Some(running) => send(up, phase(spec.id.clone(), running.phase.clone())).await,
                None => self.stand_by(spec),
            },
            WorkerDown::Stop { id, grace } => match self.running.get_mut(&id) {
                Some(running) => stop(running, grace),
                None => send(up, phase(id, ReplicaPhase::Stopped)).await,
            },
        }
    }

    fn start(&mut self, spec: Arc<ReplicaSpec>) {
        let stopped = self.begins(spec.clone());
        self.lives.spawn(live(self.ground.clone(), spec, stopped));
    }

    fn stand_by(&mut self, spec: Arc<ReplicaSpec>) {
        let stopped = self.begins(spec.clone());
        self.lives.spawn(stand_by(self.ground.clone(), spec, stopped));
    }

    /// Takes note of a replica; answers what will tell it to stop.
    fn begins(&mut self, spec: Arc<ReplicaSpec>) -> oneshot::Receiver<Duration> {
        let (stop, stopped) = oneshot::channel();
        let (phase, told_used, stop) = (ReplicaPhase::Starting, Duration::ZERO, Some(stop));
        self.running.insert(spec.id.clone(), Running { spec, phase, told_used, told_slots: None, stop });
        stopped
    }

    async fn pass_on(&mut self, report: Report, up: &Up) {
        match report {
            Report::Cached(digest) => send(up, WorkerUp::Cached { digest }).await,
            Report::Slots(id, slots) => {
                if let Some(running) = self.running.get_mut(&id) {
                    running.told_slots = Some(slots);
                    send(up, WorkerUp::Slots { id, slots }).await;
                }
            }
            Report::Phase(id, now) => {
                if matches!(now, ReplicaPhase::Stopped | ReplicaPhase::Failed(_)) {
                    self.running.remove(&id);
                } else if let Some(running) = self.running.get_mut(&id) {
                    running.phase = now.clone();
                }
                send(up, phase(id, now)).await;
            }
        }
    }

    /// Drops what is not needed any more, and says what can wait for a second.
    fn look_after(&mut self, up: &Up) {
        let mut usage = Vec::new();
        for replica in self.ground.replicas.all() {
            replica.trim();
            replica.consider_keeping();
            self.ground.keep(&replica);
            let id = &replica.spec.id;
            if let Some((count, last)) = replica.health.take_traps() {
                let _ = up.try_send(WorkerUp::Traps { id: id.clone(), count, last });
            }
            if let Some(slots) = replica.adjust_slots()
                && let Some(running) = self.running.get_mut(id)
                && up.capacity() > RESERVED
                && up.try_send(WorkerUp::Slots { id: id.clone(), slots }).is_ok()
            {
                running.told_slots = Some(slots);
            }
            let used = replica.cpu_used();
            if let Some(running) = self.running.get_mut(id).filter(|running| running.told_used != used) {
                running.told_used = used;
                usage.push(CpuUsage { id: id.clone(), used });
            }
        }
        if !usage.is_empty() && up.capacity() > RESERVED {
            let _ = up.try_send(WorkerUp::Usage(usage));
        }
        self.ground.components.trim(is_short_of_memory());
        if self.images_told.elapsed() >= Artifacts::USED_EVERY {
            self.images_told = Instant::now();
            self.ground.components.are_used(self.running.values().map(|running| running.spec.digest.clone()).collect());
        }
    }

    /// Stops every replica, and passes on what they say until the last has ended.
    async fn drain(&mut self, up: &Up) {
        self.running.values_mut().for_each(|running| stop(running, SHUTDOWN_GRACE));
        self.lives.close();
        let lives = self.lives.clone();
        let mut ended = std::pin::pin!(lives.wait());
        loop {
            tokio::select! {
                Some(report) = self.reports.recv() => self.pass_on(report, up).await,
                () = &mut ended => break,
            }
        }
        while let Ok(report) = self.reports.try_recv() {
            self.pass_on(report, up).await;
        }
        let (mut lines, mut batches) = (Vec::new(), LogBatches::new(RESERVED));
        while let Ok(line) = self.log.try_recv() {
            lines.push(line);
        }
        batches.send(lines.into_iter().map(Waiting::into_line), up);
    }
}

/// Says that the worker is alive.
fn beat(up: &Up) {
    if up.capacity() > RESERVED {
        let _ = up.try_send(WorkerUp::Heartbeat);
    }
}

fn stop(running: &mut Running, grace: Duration) {
    if let Some(stop) = running.stop.take() {
        // Its life may have ended by itself, and will say so.
        let _ = stop.send(grace);
    }
}

fn phase(id: ReplicaId, phase: ReplicaPhase) -> WorkerUp {
    WorkerUp::Phase { id, phase }
}

/// When nobody listens any more, the loop learns it from the other direction.
async fn send(up: &Up, message: WorkerUp) {
    let _ = up.send(message).await;
}
