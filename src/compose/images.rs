use api::{Digest, FetchImage, ImageBytes};
use control_plane::ControlPlane;
use futures::future::{BoxFuture, ready};
use registry_client::{
    ImageStore,
    hosted::{CollectionConfig, Keep, Repositories, keep_collected},
};
use tokio_util::sync::CancellationToken;

use super::Roles;
use crate::paths::DataDir;

/// The images of this machine's store.
pub(super) struct StoredImages(pub(super) ImageStore);

impl FetchImage for StoredImages {
    fn fetch(&self, digest: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        let store = self.0.clone();
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || store.bytes_of(&digest)).await;
            read.map_err(|error| error.to_string())?.map_err(|error| error.without_path().into_owned())
        })
    }
}

/// Removes images that a worker fetched and nothing on this machine has used for long. Who uses one says so by its age, so any
/// number of workers may share the directory. Where it is a control plane's too, that alone knows what is needed.
pub(super) fn spawn_collection(
    roles: &mut Roles,
    config: CollectionConfig,
    dir: &DataDir,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if ControlPlane::is_kept_in(dir.root()) {
        return Ok(());
    }
    let repositories = Repositories::open(ImageStore::open(dir.images())?)?;
    roles.spawn("the removal of images", async move {
        let collecting = keep_collected(&config, &repositories, || ready(Ok(Keep::default())));
        stop.run_until_cancelled(collecting).await;
        Ok(())
    });
    Ok(())
}
