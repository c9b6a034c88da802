//! Where what is pulled goes.

use super::{asker::Asker, blocking, pull::Found};
use crate::{Image, ImageError, ImageReference, ImageStore, blobs::MAX_COMPONENT_BYTES};

/// Where what is pulled goes: a store, or who asked this process to pull.
#[derive(Clone, Copy)]
pub(super) enum Shelf<'a> {
    Store(&'a ImageStore),
    Asker(&'a Asker),
}

impl Shelf<'_> {
    /// Whether all of an image is there already.
    pub(super) async fn is_whole(&self, found: &Found) -> Result<bool, ImageError> {
        if found.layer.size_bytes > MAX_COMPONENT_BYTES {
            let (bytes, limit_bytes) = (found.layer.size_bytes, MAX_COMPONENT_BYTES);
            return Err(ImageError::TooLarge { what: "component", bytes, limit_bytes });
        }
        let digest = found.digest.clone();
        match self {
            Self::Store(store) => blocking(store, move |store| Ok(store.is_whole(&digest))).await,
            Self::Asker(asker) => asker.is_whole(found).await,
        }
    }

    /// Names an image all of which is there. `namespace` alone may use it; `None`: all may.
    pub(super) async fn keep(
        &self,
        reference: &ImageReference,
        found: Found,
        namespace: Option<String>,
    ) -> Result<Image, ImageError> {
        match self {
            Self::Store(store) => {
                let reference = reference.clone();
                blocking(store, move |store| store.keep(&reference, &found.manifest, namespace.as_deref())).await
            }
            Self::Asker(asker) => asker.keep(reference.as_written(), &found, namespace.is_some()).await,
        }
    }
}
