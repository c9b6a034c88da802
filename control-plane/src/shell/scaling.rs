//! What is measured, told to the scheduler by Deployment; and what it decides of their numbers, carried out.

use api::{ObjectKey, session::ServiceSample};
use kube_api::{identity::now, kind::HORIZONTAL_POD_AUTOSCALER};
use scheduler::{AutoscalerStatus, Event, GatewayId};

use super::Shell;

impl Shell {
    /// A gateway's window.
    pub(super) fn sampled(&mut self, gateway: GatewayId, samples: Vec<ServiceSample>) {
        let mut by_deployment = Vec::with_capacity(samples.len());
        for sample in &samples {
            let behind = self.network.behind(&sample.service);
            let shares = shares(behind.iter().map(|deployment| self.network.ready_of(deployment)), &behind);
            for (deployment, share) in behind.iter().zip(shares) {
                if self.autoscalers.scales(deployment) {
                    by_deployment.push((deployment.clone(), share.of(sample)));
                }
            }
        }
        self.measurements.sampled(samples, now());
        self.step(Event::Sampled { gateway, samples: by_deployment });
    }

    /// Requests wait for replicas of a Service: those of each Deployment behind it are woken.
    pub(super) fn waiting(&mut self, gateway: GatewayId, service: &ObjectKey, queued: u32, in_flight: u32) {
        self.measurements.woken(service);
        let behind = self.network.behind(service);
        let scaled: Vec<_> = behind.iter().filter(|deployment| self.autoscalers.scales(deployment)).cloned().collect();
        let each = |count: u32| count.div_ceil(scaled.len().max(1) as u32);
        for deployment in &scaled {
            let (service, deployment) = (service.clone(), deployment.clone());
            let (queued, in_flight) = (each(queued), each(in_flight));
            self.step(Event::Waiting { gateway, service, deployment, queued, in_flight });
        }
    }

    pub(super) fn autoscaler_status(&mut self, deployment: &ObjectKey, status: AutoscalerStatus) {
        tracing::debug!(%deployment, desired = status.desired, why = %status.why, "decided");
        if let Some(object) = status.object.as_ref().filter(|object| !self.autoscalers.is_in_trouble(object)) {
            self.writer.autoscaler_status(HORIZONTAL_POD_AUTOSCALER.key(object), status.clone());
        }
        self.measurements.decided(deployment, status);
    }

    pub(super) fn autoscaler_uid(&self, key: &ObjectKey) -> String {
        let object = self.objects.object(HORIZONTAL_POD_AUTOSCALER, key);
        object.and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// The part of a Service's requests that goes to one of the Deployments behind it: as many parts of all as it has replicas.
struct Share {
    /// Of those before it, and of those and its own.
    from: u64,
    to: u64,
    all: u64,
}

fn shares(ready: impl Iterator<Item = usize>, behind: &[ObjectKey]) -> Vec<Share> {
    if behind.len() == 1 {
        return vec![Share { from: 0, to: 1, all: 1 }];
    }
    // Where none is ready, all are as likely to be started.
    let parts: Vec<u64> = ready.map(|ready| ready as u64).collect();
    let parts = if parts.iter().all(|part| *part == 0) { vec![1; parts.len()] } else { parts };
    let all = parts.iter().sum();
    let mut to = 0;
    let share = |part: u64| {
        let from = to;
        to += part;
        Share { from, to, all }
    };
    parts.into_iter().map(share).collect()
}

impl Share {
    fn of(&self, sample: &ServiceSample) -> ServiceSample {
        if self.to - self.from == self.all {
            return sample.clone();
        }
        // Cut at the shares' borders, so that the parts of a count add up to it.
        let count = |count: u64| count * self.to / self.all - count * self.from / self.all;
        let gauge = |gauge: u32| count(u64::from(gauge)) as u32;
        let span = |span: std::time::Duration| {
            std::time::Duration::from_micros(count(u64::try_from(span.as_micros()).unwrap_or(u64::MAX >> 16)))
        };
        ServiceSample {
            service: sample.service.clone(),
            window: sample.window,
            arrivals: count(sample.arrivals),
            completed: count(sample.completed),
            failed: count(sample.failed),
            in_flight: gauge(sample.in_flight),
            queued: gauge(sample.queued),
            latency_sum: span(sample.latency_sum),
            served: count(sample.served),
            service_sum: span(sample.service_sum),
            presence: span(sample.presence),
        }
    }
}
