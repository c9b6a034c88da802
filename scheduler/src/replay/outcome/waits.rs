use std::{collections::BTreeMap, time::Duration};

/// Beyond it, two times that differ by less than a 64th may be one: six bits of a number are kept below its first.
const PRECISION_BITS: u32 = 6;

/// How long requests waited: a histogram with bins that grow with what they count, as HdrHistogram's do (G. Tene). Whole
/// microseconds up to 128 are exact, everything else to 1.6 %, rounded down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// Most do not wait at all.
    none: u64,
    bins: BTreeMap<u64, u64>,
    count: u64,
    longest: Duration,
}

impl Waits {
    pub(in crate::replay) fn record(&mut self, wait: Duration) {
        self.count += 1;
        self.longest = self.longest.max(wait);
        match bin(wait.as_micros() as u64) {
            0 => self.none += 1,
            bin => *self.bins.entry(bin).or_default() += 1,
        }
    }

    pub(in crate::replay) fn add(&mut self, other: &Self) {
        self.none += other.none;
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
        for (bin, count) in &other.bins {
            *self.bins.entry(*bin).or_default() += count;
        }
    }

    /// How long this share of them waited at most: 0.99 is the 99th percentile. Zero where there was none.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = self.none;
        for (micros, count) in &self.bins {
            if seen >= rank {
                break;
            }
            seen += count;
            if seen >= rank {
                return Duration::from_micros(*micros);
            }
        }
        Duration::ZERO
    }

    /// The longest, exactly.
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }
}

/// The least number of its bin.
fn bin(micros: u64) -> u64 {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    micros >> shift << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut waits = Waits::default();
        assert_eq!(waits.quantile(0.99), Duration::ZERO);
        (0..98).for_each(|_| waits.record(Duration::ZERO));
        waits.record(Duration::from_millis(1));
        waits.record(Duration::from_secs(10));
        assert_eq!(waits.quantile(0.5), Duration::ZERO);
        assert_eq!(waits.quantile(0.99), Duration::from_millis(1));
        assert_eq!((waits.longest(), waits.count()), (Duration::from_secs(10), 100));
        let last = waits.quantile(1.0).as_secs_f64();
        assert!(last <= 10.0 && last > 10.0 * (1.0 - 1.0 / 64.0), "{last}");
    }

    #[test]
    fn what_was_recorded_apart_adds_up() {
        let (mut all, mut even, mut odd) = (Waits::default(), Waits::default(), Waits::default());
        for micros in 0..5000 {
            all.record(Duration::from_micros(micros));
            if micros % 2 == 0 { &mut even } else { &mut odd }.record(Duration::from_micros(micros));
        }
        even.add(&odd);
        assert_eq!(even, all);
    }
}
