//! One function in virtual time: requests arrive, wait in line, and are worked on; the gateway's windows reach the policy,
//! which starts and stops replicas.

mod control;
mod line;
mod meter;
mod pool;
mod settings;

#[cfg(test)]
mod tests;

use std::{cmp::Reverse, collections::BinaryHeap, iter::Peekable, time::Duration};

use api::Timestamp;

use super::{Outcome, Request};
use crate::autoscale::PolicyKind;
use control::Control;
use line::Line;
use meter::Meter;
use pool::{Pool, Slot};

pub use settings::Settings;

/// Traces begin then. Windows are counted from the epoch, and there is some time before.
const BEGIN: Timestamp = Timestamp::from_secs(1_000_000);

/// Replays requests, in order of arrival, over a trace of this length against a policy.
pub fn simulate(
    requests: impl Iterator<Item = Request>,
    span: Duration,
    policy: PolicyKind,
    settings: &Settings,
) -> Outcome {
    Simulation::new(span, policy, settings).run(requests.peekable())
}

struct Simulation<'a> {
    settings: &'a Settings,
    /// Whether a request that finds none starts a replica by itself, as Sampan's workers let it.
    stands_by: bool,
    control: Control,
    meter: Meter,
    pool: Pool,
    line: Line,
    /// Requests that are worked on, the first to end first.
    working: BinaryHeap<Reverse<Work>>,
    outcome: Outcome,
    now: Timestamp,
    /// Since when there are as many replicas as there are.
    counted: Timestamp,
    end: Timestamp,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    ends: Timestamp,
    slot: Slot,
    arrived: Timestamp,
    taken: Timestamp,
}

/// What happens next. Of what happens at the same moment, the first of these does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Done,
    Ready,
    Arrival,
    OutOfPatience,
    Sample,
    Look,
}

impl<'a> Simulation<'a> {
    fn new(span: Duration, policy: PolicyKind, settings: &'a Settings) -> Self {
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
    fn step(&mut self, requests: &mut Peekable<impl Iterator<Item = Request>>) -> bool {
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
            (self.meter.due, Next::Sample),
            (self.control.next_look, Next::Look),
        ]
        .into_iter()
        .filter_map(|(at, next)| Some((at?.max(self.now), next)))
        .min()
    }

    /// How long the first in line waits at most.
    fn patience(&self) -> Duration {
        let Settings { queue_wait, queue_wait_no_replica, .. } = *self.settings;
        if self.pool.ready > 0 { queue_wait } else { queue_wait_no_replica.min(queue_wait) }
    }

    fn arrive(&mut self, request: Request) {
        self.outcome.requests += 1;
        self.meter.arrived(self.now);
        if self.pool.ready == 0 {
            self.outcome.cold += 1;
        }
        if self.control.desired == 0 && self.stands_by && self.pool.next_ready().is_none() {
            self.count_replicas();
            self.pool.start_on_demand(self.now);
        }
        if self.line.len() == 0 && self.work(self.now, request) {
            return;
        }
        if self.line.len() >= self.settings.queue_limit {
            return self.refuse(self.now);
        }
        self.line.join(request, self.now);
        self.tell();
    }

    /// Gives a request to a replica, if one has room.
    fn work(&mut self, arrived: Timestamp, request: Request) -> bool {
        let Some((slot, begins)) = self.pool.take(self.now) else { return false };
        let wait = begins.since(arrived);
        self.outcome.waits.record(wait);
        self.outcome.series.request(arrived.since(BEGIN), wait);
        let work = Work { ends: begins + request.service, slot, arrived, taken: self.now };
        self.working.push(Reverse(work));
        true
    }

    fn serve_line(&mut self) {
        while let Some((arrived, request)) = self.line.first()
            && self.work(arrived, request)
        {
            self.line.leave();
        }
    }

    fn done(&mut self) {
        let Some(Reverse(Work { slot, arrived, taken, .. })) = self.working.pop() else { return };
        self.meter.left(self.now.since(arrived), Some(self.now.since(taken)), self.now);
        if self.pool.draining > 0 {
            self.count_replicas();
        }
        self.pool.done(slot);
        self.serve_line();
    }

    fn ready(&mut self) {
        if self.pool.made_ready() {
            self.control.woken(self.now);
        }
        self.serve_line();
        self.line.replicas_changed();
        self.tell();
    }

    fn refuse_first(&mut self) {
        if let Some((arrived, _)) = self.line.leave() {
            self.refuse(arrived);
        }
    }

    fn refuse(&mut self, arrived: Timestamp) {
        self.outcome.refused += 1;
        self.outcome.waits.record(self.settings.queue_wait);
        self.outcome.series.request(arrived.since(BEGIN), self.settings.queue_wait);
        self.meter.left(self.now.since(arrived), None, self.now);
    }

    fn sample(&mut self) {
        let sample = self.meter.sample(self.line.len() as u32, self.now);
        if self.control.sampled(&sample, self.now) {
            self.decide();
        }
    }

    /// Tells that requests wait, if that is to be told.
    fn tell(&mut self) {
        if self.line.tells(self.pool.ready > 0, self.now) {
            let queued = self.line.len() as u32;
            self.control.waiting(queued, self.meter.here - queued, self.now);
            self.decide();
        }
    }

    fn decide(&mut self) {
        self.control.decide(self.pool.ready, self.now);
        self.resize();
    }

    fn resize(&mut self) {
        self.count_replicas();
        if self.pool.resize(self.control.desired, self.now) {
            self.line.replicas_changed();
        }
    }

    /// Counts what replicas there were until now, before it changes.
    fn count_replicas(&mut self) {
        let (from, until) = (self.counted.since(BEGIN), self.now.since(BEGIN));
        let count = self.pool.alive();
        self.counted = self.now;
        if count > 0 && until > from {
            self.outcome.instance_seconds += count as f64 * (until - from).as_secs_f64();
            self.outcome.series.replicas(count, from, until);
        }
    }
}
