use std::collections::BTreeMap;

use api::{ObjectKey, ReplicaId};
use rand::{Rng, rngs::SmallRng};

/// What Kubernetes takes for generated names: no vowels, and nothing that looks like another.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const LENGTH: u32 = 5;
const NAMES: u64 = 27u64.pow(LENGTH);

/// Suffixes for replica names. It steps through all of them in a seeded order, so that none comes twice before all have come.
#[derive(Debug)]
pub(crate) struct Names {
    next: u64,
    stride: u64,
}

impl Names {
    pub(crate) fn new(rng: &mut SmallRng) -> Self {
        // A stride that shares no factor with 27^5 reaches every suffix.
        let stride = rng.random_range(NAMES / 4..NAMES / 2) / 3 * 3 + 1;
        Self { next: rng.random_range(0..NAMES), stride }
    }

    /// A name for a replica of `revision` that is not in `taken`.
    pub(crate) fn replica<V>(&mut self, revision: &ObjectKey, taken: &BTreeMap<ReplicaId, V>) -> ReplicaId {
        loop {
            let name = format!("{}-{}", revision.name, self.suffix());
            let id = ReplicaId(ObjectKey::new(revision.namespace.clone(), name));
            if !taken.contains_key(&id) {
                return id;
            }
        }
    }

    fn suffix(&mut self) -> String {
        let mut rest = self.next;
        self.next = (self.next + self.stride) % NAMES;
        let mut suffix = String::with_capacity(LENGTH as usize);
        for _ in 0..LENGTH {
            suffix.push(char::from(ALPHABET[(rest % 27) as usize]));
            rest /= 27;
        }
        suffix
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_hundred_thousand_suffixes_are_all_different() {
        for seed in 0..4 {
            let mut names = Names::new(&mut SmallRng::seed_from_u64(seed));
            let suffixes: BTreeSet<_> = (0..100_000).map(|_| names.suffix()).collect();
            assert_eq!(suffixes.len(), 100_000);
        }
    }

    #[test]
    fn a_name_that_is_taken_is_passed_over() {
        let revision = ObjectKey::new("default", "web-1");
        let taken_by_another = Names { next: 7, stride: 1 }.replica::<()>(&revision, &BTreeMap::new());
        let taken = BTreeMap::from([(taken_by_another.clone(), ())]);
        assert_ne!(Names { next: 7, stride: 1 }.replica(&revision, &taken), taken_by_another);
    }
}
