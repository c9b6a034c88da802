use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use api::Digest;
use oci_distribution::manifest::{OciImageIndex, OciManifest};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode, header};
use tokio::sync::OwnedMutexGuard;

use super::registry::{Registry, read, refusal};
use crate::{
    Image, ImageError, ImageReference, ImageStore, NotAComponent,
    blobs::{MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, digest_of},
    inspect,
    manifest::{component_layer, config_digest},
};

/// The manifests that are asked for: OCI's, and Docker's older ones, which are alike.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Who pulls what at the moment.
#[derive(Debug, Default)]
pub(super) struct Pulling(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Pulling {
    /// Waits until nobody else pulls the same.
    pub(super) async fn turn(&self, reference: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock();
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(reference).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(reference.to_owned(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}

/// Fetches and checks an image, manifest first, and keeps it once all of it is there.
pub(super) async fn pull(
    registry: &mut Registry,
    store: &ImageStore,
    reference: &ImageReference,
) -> Result<Image, ImageError> {
    let failed = |why| ImageError::Registry { action: "pull", reference: reference.to_string(), why };
    let wanted = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag(),
    };
    let mut manifest = fetch_manifest(registry, &wanted, reference.digest()).await.map_err(failed)?;
    if let Ok(OciManifest::ImageIndex(index)) = serde_json::from_slice(&manifest) {
        let digest = of_wasm(&index).map_err(failed)?;
        manifest = fetch_manifest(registry, &digest.to_string(), Some(&digest)).await.map_err(failed)?;
    }
    let layer = component_layer(&digest_of(&manifest), &manifest)?;
    if layer.size_bytes > MAX_COMPONENT_BYTES {
        let limit_bytes = MAX_COMPONENT_BYTES;
        return Err(ImageError::TooLarge { what: "component", bytes: layer.size_bytes, limit_bytes });
    }
    let component = fetch_blob(registry, &layer.digest, layer.size_bytes).await.map_err(failed)?;
    if component.len() as u64 != layer.size_bytes {
        let (sent, announced) = (component.len(), layer.size_bytes);
        return Err(failed(format!("the component has {sent} bytes, and its manifest says {announced}")));
    }
    let not_a_component =
        |source: NotAComponent| ImageError::NotAComponent { reference: reference.to_string(), source };
    inspect(&component).map_err(not_a_component)?;
    let mut blobs = vec![component];
    if let Some(config) = config_digest(&manifest) {
        blobs.push(fetch_blob(registry, &config, MAX_MANIFEST_BYTES).await.map_err(failed)?);
    }
    let (store, reference) = (store.clone(), reference.clone());
    let kept = tokio::task::spawn_blocking(move || store.keep(&reference, &manifest, &blobs)).await;
    kept.unwrap_or_else(|error| Err(ImageError::Client { why: error.to_string() }))
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

async fn fetch_blob(registry: &mut Registry, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, String> {
    let url = registry.url(&format!("blobs/{digest}"))?;
    let answer = registry.send(Method::GET, url, |request| request).await?;
    if answer.status() != StatusCode::OK {
        return Err(refusal(answer).await);
    }
    let blob = read(answer, limit_bytes, "the blob").await?;
    let found = digest_of(&blob);
    if found != *digest {
        return Err(format!("the registry sent a blob with digest {found}, not {digest}"));
    }
    Ok(blob)
}

/// The one image for Wasm in an index.
fn of_wasm(index: &OciImageIndex) -> Result<Digest, String> {
    let is_wasm = |platform: &oci_distribution::manifest::Platform| platform.architecture.to_string() == "wasm";
    let mut wasm = index.manifests.iter().filter(|entry| entry.platform.as_ref().is_some_and(is_wasm));
    let entry = match (wasm.next(), index.manifests.as_slice()) {
        (Some(entry), _) => entry,
        (None, [only]) if only.platform.is_none() => only,
        _ => return Err("it is an index, and none of its images is for the architecture `wasm`".to_owned()),
    };
    entry.digest.parse().map_err(|error: api::InvalidDigest| error.to_string())
}
