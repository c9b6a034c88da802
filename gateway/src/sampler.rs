use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use api::{
    ObjectKey,
    session::{GatewayUp, ServiceSample},
};
use tokio::sync::mpsc;

use crate::{
    balance::{Service, Totals},
    measurements::loads,
    shared::Shared,
};

/// Makes windows of what was counted since the start, and sends them up.
pub(crate) struct Sampler {
    since: Instant,
    last: HashMap<ObjectKey, Last>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
struct Last {
    totals: Totals,
    in_flight: u32,
    queued: u32,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), last: HashMap::new() }
    }

    /// Sends a sample of each Service where something happens, and an empty message where nothing does. If the session is full,
    /// the next window is longer.
    pub(crate) fn sample(&mut self, shared: &Shared, up: &mpsc::Sender<GatewayUp>) {
        let Ok(place) = up.try_reserve() else { return };
        let now = Instant::now();
        let window = now - self.since;
        self.since = now;
        let services = shared.services();
        self.last.retain(|key, _| services.iter().any(|service| service.key() == key));
        let samples: Vec<_> = services.iter().filter_map(|service| self.one(service, window)).collect();
        place.send(GatewayUp::Samples(samples));
    }

    fn one(&mut self, service: &Service, window: Duration) -> Option<ServiceSample> {
        let totals = service.totals();
        let (in_flight, queued) = loads(service, &totals);
        let now = Last { totals, in_flight, queued };
        let last = self.last.insert(service.key().clone(), now).unwrap_or_default();
        let idle = now == last && in_flight == 0 && queued == 0;
        (!idle).then(|| ServiceSample {
            service: service.key().clone(),
            window,
            arrivals: totals.arrivals - last.totals.arrivals,
            completed: totals.completed - last.totals.completed,
            failed: totals.failed - last.totals.failed,
            in_flight,
            queued,
            latency_sum: totals.latency_sum.saturating_sub(last.totals.latency_sum),
            served: totals.served - last.totals.served,
            service_sum: totals.service_sum.saturating_sub(last.totals.service_sum),
            presence: totals.presence.saturating_sub(last.totals.presence),
        })
    }
}
