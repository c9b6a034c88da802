use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use api::Digest;
use parking_lot::Mutex;
use reqwest::{Method, StatusCode, header};

use super::{
    blocking,
    download::Download,
    registry::{Registry, read, refusal},
};
use crate::{
    Image, ImageError, ImageReference, ImageStore, Progress,
    blobs::{MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, digest_of},
    incoming::{Begun, Incoming},
    inspect,
    manifest::{component_layer, config_digest, of_index},
};

/// How long it is waited for another process that fetches the same blob. The pull's own limit may end it before.
const FETCHED_BY_OTHERS_WITHIN: Duration = Duration::from_secs(600);

/// The manifests that are asked for: OCI's, and Docker's older ones, which are alike.
pub(super) const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Who pulls what at the moment, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Pulling(Mutex<HashMap<String, Weak<Turn>>>);

/// When the last pull that succeeded began, and what it brought.
type Turn = tokio::sync::Mutex<Option<(Instant, Image)>>;

impl Pulling {
    /// Waits until nobody else pulls the same. If somebody has begun to do so since, this gives what it brought; else
    /// what `pull` brings.
    pub(super) async fn once<E>(&self, wanted: &str, pull: impl Future<Output = Result<Image, E>>) -> Result<Image, E> {
        let asked = Instant::now();
        let turn = {
            let mut turns = self.0.lock();
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(wanted).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(wanted.to_owned(), Arc::downgrade(&turn));
            turn
        };
        let mut last = turn.lock().await;
        if let Some((_, image)) = last.as_ref().filter(|(began, _)| *began >= asked) {
            return Ok(image.clone());
        }
        let began = Instant::now();
        let image = pull.await?;
        *last = Some((began, image.clone()));
        Ok(image)
    }
}

/// What is pulled where to, and for whom.
pub(super) struct Wanted<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) reference: &'a ImageReference,
    /// The namespace that alone may use it.
    pub(super) namespace: Option<String>,
    pub(super) progress: &'a Progress,
}

/// Fetches and checks an image, manifest first, and names it once all of it is there.
pub(super) async fn pull(registry: &mut Registry, wanted: Wanted<'_>) -> Result<Image, ImageError> {
    let Wanted { store, reference, namespace, progress } = wanted;
    let failed = |why| ImageError::Registry { action: "pull", reference: reference.to_string(), why };
    let name = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag(),
    };
    let mut manifest = fetch_manifest(registry, &name, reference.digest()).await.map_err(failed)?;
    if let Some(entry) = of_index(&manifest) {
        let digest = entry.map_err(failed)?;
        manifest = fetch_manifest(registry, &digest.to_string(), Some(&digest)).await.map_err(failed)?;
    }
    let layer = component_layer(&digest_of(&manifest), &manifest)?;
    if layer.size_bytes > MAX_COMPONENT_BYTES {
        let limit_bytes = MAX_COMPONENT_BYTES;
        return Err(ImageError::TooLarge { what: "component", bytes: layer.size_bytes, limit_bytes });
    }
    let digest = digest_of(&manifest);
    if blocking(store, move |store| Ok(store.is_whole(&digest))).await? {
        // It has another name here, or this one: what is there is checked whenever it is read.
        let reference = reference.clone();
        return blocking(store, move |store| store.keep(&reference, &manifest, namespace.as_deref())).await;
    }
    let fetch = Fetch { store, failed: &failed };
    let size_bytes = layer.size_bytes;
    let told = |received| progress.transferred(received, size_bytes);
    let check = |bytes: &[u8]| {
        if bytes.len() as u64 != size_bytes {
            let sent = bytes.len();
            return Err(failed(format!("the component has {sent} bytes, and its manifest says {size_bytes}")));
        }
        let refused = |source| ImageError::NotAComponent { reference: reference.to_string(), source };
        inspect(bytes).map_err(refused).map(drop)
    };
    fetch.blob(registry, &layer.digest, size_bytes, &told, check).await?;
    if let Some(config) = config_digest(&manifest) {
        fetch.blob(registry, &config, MAX_MANIFEST_BYTES, &|_| {}, |_| Ok(())).await?;
    }
    let reference = reference.clone();
    blocking(store, move |store| store.keep(&reference, &manifest, namespace.as_deref())).await
}

/// Fetching of blobs, each once however many ask.
struct Fetch<'a, F> {
    store: &'a ImageStore,
    failed: &'a F,
}

impl<F: Fn(String) -> ImageError> Fetch<'_, F> {
    /// Makes sure that the blob is in the store, and that `check` likes it.
    async fn blob(
        &self,
        registry: &mut Registry,
        digest: &Digest,
        limit_bytes: u64,
        told: &(dyn Fn(u64) + Send + Sync),
        check: impl Fn(&[u8]) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        loop {
            let wanted = digest.clone();
            let begun =
                blocking(self.store, move |store| store.blobs().begin(&wanted, FETCHED_BY_OTHERS_WITHIN)).await?;
            let Begun::Missing(incoming) = begun else {
                let wanted = digest.clone();
                let read = blocking(self.store, move |store| store.blobs().get(&wanted, "blob", limit_bytes)).await;
                match read {
                    Ok(Some(bytes)) => return check(&bytes),
                    // It has just been collected.
                    Ok(None) => continue,
                    Err(ImageError::Damaged { .. }) => self.store.blobs().remove(digest)?,
                    Err(error) => return Err(error),
                }
                continue;
            };
            return self.missing(registry, digest, limit_bytes, told, check, incoming).await;
        }
    }

    async fn missing(
        &self,
        registry: &mut Registry,
        digest: &Digest,
        limit_bytes: u64,
        told: &(dyn Fn(u64) + Send + Sync),
        check: impl Fn(&[u8]) -> Result<(), ImageError>,
        mut incoming: Incoming,
    ) -> Result<(), ImageError> {
        let began = Instant::now();
        let url = registry.url(&format!("blobs/{digest}")).map_err(self.failed)?;
        match registry.download(url, limit_bytes, &mut incoming, told).await {
            Ok(()) => {}
            Err(Download::Broken(why) | Download::Busy(why)) => return Err((self.failed)(why)),
            Err(Download::Refused(why)) => {
                incoming.discard();
                return Err((self.failed)(why));
            }
            Err(Download::Disk(error)) => return Err(error),
        }
        let fetched = Instant::now();
        let (wanted, target) = (digest.clone(), self.store.blobs().path(digest));
        let (verified, incoming) = blocking(self.store, move |_| Ok((incoming.verified(&wanted)?, incoming))).await?;
        let checked = match verified {
            Ok(bytes) => check(&bytes),
            Err(found) => Err((self.failed)(format!("the registry sent a blob with digest {found}, not {digest}"))),
        };
        if let Err(error) = checked {
            incoming.discard();
            return Err(error);
        }
        blocking(self.store, move |_| incoming.finish(&target)).await?;
        let (fetch_ms, verify_ms) = ((fetched - began).as_millis(), fetched.elapsed().as_millis());
        tracing::debug!(%digest, fetch_ms, verify_ms, "fetched a blob");
        Ok(())
    }
}

async fn fetch_manifest(registry: &mut Registry, wanted: &str, pinned: Option<&Digest>) -> Result<Vec<u8>, String> {
    let url = registry.url(&format!("manifests/{wanted}"))?;
    let answer = registry.send(Method::GET, url, |request| request.header(header::ACCEPT, MANIFEST_TYPES)).await?;
    if answer.status() != StatusCode::OK {
        return Err(refusal(answer).await);
    }
    let manifest = read(answer, MAX_MANIFEST_BYTES, "the manifest").await?;
    match pinned {
        Some(pinned) if digest_of(&manifest) != *pinned => {
            Err(format!("the registry sent a manifest with digest {}, not {pinned}", digest_of(&manifest)))
        }
        _ => Ok(manifest),
    }
}
