use std::time::Duration;

use api::{
    Timestamp,
    session::{SAMPLE_WINDOW, ServiceSample},
};

use super::settings::service;

/// What the gateway measures of a window.
pub(super) struct Meter {
    arrivals: u64,
    completed: u64,
    latency: Duration,
    served: u64,
    service: Duration,
    presence: Duration,
    /// Requests that are here, waiting or being served.
    pub(super) here: u32,
    /// Until when presence is counted.
    counted: Timestamp,
    /// When the window that something happened in ends; `None`: nothing happens.
    pub(super) due: Option<Timestamp>,
}

impl Meter {
    pub(super) fn new(begin: Timestamp) -> Self {
        Self {
            arrivals: 0,
            completed: 0,
            latency: Duration::ZERO,
            served: 0,
            service: Duration::ZERO,
            presence: Duration::ZERO,
            here: 0,
            counted: begin,
            due: None,
        }
    }

    pub(super) fn arrived(&mut self, now: Timestamp) {
        self.count(now);
        self.arrivals += 1;
        self.here += 1;
        self.schedule(now);
    }

    /// A request has left; a replica had worked on it for so long, if one had.
    pub(super) fn left(&mut self, latency: Duration, served: Option<Duration>, now: Timestamp) {
        self.count(now);
        self.here -= 1;
        self.completed += 1;
        self.latency += latency;
        if let Some(service) = served {
            self.served += 1;
            self.service += service;
        }
        self.schedule(now);
    }

    /// The window that ends now.
    pub(super) fn sample(&mut self, queued: u32, now: Timestamp) -> ServiceSample {
        self.count(now);
        let sample = ServiceSample {
            service: service(),
            window: SAMPLE_WINDOW,
            arrivals: std::mem::take(&mut self.arrivals),
            completed: std::mem::take(&mut self.completed),
            failed: 0,
            in_flight: self.here - queued,
            queued,
            latency_sum: std::mem::take(&mut self.latency),
            served: std::mem::take(&mut self.served),
            service_sum: std::mem::take(&mut self.service),
            presence: std::mem::take(&mut self.presence),
        };

        self.due = None;
        // As long as requests are here, each window tells so, and the one in which the last leaves tells that.
        if self.here > 0 {
            self.schedule(now);
        }
        sample
    }

    fn count(&mut self, now: Timestamp) {
        self.presence += now.since(self.counted) * self.here;
        self.counted = now;
    }

    fn schedule(&mut self, now: Timestamp) {
        let window = SAMPLE_WINDOW.as_micros() as u64;
        let next = Timestamp { micros: (now.micros / window + 1) * window };
        self.due = self.due.or(Some(next));
    }
}
