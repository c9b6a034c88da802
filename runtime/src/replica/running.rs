use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    Serve,
    replica::{FailureReason, Isolation, LogSource, ReplicaSpec},
};
use tokio::sync::{SetOnce, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::{
    Host,
    admission::Admission,
    cpu::{CpuMeter, UsedCpu},
    entry::LocalReplica,
    failure::{GuestFailure, backtrace, is_of_worker, reason},
    health::Health,
    idle::IdleInstances,
    instance::Instance,
    memory::MemoryBudget,
    pace::Pace,
    tail::go_on_at,
    task::GuestTask,
    turn::Turn,
};
use crate::{
    capabilities::{Capabilities, GuestState},
    compile::LoadedComponent,
    engine::{Asked, Holder, Slot},
    error::StartError,
    log::ReplicaLog,
};

/// What a replica takes is adjusted when it differs by more than this part of it.
const SLOTS_TOLERANCE: u32 = 8;

/// A replica that runs: a linked component, what it can reach, what it may use, and what it does at the moment.
pub(crate) struct Replica {
    pub(crate) spec: Arc<ReplicaSpec>,
    pub(crate) health: Health,
    pub(crate) component: Arc<LoadedComponent>,
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) host: Arc<Host>,
    /// What it has of the engine's pool.
    pub(super) holder: Arc<Holder>,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) idle: Arc<IdleInstances>,
    pub(super) pace: Pace,
    cpu: Option<Arc<CpuMeter>>,
    used: UsedCpu,
    pub(super) admission: Admission,
    ready: SetOnce<()>,
    killed: CancellationToken,
    log: Arc<ReplicaLog>,
}

impl Replica {
    pub(crate) fn new(
        spec: Arc<ReplicaSpec>,
        component: Arc<LoadedComponent>,
        capabilities: Capabilities,
        host: Arc<Host>,
        log: Arc<ReplicaLog>,
    ) -> Arc<Self> {
        let limits = &spec.limits;
        let idle = Arc::new(IdleInstances::new(limits.concurrency));
        if let Isolation::Replica { .. } = limits.isolation {
            host.idle.add(&idle);
        }
        let (namespace, reserved) = (&spec.id.0.namespace, spec.reserves.memory_bytes);
        let part = host.memory.join(namespace, reserved, limits.memory_bytes);
        let memory = MemoryBudget::new(part, Arc::downgrade(&idle));
        log.count_in(&memory);
        Arc::new(Self {
            health: Health::default(),
            component,
            capabilities: Arc::new(capabilities),
            holder: host.engine.pool.join(&spec.id.0.namespace),
            host,
            memory,
            idle,
            pace: Pace::default(),
            cpu: limits.cpu_millis.map(|millis| Arc::new(CpuMeter::new(millis))),
            used: UsedCpu::default(),
            admission: Admission::new(limits.concurrency),
            ready: SetOnce::new(),
            killed: CancellationToken::new(),
            log,
            spec,
        })
    }

    /// Makes an instance, to see that it can be made, and answers how many bytes of memory it takes; `None` if the worker's pool
    /// or its memory is full. With isolation `replica` the first request will have it.
    pub(crate) async fn try_instantiate(self: &Arc<Self>) -> Result<Option<u64>, StartError> {
        let image = || self.spec.image.clone();
        let slot = match self.host.room(&self.holder) {
            Asked::Taken(slot) => slot,
            Asked::Waits(_) | Asked::Full => return Ok(None),
        };
        let _ticking = self.host.engine.ticker.keep_ticking();
        let turn = Arc::new(self.turn());
        let (made_out, mut made) = oneshot::channel();
        // A component computes as it likes while it is instantiated. The thread of the caller follows the worker's session.
        let work = {
            let (replica, turn) = (self.clone(), turn.clone());
            Box::pin(async move {
                // The caller has left if it takes nothing.
                let _ = made_out.send(Instance::new(&replica, slot, turn).await);
                Ok(())
            })
        };
        let guest = GuestTask::new(work, turn.clone(), self.clone()).begun_in_background();
        let ended = go_on_at(self.host.starts(), guest, turn.clone(), self).await.unwrap_or(Err(GuestFailure::Stopped));
        let made = ended.and_then(|()| made.try_recv().map_err(|_| GuestFailure::Stopped));
        let failure = match made {
            Ok(Ok(instance)) => {
                let bytes = instance.memory_bytes();
                self.instances_take(bytes);
                self.keep(instance);
                let (slots, asked) = (self.slots(), self.spec.limits.concurrency);
                if slots < asked {
                    let limit = self.memory.limit_bytes();
                    self.log.line(
                        LogSource::Sampan,
                        format!(
                            "takes {slots} requests at a time instead of {asked}: an instance takes {bytes} bytes of the \
                             memory limit of {limit} bytes; for more, raise `resources.limits.memory`"
                        ),
                    );
                }
                return Ok(Some(bytes));
            }
            Ok(Err(error)) if is_of_worker(&error) => return Ok(None),
            Ok(Err(error)) => self.failed(&error, &turn),
            Err(failure) => failure,
        };
        Err(match failure {
            GuestFailure::OutOfMemory { .. } => {
                let (limit_bytes, needed_bytes) = (self.memory.limit_bytes(), self.memory.lacking_bytes());
                StartError::OutOfMemory { image: image(), limit_bytes, needed_bytes }
            }
            failure => StartError::Instantiate { image: image(), why: failure.to_string() },
        })
    }

    /// From what an instance takes follows how many requests have room at the same time.
    pub(crate) fn instances_take(&self, bytes: u64) {
        self.memory.size().begin_with(bytes);
        self.consider_keeping();
        self.admission.set_slots(self.room());
    }

    /// Requests that it takes at the same time: its concurrency, or fewer where its memory has no room for so many instances.
    pub(crate) fn slots(&self) -> u32 {
        self.admission.slots()
    }

    /// Adjusts how many requests it takes to what instances have taken of late. Answers how many it takes now, if it is another
    /// number than before. Small differences change nothing, as the whole way up to the gateways is told.
    pub(crate) fn adjust_slots(&self) -> Option<u32> {
        let (before, now) = (self.slots(), self.room());
        let differs = before.abs_diff(now) > before / SLOTS_TOLERANCE;
        differs.then(|| {
            self.admission.set_slots(now);
            now
        })
    }

    fn room(&self) -> u32 {
        self.memory.room(self.spec.limits.concurrency)
    }

    /// The way to it for the roles of this process.
    pub(crate) fn serve_handle(self: &Arc<Self>) -> Arc<dyn Serve> {
        Arc::new(LocalReplica::of(self))
    }

    /// It is ready for requests, as its probes say, for the first time.
    pub(crate) fn set_ready(&self) {
        // Later times change nothing.
        let _ = self.ready.set(());
    }

    pub(crate) fn was_ready(&self) -> bool {
        self.ready.initialized()
    }

    /// Whether probes say when it is ready. Without them it is as soon as it is there.
    pub(crate) fn has_to_become_ready(&self) -> bool {
        self.spec.probes.startup.is_some() || self.spec.probes.readiness.is_some()
    }

    /// Resolves when it has been ready, or never will be.
    pub(crate) async fn ready(&self) {
        if !self.has_to_become_ready() {
            return;
        }
        tokio::select! {
            _ = self.ready.wait() => {}
            () = self.killed.cancelled() => {}
        }
    }

    /// CPU time that its guest has used.
    pub(crate) fn cpu_used(&self) -> Duration {
        self.used.total()
    }

    pub(super) fn computed(&self, spent: Duration) {
        self.used.add(spent);
    }

    /// Takes no more requests; those that are in go on.
    pub(crate) fn close(&self) {
        self.admission.close();
    }

    /// A request has all of its answer, while its guest goes on. It counts until that ends.
    pub(super) fn answered(&self, turn: &Turn) {
        // Counted first: the guest may end at the same moment, and take it from the count.
        self.admission.answered();
        if !turn.answer() {
            self.admission.not_answered();
        }
    }

    /// Resolves when nothing is in flight any more. Only after [`close`](Self::close).
    pub(crate) async fn emptied(&self) {
        self.admission.emptied().await;
    }

    /// Ends what is still in flight.
    pub(crate) fn kill(&self) {
        self.close();
        self.killed.cancel();
        self.idle.clear();
    }

    /// Requests that it works on.
    pub(crate) fn in_flight(&self) -> u32 {
        self.admission.in_flight()
    }

    /// Drops instances that nobody needed for a while.
    pub(crate) fn trim(&self) {
        self.idle.trim(Instant::now());
    }

    pub(super) fn killed(&self) -> &CancellationToken {
        &self.killed
    }

    pub(super) fn turn(&self) -> Turn {
        self.turn_within(self.spec.limits.request_deadline)
    }

    /// A turn that ends after `limit` at the latest, and after the replica's own deadline.
    pub(super) fn turn_within(&self, limit: Duration) -> Turn {
        let limit = limit.min(self.spec.limits.request_deadline);
        Turn::new(self.host.engine.ticker.clone(), self.cpu.clone(), limit)
    }

    pub(super) fn succeeded(&self) {
        self.health.succeeded();
    }

    /// The engine that keeps memory, the component linked to it, and a slot there, if that is worth it and one is free. Instances
    /// that are reused would sit in such a slot between requests.
    pub(super) fn kept(&self) -> Option<(&wasmtime::Engine, &ProxyPre<GuestState>, Slot)> {
        let linked = self.component.keeping.kept().filter(|_| !self.reuses())?;
        let kept = self.host.engine.kept.as_ref()?;
        Some((&kept.wasm, linked, kept.slot()?))
    }

    /// Looks whether its instances have so much memory that keeping it may be worth it.
    pub(crate) fn consider_keeping(&self) {
        let engine = &self.host.engine;
        if engine.kept.is_some() && !self.reuses() && self.memory.size().bytes() > engine.keeps_each_bytes {
            self.component.keeping.consider();
        }
    }

    /// Whether an instance may have more requests than one.
    pub(super) fn reuses(&self) -> bool {
        matches!(self.spec.limits.isolation, Isolation::Replica { .. })
    }

    /// Keeps an instance for another request, if it may have one.
    pub(super) fn keep(&self, instance: Box<Instance>) {
        if let Isolation::Replica { max_reuse } = self.spec.limits.isolation
            && instance.served() < max_reuse
            && !self.killed.is_cancelled()
            // Its room goes to who waits for it.
            && !self.host.engine.pool.is_waited_for()
        {
            self.idle.put(instance);
        }
    }

    /// Takes note of an error out of the guest: in the log, in the counts, and for the body that is being sent.
    pub(super) fn failed(&self, error: &wasmtime::Error, turn: &Turn) -> GuestFailure {
        let failure = GuestFailure::of(error);
        // Looked at first: once the body knows of the failure, it is given up for that.
        let abandoned = turn.abandoned();
        turn.fail(&failure);
        if abandoned {
            // A guest that could not write because its client left is not broken.
            return failure;
        }
        if let Some(broken) = turn.broken_request() {
            return broken;
        }
        let (kind, reason) = match &failure {
            GuestFailure::Deadline => {
                self.deadline_passed(turn);
                return failure;
            }
            GuestFailure::OutOfMemory { host_bytes } => {
                let limit = self.memory.limit_bytes();
                let of_host = match host_bytes {
                    0 => String::new(),
                    bytes => format!(
                        "; {bytes} bytes of that are what the host holds for an instance: values of `cas`, bodies, fields"
                    ),
                };
                (FailureReason::OomKilled, format!("out of memory: the limit of {limit} bytes was reached{of_host}"))
            }
            GuestFailure::WorkerOutOfMemory => {
                // Not the guest's doing: it is not restarted for that.
                self.log.line(LogSource::Sampan, turn.line(&failure.to_string()));
                return failure;
            }
            _ => (FailureReason::Error, reason(error)),
        };
        self.log.line(LogSource::Sampan, turn.line(&reason));
        if let Some(frames) = backtrace(error) {
            self.log.lines(LogSource::Sampan, &frames);
        }
        self.health.trapped(Instant::now(), kind, reason);
        failure
    }

    /// Takes note of an answer that cannot be used, or of none.
    pub(super) fn misbehaved(&self, reason: String, turn: &Turn) -> GuestFailure {
        if let Some(broken) = turn.broken_request() {
            return broken;
        }
        self.log.line(LogSource::Sampan, turn.line(&reason));
        self.health.trapped(Instant::now(), FailureReason::Error, reason.clone());
        GuestFailure::Trapped { reason }
    }

    /// A guest was ended that wrote on where its answer has no body, and its writes failed.
    pub(super) fn wrote_without_end(&self, turn: &Turn) {
        let line = "stopped: it still wrote a body, though its answer (to HEAD, or 204, 205 or 304) has none";
        self.log.line(LogSource::Sampan, turn.line(line));
    }

    pub(super) fn deadline_passed(&self, turn: &Turn) {
        let deadline = self.spec.limits.request_deadline;
        let what = if turn.is_answered() { "still at work after its answer at" } else { "no answer within" };
        self.log.line(LogSource::Sampan, turn.line(&format!("stopped: {what} the request deadline of {deadline:?}")));
    }
}
