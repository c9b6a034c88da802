use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::session::{GatewayUp, ServiceSample};
use tokio::sync::mpsc;

use crate::{
    balance::{Sampled, Service},
    measurements::loads,
    shared::Shared,
};

/// Makes windows of what was counted since the start, and sends them up.
pub(crate) struct Sampler {
    since: Instant,
    /// Services where something happened in the last window.
    active: Vec<Arc<Service>>,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), active: Vec::new() }
    }

    /// Sends a sample of each Service where something happens, and an empty message where nothing does; then the calls that were
    /// denied, if any. If the session is full, the next window is longer.
    pub(crate) fn sample(&mut self, shared: &Shared, up: &mpsc::Sender<GatewayUp>) {
        let Ok(place) = up.try_reserve() else { return };
        let now = Instant::now();
        let window = now - self.since;
        self.since = now;
        let mut active = std::mem::take(&mut self.active);
        active.append(&mut shared.awakened.lock());
        let mut samples = Vec::with_capacity(active.len());
        for service in active {
            // Before it is looked at, so that whoever comes from now on is seen here or puts it among those of the next window.
            service.fall_asleep();
            if let Some(sample) = one(&service, window) {
                samples.push(sample);
                service.stay_awake(&mut self.active);
            }
        }
        place.send(GatewayUp::Samples(samples));
        if !shared.denied_calls.is_told()
            && let Ok(place) = up.try_reserve()
        {
            place.send(GatewayUp::DeniedCalls(shared.denied_calls.take()));
        }
    }
}

fn one(service: &Service, window: Duration) -> Option<ServiceSample> {
    let totals = service.totals();
    let (in_flight, queued) = loads(service, &totals);
    let now = Sampled { totals, in_flight, queued };
    let last = service.sampled(now);
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
