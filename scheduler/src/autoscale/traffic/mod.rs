//! What gateways measured of one Deployment, added up.

mod gauges;
mod windows;

#[cfg(test)]
mod tests;

use std::time::Duration;

use api::{
    Timestamp,
    session::{SAMPLE_WINDOW, ServiceSample},
};

use gauges::Gauges;
use windows::Windows;

pub use gauges::Source;
pub(crate) use windows::Totals;

/// So far back it is kept what was measured.
pub(crate) const KEPT: Duration = Duration::from_secs(60);

/// What gateways measured of one Deployment within the last minute, in windows of [`SAMPLE_WINDOW`]. Where nothing happened,
/// nothing is held: a Deployment without traffic costs no memory beyond this struct.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    windows: Windows,
    gauges: Gauges,
    /// When there was something after a whole minute of nothing.
    began: Option<Timestamp>,
    /// Until when there was a request.
    busy_until: Option<Timestamp>,
}

impl Traffic {
    /// Takes in what one gateway measured at one Service over a window that ends now.
    pub fn record(&mut self, source: Source, sample: &ServiceSample, now: Timestamp) {
        self.gauges.set(source, sample.in_flight, sample.queued);
        let happened = sample.arrivals > 0 || sample.completed > 0 || sample.served > 0 || !sample.presence.is_zero();
        if happened || sample.in_flight > 0 || sample.queued > 0 {
            let window = sample.window.clamp(SAMPLE_WINDOW, KEPT);
            self.saw_requests(now - window, now);
            self.windows.add(&Totals::of(sample), now, window);
        }
    }

    /// Requests wait at one gateway: so many, and so many are being served.
    pub fn waiting(&mut self, source: Source, queued: u32, in_flight: u32, now: Timestamp) {
        self.gauges.set(source, in_flight, queued);
        if queued > 0 || in_flight > 0 {
            self.saw_requests(now, now);
        }
    }

    /// A request was there, as who started a replica for it says; gateways tell more of it with their next samples.
    pub fn woken(&mut self, now: Timestamp) {
        self.saw_requests(now, now);
    }

    /// A gateway's session ended: what waits and is served there is not known any more.
    pub fn forget(&mut self, gateway: u64) {
        self.gauges.forget(gateway);
    }

    /// Gives memory back: to be called where a decision has no next look, for then nothing depends on what was measured.
    pub fn rest(&mut self) {
        if self.demand() == 0 {
            *self = Self { began: self.began, busy_until: self.busy_until, ..Self::default() };
        }
    }

    /// Requests that wait now.
    pub fn queued(&self) -> u32 {
        self.gauges.queued()
    }

    /// Requests that are being served now.
    pub fn in_flight(&self) -> u32 {
        self.gauges.in_flight()
    }

    /// Requests that are here now.
    pub(crate) fn demand(&self) -> u32 {
        self.queued().saturating_add(self.in_flight())
    }

    /// What happened within the `span` before now. All of a window counts if any of it does.
    pub(crate) fn totals(&self, span: Duration, now: Timestamp) -> Totals {
        self.windows.totals(now - span, now)
    }

    /// When traffic began after a minute without.
    pub(crate) fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// Until when there was a request; `None`: there never was.
    pub(crate) fn busy_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.demand() > 0 { Some(now) } else { self.busy_until }
    }

    fn saw_requests(&mut self, from: Timestamp, until: Timestamp) {
        if self.busy_until.is_none_or(|last| from.since(last) >= KEPT) {
            self.began = Some(from);
        }
        self.busy_until = self.busy_until.max(Some(until));
    }
}
