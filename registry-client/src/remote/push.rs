use std::convert::Infallible;

use api::Digest;
use oci_distribution::manifest::OCI_IMAGE_MEDIA_TYPE;
use reqwest::{Method, Response, Url, header};

use super::{blocking, refusal::refusal, registry::Registry};
use crate::{ImageError, ImageReference, ImageStore, Progress};

/// Sends what the registry does not have yet: blobs first, then the manifest that names them.
pub(super) async fn push(
    registry: &mut Registry,
    store: &ImageStore,
    reference: &ImageReference,
    progress: &Progress,
) -> Result<Digest, ImageError> {
    let failed = |why| ImageError::Registry { action: "push", reference: reference.to_string(), why };
    let (digest, manifest, blobs) = {
        let name = reference.as_written().to_owned();
        blocking(store, move |store| store.contents(&name)).await?
    };
    for (digest, bytes) in blobs {
        push_blob(registry, &digest, bytes.into(), progress).await.map_err(failed)?;
    }
    push_manifest(registry, &reference.tag(), manifest.into()).await.map_err(failed)?;
    Ok(digest)
}

/// Bytes that are handed over at a time, and then told of.
const PIECE_BYTES: usize = 256 << 10;

pub(super) async fn push_blob(
    registry: &mut Registry,
    digest: &Digest,
    bytes: bytes::Bytes,
    progress: &Progress,
) -> Result<(), String> {
    let there = registry.send(Method::HEAD, registry.url(&format!("blobs/{digest}"))?, |request| request).await?;
    if there.status().is_success() {
        return Ok(());
    }
    let begun = registry.send(Method::POST, registry.url("blobs/uploads/")?, |request| request.body("")).await?;
    if !begun.status().is_success() {
        return Err(refusal(begun).await);
    }
    let place = begun.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
    let place = place.ok_or("the registry does not say where to upload to")?;
    let mut url = upload_place(begun.url(), place)?;
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    let prepare = |request: reqwest::RequestBuilder| {
        let length = bytes.len();
        request
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(in_pieces(bytes.clone(), progress.clone())))
    };
    taken(registry.send(Method::PUT, url, &prepare).await?).await
}

/// The place that the answer of `begun` names for an upload.
fn upload_place(begun: &Url, place: &str) -> Result<Url, String> {
    let no_url = |why: String| format!("the registry names a place that is no URL: {why}");
    // Relative to what answered (RFC 9110, section 10.2.2).
    let mut url = begun.join(place).map_err(|error| no_url(error.to_string()))?;
    // A registry behind a proxy that ends TLS may not know of it.
    if begun.scheme() == "https" && url.scheme() == "http" && url.host() == begun.host() {
        url.set_scheme("https").map_err(|()| no_url(url.to_string()))?;
        if url.port().is_none() {
            url.set_port(begun.port()).map_err(|()| no_url(url.to_string()))?;
        }
    }
    Ok(url)
}

/// Any success is one: registries differ in which they say.
async fn taken(answer: Response) -> Result<(), String> {
    if answer.status().is_success() { Ok(()) } else { Err(refusal(answer).await) }
}

fn in_pieces(bytes: bytes::Bytes, progress: Progress) -> impl futures::Stream<Item = Result<bytes::Bytes, Infallible>> {
    let total = bytes.len();
    futures::stream::iter((0..total).step_by(PIECE_BYTES).map(move |from| {
        let to = total.min(from + PIECE_BYTES);
        progress.transferred(to as u64, total as u64);
        Ok(bytes.slice(from..to))
    }))
}

pub(super) async fn push_manifest(registry: &mut Registry, tag: &str, manifest: bytes::Bytes) -> Result<(), String> {
    let prepare = |request: reqwest::RequestBuilder| {
        request.header(header::CONTENT_TYPE, OCI_IMAGE_MEDIA_TYPE).body(manifest.clone())
    };
    taken(registry.send(Method::PUT, registry.url(&format!("manifests/{tag}"))?, prepare).await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_to_the_registry_itself_stays_with_tls() {
        let place = |begun: &str, place: &str| upload_place(&Url::parse(begun).unwrap(), place).unwrap().to_string();
        let begun = "https://reg.example/v2/a/blobs/uploads/";
        assert_eq!(place(begun, "http://reg.example/v2/a/1?_state=a%2Fb"), "https://reg.example/v2/a/1?_state=a%2Fb");
        assert_eq!(place("https://reg.example:5443/v2/", "http://reg.example/1"), "https://reg.example:5443/1");
        assert_eq!(place(begun, "1?x"), "https://reg.example/v2/a/blobs/uploads/1?x");
        assert_eq!(place(begun, "https://storage.example/1"), "https://storage.example/1");
        assert_eq!(place(begun, "http://other.example/1"), "http://other.example/1");
        assert_eq!(place("http://localhost:5000/v2/", "http://localhost:5000/1"), "http://localhost:5000/1");
    }
}
