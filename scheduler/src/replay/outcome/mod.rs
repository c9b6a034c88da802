//! What a replay came to.

mod series;
mod waits;

use std::time::Duration;

pub use series::{Bucket, Series};
pub use waits::Waits;

/// What it came to, of one function or of several together.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Requests that came.
    pub requests: u64,
    /// Of these, refused: the line was full, or they had waited for too long.
    pub refused: u64,
    /// Of these, those that found no replica that was ready.
    pub cold: u64,
    /// Replicas that were started.
    pub starts: u64,
    /// How long replicas were there, summed over them, in seconds: from the begin of their start until they are gone.
    pub instance_seconds: f64,
    /// How long requests waited until a replica worked on them. One that was refused counts as if it had waited for as long as
    /// any may, so that refusing makes nothing better.
    pub waits: Waits,
    /// The same over time.
    pub series: Series,
}

impl Outcome {
    /// Nothing came, over a trace of this length.
    pub fn nothing(span: Duration) -> Self {
        Self {
            requests: 0,
            refused: 0,
            cold: 0,
            starts: 0,
            instance_seconds: 0.0,
            waits: Waits::default(),
            series: Series::of(span),
        }
    }

    /// Adds that of another function, over the same time.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.cold += other.cold;
        self.starts += other.starts;
        self.instance_seconds += other.instance_seconds;
        self.waits.add(&other.waits);
        self.series.add(&other.series);
    }
}
