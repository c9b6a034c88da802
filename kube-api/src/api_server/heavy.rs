//! Work that would hold the runtime up: it is done on threads of its own, and little of it at the same time.

use std::{future::Future, io, sync::Arc};

use tokio::{
    runtime::{self, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::error::ApiError;

/// Large bodies in memory at the same time; who sends a further one waits with it.
const MAX_LARGE_BODIES: usize = 64;
/// Of them, and of patches, so many are worked on at the same time.
const MAX_AT_WORK: usize = 8;
/// The threads that compute for these. More would take more of the processors from those who serve.
const THREADS: usize = 2;

/// The places for what takes long or much.
#[derive(Debug, Clone)]
pub(super) struct Heavy {
    bodies: Arc<Semaphore>,
    work: Arc<Semaphore>,
    threads: Arc<Threads>,
}

#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Heavy {
    /// With threads that each do this as they begin.
    pub(super) fn new(on_thread_start: fn()) -> io::Result<Self> {
        let threads = runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("api-costly")
            .on_thread_start(on_thread_start)
            .enable_all()
            .build()?;
        Ok(Self {
            bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
            work: Arc::new(Semaphore::new(MAX_AT_WORK)),
            threads: Arc::new(Threads(Some(threads))),
        })
    }

    /// A place for a large body.
    pub(super) async fn body(&self) -> OwnedSemaphorePermit {
        self.bodies.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Does work on a thread where it holds nobody up, once there is a place. What was begun goes on though nobody waits for it
    /// any more: it may be half done.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.work.clone().acquire_owned().await.expect("the semaphore is never closed");
        let threads = self.threads.0.as_ref().expect("taken only when dropped");
        let working = threads.spawn(async move {
            let _place = place;
            work.await
        });
        working.await.unwrap_or_else(|error| Err(ApiError::Internal { why: error.to_string() }))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            // Waiting for them would block, which the runtime that drops this may not.
            threads.shutdown_background();
        }
    }
}
