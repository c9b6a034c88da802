use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::Digest;
use parking_lot::Mutex;

/// A component that nothing has run for so long is unmapped, whatever room there is.
const KEEP: Duration = Duration::from_secs(600);
/// After so long, a use counts half.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// Components that are kept mapped and linked though nothing runs them, so that starting one again costs next to nothing.
///
/// Bounded in bytes. Beyond it the least valuable goes first: what a byte of it is likely to save, as in the
/// GreedyDual-Size-Frequency policy (Cherkasova, 1998), with uses that count less as they age.
pub(super) struct WarmPool<T> {
    limit_bytes: u64,
    kept: Mutex<HashMap<Digest, Warm<T>>>,
}

struct Warm<T> {
    component: Arc<T>,
    /// What of memory it takes.
    bytes: u64,
    uses: f64,
    last: Instant,
}

impl<T> Warm<T> {
    fn value_at(&self, now: Instant) -> f64 {
        self.uses_at(now) / self.bytes.max(1) as f64
    }

    fn uses_at(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.last);
        self.uses * (-age.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
    }

    /// Whether a replica runs it: then to let go of it frees nothing.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.component) > 1
    }
}

impl<T> WarmPool<T> {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, kept: Mutex::default() }
    }

    /// A component that is here, used once more.
    pub(super) fn take(&self, digest: &Digest, now: Instant) -> Option<Arc<T>> {
        let mut kept = self.kept.lock();
        let warm = kept.get_mut(digest)?;
        warm.uses = warm.uses_at(now) + 1.0;
        warm.last = now;
        Some(warm.component.clone())
    }

    /// Keeps a component that was loaded; what is worth less makes room for it.
    pub(super) fn keep(&self, digest: &Digest, component: &Arc<T>, bytes: u64, now: Instant) {
        let evicted = {
            let mut kept = self.kept.lock();
            let warm = Warm { component: component.clone(), bytes, uses: 1.0, last: now };
            kept.entry(digest.clone()).or_insert(warm);
            shrink(&mut kept, self.limit_bytes, now)
        };
        // Unmapping takes a while: not under the lock.
        drop(evicted);
    }

    /// Lets go of what has not been used for long, and of more where the machine is short of memory.
    pub(super) fn trim(&self, short_of_memory: bool, now: Instant) {
        let evicted = {
            let mut kept = self.kept.lock();
            let old =
                |_: &Digest, warm: &mut Warm<T>| now.saturating_duration_since(warm.last) > KEEP && !warm.is_in_use();
            let mut evicted: Vec<_> = kept.extract_if(old).map(|(_, warm)| warm).collect();
            let limit = if short_of_memory { idle_bytes(&kept) / 2 } else { self.limit_bytes };
            evicted.extend(shrink(&mut kept, limit, now));
            evicted
        };
        drop(evicted);
    }

    #[cfg(test)]
    fn holds(&self, digest: &Digest) -> bool {
        self.kept.lock().contains_key(digest)
    }
}

/// What is mapped of components that nothing runs.
fn idle_bytes<T>(kept: &HashMap<Digest, Warm<T>>) -> u64 {
    kept.values().filter(|warm| !warm.is_in_use()).map(|warm| warm.bytes).sum()
}

/// Takes out the least valuable of those that nothing runs, until the rest is within the limit.
fn shrink<T>(kept: &mut HashMap<Digest, Warm<T>>, limit_bytes: u64, now: Instant) -> Vec<Warm<T>> {
    let mut idle = idle_bytes(kept);
    if idle <= limit_bytes {
        return Vec::new();
    }
    let candidates = kept.iter().filter(|(_, warm)| !warm.is_in_use());
    let mut order: Vec<(f64, Digest)> = candidates.map(|(digest, warm)| (warm.value_at(now), digest.clone())).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut evicted = Vec::new();
    for (_, digest) in order {
        if idle <= limit_bytes {
            break;
        }
        if let Some(warm) = kept.remove(&digest) {
            idle -= warm.bytes;
            evicted.push(warm);
        }
    }
    evicted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::from_sha256([number; 32])
    }

    fn keep(pool: &WarmPool<()>, number: u8, bytes: u64, now: Instant) -> Arc<()> {
        let component = Arc::new(());
        pool.keep(&digest(number), &component, bytes, now);
        component
    }

    #[test]
    fn beyond_the_limit_the_least_used_for_its_size_goes_first() {
        let (pool, now) = (WarmPool::new(100), Instant::now());
        keep(&pool, 1, 40, now);
        keep(&pool, 2, 50, now);
        pool.take(&digest(2), now).unwrap();
        pool.take(&digest(1), now).unwrap();
        keep(&pool, 3, 20, now);
        pool.trim(false, now);
        assert!(!pool.holds(&digest(2)), "it is the largest of those that were used as often");
        assert!(pool.holds(&digest(1)) && pool.holds(&digest(3)));
    }

    #[test]
    fn what_runs_is_not_let_go_of_and_does_not_count() {
        let (pool, now) = (WarmPool::new(100), Instant::now());
        let _running = keep(&pool, 1, 1000, now);
        keep(&pool, 2, 90, now);
        assert!(pool.holds(&digest(1)) && pool.holds(&digest(2)));
    }

    #[test]
    fn what_nobody_used_for_long_is_let_go_of() {
        let (pool, now) = (WarmPool::new(100), Instant::now());
        keep(&pool, 1, 40, now);
        pool.trim(false, now + KEEP / 2);
        assert!(pool.holds(&digest(1)));
        pool.trim(false, now + KEEP * 2);
        assert!(!pool.holds(&digest(1)));
    }

    #[test]
    fn a_machine_short_of_memory_gets_half_of_it_back_at_a_time() {
        let (pool, now) = (WarmPool::new(100), Instant::now());
        (1..=4).for_each(|number| drop(keep(&pool, number, 20, now + Duration::from_secs(number.into()))));
        pool.trim(true, now + Duration::from_secs(5));
        assert!(!pool.holds(&digest(1)) && !pool.holds(&digest(2)), "those used longest ago");
        assert!(pool.holds(&digest(3)) && pool.holds(&digest(4)));
    }
}
