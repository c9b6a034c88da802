//! What the scheduler does around a policy (`scaling`): it takes in what was measured, asks when it is due, and remembers.

use std::time::Duration;

use api::{Timestamp, session::ServiceSample};

use super::settings::service;
use crate::autoscale::{Autoscaler, Memory, Source, Traffic, View, decide};

/// All gateways have reported for so long before a trace begins.
const KNOWN_BEFORE: Duration = Duration::from_secs(3600);

/// The one gateway that there is.
const GATEWAY: u64 = 1;

pub(super) struct Control {
    autoscaler: Autoscaler,
    concurrency: u32,
    covered_since: Timestamp,
    source: Source,
    traffic: Traffic,
    memory: Memory,
    pub(super) desired: u32,
    /// When it is decided next, if nothing happens.
    pub(super) next_look: Option<Timestamp>,
}

impl Control {
    pub(super) fn new(autoscaler: Autoscaler, concurrency: u32, begin: Timestamp) -> Self {
        Self {
            desired: autoscaler.min,
            autoscaler,
            concurrency,
            covered_since: begin - KNOWN_BEFORE,
            source: Source::new(GATEWAY, &service()),
            traffic: Traffic::default(),
            memory: Memory::default(),
            next_look: Some(begin),
        }
    }

    pub(super) fn decide(&mut self, ready: u32, now: Timestamp) {
        let view = View {
            autoscaler: &self.autoscaler,
            traffic: &self.traffic,
            cpu: None,
            desired: self.desired,
            ready,
            concurrency: self.concurrency,
            covered_since: Some(self.covered_since),
            memory: &self.memory,
        };
        let decision = decide(now, &view);
        self.memory.note(now, self.desired, &decision);
        self.next_look = decision.next_look;
        self.desired = decision.desired;
        if decision.next_look.is_none() {
            self.traffic.rest();
        }
    }

    /// A window of the gateway. Whether the policy is to be asked: it sleeps, or requests wait.
    pub(super) fn sampled(&mut self, sample: &ServiceSample, now: Timestamp) -> bool {
        self.traffic.record(self.source.clone(), sample, now);
        self.next_look.is_none() || sample.queued > 0
    }

    /// Requests wait. It is to be asked then.
    pub(super) fn waiting(&mut self, queued: u32, in_flight: u32, now: Timestamp) {
        self.traffic.waiting(self.source.clone(), queued, in_flight, now);
        self.woken(now);
    }

    /// A request is there: one replica is wanted at least.
    pub(super) fn woken(&mut self, now: Timestamp) {
        self.traffic.woken(now);
        if self.desired == 0 {
            self.desired = 1;
            self.next_look = Some(now);
        }
    }
}
