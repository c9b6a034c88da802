use super::MAX_SIGNATURE_BYTES;
use crate::{
    hosted::{ContentDigest, Repository},
    remote::RemoteRepository,
};

/// Where the signatures of an image are: beside it in its registry, or in the local store.
pub(crate) enum Source<'a> {
    Remote(&'a mut RemoteRepository),
    Local(Repository),
}

impl Source<'_> {
    /// A manifest by tag or digest, checked against the latter.
    pub(super) async fn manifest(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Remote(remote) => remote.find_manifest(name).await,
            Self::Local(repository) => {
                let found = repository.manifest(name).map_err(|error| error.to_string())?;
                Ok(found.map(|manifest| manifest.bytes))
            }
        }
    }

    /// The digests of what refers to a manifest.
    pub(super) async fn referrers(&mut self, manifest: &ContentDigest) -> Result<Vec<String>, String> {
        match self {
            Self::Remote(remote) => remote.referrers(manifest).await,
            Self::Local(repository) => {
                let found = repository.referrers(manifest).map_err(|error| error.to_string())?;
                Ok(found.into_iter().map(|descriptor| descriptor.digest).collect())
            }
        }
    }

    /// A small blob, checked against its digest.
    pub(super) async fn blob(&mut self, digest: &str) -> Result<Vec<u8>, String> {
        let wanted: ContentDigest = digest.parse().map_err(|why| format!("`{digest}` {why}"))?;
        let bytes = match self {
            Self::Remote(remote) => remote.small_blob(digest, MAX_SIGNATURE_BYTES).await?,
            Self::Local(repository) => {
                let bytes = repository.small_blob(&wanted).map_err(|error| error.to_string())?;
                bytes.ok_or_else(|| format!("{digest} is not there"))?
            }
        };
        if wanted.fits(&bytes) { Ok(bytes) } else { Err(format!("{digest} is damaged")) }
    }
}
