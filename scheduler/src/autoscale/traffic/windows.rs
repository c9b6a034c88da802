use std::{collections::VecDeque, time::Duration};

use api::{
    Timestamp,
    session::{SAMPLE_WINDOW, ServiceSample},
};

use super::KEPT;

const SLOT_MICROS: u64 = SAMPLE_WINDOW.as_micros() as u64;

/// What happened over some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Requests that arrived.
    pub(crate) arrivals: u64,
    /// Requests that ended after a replica had worked on them.
    pub(crate) served: u64,
    /// How long replicas had worked on those, summed.
    pub(crate) service: Duration,
    /// How long requests were here, summed.
    pub(crate) presence: Duration,
}

impl Totals {
    pub(super) fn of(sample: &ServiceSample) -> Self {
        let ServiceSample { arrivals, served, service_sum, presence, .. } = *sample;
        Self { arrivals, served, service: service_sum, presence }
    }

    /// The part of all that belongs to the `index`th of `count` equal parts. The parts add up to the whole.
    fn part(&self, index: u64, count: u64) -> Self {
        let cut = |whole: u64| {
            let until = |index: u64| (u128::from(whole) * u128::from(index) / u128::from(count)) as u64;
            until(index + 1) - until(index)
        };
        let span = |span: Duration| Duration::from_micros(cut(span.as_micros() as u64));
        Self {
            arrivals: cut(self.arrivals),
            served: cut(self.served),
            service: span(self.service),
            presence: span(self.presence),
        }
    }

    fn add(&mut self, other: &Self) {
        self.arrivals += other.arrivals;
        self.served += other.served;
        self.service += other.service;
        self.presence += other.presence;
    }

    /// How long a request was worked on; `None`: no request ended.
    pub(crate) fn service_time(&self) -> Option<Duration> {
        let served = u32::try_from(self.served).unwrap_or(u32::MAX);
        (served > 0).then(|| self.service / served)
    }
}

/// Windows of [`SAMPLE_WINDOW`] in which something happened, by their place in time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Windows(VecDeque<(u64, Totals)>);

impl Windows {
    /// Adds what happened in the `window` that ends now, spread over it evenly.
    pub(super) fn add(&mut self, totals: &Totals, now: Timestamp, window: Duration) {
        let last = now.micros.saturating_sub(1) / SLOT_MICROS;
        let count = ((window.as_micros() as u64 + SLOT_MICROS / 2) / SLOT_MICROS).clamp(1, last + 1);
        for index in 0..count {
            let slot = last + 1 - count + index;
            self.slot(slot).add(&totals.part(index, count));
        }
        let oldest = (now - KEPT).micros / SLOT_MICROS;
        while self.0.front().is_some_and(|(slot, _)| *slot < oldest) {
            self.0.pop_front();
        }
    }

    fn slot(&mut self, slot: u64) -> &mut Totals {
        // Nearly always the last one, or one after it.
        let at = self.0.iter().rposition(|(known, _)| *known <= slot);
        let at = match at {
            Some(at) if self.0[at].0 == slot => at,
            before => {
                let at = before.map_or(0, |at| at + 1);
                self.0.insert(at, (slot, Totals::default()));
                at
            }
        };
        &mut self.0[at].1
    }

    pub(super) fn totals(&self, from: Timestamp, now: Timestamp) -> Totals {
        // A window that ended as this time began is not within.
        let (first, last) = (from.micros / SLOT_MICROS, now.micros / SLOT_MICROS);
        let within = self.0.iter().rev().skip_while(|(slot, _)| *slot > last);
        within.take_while(|(slot, _)| *slot >= first).fold(Totals::default(), |mut sum, (_, totals)| {
            sum.add(totals);
            sum
        })
    }
}
