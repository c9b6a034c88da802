use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ContentDigest, ManifestError};

/// What is read of a manifest of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parsed {
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Pointer>,
    #[serde(default)]
    pub(super) layers: Vec<Pointer>,
    #[serde(default)]
    pub(super) blobs: Vec<Pointer>,
    #[serde(default)]
    pub(super) manifests: Vec<Pointer>,
    pub(super) subject: Option<Pointer>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pointer {
    pub(super) digest: String,
    pub(super) media_type: Option<String>,
    /// Where else it is had: then it need not be here.
    #[serde(default)]
    pub(super) urls: Vec<String>,
}

impl Parsed {
    pub(super) fn of(bytes: &[u8]) -> Result<Self, ManifestError> {
        serde_json::from_slice(bytes).map_err(|error| ManifestError::Invalid(format!("it is no manifest: {error}")))
    }

    pub(super) fn needed_blobs(&self) -> impl Iterator<Item = &Pointer> {
        self.config.iter().chain(&self.layers).chain(&self.blobs).filter(|pointer| pointer.urls.is_empty())
    }
}

/// What a manifest needs: blobs, and manifests.
pub(super) fn needs(bytes: &[u8]) -> Vec<ContentDigest> {
    let Ok(parsed) = Parsed::of(bytes) else { return Vec::new() };
    let all = parsed.needed_blobs().chain(&parsed.manifests);
    all.filter_map(|pointer| pointer.digest.parse().ok()).collect()
}

/// The manifests that an index contains.
pub(super) fn contained(bytes: &[u8]) -> Vec<ContentDigest> {
    let Ok(parsed) = Parsed::of(bytes) else { return Vec::new() };
    parsed.manifests.iter().filter_map(|pointer| pointer.digest.parse().ok()).collect()
}
