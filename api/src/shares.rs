use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// What each of many sharers may have at a time of something that they share, so that none takes all of it. Nothing is kept of one that
/// neither has nor awaits any.
#[derive(Debug)]
pub struct Shares<K> {
    each: usize,
    known: Mutex<HashMap<K, Weak<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    /// So many for each.
    pub fn new(each: usize) -> Self {
        Self { each, known: Mutex::default() }
    }

    /// The share of one. A permit of it, and who waits for one, keep it.
    pub fn of(&self, sharer: K) -> Arc<Semaphore> {
        let mut known = self.known.lock();
        if let Some(share) = known.get(&sharer).and_then(Weak::upgrade) {
            return share;
        }
        known.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.each));
        known.insert(sharer, Arc::downgrade(&share));
        share
    }

    /// How many sharers are known.
    pub fn known(&self) -> usize {
        self.known.lock().len()
    }
}
