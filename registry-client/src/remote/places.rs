//! Who may pull now: so many at once, of whom one namespace and one registry leave some to others.

use std::sync::Arc;

use api::Shares;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places to pull at. A registry that sends slowly holds one for as long as a transfer may take, so that one namespace, with a registry
/// of its own, gets at most three quarters of them; and so does one registry, whoever pulls from it.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// Of those that pull or wait.
    shares: Shares<Sharer>,
}

/// Who leaves some to others.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Sharer {
    /// `None` is this machine's own.
    Namespace(Option<String>),
    Host(String),
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` where it is held for nobody.
    _shares: Option<[OwnedSemaphorePermit; 2]>,
    _place: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(at_once: usize) -> Self {
        let of_one = (at_once - at_once.div_ceil(4)).max(1);
        Self { all: Arc::new(Semaphore::new(at_once)), shares: Shares::new(of_one) }
    }

    /// Waits for a place for a namespace that pulls from a registry, and behind those who came before it only.
    pub(super) async fn of(&self, namespace: Option<&str>, host: &str) -> Place {
        // Who waits for a registry takes nothing of its namespace yet.
        let of_host = taken(self.shares.of(Sharer::Host(host.to_owned()))).await;
        let of_namespace = taken(self.shares.of(Sharer::Namespace(namespace.map(str::to_owned)))).await;
        Place { _shares: Some([of_host, of_namespace]), _place: taken(self.all.clone()).await }
    }

    /// Waits for a place for what is short, whoever it is for.
    pub(super) async fn any(&self) -> Place {
        Place { _shares: None, _place: taken(self.all.clone()).await }
    }
}

async fn taken(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    places.acquire_owned().await.expect("these semaphores are never closed")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_namespace_that_pulls_without_end_leaves_places_to_others() {
        for (at_once, most) in [(8, 6), (4, 3), (2, 1)] {
            let places = Places::new(at_once);
            let mut held = Vec::new();
            while let Some(place) = places.of(Some("greedy"), &format!("host{}", held.len() % 2)).now_or_never() {
                held.push(place);
            }
            assert_eq!(held.len(), most, "of {at_once}");
            let other = places.of(Some("other"), "host2").now_or_never();
            assert!(other.is_some(), "of {at_once}");
            held.pop();
            assert!(places.of(Some("greedy"), "host0").now_or_never().is_some(), "of {at_once}");
        }
    }

    #[tokio::test]
    async fn a_registry_that_sends_slowly_leaves_places_to_pull_from_others_whoever_pulls_from_it() {
        let places = Places::new(8);
        let slow = |number: usize| places.of([Some("a"), Some("b"), None][number % 3], "slow").now_or_never();
        let held: Vec<_> = (0..8).filter_map(slow).collect();
        assert_eq!(held.len(), 6);
        assert!(places.of(Some("a"), "other").now_or_never().is_some());
    }

    #[tokio::test]
    async fn one_place_is_had_by_one_after_the_other_and_nothing_is_kept_of_who_has_gone() {
        let places = Places::new(1);
        for namespace in [None, Some("a"), Some("b")] {
            let place = places.of(namespace, "h").now_or_never().expect("a free place");
            assert!(places.of(Some("c"), "h").now_or_never().is_none());
            assert!(places.any().now_or_never().is_none());
            drop(place);
        }
        let _place = places.any().now_or_never().expect("a free place");
        drop(places.of(Some("d"), "h").now_or_never());
        assert!(places.shares.known() <= 3, "{:?}", places.shares);
    }
}
