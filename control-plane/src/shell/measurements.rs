use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use api::{
    Count, ObjectKey, Refusals, Refused, ReplicaId, Timestamp,
    session::{CpuUsage, ServiceSample},
};
use parking_lot::Mutex;
use registry_client::hosted::Repositories;
use scheduler::AutoscalerStatus;

use key_value::{NamespaceUsage, Quota, RedbKeyValue};

/// The last that gateways measured at each Service. Clones are handles to the same.
///
/// No data means that nothing is known, which is not the same as no traffic.
#[derive(Debug, Clone, Default)]
pub struct Measurements {
    services: Arc<Mutex<HashMap<ObjectKey, Measured>>>,
    /// What each replica has used since it started.
    cpu: Arc<Mutex<HashMap<ReplicaId, Duration>>>,
    /// By the Deployment that each scales.
    autoscalers: Arc<Mutex<HashMap<ObjectKey, Autoscaled>>>,
    lost_audit_events: Arc<OnceLock<Arc<AtomicU64>>>,
    refusals: Refusals,
    key_value: Arc<OnceLock<KeyValueFigures>>,
    registry: Arc<OnceLock<Repositories>>,
}

/// What is known of guests' stores.
#[derive(Clone)]
pub(crate) struct KeyValueFigures {
    pub(crate) quota: Quota,
    /// Where namespaces' use is counted here.
    pub(crate) file: Option<Arc<RedbKeyValue>>,
}

impl fmt::Debug for KeyValueFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueFigures").finish_non_exhaustive()
    }
}

/// What an autoscaler last decided, and how often its number changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoscaled {
    /// The last decision.
    pub status: AutoscalerStatus,
    /// How often it wanted more than before, since the process started.
    pub ups: u64,
    /// How often it wanted fewer.
    pub downs: u64,
}

/// What was measured at one Service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The last sample, and when it arrived.
    pub last: Option<(ServiceSample, Timestamp)>,
    /// Requests that found no endpoint and waited for one, since the process started.
    pub wakes: u64,
    /// What ended there, since the process started.
    pub total: Total,
}

/// Requests that have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// How many.
    pub completed: u64,
    /// Of these, with a status of 500 or above.
    pub failed: u64,
    /// Time from arrival to end, summed over them.
    pub latency: Duration,
}

impl Measurements {
    /// What was measured at a Service.
    pub fn of(&self, service: &ObjectKey) -> Option<Measured> {
        self.services.lock().get(service).cloned()
    }

    pub(super) fn sampled(&self, samples: Vec<ServiceSample>, now: Timestamp) {
        let mut services = self.services.lock();
        for sample in samples {
            let measured = services.entry(sample.service.clone()).or_default();
            let total = &mut measured.total;
            total.completed = total.completed.saturating_add(sample.completed);
            total.failed = total.failed.saturating_add(sample.failed);
            total.latency = total.latency.saturating_add(sample.latency_sum);
            measured.last = Some((sample, now));
        }
    }

    pub(super) fn woken(&self, service: &ObjectKey) {
        self.services.lock().entry(service.clone()).or_default().wakes += 1;
    }

    /// What has ended at each Service, by name.
    pub(crate) fn totals(&self) -> Vec<(ObjectKey, Total)> {
        let services = self.services.lock();
        let mut all: Vec<_> = services.iter().map(|(key, measured)| (key.clone(), measured.total)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The CPU time that each replica has used since it started, by name.
    pub(crate) fn cpu(&self) -> Vec<(ReplicaId, Duration)> {
        let mut all: Vec<_> = self.cpu.lock().iter().map(|(id, used)| (id.clone(), *used)).collect();
        all.sort_by(|a, b| a.0.0.cmp(&b.0.0));
        all
    }

    pub(super) fn used_cpu<'a>(&self, usage: impl Iterator<Item = &'a CpuUsage>) {
        let mut cpu = self.cpu.lock();
        for CpuUsage { id, used } in usage {
            match cpu.get_mut(id) {
                Some(known) => *known = *used,
                None => drop(cpu.insert(id.clone(), *used)),
            }
        }
    }

    pub(super) fn removed(&self, replica: &ReplicaId) {
        self.cpu.lock().remove(replica);
    }

    /// None yet, beside what is counted in `refusals`.
    pub(crate) fn counting(refusals: Refusals) -> Self {
        Self { refusals, ..Self::default() }
    }

    /// What was refused, counted where that is decided.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// How often something was refused since the process started.
    pub fn refused(&self, what: Refused) -> Vec<Count> {
        self.refusals.of(what)
    }

    /// What namespaces keep in their stores, if that is in a file here.
    pub fn namespaces(&self) -> Vec<NamespaceUsage> {
        let file = self.key_value.get().and_then(|figures| figures.file.as_ref());
        file.map_or_else(Vec::new, |file| file.usage())
    }

    /// What each namespace may keep.
    pub fn namespace_quota(&self) -> Option<Quota> {
        self.key_value.get().map(|figures| figures.quota)
    }

    /// The registry; `None`: it is not opened yet.
    pub fn registry(&self) -> Option<&Repositories> {
        self.registry.get()
    }

    pub(crate) fn show_key_value(&self, figures: KeyValueFigures) {
        let _ = self.key_value.set(figures);
    }

    pub(crate) fn show_registry(&self, repositories: Repositories) {
        let _ = self.registry.set(repositories);
    }

    /// Audit events that could not be written, since the process started; `None`: there is no audit log.
    pub fn lost_audit_events(&self) -> Option<u64> {
        self.lost_audit_events.get().map(|lost| lost.load(Ordering::Relaxed))
    }

    pub(crate) fn count_lost_audit_events(&self, lost: Arc<AtomicU64>) {
        let _ = self.lost_audit_events.set(lost);
    }

    /// What was decided of each Deployment that traffic scales.
    pub fn autoscalers(&self) -> Vec<(ObjectKey, Autoscaled)> {
        let mut all: Vec<_> =
            self.autoscalers.lock().iter().map(|(key, decided)| (key.clone(), decided.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    pub(super) fn decided(&self, deployment: &ObjectKey, status: AutoscalerStatus) {
        let mut autoscalers = self.autoscalers.lock();
        match autoscalers.get_mut(deployment) {
            Some(decided) => {
                decided.ups += u64::from(status.desired > decided.status.desired);
                decided.downs += u64::from(status.desired < decided.status.desired);
                decided.status = status;
            }
            None => {
                autoscalers.insert(deployment.clone(), Autoscaled { status, ups: 0, downs: 0 });
            }
        }
    }

    pub(super) fn not_scaled(&self, deployment: &ObjectKey) {
        self.autoscalers.lock().remove(deployment);
    }

    pub(super) fn forget(&self, service: &ObjectKey) {
        self.services.lock().remove(service);
    }
}
