use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// Seats of which each sharer has its share at most, so that none takes them all.
#[derive(Debug)]
pub struct Seats<K> {
    all: Arc<Semaphore>,
    shares: Shares<K>,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub struct Seat {
    _share: OwnedSemaphorePermit,
    _seat: OwnedSemaphorePermit,
}

impl<K: Eq + Hash> Seats<K> {
    /// So many, of which each sharer has at most `each`.
    pub fn new(all: usize, each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), shares: Shares::new(each) }
    }

    /// Waits for a seat, behind those who came before. Whoever waits for one of its own share keeps none from others.
    pub async fn take(&self, sharer: K) -> Seat {
        let share = taken(self.shares.of(sharer)).await;
        Seat { _share: share, _seat: taken(self.all.clone()).await }
    }

    /// What each sharer has of them.
    pub fn shares(&self) -> &Shares<K> {
        &self.shares
    }
}

async fn taken(seats: Arc<Semaphore>) -> OwnedSemaphorePermit {
    seats.acquire_owned().await.expect("these semaphores are never closed")
}
