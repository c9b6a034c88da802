use std::hash::{BuildHasher, RandomState};

use rand::{SeedableRng, rngs::SmallRng};

/// A generator for balancing and trace ids, seeded by the system. Not for secrets.
pub(crate) fn thread_rng() -> SmallRng {
    // `RandomState` is seeded by the system; hashing nothing yields that seed.
    SmallRng::seed_from_u64(RandomState::new().hash_one(()))
}
