//! An interrupted Poisson process (A. Kuczura, "The Interrupted Poisson Process as an Overflow Process", Bell System Technical
//! Journal 52(3), 1973): it is on and off in turn, for times that are exponential, and requests come while it is on.

use rand::{Rng, rngs::SmallRng};

use super::MINUTE_MICROS;

/// How long it is on, on average.
const ON_MICROS: f64 = 1e6;
/// How long it is off, on average: so a sixth of the time is on.
const OFF_MICROS: f64 = 5e6;

/// When it is on within a minute.
pub(super) struct Bursts {
    /// Where each begins in the minute, and how much time was on before it, in microseconds.
    begins: Vec<(u64, u64)>,
    on: u64,
}

impl Bursts {
    pub(super) fn of_a_minute(rng: &mut SmallRng) -> Self {
        let mut bursts = Self { begins: Vec::new(), on: 0 };
        let mut at = 0;
        let mut is_on = rng.random_bool(ON_MICROS / (ON_MICROS + OFF_MICROS));
        while at < MINUTE_MICROS {
            let mean = if is_on { ON_MICROS } else { OFF_MICROS };
            let until = MINUTE_MICROS.min(at + exponential(rng, mean));
            if is_on {
                bursts.add(at, until - at);
            }
            (at, is_on) = (until, !is_on);
        }
        if bursts.on == 0 {
            // The minute has requests: one burst at least.
            let at = rng.random_range(0..MINUTE_MICROS);
            bursts.add(at, exponential(rng, ON_MICROS).min(MINUTE_MICROS - at));
        }
        bursts
    }

    fn add(&mut self, at: u64, span: u64) {
        self.begins.push((at, self.on));
        self.on += span;
    }

    /// A moment of the minute at which it is on.
    pub(super) fn moment(&self, rng: &mut SmallRng) -> u64 {
        let on = rng.random_range(0..self.on);
        let after = self.begins.partition_point(|(_, before)| *before <= on);
        let (at, before) = self.begins[after - 1];
        at + on - before
    }
}

/// At least a microsecond.
fn exponential(rng: &mut SmallRng, mean: f64) -> u64 {
    (-(1.0 - rng.random::<f64>()).ln() * mean) as u64 + 1
}
