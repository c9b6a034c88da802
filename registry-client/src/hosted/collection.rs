use std::{future::Future, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use super::{Collected, Keep, Repositories, Unused};
use crate::ImageError;

/// When images that nothing uses are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionConfig {
    /// When it is looked for the first time: who needs images at the start has found them by then.
    pub first_after: Duration,
    /// How often it is looked from then on.
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
        Self {
            first_after: Duration::from_secs(30),
            every: hour,
            grace: hour,
            max_age: Duration::from_secs(30 * 24 * 3600),
            max_bytes: None,
        }
    }
}

/// Removes what nothing needs, for ever. `keep` says what stays however old it is.
pub async fn keep_collected<K>(config: &CollectionConfig, repositories: &Repositories, keep: impl Fn() -> K)
where
    K: Future<Output = Result<Keep, String>>,
{
    sleep(config.first_after).await;
    loop {
        let by_size = config.max_bytes.map(Unused::PulledAbove);
        for unused in [Some(Unused::PulledBefore(config.max_age)), by_size].into_iter().flatten() {
            let collected = async {
                let keep = Keep { grace: config.grace, unused, ..keep().await? };
                collect(repositories, keep).await
            };
            match collected.await {
                Ok(Collected { names, blobs, bytes }) if blobs > 0 || !names.is_empty() => {
                    tracing::info!(?names, blobs, bytes, "images that nothing uses were removed");
                }
                Ok(_) => {}
                Err(why) => tracing::warn!(why, "images that nothing uses could not be removed"),
            }
        }
        sleep(config.every).await;
    }
}

/// As [`Repositories::collect`], on a thread that may block.
pub async fn collect(repositories: &Repositories, keep: Keep) -> Result<Collected, String> {
    blocking(repositories, move |repositories| repositories.collect(&keep)).await
}

/// As [`Repositories::kept_by_grace`], on a thread that may block.
pub async fn kept_by_grace(repositories: &Repositories, keep: Keep) -> Result<Collected, String> {
    blocking(repositories, move |repositories| repositories.kept_by_grace(&keep)).await
}

async fn blocking(
    repositories: &Repositories,
    ask: impl FnOnce(&Repositories) -> Result<Collected, ImageError> + Send + 'static,
) -> Result<Collected, String> {
    let repositories = repositories.clone();
    let asked = spawn_blocking(move || ask(&repositories)).await;
    asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
