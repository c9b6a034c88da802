use bytes::Bytes;
use futures::future::BoxFuture;

use crate::Digest;

/// An image as it is stored: both parts are what their digests say, which whoever takes it in verifies again.
#[derive(Debug, Clone)]
pub struct ImageBytes {
    /// The OCI manifest, as it was signed for by its digest.
    pub manifest: Bytes,
    /// The component that the manifest names.
    pub component: Bytes,
}

/// Where a worker gets an image that its own store does not have: from the control plane, which has pulled it.
pub trait FetchImage: Send + Sync {
    /// The image with a manifest of this digest, or why there is none, for people.
    fn fetch(&self, digest: Digest) -> BoxFuture<'static, Result<ImageBytes, String>>;
}
