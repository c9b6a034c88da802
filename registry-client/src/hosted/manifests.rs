use std::{collections::BTreeMap, io::Read};

use oci_distribution::manifest::OCI_IMAGE_MEDIA_TYPE;
use serde::{Deserialize, Serialize};

use super::{ContentDigest, Repository, parsed::Parsed};
use crate::{
    ImageError, ImageReference,
    blobs::{MAX_MANIFEST_BYTES, write_durably},
    index::Named,
};

/// What points to a manifest, with what is asked of those that refer to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Of its bytes.
    pub digest: String,
    /// Of it, in bytes.
    pub size: u64,
    /// What the artifact is, for those that refer to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A manifest as it was pushed, byte by byte.
#[derive(Debug, Clone)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: ContentDigest,
    /// What it was pushed as.
    pub media_type: String,
    /// Its bytes, checked against the digest.
    pub bytes: Vec<u8>,
}

/// What became of a manifest that was pushed.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// Its digest.
    pub digest: ContentDigest,
    /// What it refers to.
    pub subject: Option<String>,
}

/// Why a manifest was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not a manifest.
    #[error("{0}")]
    Invalid(String),
    /// Its digest is not the one that it was pushed under.
    #[error("the manifest has the digest {found}")]
    WrongDigest {
        /// The digest that it has.
        found: ContentDigest,
    },
    /// It names blobs that are not in the repository.
    #[error("{} is not in this repository: push it first", .0.join(", "))]
    BlobsMissing(Vec<String>),
    /// The disk said no.
    #[error(transparent)]
    Store(#[from] ImageError),
}

impl Repository {
    /// Keeps a manifest, byte by byte, under its digest or under a tag.
    pub fn put_manifest(&self, name: &str, media_type: &str, bytes: &[u8]) -> Result<PutManifest, ManifestError> {
        let parsed = Parsed::of(bytes)?;
        if parsed.media_type.as_deref().is_some_and(|inner| inner != media_type) {
            let inner = parsed.media_type.unwrap_or_default();
            return Err(ManifestError::Invalid(format!("it is sent as {media_type}, and says that it is {inner}")));
        }
        let digest = match name.parse::<ContentDigest>() {
            Ok(digest) if digest.fits(bytes) => digest,
            Ok(_) => return Err(ManifestError::WrongDigest { found: ContentDigest::of(bytes) }),
            Err(_) => ContentDigest::of(bytes),
        };
        self.check_needs(&parsed)?;
        let tag = (name != digest.as_str()).then(|| self.tag_reference(name)).transpose()?;
        if tag.is_some() && !self.tags()?.contains_key(name) {
            self.accounts.tag(&self.name)?;
        }
        if !self.links("_manifests").contains(&digest) {
            self.accounts.keep(&self.name, bytes.len() as u64)?;
        }
        self.write_blob(&digest, bytes)?;
        let artifact_type = parsed.artifact_type.or_else(|| parsed.config.and_then(|config| config.media_type));
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: digest.to_string(),
            size: bytes.len() as u64,
            artifact_type,
            annotations: parsed.annotations.unwrap_or_default(),
        };
        let link = serde_json::to_vec(&descriptor).expect("a descriptor has only text keys");
        if let Some(subject) = &parsed.subject {
            let subject: ContentDigest = subject.digest.parse().map_err(ManifestError::Invalid)?;
            self.links(&referrers(&subject)).put(&digest, &link)?;
        }
        self.links("_manifests").put(&digest, &link)?;
        if let (Some(reference), Ok(sha256)) = (tag, digest.as_str().parse()) {
            let named =
                Named { manifest: &sha256, size: bytes.len() as u64, media_type, namespace: None, pulled: false };
            self.store.index().tag(&reference, &named)?;
        }
        Ok(PutManifest { digest, subject: parsed.subject.map(|subject| subject.digest) })
    }

    /// The manifest that a tag or a digest names.
    pub fn manifest(&self, name: &str) -> Result<Option<StoredManifest>, ImageError> {
        let digest = match name.parse::<ContentDigest>() {
            Ok(digest) => digest,
            Err(_) => match self.tags()?.remove(name) {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        let manifests = self.links("_manifests");
        if !manifests.contains(&digest) {
            self.adopt()?;
        }
        let Some(link) = manifests.get(&digest)? else { return Ok(None) };
        let link: Option<Descriptor> = serde_json::from_slice(&link).ok();
        let media_type = link.map_or_else(|| OCI_IMAGE_MEDIA_TYPE.to_owned(), |link| link.media_type);
        let Some(bytes) = self.read_blob(&digest)? else { return Ok(None) };
        Ok(Some(StoredManifest { digest, media_type, bytes }))
    }

    /// Deletes a tag, or a manifest with all its tags. Says whether it was there.
    pub fn delete_manifest(&self, name: &str) -> Result<bool, ImageError> {
        let Ok(digest) = name.parse::<ContentDigest>() else {
            let gone = |entry: &crate::index::Entry| self.tag_of(&entry.written).as_deref() == Some(name);
            // It stays in the repository by its digest.
            self.adopt()?;
            let gone = self.store.index().untag(gone)?;
            self.accounts.give_up(&self.name, gone, 0);
            return Ok(gone > 0);
        };
        let Some(manifest) = self.manifest(name)? else { return Ok(false) };
        if let Some(subject) = Parsed::of(&manifest.bytes).ok().and_then(|parsed| parsed.subject)
            && let Ok(subject) = subject.digest.parse()
        {
            self.links(&referrers(&subject)).remove(&digest)?;
        }
        let is_it = |entry: &crate::index::Entry| entry.manifest.as_str() == digest.as_str();
        let tags = self.store.index().untag(|entry| is_it(entry) && self.tag_of(&entry.written).is_some())?;
        self.links("_manifests").remove(&digest)?;
        self.accounts.give_up(&self.name, tags + 1, manifest.bytes.len() as u64);
        Ok(true)
    }

    /// A small blob of the repository, checked.
    pub(crate) fn small_blob(&self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, ImageError> {
        if self.has_blob(digest)? { self.read_blob(digest) } else { Ok(None) }
    }

    /// The tags, sorted, each with the digest of its manifest.
    pub fn tags(&self) -> Result<BTreeMap<String, ContentDigest>, ImageError> {
        let entries = self.store.entries()?;
        let tags = entries.iter().filter_map(|entry| Some((self.tag_of(&entry.written)?, (&entry.manifest).into())));
        Ok(tags.collect())
    }

    /// Whether there is anything in the repository.
    pub fn exists(&self) -> Result<bool, ImageError> {
        Ok(self.dir.is_dir() || !self.tags()?.is_empty())
    }

    /// What refers to a manifest: signatures, for example.
    pub fn referrers(&self, subject: &ContentDigest) -> Result<Vec<Descriptor>, ImageError> {
        let links = self.links(&referrers(subject));
        let mut found = Vec::new();
        for digest in links.all()? {
            found.extend(links.get(&digest)?.and_then(|link| serde_json::from_slice(&link).ok()));
        }
        found.sort_by(|a: &Descriptor, b| a.digest.cmp(&b.digest));
        Ok(found)
    }

    /// Links what has a name in the local store, because it was built or pulled there.
    pub(super) fn adopt(&self) -> Result<(), ImageError> {
        for (_, digest) in self.tags()? {
            let manifests = self.links("_manifests");
            if manifests.contains(&digest) {
                continue;
            }
            let Some(bytes) = self.read_blob(&digest)? else { continue };
            let parsed = Parsed::of(&bytes).unwrap_or_default();
            let media_type = parsed.media_type.clone().unwrap_or_else(|| OCI_IMAGE_MEDIA_TYPE.to_owned());
            for blob in parsed.needed_blobs().filter_map(|pointer| pointer.digest.parse().ok()) {
                self.links("_blobs").put(&blob, b"")?;
            }
            let (size, annotations) = (bytes.len() as u64, BTreeMap::new());
            let link = Descriptor { media_type, digest: digest.to_string(), size, artifact_type: None, annotations };
            manifests.put(&digest, &serde_json::to_vec(&link).expect("a descriptor has only text keys"))?;
            self.accounts.recount();
        }
        Ok(())
    }

    fn check_needs(&self, parsed: &Parsed) -> Result<(), ManifestError> {
        let mut missing = Vec::new();
        for pointer in parsed.needed_blobs() {
            let digest = pointer.digest.parse().map_err(|why| invalid_digest(&pointer.digest, why))?;
            if !self.has_blob(&digest)? {
                missing.push(pointer.digest.clone());
            }
        }
        for pointer in &parsed.manifests {
            let digest = pointer.digest.parse().map_err(|why| invalid_digest(&pointer.digest, why))?;
            if !self.links("_manifests").contains(&digest) {
                missing.push(pointer.digest.clone());
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(ManifestError::BlobsMissing(missing)) }
    }

    fn tag_reference(&self, tag: &str) -> Result<ImageReference, ManifestError> {
        let reference = format!("{}:{tag}", self.name).parse::<ImageReference>();
        reference.map_err(|error| ManifestError::Invalid(error.to_string()))
    }

    fn write_blob(&self, digest: &ContentDigest, bytes: &[u8]) -> Result<(), ImageError> {
        if self.read_blob(digest).is_ok_and(|there| there.is_some()) {
            return Ok(());
        }
        let path = self.blob_path(digest);
        self.make_dir_of(&path)?;
        self.store.blobs().reserve().check(bytes.len() as u64)?;
        write_durably(&path, bytes)
    }

    /// A small blob, checked.
    pub(super) fn read_blob(&self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, ImageError> {
        let Some((file, _)) = self.open_blob(digest)? else { return Ok(None) };
        let (path, mut bytes) = (self.blob_path(digest), Vec::new());
        file.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes).map_err(crate::blobs::io_error("read", &path))?;
        if digest.fits(&bytes) {
            return Ok(Some(bytes));
        }
        Err(ImageError::Damaged { path, why: "its bytes have another digest than its name".to_owned() })
    }
}

fn referrers(subject: &ContentDigest) -> String {
    format!("_referrers/{}", subject.file_name())
}

fn invalid_digest(text: &str, why: String) -> ManifestError {
    ManifestError::Invalid(format!("`{text}` {why}"))
}
