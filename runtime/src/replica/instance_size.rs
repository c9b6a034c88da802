use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What an instance of a replica takes, in bytes: at first what it is made with and some more, then what instances had at the end
/// of their requests, on average.
#[derive(Default)]
pub(crate) struct InstanceSize {
    average: AtomicU64,
    /// Requests whose instances were looked at, up to [`LEARNT`](Self::LEARNT).
    seen: AtomicU32,
    /// The most that an instance had until enough were seen.
    most: AtomicU64,
}

impl InstanceSize {
    /// So many requests say what instances take. From then on the difference to what was seen last goes into the average by one
    /// part of as many.
    pub(super) const LEARNT: u32 = 8;
    /// Until then an instance is taken to grow by this part of what it is made with.
    const GROWS_BY: u64 = 4;

    /// What is reckoned with; zero, if nothing was measured yet.
    pub(crate) fn bytes(&self) -> u64 {
        let average = self.average.load(Ordering::Relaxed);
        if self.has_learnt() {
            return average;
        }
        average.saturating_add(average / Self::GROWS_BY).max(self.most.load(Ordering::Relaxed))
    }

    fn has_learnt(&self) -> bool {
        self.seen.load(Ordering::Relaxed) >= Self::LEARNT
    }

    pub(crate) fn begin_with(&self, bytes: u64) {
        self.average.store(bytes, Ordering::Relaxed);
    }

    /// An instance has so much while it works. Until requests have ended that is all there is to go by.
    pub(super) fn at_work(&self, bytes: u64) {
        if !self.has_learnt() && bytes > self.most.load(Ordering::Relaxed) {
            self.most.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// An instance had so much at the end of a request. Mostly it is what it was before, and nothing is written.
    pub(crate) fn observe(&self, bytes: u64) {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen < Self::LEARNT {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        let before = self.average.load(Ordering::Relaxed);
        if before == bytes {
            return;
        }
        // Of the first ones it is their mean.
        let weight = i64::from(seen.saturating_add(1).min(Self::LEARNT));
        let step = (bytes.cast_signed() - before.cast_signed()) / weight;
        // Of requests that end at the same moment one may be lost, which an average survives.
        self.average.store(
            if before == 0 || step == 0 { bytes } else { before.saturating_add_signed(step) },
            Ordering::Relaxed,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_requests_have_ended_an_instance_is_taken_to_grow() {
        let size = InstanceSize::default();
        size.begin_with(1000);
        assert_eq!(size.bytes(), 1250);
        size.at_work(4000);
        assert_eq!(size.bytes(), 4000);
        (0..InstanceSize::LEARNT).for_each(|_| size.observe(1000));
        assert_eq!(size.bytes(), 1000, "few grew");
    }

    #[test]
    fn what_an_instance_takes_follows_what_instances_had_and_one_of_many_changes_little() {
        let size = InstanceSize::default();
        size.begin_with(1000);
        size.observe(9000);
        assert_eq!(size.average.load(Ordering::Relaxed), 9000, "the first says more than what it was made with");
        (0..100).for_each(|_| size.observe(1000));
        assert_eq!(size.bytes(), 1000);
        size.observe(9000);
        assert_eq!(size.bytes(), 2000);
        (0..100).for_each(|_| size.observe(3000));
        assert_eq!(size.bytes(), 3000);
    }
}
