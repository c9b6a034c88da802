use std::time::Duration;

use super::Waits;

/// A trace is cut into so many parts at most.
const MOST_BUCKETS: u64 = 720;
const LEAST_WIDTH: Duration = Duration::from_secs(1);

/// What happened over time, in parts of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// How wide each is.
    pub width: Duration,
    /// From the begin on.
    pub buckets: Vec<Bucket>,
}

/// What happened in one part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bucket {
    /// Requests that came in it.
    pub requests: u64,
    /// How long replicas were there in it, summed over them, in seconds.
    pub instance_seconds: f64,
    /// How long those that came in it waited.
    pub waits: Waits,
}

impl Series {
    /// For a trace of this length, in whole seconds so that parts of different replays are the same.
    pub(in crate::replay) fn of(span: Duration) -> Self {
        let seconds = span.as_micros().div_ceil(1_000_000) as u64;
        let width = Duration::from_secs(seconds.div_ceil(MOST_BUCKETS)).max(LEAST_WIDTH);
        let count = seconds.div_ceil(width.as_secs()).max(1) as usize;
        Self { width, buckets: vec![Bucket::default(); count] }
    }

    pub(in crate::replay) fn request(&mut self, at: Duration, wait: Duration) {
        let index = self.index(at);
        self.buckets[index].requests += 1;
        self.buckets[index].waits.record(wait);
    }

    /// So many replicas were there from one moment to another. What is beyond the trace is in no part.
    pub(in crate::replay) fn replicas(&mut self, count: usize, from: Duration, until: Duration) {
        let mut from = from;
        let end = self.width * self.buckets.len() as u32;
        let until = until.min(end);
        while from < until {
            let index = self.index(from);
            let cut = until.min(self.width * (index as u32 + 1));
            self.buckets[index].instance_seconds += count as f64 * (cut - from).as_secs_f64();
            from = cut;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (bucket, other) in self.buckets.iter_mut().zip(&other.buckets) {
            bucket.requests += other.requests;
            bucket.instance_seconds += other.instance_seconds;
            bucket.waits.add(&other.waits);
        }
    }

    fn index(&self, at: Duration) -> usize {
        let index = at.as_micros() as u64 / self.width.as_micros() as u64;
        (index as usize).min(self.buckets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_split_where_parts_meet() {
        let mut series = Series::of(Duration::from_secs(3));
        series.replicas(2, Duration::from_millis(500), Duration::from_millis(2250));
        let seconds: Vec<f64> = series.buckets.iter().map(|bucket| bucket.instance_seconds).collect();
        assert_eq!(seconds, [1.0, 2.0, 0.5]);
    }

    #[test]
    fn a_day_has_as_many_parts_as_can_be_drawn() {
        let day = Series::of(Duration::from_secs(86_400));
        assert_eq!((day.buckets.len(), day.width), (720, Duration::from_secs(120)));
        assert_eq!(Series::of(Duration::ZERO).buckets.len(), 1);
    }
}
