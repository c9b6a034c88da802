//! Autoscalers that come, change and go, and numbers that users write meanwhile.

use std::sync::Arc;

use api::{ObjectKey, Timestamp};

use super::Scaling;
use crate::{Scheduler, Subject, autoscale::Autoscaler, state::DeploymentState, timers::Timer};

impl Scheduler {
    pub(crate) fn autoscaler(&mut self, spec: Arc<Autoscaler>, now: Timestamp) {
        let key = spec.deployment.clone();
        self.autoscalers.insert(key.clone(), spec);
        self.attach_autoscaler(&key, now);
    }

    /// The user's number holds again: that is what was wanted last, since it was written.
    pub(crate) fn autoscaler_deleted(&mut self, key: &ObjectKey) {
        self.autoscalers.remove(key);
        let Some(deployment) = self.deployments.get_mut(key) else { return };
        if let Some(desired) = deployment.scaling.take().and_then(|scaling| scaling.desired) {
            deployment.spec.replicas = desired;
            if desired == 0 {
                let message = format!(
                    "Its autoscaler was removed while it had no replicas, so that no request starts one any more: \
                     kubectl scale deployment/{} --replicas=1 -n {}",
                    key.name, key.namespace
                );
                self.plan.warning(Subject::Deployment(key.clone()), "ScaledToZero", message);
            }
        }
        self.touch_deployment(key);
    }

    /// A Deployment is told, or its autoscaler.
    pub(crate) fn attach_autoscaler(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(spec) = self.autoscalers.get(key).cloned() else { return };
        let learns = !self.loaded;
        let Some(deployment) = self.deployments.get_mut(key) else { return };
        match &mut deployment.scaling {
            Some(scaling) => {
                scaling.spec = spec;
                if !scaling.off {
                    scaling.desired = scaling.desired.map(|desired| scaling.within(desired));
                }
            }
            none => *none = Some(Scaling::new(spec, learns)),
        }
        self.look_again(key, now);
        self.touch_deployment(key);
    }

    /// What is wanted at first, once it is known what runs.
    pub(crate) fn begin_scaling(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(deployment) = self.deployments.get(key) else { return };
        let Some(scaling) = deployment.scaling.as_ref().filter(|scaling| scaling.desired.is_none()) else { return };
        let live: u32 = deployment.revisions.iter().map(|revision| self.revisions[revision].live_count()).sum();
        let begins = if scaling.learns { live } else { deployment.spec.replicas };
        let off = !scaling.learns && begins == 0 && scaling.spec.min > 0;
        let desired = if off { 0 } else { scaling.within(begins) };
        if let Some(scaling) = self.deployments.get_mut(key).and_then(|deployment| deployment.scaling.as_mut()) {
            scaling.desired = Some(desired);
            scaling.off = off;
        }
        self.look_again(key, now);
    }

    pub(crate) fn look_again(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(scaling) = self.deployments.get_mut(key).and_then(|deployment| deployment.scaling.as_mut()) else {
            return;
        };
        scaling.next_look = Some(now);
        self.timers.set(now, Timer::Scale(key.clone()));
    }
}

impl DeploymentState {
    /// The number in its spec has changed. Unless it was written for the autoscaler a user wants it, and the autoscaler goes on
    /// from there: also where it is one that is on its way to be written.
    pub(crate) fn number_written(&mut self, replicas: u32, autoscaled: bool, now: Timestamp) {
        let Some(scaling) = &mut self.scaling else { return };
        if scaling.writing == Some(replicas) {
            scaling.writing = None;
        }
        if autoscaled || scaling.desired.is_none() {
            return;
        }
        scaling.off = replicas == 0 && scaling.spec.min > 0;
        // Whoever wants replicas now is to have them for as long as after a request.
        scaling.traffic.woken(now);
        scaling.desired = Some(if scaling.off { 0 } else { scaling.within(replicas) });
    }

    /// Whether its first request is to find a place where a replica starts at once.
    pub(crate) fn wants_standby(&self) -> bool {
        self.scaling.as_ref().is_some_and(|scaling| !scaling.off && scaling.desired == Some(0))
    }
}
