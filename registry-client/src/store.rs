use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use api::{Digest, ImageBytes};
use bytes::Bytes;
use oci_distribution::manifest::OCI_IMAGE_MEDIA_TYPE;
use parking_lot::Mutex;

use crate::{
    DiskReserve, ImageError, ImageReference,
    blobs::{Blobs, MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, digest_of, io_error, touch},
    hosted::{ContentDigest, subject_of_tag},
    index::{Entry, IndexFile, Named},
    inspect::inspect,
    manifest::{ComponentLayer, component_layer, config_digest, config_json, has_subject, manifest_json},
};

/// The images of this machine: an OCI image layout in a directory.
///
/// Clones share it. Any number of threads and processes may read and write it at the same time.
#[derive(Debug, Clone)]
pub struct ImageStore {
    layout: Arc<Layout>,
}

#[derive(Debug)]
struct Layout {
    dir: PathBuf,
    blobs: Blobs,
    index: IndexFile,
    /// What was put last by an edit, until it is asked for: that is soon, and reading and checking it once more takes as long as
    /// putting it did.
    edited: Mutex<Option<Component>>,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name, as the user wrote it.
    pub reference: String,
    /// The digest of its manifest: what pins the image.
    pub digest: Digest,
    /// The digest of the component in it.
    pub component_digest: Digest,
    /// The size of the component.
    pub size_bytes: u64,
}

/// The bytes of a component, checked against their digest.
#[derive(Debug, Clone)]
pub struct Component {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The component. That it is one is not checked here: see [`inspect`].
    pub bytes: Bytes,
}

/// A manifest with its digest, and blobs with theirs.
pub(crate) type Contents = (Digest, Vec<u8>, Vec<(Digest, Vec<u8>)>);

impl ImageStore {
    /// Opens the layout in `dir`, which is made if it is not there, with the reserve of the server whose images they are.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ImageError> {
        let reserve = DiskReserve::noted(dir.as_ref());
        Self::open_with(dir.as_ref(), reserve)
    }

    /// The same for that server. Nothing is written while the disk is below its reserve: no pull, no push, and no build, of this
    /// process or of others.
    pub fn open_above(dir: impl AsRef<Path>, reserve: DiskReserve) -> Result<Self, ImageError> {
        let store = Self::open_with(dir.as_ref(), reserve.clone())?;
        // A disk that is full already keeps no server from starting.
        if let Err(error) = reserve.note(store.dir()) {
            tracing::warn!(%error, "the reserve of the disk is not noted for commands beside this server");
        }
        Ok(store)
    }

    fn open_with(dir: &Path, reserve: DiskReserve) -> Result<Self, ImageError> {
        let dir = dir.to_owned();
        private_files::create_dir(&dir).map_err(io_error("create", &dir))?;
        let (index, blobs) = (IndexFile::open(&dir)?, Blobs::open(&dir, reserve)?);
        Ok(Self { layout: Arc::new(Layout { dir, blobs, index, edited: Mutex::default() }) })
    }

    /// Where the layout is.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// Writes a component under a name, in the CNCF Wasm layout. The same bytes give the same digests.
    /// When this returns the image survives a crash; an image that had the name keeps its digest.
    pub fn put_component(&self, reference: &str, bytes: Bytes) -> Result<Image, ImageError> {
        self.put_by(Blobs::put, reference, &bytes)
    }

    /// As [`put_component`](Self::put_component), for who builds it again whenever it is needed and waits for it now: it may not survive
    /// a crash of the machine, and is then missing or damaged, until it is put again. All other images stay as they are.
    pub fn put_edited(&self, reference: &str, bytes: Bytes) -> Result<Image, ImageError> {
        let image = self.put_by(Blobs::put_unsynced, reference, &bytes)?;
        *self.layout.edited.lock() = Some(Component { digest: image.component_digest.clone(), bytes });
        Ok(image)
    }

    fn put_by(
        &self,
        put: fn(&Blobs, &[u8]) -> Result<Digest, ImageError>,
        reference: &str,
        bytes: &Bytes,
    ) -> Result<Image, ImageError> {
        let reference: ImageReference = reference.parse()?;
        if reference.digest().is_some() {
            let why = "a digest follows from the content, so it cannot be chosen: leave it away".to_owned();
            return Err(ImageError::InvalidReference { reference: reference.to_string(), why });
        }
        let size_bytes = bytes.len() as u64;
        if size_bytes > MAX_COMPONENT_BYTES {
            let limit_bytes = MAX_COMPONENT_BYTES;
            return Err(ImageError::TooLarge { what: "component", bytes: size_bytes, limit_bytes });
        }
        let info =
            inspect(bytes).map_err(|source| ImageError::NotAComponent { reference: reference.to_string(), source })?;

        // What points to something is written after it.
        let blobs = &self.layout.blobs;
        let component_digest = put(blobs, bytes)?;
        let config = config_json(&component_digest, &info);
        let config_digest = put(blobs, &config)?;
        let manifest = manifest_json((&config_digest, config.len()), (&component_digest, bytes.len()));
        let digest = put(blobs, &manifest)?;
        let (size, media_type) = (manifest.len() as u64, OCI_IMAGE_MEDIA_TYPE);
        // Other names are in the same file: it is always durable.
        self.layout
            .index
            .tag(&reference, &Named { manifest: &digest, size, media_type, namespace: None, pulled: false })?;
        Ok(Image { reference: reference.to_string(), digest, component_digest, size_bytes })
    }

    /// The image that a reference names, if it is here and this namespace may use it.
    pub(crate) fn get(&self, reference: &str, namespace: Option<&str>) -> Result<Option<Image>, ImageError> {
        match self.resolve_for(reference, namespace) {
            Ok(digest) => self.image_of(reference, digest).map(Some),
            Err(ImageError::NotFound { .. } | ImageError::DigestNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the manifest and the component of an image are here, unless somebody has just removed them.
    pub(crate) fn is_whole(&self, manifest: &Digest) -> bool {
        let blobs = &self.layout.blobs;
        let layer = self.layer(manifest);
        layer.is_ok_and(|layer| touch(&blobs.path(&layer.digest)) && touch(&blobs.path(manifest)))
    }

    /// As [`is_whole`](Self::is_whole), of an image that has a name here which this namespace may use.
    pub(crate) fn is_whole_for(&self, manifest: &Digest, namespace: Option<&str>) -> Result<bool, ImageError> {
        let is_theirs = |entry: &Entry| entry.manifest == *manifest && entry.is_for(namespace);
        Ok(self.entries()?.iter().any(is_theirs) && self.is_whole(manifest))
    }

    /// Keeps an image whose blobs were fetched and checked: the manifest first, then the name.
    pub(crate) fn keep(
        &self,
        reference: &ImageReference,
        manifest: &[u8],
        namespace: Option<&str>,
    ) -> Result<Image, ImageError> {
        let digest = self.layout.blobs.put(manifest)?;
        let image = self.image_of(reference.as_written(), digest)?;
        let (size, media_type) = (manifest.len() as u64, OCI_IMAGE_MEDIA_TYPE);
        self.layout
            .index
            .tag(reference, &Named { manifest: &image.digest, size, media_type, namespace, pulled: true })?;
        Ok(image)
    }

    /// Takes in an image that was pulled elsewhere in this installation, under the name that its user wrote. Every byte is
    /// checked against `digest` before anything is written.
    pub fn take_in(&self, reference: &str, digest: &Digest, image: &ImageBytes) -> Result<Image, ImageError> {
        let damaged = |why: &str| ImageError::Damaged { path: self.layout.blobs.path(digest), why: why.to_owned() };
        if digest_of(&image.manifest) != *digest {
            return Err(damaged("what was received has another digest"));
        }
        let layer = component_layer(digest, &image.manifest)?;
        if digest_of(&image.component) != layer.digest {
            return Err(damaged("the component that was received has another digest"));
        }
        self.layout.blobs.put(&image.component)?;
        self.keep(&reference.parse()?, &image.manifest, None)
    }

    /// An image as it is stored, checked, for another process of this installation.
    pub fn bytes_of(&self, manifest: &Digest) -> Result<ImageBytes, ImageError> {
        let component = self.component(manifest)?;
        let bytes = self.layout.blobs.get(manifest, "manifest", MAX_MANIFEST_BYTES)?;
        let bytes = bytes.ok_or_else(|| ImageError::DigestNotFound { reference: manifest.to_string() })?;
        Ok(ImageBytes { manifest: bytes.into(), component: component.bytes })
    }

    fn image_of(&self, reference: &str, digest: Digest) -> Result<Image, ImageError> {
        let ComponentLayer { digest: component_digest, size_bytes } = self.layer(&digest)?;
        Ok(Image { reference: reference.to_owned(), digest, component_digest, size_bytes })
    }

    pub(crate) fn index(&self) -> &IndexFile {
        &self.layout.index
    }

    pub(crate) fn entries(&self) -> Result<Vec<Entry>, ImageError> {
        self.layout.index.entries()
    }

    /// The size of an image's component; 0 if that cannot be read.
    pub(crate) fn size_of(&self, manifest: &Digest) -> u64 {
        self.layer(manifest).map_or(0, |layer| layer.size_bytes)
    }

    /// Where a blob of either algorithm is, if it is here.
    pub(crate) fn content_path(&self, digest: &ContentDigest) -> PathBuf {
        self.layout.dir.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    /// A manifest or config, if it is there and small enough to be one. It is not checked.
    pub(crate) fn small_blob(&self, digest: &ContentDigest) -> Option<Vec<u8>> {
        let path = self.content_path(digest);
        let size = fs::metadata(&path).ok()?.len();
        if size <= MAX_MANIFEST_BYTES { fs::read(&path).ok() } else { None }
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.layout.blobs
    }

    /// All of an image: the digest of its manifest, the manifest, and each blob that it names with its digest.
    pub(crate) fn contents(&self, reference: &str) -> Result<Contents, ImageError> {
        let digest = self.resolve(reference)?;
        let component = self.component(&digest)?;
        let missing = |digest: &Digest| {
            let why = "the file is missing".to_owned();
            ImageError::Damaged { path: self.layout.blobs.path(digest), why }
        };
        let read = |digest: &Digest| {
            let bytes = self.layout.blobs.get(digest, "manifest", MAX_MANIFEST_BYTES)?;
            bytes.ok_or_else(|| missing(digest))
        };
        let manifest = read(&digest)?;
        let mut blobs = vec![(component.digest, component.bytes.into())];
        if let Some(config) = config_digest(&manifest) {
            blobs.push((config.clone(), read(&config)?));
        }
        Ok((digest, manifest, blobs))
    }

    /// The digest of the component of the image with this manifest digest. The manifest alone is read and checked.
    pub fn component_digest(&self, manifest: &Digest) -> Result<Digest, ImageError> {
        let layer = self.layer(manifest)?;
        self.is_used(manifest);
        Ok(layer.digest)
    }

    /// Says that an image is in use: its age, by which it is collected, begins anew. Fine if it is not here.
    pub fn is_used(&self, manifest: &Digest) {
        touch(&self.layout.blobs.path(manifest));
    }

    /// The component of the image with this manifest digest. Every byte is checked on every call.
    pub fn component(&self, manifest: &Digest) -> Result<Component, ImageError> {
        let layer = self.layer(manifest)?;
        if let Some(edited) = self.layout.edited.lock().take_if(|edited| edited.digest == layer.digest) {
            self.is_used(manifest);
            return Ok(edited);
        }
        let bytes = self.layout.blobs.get(&layer.digest, "component", MAX_COMPONENT_BYTES)?;
        let Some(bytes) = bytes else {
            let path = self.layout.blobs.path(&layer.digest);
            return Err(ImageError::Damaged { path, why: "the file is missing".to_owned() });
        };
        self.is_used(manifest);
        Ok(Component { digest: layer.digest, bytes: bytes.into() })
    }

    /// The file of that component, to be read by who does not believe what is in it.
    pub(crate) fn component_file(&self, manifest: &Digest) -> Result<File, ImageError> {
        let path = self.layout.blobs.path(&self.layer(manifest)?.digest);
        File::open(&path).map_err(io_error("open", &path))
    }

    /// The images that have a name, sorted by it. An image whose manifest is damaged is left out, with a warning; signatures and
    /// other things that have a name beside images are left out without.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let mut images: Vec<Image> =
            self.layout.index.entries()?.into_iter().filter_map(|entry| self.image(entry)).collect();
        images.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(images)
    }

    fn image(&self, entry: Entry) -> Option<Image> {
        let is_attached = subject_of_tag(&entry.written).is_some() || self.is_attached(&entry.manifest);
        if is_attached {
            return None;
        }
        match self.of_wasm(entry.manifest.clone()).and_then(|digest| self.image_of(&entry.written, digest)) {
            Ok(image) => Some(image),
            Err(error @ ImageError::Unsupported { .. }) => {
                tracing::debug!(image = entry.written, %error, "what has this name is no image of a component");
                None
            }
            Err(error) => {
                tracing::warn!(image = entry.written, %error, "an image is left out of the list");
                None
            }
        }
    }

    /// Whether a manifest says that it is about another. One that cannot be read does not.
    fn is_attached(&self, manifest: &Digest) -> bool {
        let json = self.layout.blobs.get(manifest, "manifest", MAX_MANIFEST_BYTES).ok().flatten();
        json.is_some_and(|json| has_subject(&json))
    }

    pub(crate) fn layer(&self, manifest: &Digest) -> Result<ComponentLayer, ImageError> {
        match self.layout.blobs.get(manifest, "manifest", MAX_MANIFEST_BYTES)? {
            Some(json) => component_layer(manifest, &json),
            None => Err(ImageError::DigestNotFound { reference: manifest.to_string() }),
        }
    }
}
