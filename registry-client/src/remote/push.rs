use api::Digest;
use oci_distribution::manifest::OCI_IMAGE_MEDIA_TYPE;
use reqwest::{Method, StatusCode, header};

use super::{
    blocking,
    registry::{Registry, refusal},
};
use crate::{ImageError, ImageReference, ImageStore};

/// Sends what the registry does not have yet: blobs first, then the manifest that names them.
pub(super) async fn push(
    registry: &mut Registry,
    store: &ImageStore,
    reference: &ImageReference,
) -> Result<Digest, ImageError> {
    let failed = |why| ImageError::Registry { action: "push", reference: reference.to_string(), why };
    let (digest, manifest, blobs) = blocking(store, reference.as_written(), ImageStore::contents).await?;
    for (digest, bytes) in blobs {
        push_blob(registry, &digest, bytes.into()).await.map_err(failed)?;
    }
    push_manifest(registry, &reference.tag(), manifest.into()).await.map_err(failed)?;
    Ok(digest)
}

async fn push_blob(registry: &mut Registry, digest: &Digest, bytes: bytes::Bytes) -> Result<(), String> {
    let there = registry.send(Method::HEAD, registry.url(&format!("blobs/{digest}"))?, |request| request).await?;
    if there.status() == StatusCode::OK {
        return Ok(());
    }
    let begun = registry.send(Method::POST, registry.url("blobs/uploads/")?, |request| request.body("")).await?;
    if begun.status() != StatusCode::ACCEPTED {
        return Err(refusal(begun).await);
    }
    let place = begun.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
    let mut url = registry.url(place.ok_or("the registry does not say where to upload to")?)?;
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    let prepare = |request: reqwest::RequestBuilder| {
        request.header(header::CONTENT_TYPE, "application/octet-stream").body(bytes.clone())
    };
    let done = registry.send(Method::PUT, url, prepare).await?;
    if done.status() == StatusCode::CREATED { Ok(()) } else { Err(refusal(done).await) }
}

async fn push_manifest(registry: &mut Registry, tag: &str, manifest: bytes::Bytes) -> Result<(), String> {
    let prepare = |request: reqwest::RequestBuilder| {
        request.header(header::CONTENT_TYPE, OCI_IMAGE_MEDIA_TYPE).body(manifest.clone())
    };
    let done = registry.send(Method::PUT, registry.url(&format!("manifests/{tag}"))?, prepare).await?;
    if done.status() == StatusCode::CREATED { Ok(()) } else { Err(refusal(done).await) }
}
