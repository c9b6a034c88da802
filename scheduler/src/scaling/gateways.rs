use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use api::{ObjectKey, Timestamp, session::SAMPLE_WINDOW};

use crate::GatewayId;

/// A gateway that has said nothing for so many windows is not known to have had no requests.
const GAP: Duration = SAMPLE_WINDOW.saturating_mul(5);

/// Which gateways there are, and since when each has reported without a gap. What they measured is nothing to decide on
/// unless all have.
#[derive(Debug, Default)]
pub(crate) struct Gateways(BTreeMap<GatewayId, Reports>);

#[derive(Debug)]
struct Reports {
    since: Timestamp,
    last: Timestamp,
    /// When its session ended, if it did.
    gone: Option<Timestamp>,
    /// Deployments of which it last said that requests are there.
    busy: BTreeSet<ObjectKey>,
}

impl Gateways {
    pub(crate) fn heard(&mut self, gateway: GatewayId, now: Timestamp) {
        let fresh = Reports { since: now, last: now, gone: None, busy: BTreeSet::new() };
        let reports = self.0.entry(gateway).or_insert(fresh);
        if now.since(reports.last) > GAP {
            reports.since = now;
        }
        reports.last = now;
        reports.gone = None;
    }

    /// Requests are there for these Deployments. Answers those for which there were, and of which it now says nothing: no
    /// request is there any more.
    pub(crate) fn is_busy(&mut self, gateway: GatewayId, busy: BTreeSet<ObjectKey>) -> BTreeSet<ObjectKey> {
        match self.0.get_mut(&gateway) {
            Some(reports) => std::mem::replace(&mut reports.busy, busy),
            None => BTreeSet::new(),
        }
    }

    /// Requests are there for one more.
    pub(crate) fn is_busy_too(&mut self, gateway: GatewayId, deployment: &ObjectKey) {
        if let Some(reports) = self.0.get_mut(&gateway) {
            reports.busy.insert(deployment.clone());
        }
    }

    /// Its session has ended. It may go on serving with what it knows, so that nothing is known of its requests for now.
    pub(crate) fn gone(&mut self, gateway: GatewayId, now: Timestamp) {
        if let Some(reports) = self.0.get_mut(&gateway) {
            reports.gone = Some(now);
        }
    }

    /// Since when all of them have reported without a gap; `None` if one of them does not, or there is none.
    /// One that is gone counts for `grace`, then it is taken to have ended.
    pub(crate) fn covered_since(&mut self, grace: Duration, now: Timestamp) -> Option<Timestamp> {
        self.0.retain(|_, reports| reports.gone.is_none_or(|gone| now.since(gone) < grace));
        let reports =
            |reports: &Reports| (reports.gone.is_none() && now.since(reports.last) <= GAP).then_some(reports.since);
        let since: Option<Vec<Timestamp>> = self.0.values().map(reports).collect();
        since?.into_iter().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_secs(1000) + Duration::from_millis(millis)
    }

    fn reports(gateways: &mut Gateways, gateway: u64, from: u64, until: u64) {
        (from..=until).step_by(100).for_each(|millis| gateways.heard(GatewayId(gateway), at(millis)));
    }

    #[test]
    fn what_was_measured_is_whole_since_the_last_gap_of_any_gateway() {
        let mut gateways = Gateways::default();
        assert_eq!(gateways.covered_since(GRACE, at(0)), None, "nobody measures");
        reports(&mut gateways, 1, 0, 3000);
        reports(&mut gateways, 2, 500, 1000);
        assert_eq!(gateways.covered_since(GRACE, at(3000)), None, "the second is silent");
        reports(&mut gateways, 2, 2500, 3000);
        assert_eq!(gateways.covered_since(GRACE, at(3000)), Some(at(2500)));
    }

    #[test]
    fn a_gateway_that_is_gone_may_still_serve_for_a_while() {
        let mut gateways = Gateways::default();
        reports(&mut gateways, 1, 0, 1000);
        reports(&mut gateways, 2, 0, 1000);
        gateways.gone(GatewayId(2), at(1000));
        assert_eq!(gateways.covered_since(GRACE, at(1000)), None);
        reports(&mut gateways, 1, 1100, 32_000);
        assert_eq!(gateways.covered_since(GRACE, at(32_000)), Some(at(0)));
    }
}
