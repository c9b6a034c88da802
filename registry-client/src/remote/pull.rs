use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use api::Digest;
use parking_lot::Mutex;

use super::{blocking, download::Download, off_thread, registry::Registry, shelf::Shelf};
use crate::{
    Image, ImageError, ImageReference, Progress,
    blobs::{MAX_MANIFEST_BYTES, digest_of},
    incoming::{Begun, Incoming},
    inspect,
    manifest::{ComponentLayer, component_layer, config_digest, of_index},
};

/// How long it is waited for another process that fetches the same blob. The pull's own limit may end it before.
pub(super) const FETCHED_BY_OTHERS_WITHIN: Duration = Duration::from_secs(600);

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
    pub(super) shelf: Shelf<'a>,
    pub(super) reference: &'a ImageReference,
    /// The namespace that alone may use it, if it takes that one's credentials.
    pub(super) namespace: Option<String>,
    pub(super) progress: &'a Progress,
}

/// What a reference names in its registry.
pub(super) struct Found {
    pub(super) digest: Digest,
    pub(super) manifest: Vec<u8>,
    /// The index that it was taken from.
    pub(super) index: Option<Vec<u8>>,
    pub(super) layer: ComponentLayer,
}

/// Fetches and checks an image, manifest first, and names it once all of it is there.
pub(super) async fn pull(registry: &mut Registry, wanted: Wanted<'_>) -> Result<Image, ImageError> {
    let Wanted { shelf, reference, namespace, progress } = wanted;
    let failed = |why| ImageError::Registry { action: "pull", reference: reference.to_string(), why };
    let name = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag(),
    };
    let (mut manifest, mut index) = (registry.manifest(&name).await.map_err(failed)?, None);
    if let Some(entry) = of_index(&manifest) {
        let digest = entry.map_err(failed)?;
        index = Some(manifest);
        manifest = registry.manifest(digest.as_str()).await.map_err(failed)?;
    }
    let digest = digest_of(&manifest);
    let layer = component_layer(&digest, &manifest)?;
    let found = Found { digest, manifest, index, layer };
    if !shelf.is_whole(&found).await? {
        let layer = &found.layer;
        let fetch = Fetch { shelf, failed: &failed };
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
        let component = Expected { digest: &layer.digest, limit_bytes: size_bytes, told: &told, check: &check };
        fetch.blob(registry, &component).await?;
        if let Some(config) = config_digest(&found.manifest) {
            let limit_bytes = MAX_MANIFEST_BYTES;
            let config = Expected { digest: &config, limit_bytes, told: &|_| {}, check: &|_| Ok(()) };
            fetch.blob(registry, &config).await?;
        }
    }
    // If it has another name, or this one, what is there is checked whenever it is read.
    shelf.keep(reference, found, namespace.filter(|_| registry.is_private())).await
}

/// A blob that is to be had.
struct Expected<'a> {
    digest: &'a Digest,
    limit_bytes: u64,
    /// Is told how many bytes have come.
    told: &'a (dyn Fn(u64) + Send + Sync),
    /// Says what is wrong with the bytes, whose digest is right.
    check: &'a (dyn Fn(&[u8]) -> Result<(), ImageError> + Send + Sync),
}

/// Fetching of blobs, each once however many ask.
struct Fetch<'a, F> {
    shelf: Shelf<'a>,
    failed: &'a F,
}

impl<F: Fn(String) -> ImageError> Fetch<'_, F> {
    /// Makes sure that the blob is there, and that `check` likes it.
    async fn blob(&self, registry: &mut Registry, expected: &Expected<'_>) -> Result<(), ImageError> {
        let &Expected { digest, limit_bytes, check, .. } = expected;
        let store = match self.shelf {
            Shelf::Store(store) => store,
            Shelf::Asker(asker) => {
                return match asker.begin(digest, limit_bytes).await? {
                    Begun::Here => Ok(()),
                    Begun::Missing(incoming) => self.missing(registry, expected, incoming).await,
                };
            }
        };
        loop {
            let wanted = digest.clone();
            let begun = blocking(store, move |store| store.blobs().begin(&wanted, FETCHED_BY_OTHERS_WITHIN)).await?;
            let Begun::Missing(incoming) = begun else {
                let wanted = digest.clone();
                let read = blocking(store, move |store| store.blobs().get(&wanted, "blob", limit_bytes)).await;
                match read {
                    Ok(Some(bytes)) => return check(&bytes),
                    // It has just been collected.
                    Ok(None) => continue,
                    Err(ImageError::Damaged { .. }) => store.blobs().remove(digest)?,
                    Err(error) => return Err(error),
                }
                continue;
            };
            return self.missing(registry, expected, incoming).await;
        }
    }

    async fn missing(
        &self,
        registry: &mut Registry,
        expected: &Expected<'_>,
        mut incoming: Incoming,
    ) -> Result<(), ImageError> {
        let &Expected { digest, limit_bytes, told, check } = expected;
        let began = Instant::now();
        let url = registry.url(&format!("blobs/{digest}")).map_err(self.failed)?;
        match registry.download(url, limit_bytes, &mut incoming, told).await {
            Ok(()) => {}
            Err(Download::Broken(why) | Download::Busy(why)) => return Err((self.failed)(why)),
            Err(Download::Refused(why)) => {
                self.discard(incoming).await;
                return Err((self.failed)(why));
            }
            Err(Download::Disk(error)) => return Err(error),
        }
        let fetched = Instant::now();
        let wanted = digest.clone();
        let (verified, incoming) = off_thread(move || Ok((incoming.verified(&wanted)?, incoming))).await?;
        let checked = match verified {
            Ok(bytes) => check(&bytes),
            Err(found) => Err((self.failed)(format!("the registry sent a blob with digest {found}, not {digest}"))),
        };
        if let Err(error) = checked {
            self.discard(incoming).await;
            return Err(error);
        }
        match self.shelf {
            Shelf::Store(store) => {
                let target = store.blobs().path(digest);
                off_thread(move || incoming.finish(&target)).await?;
            }
            Shelf::Asker(asker) => asker.fetched(true).await?,
        }
        let (fetch_ms, verify_ms) = ((fetched - began).as_millis(), fetched.elapsed().as_millis());
        tracing::debug!(%digest, fetch_ms, verify_ms, "fetched a blob");
        Ok(())
    }

    /// What has come is of no use.
    async fn discard(&self, incoming: Incoming) {
        match self.shelf {
            Shelf::Store(_) => incoming.discard(),
            // Who is not told removes it when it is tried again.
            Shelf::Asker(asker) => _ = asker.fetched(false).await,
        }
    }
}
