//! What gateways and workers measured, taken in.

use api::{
    ObjectKey, Timestamp,
    session::{CpuUsage, ServiceSample},
};

use super::state::CpuUse;
use crate::{GatewayId, Scheduler, autoscale::Source};

impl Scheduler {
    /// A gateway's window: what it says nothing of had no requests there.
    pub(crate) fn sampled(&mut self, gateway: GatewayId, samples: Vec<(ObjectKey, ServiceSample)>, now: Timestamp) {
        self.gateways.heard(gateway, now);
        let is_busy = |sample: &ServiceSample| sample.in_flight > 0 || sample.queued > 0;
        let busy = samples.iter().filter(|(_, sample)| is_busy(sample)).map(|(key, _)| key.clone()).collect();
        for key in self.gateways.is_busy(gateway, busy) {
            if let Some(scaling) = self.deployments.get_mut(&key).and_then(|deployment| deployment.scaling.as_mut())
                && !samples.iter().any(|(sampled, _)| *sampled == key)
            {
                scaling.traffic.forget(gateway.0);
            }
        }
        for (key, sample) in samples {
            let Some(scaling) = self.deployments.get_mut(&key).and_then(|deployment| deployment.scaling.as_mut())
            else {
                continue;
            };
            scaling.traffic.record(Source::new(gateway.0, &sample.service), &sample, now);
            // Not every request that waits is told of at once: of those that are not, samples tell.
            if scaling.next_look.is_none() || sample.queued > 0 {
                self.decide_scale(&key, now);
            }
        }
    }

    /// Requests wait: what they need is started now, without waiting for a sample or a tick.
    pub(crate) fn waiting(
        &mut self,
        gateway: GatewayId,
        (service, key): (&ObjectKey, &ObjectKey),
        (queued, in_flight): (u32, u32),
        now: Timestamp,
    ) {
        let Some(scaling) = self.deployments.get_mut(key).and_then(|deployment| deployment.scaling.as_mut()) else {
            return;
        };
        scaling.traffic.waiting(Source::new(gateway.0, service), queued, in_flight, now);
        self.gateways.is_busy_too(gateway, key);
        self.wake(key, now);
        self.decide_scale(key, now);
    }

    /// Somebody asks for a replica: one is wanted at least.
    pub(crate) fn wake(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(scaling) = self.deployments.get_mut(key).and_then(|deployment| deployment.scaling.as_mut()) else {
            return;
        };
        scaling.traffic.woken(now);
        if scaling.off || scaling.desired != Some(0) {
            return;
        }
        scaling.desired = Some(scaling.within(1));
        scaling.last_scaled = Some(now);
        self.rescaled(key, 0, "a request came".to_owned());
        self.look_again(key, now);
        self.touch_deployment(key);
    }

    /// A gateway's session has ended: what waited and was served there is not known any more.
    pub(crate) fn gateway_disconnected(&mut self, gateway: GatewayId, now: Timestamp) {
        self.gateways.gone(gateway, now);
        for deployment in self.deployments.values_mut() {
            if let Some(scaling) = &mut deployment.scaling {
                scaling.traffic.forget(gateway.0);
            }
        }
    }

    /// A worker says what CPU time replicas have used.
    pub(crate) fn used_cpu(&mut self, usage: Vec<CpuUsage>, now: Timestamp) {
        for CpuUsage { id, used } in usage {
            let Some(replica) = self.replicas.get(&id) else { continue };
            let owner = self.revisions.get(&replica.revision).and_then(|revision| revision.spec.deployment.as_ref());
            let scaling = owner.and_then(|owner| self.deployments.get_mut(owner)?.scaling.as_mut());
            let Some(scaling) = scaling.filter(|scaling| scaling.spec.follows_cpu()) else { continue };
            let rate = scaling.cpu.get(&id).and_then(|before| {
                let span = now.since(before.at);
                (!span.is_zero()).then(|| used.saturating_sub(before.used).as_secs_f64() / span.as_secs_f64())
            });
            scaling.cpu.insert(id, CpuUse { at: now, used, rate });
        }
    }
}
