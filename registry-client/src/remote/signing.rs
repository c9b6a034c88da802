//! Signatures in registries: fetched, and pushed.

use oci_distribution::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageIndex, OciImageManifest, OciManifest};
use reqwest::{Method, StatusCode, header};

use super::{
    pull::MANIFEST_TYPES,
    push::{push_blob, push_manifest},
    registry::{Registry, read, refusal},
};
use crate::{
    Progress,
    blobs::{MAX_MANIFEST_BYTES, digest_of},
    hosted::ContentDigest,
    signature::{SIGNATURE_ANNOTATION, SIMPLE_SIGNING, SigningKey, payload, signature_tag},
};

/// A config that says nothing.
const EMPTY_CONFIG: (&str, &[u8]) = ("application/vnd.oci.image.config.v1+json", b"{}");

impl Registry {
    /// A manifest, if there is one.
    pub(crate) async fn find_manifest(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let url = self.url(&format!("manifests/{name}"))?;
        let answer = self.send(Method::GET, url, |request| request.header(header::ACCEPT, MANIFEST_TYPES)).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(refusal(answer).await),
        }
        let manifest = read(answer, MAX_MANIFEST_BYTES, "the manifest").await?;
        match name.parse::<ContentDigest>() {
            Ok(wanted) if !wanted.fits(&manifest) => Err(format!("the registry sent a manifest that is not {wanted}")),
            _ => Ok(Some(manifest)),
        }
    }

    /// The digests of what refers to a manifest, also in registries that know only the tag for it.
    pub(crate) async fn referrers(&mut self, manifest: &ContentDigest) -> Result<Vec<String>, String> {
        let url = self.url(&format!("referrers/{manifest}"))?;
        let answer = self.send(Method::GET, url, |request| request).await?;
        let index = match answer.status() {
            StatusCode::OK => Some(read(answer, MAX_MANIFEST_BYTES, "the list of referrers").await?),
            // As the specification has it for registries without the list.
            StatusCode::NOT_FOUND => self.find_manifest(&manifest.as_str().replacen(':', "-", 1)).await?,
            _ => return Err(refusal(answer).await),
        };
        let Some(index) = index else { return Ok(Vec::new()) };
        let index: OciImageIndex =
            serde_json::from_slice(&index).map_err(|error| format!("the list of referrers is none: {error}"))?;
        Ok(index.manifests.into_iter().map(|entry| entry.digest).collect())
    }

    /// A blob that must be small.
    pub(crate) async fn small_blob(&mut self, digest: &str, limit_bytes: u64) -> Result<Vec<u8>, String> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let answer = self.send(Method::GET, url, |request| request).await?;
        match answer.status() {
            StatusCode::OK => read(answer, limit_bytes, "the signature").await,
            _ => Err(refusal(answer).await),
        }
    }

    /// Adds a signature to those under the image's `.sig` tag.
    pub(super) async fn sign(
        &mut self,
        repository: &str,
        image: &ContentDigest,
        key: &SigningKey,
    ) -> Result<(), String> {
        let tag = signature_tag(image);
        let payload = payload(repository, image.as_str());
        let signature = key.sign(&payload);
        let mut layers = match self.find_manifest(&tag).await?.map(|json| serde_json::from_slice(&json)) {
            Some(Ok(OciManifest::Image(manifest))) => manifest.layers,
            Some(_) => return Err(format!("{tag} is there, and is not what cosign keeps: delete it")),
            None => Vec::new(),
        };
        let mut layer = descriptor(SIMPLE_SIGNING, &payload);
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
        layer.annotations = Some([(SIGNATURE_ANNOTATION.to_owned(), encoded)].into());
        layers.push(layer);
        let config = EMPTY_CONFIG;
        let manifest = OciImageManifest {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: descriptor(config.0, config.1),
            layers,
            ..Default::default()
        };
        let manifest = serde_json::to_vec(&manifest).expect("a manifest has only text keys");
        push_blob(self, &digest_of(&payload), payload.into(), &Progress::untold()).await?;
        push_blob(self, &digest_of(config.1), bytes::Bytes::from_static(config.1), &Progress::untold()).await?;
        push_manifest(self, &tag, manifest.into()).await
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest_of(bytes).to_string(),
        size: bytes.len() as i64,
        ..Default::default()
    }
}
