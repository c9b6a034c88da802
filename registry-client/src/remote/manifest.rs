//! Manifests from a registry, checked against the digest that they are asked for by.

use reqwest::{Method, StatusCode, header};

use super::{
    refusal::refusal,
    registry::{Registry, read},
};
use crate::{blobs::MAX_MANIFEST_BYTES, hosted::ContentDigest};

/// The manifests that are asked for: OCI's, and Docker's older ones, which are alike.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Why there is no manifest, in the registry's words.
enum NoManifest {
    /// It does not have it.
    Unknown(String),
    /// It does not say whether it has it, or what it sent is not it.
    Failed(String),
}

impl From<String> for NoManifest {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl Registry {
    /// A manifest by tag or digest.
    pub(super) async fn manifest(&mut self, name: &str) -> Result<Vec<u8>, String> {
        self.ask_for_manifest(name).await.map_err(|(NoManifest::Unknown(why) | NoManifest::Failed(why))| why)
    }

    /// A manifest by tag or digest, if there is one.
    pub(crate) async fn find_manifest(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        match self.ask_for_manifest(name).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(NoManifest::Unknown(_)) => Ok(None),
            Err(NoManifest::Failed(why)) => Err(why),
        }
    }

    async fn ask_for_manifest(&mut self, name: &str) -> Result<Vec<u8>, NoManifest> {
        loop {
            match self.ask_once_for_manifest(name).await {
                // Many registries say that there is none to those who may not know.
                Err(_) if self.try_others().await? => {}
                answered => return answered,
            }
        }
    }

    async fn ask_once_for_manifest(&mut self, name: &str) -> Result<Vec<u8>, NoManifest> {
        let url = self.url(&format!("manifests/{name}"))?;
        let answer = self.send(Method::GET, url, |request| request.header(header::ACCEPT, MANIFEST_TYPES)).await?;
        match answer.status() {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND => return Err(NoManifest::Unknown(refusal(answer).await)),
            _ => return Err(NoManifest::Failed(refusal(answer).await)),
        }
        let manifest = read(answer, MAX_MANIFEST_BYTES, "the manifest").await?;
        match name.parse::<ContentDigest>() {
            Ok(wanted) if !wanted.fits(&manifest) => {
                let found = ContentDigest::of(&manifest);
                Err(NoManifest::Failed(format!("the registry sent a manifest with digest {found}, not {wanted}")))
            }
            _ => Ok(manifest),
        }
    }
}
