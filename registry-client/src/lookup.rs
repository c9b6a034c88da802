//! From a reference to the digest of what it names in the local store.

use api::Digest;

use crate::{
    ImageError, ImageReference, ImageStore,
    blobs::MAX_MANIFEST_BYTES,
    index::Entry,
    manifest::{component_layer, of_index},
};

/// How many similar names a message suggests.
const MAX_SUGGESTIONS: usize = 3;

/// From this similarity on (Jaro-Winkler, 1.0 is the same) a name is worth suggesting.
const SUGGEST_FROM: f64 = 0.8;

impl ImageStore {
    /// The digest of the manifest that a reference names, by tag or by digest.
    pub fn resolve(&self, reference: &str) -> Result<Digest, ImageError> {
        self.resolve_for(reference, None)
    }

    /// As [`resolve`](Self::resolve), of the images that a namespace may use: not those that another one's credentials
    /// brought here.
    pub(crate) fn resolve_for(&self, reference: &str, namespace: Option<&str>) -> Result<Digest, ImageError> {
        let reference: ImageReference = reference.parse()?;
        let entries = self.entries()?;
        let digest = match reference.digest() {
            None => {
                let mut for_it = entries.iter().filter(|entry| entry.is_for(namespace));
                for_it.find(|entry| entry.name == reference.name()).map(|entry| entry.manifest.clone())
            }
            Some(digest) => may_use(&entries, digest, &reference, namespace).then(|| digest.clone()),
        };
        match digest {
            Some(digest) if reference.digest().is_none() || self.blobs().contains(&digest) => self.of_wasm(digest),
            _ if reference.digest().is_some() => Err(ImageError::DigestNotFound { reference: reference.to_string() }),
            _ => Err(not_found(&reference, &entries)),
        }
    }

    /// Of an index of images the one for Wasm; else the image itself.
    pub(crate) fn of_wasm(&self, digest: Digest) -> Result<Digest, ImageError> {
        let manifest = self.blobs().get(&digest, "manifest", MAX_MANIFEST_BYTES)?;
        let Some(manifest) = manifest else { return Ok(digest) };
        match of_index(&manifest) {
            Some(Ok(entry)) => self.layer(&entry).map(|_| entry),
            Some(Err(why)) => Err(ImageError::Unsupported { digest, why }),
            None => component_layer(&digest, &manifest).map(|_| digest),
        }
    }
}

/// Whether a namespace may use a manifest by its digest: if it has a name that is for the namespace. Without any name it
/// was built here once, and is for all, unless the reference says that it is a registry's.
fn may_use(entries: &[Entry], digest: &Digest, reference: &ImageReference, namespace: Option<&str>) -> bool {
    let mut named = entries.iter().filter(|entry| entry.manifest == *digest).peekable();
    match named.peek() {
        None => namespace.is_none() || !reference.names_registry(),
        Some(_) => namespace.is_none() || named.any(|entry| entry.is_for(namespace)),
    }
}

fn not_found(reference: &ImageReference, entries: &[Entry]) -> ImageError {
    let likeness = |entry: &Entry| strsim::jaro_winkler(&entry.written, reference.as_written());
    let mut near: Vec<(f64, &Entry)> = entries.iter().map(|entry| (likeness(entry), entry)).collect();
    near.retain(|(likeness, _)| *likeness >= SUGGEST_FROM);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near = near.into_iter().take(MAX_SUGGESTIONS).map(|(_, entry)| entry.written.clone()).collect();
    ImageError::NotFound { reference: reference.to_string(), near }
}
