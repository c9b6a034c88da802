use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use api::ObjectKey;

use crate::{
    balance::{Service, Totals},
    overload::Memory,
    refusal::Reason,
    shared::Shared,
};

/// What a gateway has counted since it started.
#[derive(Debug, Clone)]
pub struct Measurements {
    /// Connections that are open now.
    pub connections: usize,
    /// Memory, and what is done as it gets short.
    pub memory: Memory,
    /// How often the gateway answered itself, by reason.
    pub refusals: Vec<(Reason, u64)>,
    /// Calls of guests to Services, and to hosts outside, that a NetworkPolicy has denied.
    pub denied_calls: (u64, u64),
    /// Each Service, in order of names.
    pub services: Vec<ServiceMeasurement>,
}

/// What was counted at one Service since the gateway started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceMeasurement {
    /// Which Service.
    pub service: ObjectKey,
    /// Requests that arrived.
    pub arrivals: u64,
    /// Requests that ended.
    pub completed: u64,
    /// Of these, with a status of 500 or above, or with an answer that broke off.
    pub failed: u64,
    /// Requests that were sent once more, to another replica.
    pub retries: u64,
    /// Time from arrival to end, summed over those that ended.
    pub latency_sum: Duration,
    /// Requests being served now.
    pub in_flight: u32,
    /// Requests waiting now.
    pub queued: u32,
    /// Replicas that take requests.
    pub replicas: usize,
    /// Requests that these take at the same time.
    pub concurrency: u64,
}

pub(crate) fn measure(shared: &Shared) -> Measurements {
    let mut services: Vec<_> = shared.services().iter().map(|service| measure_service(service)).collect();
    services.sort_by(|a, b| a.service.cmp(&b.service));
    Measurements {
        connections: shared.connections.load(Relaxed),
        memory: shared.overload.memory(),
        refusals: shared.refusals.snapshot(),
        denied_calls: shared.denied_calls.totals(),
        services,
    }
}

fn measure_service(service: &Service) -> ServiceMeasurement {
    let totals = service.totals();
    let (in_flight, queued) = loads(service, &totals);
    let (replicas, concurrency) = service.capacity();
    ServiceMeasurement {
        service: service.key().clone(),
        arrivals: totals.arrivals,
        completed: totals.completed,
        failed: totals.failed,
        retries: service.retries.retries(),
        latency_sum: totals.latency_sum,
        in_flight,
        queued,
        replicas,
        concurrency,
    }
}

/// Requests in flight and queued, so that both together are those that arrived and have not ended.
pub(crate) fn loads(service: &Service, totals: &Totals) -> (u32, u32) {
    let present = u32::try_from(totals.arrivals.saturating_sub(totals.completed)).unwrap_or(u32::MAX);
    let queued = u32::try_from(service.queued()).unwrap_or(u32::MAX).min(present);
    (present - queued, queued)
}
