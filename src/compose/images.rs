use api::{Digest, FetchImage, ImageBytes};
use futures::future::BoxFuture;
use registry_client::ImageStore;

/// The images of this machine's store.
pub(super) struct StoredImages(pub(super) ImageStore);

impl FetchImage for StoredImages {
    fn fetch(&self, digest: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        let store = self.0.clone();
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || store.bytes_of(&digest)).await;
            read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        })
    }
}
