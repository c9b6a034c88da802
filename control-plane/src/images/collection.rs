use std::{sync::Arc, time::Duration};

use registry_client::hosted::{Collected, Keep, Repositories, Unused};
use tokio_util::sync::CancellationToken;

use super::usage::Usage;
use crate::store::Store;

/// When images that nothing uses are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionConfig {
    /// How often it is looked.
    pub every: Duration,
    /// What was written or used within this time stays.
    pub grace: Duration,
    /// Images from other registries that were not used for this long go.
    pub max_age: Duration,
    /// Above so many bytes of blobs, the least recently used images from other registries go. `None`: no limit.
    pub max_bytes: Option<u64>,
}

impl Default for CollectionConfig {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { every: hour, grace: hour, max_age: 30 * 24 * hour, max_bytes: None }
    }
}

/// Removes what nothing needs, for ever.
pub(crate) async fn run(
    config: CollectionConfig,
    store: Arc<dyn Store>,
    repositories: Repositories,
    shutdown: CancellationToken,
) {
    while shutdown.run_until_cancelled(tokio::time::sleep(config.every)).await.is_some() {
        let by_size = config.max_bytes.map(Unused::PulledAbove);
        for unused in [Some(Unused::PulledBefore(config.max_age)), by_size].into_iter().flatten() {
            let keep = Keep { grace: config.grace, unused, ..Keep::default() };
            match collect(&*store, &repositories, keep).await {
                Ok(Collected { names, blobs, bytes }) if blobs > 0 || !names.is_empty() => {
                    tracing::info!(?names, blobs, bytes, "images that nothing uses were removed");
                }
                Ok(_) => {}
                Err(why) => tracing::warn!(why, "images that nothing uses could not be removed"),
            }
        }
    }
}

/// Removes what neither `keep` nor a Deployment or revision in the store needs.
pub(super) async fn collect(store: &dyn Store, repositories: &Repositories, keep: Keep) -> Result<Collected, String> {
    let usage = Usage::read(store).await.map_err(|error| error.to_string())?;
    let keep = Keep { manifests: usage.digests.into_keys().collect(), references: usage.references, ..keep };
    let repositories = repositories.clone();
    let collected = tokio::task::spawn_blocking(move || repositories.collect(&keep)).await;
    collected.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
