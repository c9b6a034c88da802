//! Asking the policy, and carrying out what it decides.

use std::time::Duration;

use api::{ObjectKey, Timestamp};

use super::state::CpuUse;
use crate::{
    Action, AutoscalerStatus, Scheduler, Subject,
    autoscale::{CpuView, View, decide},
    state::DeploymentState,
    timers::Timer,
};

/// A status that only differs in what was measured is told this often at most.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// A replica of which no CPU time was reported for so long used none: workers report each second what has changed.
const CPU_IDLE_AFTER: Duration = Duration::from_millis(2500);

impl Scheduler {
    pub(crate) fn scale_when_due(&mut self, key: &ObjectKey, now: Timestamp) {
        let scaling = self.deployments.get(key).and_then(|deployment| deployment.scaling.as_ref());
        if scaling.and_then(|scaling| scaling.next_look).is_some_and(|at| at <= now) {
            self.decide_scale(key, now);
        }
    }

    /// Decides how many replicas a Deployment wants now.
    pub(crate) fn decide_scale(&mut self, key: &ObjectKey, now: Timestamp) {
        let covered_since = self.gateways.covered_since(self.settings.gateway_grace, now);
        let Some(deployment) = self.deployments.get(key) else { return };
        let Some(scaling) = deployment.scaling.as_ref() else { return };
        let Some(desired) = scaling.desired.filter(|_| self.settled && !scaling.off) else { return };
        let ready = deployment.revisions.iter().map(|revision| self.revisions[revision].ready).sum();
        let view = View {
            autoscaler: &scaling.spec,
            traffic: &scaling.traffic,
            cpu: self.cpu_of(key, now),
            desired,
            ready,
            concurrency: self.slots_of(deployment),
            covered_since,
            memory: &scaling.memory,
        };
        let decision = decide(now, &view);
        let Some(scaling) = self.deployments.get_mut(key).and_then(|deployment| deployment.scaling.as_mut()) else {
            return;
        };
        scaling.memory.note(now, desired, &decision);
        scaling.next_look = decision.next_look;
        match decision.next_look {
            Some(at) => self.timers.set(at, Timer::Scale(key.clone())),
            None => scaling.traffic.rest(),
        }
        let (wanted, why) = (decision.desired, decision.why.to_string());
        scaling.desired = Some(wanted);
        scaling.last = Some(decision);
        if wanted != desired {
            scaling.last_scaled = Some(now);
            self.rescaled(key, desired, why);
            self.touch_deployment(key);
        }
        self.tell_autoscaler(key, wanted != desired, now);
    }

    /// How many requests a replica of a Deployment takes at the same time: its concurrency, or fewer, as workers say.
    fn slots_of(&self, deployment: &DeploymentState) -> u32 {
        let current = deployment.current.as_ref().and_then(|current| self.revisions.get(current));
        let concurrency = deployment.spec.template.limits.concurrency;
        current.and_then(|current| current.slots).map_or(concurrency, |slots| slots.min(concurrency))
    }

    /// What a Deployment's replicas use of CPU, if its autoscaler goes by that.
    fn cpu_of(&self, key: &ObjectKey, now: Timestamp) -> Option<CpuView> {
        let deployment = self.deployments.get(key)?;
        let scaling = deployment.scaling.as_ref().filter(|scaling| scaling.spec.follows_cpu())?;
        let rate = |usage: &CpuUse| match now.since(usage.at) > CPU_IDLE_AFTER {
            true => Some(0.0),
            false => usage.rate,
        };
        let cores: Vec<f64> = scaling.cpu.values().filter_map(rate).collect();
        Some(CpuView { cores, requested_millis: deployment.spec.template.requests.cpu_millis })
    }

    /// Has the number that is wanted written, where another is.
    pub(crate) fn write_number(&mut self, key: &ObjectKey) {
        let Some(deployment) = self.deployments.get_mut(key) else { return };
        let written = deployment.spec.replicas;
        let Some(scaling) = deployment.scaling.as_mut() else { return };
        let Some(desired) = scaling.desired else { return };
        if scaling.writing.unwrap_or(written) != desired {
            scaling.writing = Some(desired);
            self.plan.report(Action::DeploymentReplicas { key: key.clone(), replicas: desired });
        }
    }

    /// Says that a Deployment wants another number of replicas.
    pub(crate) fn rescaled(&mut self, key: &ObjectKey, before: u32, why: String) {
        let Some(scaling) = self.deployments.get(key).and_then(|deployment| deployment.scaling.as_ref()) else {
            return;
        };
        let Some(wanted) = scaling.desired else { return };
        self.plan.report(Action::Rescaled { deployment: key.clone(), before, wanted, why: why.clone() });
        let about = match &scaling.spec.object {
            Some(object) => Subject::Autoscaler(object.clone()),
            None => Subject::Deployment(key.clone()),
        };
        self.plan.normal(about, "SuccessfulRescale", format!("New size: {wanted}; reason: {why}"));
    }

    /// Tells what the autoscaler's status is to say: at once when the number changed, else now and then.
    fn tell_autoscaler(&mut self, key: &ObjectKey, changed: bool, now: Timestamp) {
        let Some(deployment) = self.deployments.get(key) else { return };
        let replicas = deployment.revisions.iter().map(|revision| self.revisions[revision].live_count()).sum();
        let Some(scaling) = self.deployments.get_mut(key).and_then(|deployment| deployment.scaling.as_mut()) else {
            return;
        };
        let asleep = scaling.next_look.is_none();
        if !changed && !asleep && scaling.told.is_some_and(|told| now.since(told) < TELL_EVERY) {
            return;
        }
        let (Some(decision), Some(desired)) = (scaling.last.clone(), scaling.desired) else { return };
        scaling.told = Some(now);
        let status = AutoscalerStatus {
            object: scaling.spec.object.clone(),
            replicas,
            desired,
            why: decision.why,
            last_scaled: scaling.last_scaled,
        };
        self.plan.report(Action::AutoscalerStatus { deployment: key.clone(), status });
    }
}
