use std::sync::Arc;

use api::Shares;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{AT_ONCE, AT_ONCE_OF_NAMESPACE};

/// Places to compile at. What a component makes of its compiler's time is its own choice, up to the limit of a compile: so one
/// namespace leaves a place to others, whatever it has compiled.
pub(super) struct Places {
    all: Arc<Semaphore>,
    of_namespaces: Shares<String>,
}

/// One of them, until this is dropped.
pub(super) struct Place {
    _share: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), of_namespaces: Shares::new(AT_ONCE_OF_NAMESPACE) }
    }
}

impl Places {
    /// Waits for a place for a namespace, behind those who came before it.
    pub(super) async fn of(&self, namespace: &str) -> Place {
        // Who waits for its namespace's share takes nothing of all.
        let share = taken(self.of_namespaces.of(namespace.to_owned())).await;
        Place { _share: share, _place: taken(self.all.clone()).await }
    }
}

async fn taken(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    places.acquire_owned().await.expect("these semaphores are never closed")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_namespace_that_compiles_all_it_can_leaves_a_place_to_others() {
        let places = Places::default();
        let held: Vec<_> = (0..AT_ONCE_OF_NAMESPACE).map(|_| places.of("greedy").now_or_never().unwrap()).collect();
        let mut waits = Box::pin(places.of("greedy"));
        assert!((&mut waits).now_or_never().is_none());
        let other = places.of("other").now_or_never().expect("a place is left to others");
        assert!(places.of("third").now_or_never().is_none(), "there are no more in all");
        drop((held, other));
        assert!(waits.now_or_never().is_some());
    }
}
