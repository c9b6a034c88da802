use api::Timestamp;

use super::{
    Decision, Inputs, MetricValue, PolicyKind, Rule, View, Why,
    behavior::{Own, settle},
    hpa::Hpa,
    kpa::Kpa,
    memory::{Notes, Tick},
    sqrt_staffing::SqrtStaffing,
};

/// Decides how many replicas there are to be.
pub trait Policy {
    /// A pure function of its arguments.
    fn decide(&self, now: Timestamp, view: &View<'_>) -> Decision;
}

/// Decides how many replicas there are to be, by the policy that the autoscaler names.
pub fn decide(now: Timestamp, view: &View<'_>) -> Decision {
    let policy: &dyn Policy = match view.autoscaler.policy {
        PolicyKind::SqrtStaffing => &SqrtStaffing,
        PolicyKind::Kpa => &Kpa,
        PolicyKind::Hpa => &Hpa,
    };
    policy.decide(now, view)
}

/// What a policy proposes, before limits.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    pub(super) replicas: u32,
    pub(super) rule: Rule,
    pub(super) inputs: Inputs,
    pub(super) metrics: Vec<MetricValue>,
    pub(super) tick: Option<Tick>,
}

impl Proposal {
    /// Applies `behavior` and the bounds.
    pub(super) fn settle(
        self,
        view: &View<'_>,
        now: Timestamp,
        own: Own,
        next_look: impl FnOnce(u32) -> Option<Timestamp>,
    ) -> Decision {
        let settled = settle(view, now, self.replicas, own);
        let notes = Notes {
            recommended: Some(self.replicas),
            keep_recommendations: settled.keep_recommendations,
            keep_changes: settled.keep_changes,
            tick: self.tick,
        };
        self.decision(view, (settled.desired, settled.stabilized, settled.limit), next_look(settled.desired), notes)
    }

    /// Leaves the number as it is, but for the bounds.
    pub(super) fn hold(self, view: &View<'_>, next_look: Option<Timestamp>) -> Decision {
        let desired = view.autoscaler.within(view.desired);
        let limit = match desired.cmp(&view.desired) {
            std::cmp::Ordering::Less => super::Limit::Max,
            std::cmp::Ordering::Equal => super::Limit::None,
            std::cmp::Ordering::Greater => super::Limit::Min,
        };
        let notes = Notes { tick: self.tick, ..Notes::default() };
        self.decision(view, (desired, None, limit), next_look, notes)
    }

    fn decision(
        self,
        view: &View<'_>,
        (desired, stabilized, limit): (u32, Option<u32>, super::Limit),
        next_look: Option<Timestamp>,
        notes: Notes,
    ) -> Decision {
        let why = Why {
            policy: view.autoscaler.policy,
            inputs: self.inputs,
            metrics: self.metrics,
            rule: self.rule,
            proposed: self.replicas,
            stabilized,
            limit,
            desired,
        };
        Decision { desired, why, next_look, notes }
    }
}
