//! What becomes of a request: it arrives, waits, is worked on or refused, and leaves.

use std::{cmp::Reverse, time::Duration};

use api::Timestamp;

use super::{
    Settings,
    run::{BEGIN, Simulation, Work},
};
use crate::replay::Request;

impl Simulation<'_> {
    /// How long the first in line waits at most.
    pub(super) fn patience(&self) -> Duration {
        let Settings { queue_wait, queue_wait_no_replica, .. } = *self.settings;
        if self.pool.ready > 0 { queue_wait } else { queue_wait_no_replica.min(queue_wait) }
    }

    pub(super) fn arrive(&mut self, request: Request) {
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
    pub(super) fn work(&mut self, arrived: Timestamp, request: Request) -> bool {
        let Some((slot, begins)) = self.pool.take(self.now) else { return false };
        let wait = begins.since(arrived);
        self.outcome.waits.record(wait);
        self.outcome.series.request(arrived.since(BEGIN), wait);
        let work = Work { ends: begins + request.service, slot, arrived, taken: self.now };
        self.working.push(Reverse(work));
        true
    }

    pub(super) fn serve_line(&mut self) {
        while let Some((arrived, request)) = self.line.first()
            && self.work(arrived, request)
        {
            self.line.leave();
        }
    }

    pub(super) fn done(&mut self) {
        let Some(Reverse(Work { slot, arrived, taken, .. })) = self.working.pop() else { return };
        self.meter.left(self.now.since(arrived), Some(self.now.since(taken)), self.now);
        if self.pool.draining > 0 {
            self.count_replicas();
        }
        self.pool.done(slot);
        self.serve_line();
    }

    pub(super) fn ready(&mut self) {
        if self.pool.made_ready() {
            self.control.woken(self.now);
        }
        self.serve_line();
        self.tell_anew();
    }

    pub(super) fn tell_anew(&mut self) {
        self.line.forget_told();
        self.tell();
    }

    pub(super) fn refuse_first(&mut self) {
        if let Some((arrived, _)) = self.line.leave() {
            self.refuse(arrived);
        }
    }

    pub(super) fn refuse(&mut self, arrived: Timestamp) {
        self.outcome.refused += 1;
        self.outcome.waits.record(self.settings.queue_wait);
        self.outcome.series.request(arrived.since(BEGIN), self.settings.queue_wait);
        self.meter.left(self.now.since(arrived), None, self.now);
    }

    /// Tells that requests wait, if that is to be told.
    pub(super) fn tell(&mut self) {
        if self.line.tells(self.pool.ready > 0, self.now) {
            let queued = self.line.len() as u32;
            self.control.waiting(queued, self.meter.here - queued, self.now);
            self.decide();
        }
    }
}
