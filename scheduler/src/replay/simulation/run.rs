use std::{cmp::Reverse, collections::BinaryHeap, iter::Peekable, time::Duration};

use api::Timestamp;

use super::{
    Settings,
    control::Control,
    line::Line,
    meter::Meter,
    pool::{Pool, Slot},
};
use crate::{
    autoscale::PolicyKind,
    replay::{Outcome, Request},
};

/// Traces begin then. Windows are counted from the epoch, and there is some time before.
pub(super) const BEGIN: Timestamp = Timestamp::from_secs(1_000_000);

/// Replays requests, in order of arrival, over a trace of this length against a policy.
pub fn simulate(
    requests: impl Iterator<Item = Request>,
    span: Duration,
    policy: PolicyKind,
    settings: &Settings,
) -> Outcome {
    Simulation::new(span, policy, settings).run(requests.peekable())
}

pub(super) struct Simulation<'a> {
    pub(super) settings: &'a Settings,
    /// Whether a request that finds none starts a replica by itself, as Sampan's workers let it.
    pub(super) stands_by: bool,
    pub(super) control: Control,
    pub(super) meter: Meter,
    pub(super) pool: Pool,
    pub(super) line: Line,
    /// Requests that are worked on, the first to end first.
    pub(super) working: BinaryHeap<Reverse<Work>>,
    pub(super) outcome: Outcome,
    pub(super) now: Timestamp,
    /// Since when there are as many replicas as there are.
    counted: Timestamp,
    end: Timestamp,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Work {
    pub(super) ends: Timestamp,
    pub(super) slot: Slot,
    pub(super) arrived: Timestamp,
    pub(super) taken: Timestamp,
}

/// What happens next. Of what happens at the same moment, the first of these does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Done,
    Ready,
    Arrival,
    OutOfPatience,
    Telling,
    Sample,
    Look,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(span: Duration, policy: PolicyKind, settings: &'a Settings) -> Self {
        Self {
            settings,
            stands_by: policy == PolicyKind::SqrtStaffing,
            control: Control::new(settings.autoscaler(policy), settings.concurrency, BEGIN),
            meter: Meter::new(BEGIN),
            pool: Pool::new(settings.concurrency, settings.start),
            line: Line::default(),
            working: BinaryHeap::new(),
            outcome: Outcome::nothing(span),
            now: BEGIN,
            counted: BEGIN,
            end: BEGIN + span,
        }
    }

    fn run(mut self, mut requests: Peekable<impl Iterator<Item = Request>>) -> Outcome {
        self.resize();
        while self.step(&mut requests) {}
        self.now = self.now.max(self.end);
        self.count_replicas();
        self.outcome.starts = self.pool.starts;
        self.outcome
    }

    /// Lets happen what happens next; `false`: nothing that matters does.
    pub(super) fn step(&mut self, requests: &mut Peekable<impl Iterator<Item = Request>>) -> bool {
        let arrival = requests.peek().map(|request| BEGIN + request.at);
        let Some((at, next)) = self.next(arrival) else { return false };
        // After the trace, only those who are here are waited for.
        if at > self.end && arrival.is_none() && self.meter.here == 0 {
            return false;
        }
        self.now = at;
        match next {
            Next::Done => self.done(),
            Next::Ready => self.ready(),
            Next::Arrival => requests.next().into_iter().for_each(|request| self.arrive(request)),
            Next::OutOfPatience => self.refuse_first(),
            Next::Telling => self.tell_anew(),
            Next::Sample => self.sample(),
            Next::Look => self.decide(),
        }
        true
    }

    fn next(&self, arrival: Option<Timestamp>) -> Option<(Timestamp, Next)> {
        let patience = self.line.first().map(|(since, _)| since + self.patience());
        [
            (self.working.peek().map(|Reverse(work)| work.ends), Next::Done),
            (self.pool.next_ready(), Next::Ready),
            (arrival, Next::Arrival),
            (patience, Next::OutOfPatience),
            (self.line.next_telling(), Next::Telling),
            (self.meter.due, Next::Sample),
            (self.control.next_look, Next::Look),
        ]
        .into_iter()
        .filter_map(|(at, next)| Some((at?.max(self.now), next)))
        .min()
    }

    fn sample(&mut self) {
        let sample = self.meter.sample(self.line.len() as u32, self.now);
        if self.control.sampled(&sample, self.now) {
            self.decide();
        }
    }

    pub(super) fn decide(&mut self) {
        self.control.decide(self.pool.ready, self.now);
        self.resize();
    }

    pub(super) fn resize(&mut self) {
        self.count_replicas();
        if self.pool.resize(self.control.desired, self.now) {
            self.line.forget_told();
        }
    }

    /// Counts what replicas there were until now, before it changes.
    pub(super) fn count_replicas(&mut self) {
        let (from, until) = (self.counted.since(BEGIN), self.now.since(BEGIN));
        let count = self.pool.alive();
        self.counted = self.now;
        if count > 0 && until > from {
            self.outcome.instance_seconds += count as f64 * (until - from).as_secs_f64();
            self.outcome.series.replicas(count, from, until);
        }
    }
}
