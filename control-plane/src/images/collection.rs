use std::sync::Arc;

use registry_client::{
    Registries,
    hosted::{self, Collected, CollectionConfig, Keep, Repositories, keep_collected},
};
use store::Store;
use tokio_util::sync::CancellationToken;

use super::usage::Usage;

/// The images of this installation, and what says which of them are used.
#[derive(Clone)]
pub(crate) struct Images {
    pub(crate) store: Arc<dyn Store>,
    /// Knows by which addresses images of this installation are called.
    pub(crate) registries: Registries,
    pub(crate) repositories: Repositories,
}

impl Images {
    /// Removes what nothing needs, until it is told to end.
    pub(crate) async fn keep_collected(&self, config: CollectionConfig, shutdown: CancellationToken) {
        let keep = || self.with_used(Keep::default());
        shutdown.run_until_cancelled(keep_collected(&config, &self.repositories, keep)).await;
    }

    /// Removes what neither `keep` nor a Deployment or revision in the store needs.
    pub(super) async fn collect(&self, keep: Keep) -> Result<Collected, String> {
        hosted::collect(&self.repositories, self.with_used(keep).await?).await
    }

    /// What [`collect`](Self::collect) leaves only because it is so young.
    pub(super) async fn kept_by_grace(&self, keep: Keep) -> Result<Collected, String> {
        hosted::kept_by_grace(&self.repositories, self.with_used(keep).await?).await
    }

    /// `keep`, and what Deployments and revisions in the store use.
    async fn with_used(&self, keep: Keep) -> Result<Keep, String> {
        let usage = Usage::read(&*self.store).await.map_err(|error| error.to_string())?;
        let references = usage.references.iter().map(|reference| self.registries.local_name(reference)).collect();
        Ok(Keep { manifests: usage.digests.into_keys().collect(), references, ..keep })
    }
}
