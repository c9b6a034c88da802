use std::sync::Arc;

use api::{Digest, ObjectKey};
use registry_client::{ImageStore, Registries};
use scheduler::Event;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Input;

/// Image references that are resolved at the same time at most.
const MAX_AT_ONCE: usize = 8;

/// Turns image references into digests. It may block, and is called on a thread of a runtime that may be blocked.
pub(crate) trait ResolveImage: Send + Sync + 'static {
    /// The digest that a reference names now, or why there is none, for people.
    fn resolve(&self, reference: &str) -> Result<Digest, String>;
}

/// The store of this machine, and the registries that fill it.
pub(crate) struct Sources {
    pub(crate) store: ImageStore,
    pub(crate) registries: Registries,
}

impl ResolveImage for Sources {
    fn resolve(&self, reference: &str) -> Result<Digest, String> {
        let resolved = Handle::current().block_on(self.registries.resolve(&self.store, reference));
        resolved.map_err(|error| error.to_string())
    }
}

/// Resolves image references beside the shell, and tells it the answers.
pub(super) struct Images {
    resolver: Arc<dyn ResolveImage>,
    at_once: Arc<Semaphore>,
    answers: mpsc::Sender<Input>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Images {
    pub(super) fn new(
        resolver: Arc<dyn ResolveImage>,
        answers: mpsc::Sender<Input>,
        (tasks, shutdown): (TaskTracker, CancellationToken),
    ) -> Self {
        Self { resolver, at_once: Arc::new(Semaphore::new(MAX_AT_ONCE)), answers, tasks, shutdown }
    }

    pub(super) fn resolve(&self, revision: ObjectKey, reference: String) {
        let (resolver, at_once, answers) = (self.resolver.clone(), self.at_once.clone(), self.answers.clone());
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(shutdown.run_until_cancelled_owned(async move {
            // Neither is closed while the shell runs; when it has ended, nobody waits for the answer.
            let Ok(_permit) = at_once.acquire_owned().await else { return };
            let resolved = tokio::task::spawn_blocking(move || resolver.resolve(&reference)).await;
            let result = resolved.unwrap_or_else(|error| Err(format!("the image could not be looked up: {error}")));
            let _ = answers.send(Input::Event(Event::ImageResolved { revision, result })).await;
        }));
    }
}
