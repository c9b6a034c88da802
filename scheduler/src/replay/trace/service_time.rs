use std::time::Duration;

use rand::{Rng, rngs::SmallRng};

/// How long requests are worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceTime {
    mean: Duration,
    /// The inverse of its distribution: shares from 0 to 1, and seconds, both rising. Empty: it is exponential.
    points: Vec<(f64, f64)>,
}

impl ServiceTime {
    /// An exponential distribution: many are short, few are long.
    pub const fn exponential(mean: Duration) -> Self {
        Self { mean, points: Vec::new() }
    }

    /// A distribution by its percentiles: shares from 0 to 1, and seconds; straight between them. Without any, exponential.
    pub fn percentiles(mean: Duration, mut points: Vec<(f64, f64)>) -> Self {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Rounded figures may step back.
        let mut least = 0.0_f64;
        for (_, seconds) in &mut points {
            least = least.max(*seconds);
            *seconds = least;
        }
        Self { mean, points }
    }

    /// On average.
    pub const fn mean(&self) -> Duration {
        self.mean
    }

    pub(in crate::replay) fn draw(&self, rng: &mut SmallRng) -> Duration {
        let share: f64 = rng.random();
        let seconds = match self.points.is_empty() {
            true => -(1.0 - share).ln() * self.mean.as_secs_f64(),
            false => self.at(share),
        };
        Duration::from_micros((seconds * 1e6).round() as u64)
    }

    fn at(&self, share: f64) -> f64 {
        let after = self.points.partition_point(|(other, _)| *other <= share);
        match (after.checked_sub(1).map(|before| self.points[before]), self.points.get(after)) {
            (Some((from, low)), Some((to, high))) => low + (high - low) * (share - from) / (to - from),
            (Some((_, last)), None) => last,
            (None, Some((_, first))) => *first,
            (None, None) => 0.0,
        }
    }
}
