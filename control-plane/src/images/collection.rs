use std::sync::Arc;

use registry_client::hosted::{self, Collected, CollectionConfig, Keep, Repositories, keep_collected};
use tokio_util::sync::CancellationToken;

use super::usage::Usage;
use crate::store::Store;

/// Removes what nothing needs, until it is told to end.
pub(crate) async fn run(
    config: CollectionConfig,
    store: Arc<dyn Store>,
    repositories: Repositories,
    shutdown: CancellationToken,
) {
    let keep = || with_used(&*store, Keep::default());
    shutdown.run_until_cancelled(keep_collected(&config, &repositories, keep)).await;
}

/// Removes what neither `keep` nor a Deployment or revision in the store needs.
pub(super) async fn collect(store: &dyn Store, repositories: &Repositories, keep: Keep) -> Result<Collected, String> {
    hosted::collect(repositories, with_used(store, keep).await?).await
}

/// What is collected neither now nor while it is so young.
pub(super) async fn kept_by_grace(
    store: &dyn Store,
    repositories: &Repositories,
    keep: Keep,
) -> Result<Collected, String> {
    hosted::kept_by_grace(repositories, with_used(store, keep).await?).await
}

/// `keep`, and what Deployments and revisions in the store use.
async fn with_used(store: &dyn Store, keep: Keep) -> Result<Keep, String> {
    let usage = Usage::read(store).await.map_err(|error| error.to_string())?;
    Ok(Keep { manifests: usage.digests.into_keys().collect(), references: usage.references, ..keep })
}
