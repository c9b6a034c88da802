//! Work that would hold the runtime up: it is done on threads of its own, and little of it at the same time.

use std::{future::Future, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// Large bodies in memory at the same time; who sends a further one waits with it.
const MAX_LARGE_BODIES: usize = 64;
/// Of them, and of patches, so many are worked on at the same time.
const MAX_AT_WORK: usize = 8;

/// The places for what takes long or much.
#[derive(Debug, Clone)]
pub(super) struct Heavy {
    bodies: Arc<Semaphore>,
    work: Arc<Semaphore>,
}

impl Default for Heavy {
    fn default() -> Self {
        Self { bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)), work: Arc::new(Semaphore::new(MAX_AT_WORK)) }
    }
}

impl Heavy {
    /// A place for a large body.
    pub(super) async fn body(&self) -> OwnedSemaphorePermit {
        self.bodies.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Does work on a thread where it holds nobody up, once there is a place.
    pub(super) async fn work<W, T>(&self, work: impl FnOnce() -> W + Send + 'static) -> Result<T, ApiError>
    where
        W: Future<Output = Result<T, ApiError>>,
        T: Send + 'static,
    {
        let place = self.work.clone().acquire_owned().await.expect("the semaphore is never closed");
        let runtime = tokio::runtime::Handle::current();
        let working = tokio::task::spawn_blocking(move || {
            let _place = place;
            runtime.block_on(work())
        });
        working.await.unwrap_or_else(|error| Err(ApiError::Internal { why: error.to_string() }))
    }
}
