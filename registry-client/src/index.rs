use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use api::Digest;
use oci_distribution::{
    annotations::ORG_OPENCONTAINERS_IMAGE_REF_NAME,
    manifest::{ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OciImageIndex},
};

use crate::{
    ImageError, ImageReference,
    blobs::{io_error, read_bounded, write_durably},
};

/// The largest `index.json`: some ten thousand images.
const MAX_INDEX_BYTES: u64 = 4 << 20;

/// How long a writer waits for others to finish theirs, which takes milliseconds each.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at a lock that is held.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// Holds the reference as the user wrote it, beside the normal one.
const WRITTEN: &str = "dev.sampan.image.reference";

/// Holds the namespace that alone may use an image that was pulled with its credentials.
const NAMESPACE: &str = "dev.sampan.image.namespace";

/// Says that an image came from another registry.
const PULLED: &str = "dev.sampan.image.pulled";

/// Two files: `oci-layout`, and `index.json` with the names of the images.
#[derive(Debug)]
pub(crate) struct IndexFile {
    path: PathBuf,
    lock: PathBuf,
}

/// One named image.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) written: String,
    pub(crate) manifest: Digest,
    /// The namespace that alone may use it; `None`: all may.
    pub(crate) namespace: Option<String>,
    /// Whether it came from another registry, from which it can be pulled again.
    pub(crate) pulled: bool,
}

impl Entry {
    /// Whether `namespace` may use it. Who asks for none is the user of this machine, who may use all.
    pub(crate) fn is_for(&self, namespace: Option<&str>) -> bool {
        namespace.is_none() || self.namespace.is_none() || self.namespace.as_deref() == namespace
    }
}

/// What a name is given to.
pub(crate) struct Named<'a> {
    pub(crate) manifest: &'a Digest,
    pub(crate) size: u64,
    pub(crate) media_type: &'a str,
    pub(crate) namespace: Option<&'a str>,
    /// Whether it came from another registry, and can come again.
    pub(crate) pulled: bool,
}

impl IndexFile {
    pub(crate) fn open(dir: &Path) -> Result<Self, ImageError> {
        let index = Self { path: dir.join("index.json"), lock: dir.join("index.lock") };
        let _guard = index.lock()?;
        check_version(&dir.join("oci-layout"))?;
        index.read()?;
        Ok(index)
    }

    /// All images that have a name.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, ImageError> {
        Ok(self.read()?.manifests.iter().filter_map(entry).collect())
    }

    /// Gives `reference` to this manifest, and takes it from any other. Safe between processes.
    pub(crate) fn tag(&self, reference: &ImageReference, named: &Named<'_>) -> Result<(), ImageError> {
        let name = reference.full_name();
        let mut annotations = BTreeMap::from([
            (ORG_OPENCONTAINERS_IMAGE_REF_NAME.to_owned(), name.clone()),
            (WRITTEN.to_owned(), reference.as_written().to_owned()),
        ]);
        annotations.extend(named.pulled.then(|| (PULLED.to_owned(), "true".to_owned())));
        annotations.extend(named.namespace.map(|namespace| (NAMESPACE.to_owned(), namespace.to_owned())));
        let same = |other: &Entry| other.name == name && other.namespace.as_deref() == named.namespace;
        let added = ImageIndexEntry {
            media_type: named.media_type.to_owned(),
            digest: named.manifest.to_string(),
            size: named.size as i64,
            platform: None,
            artifact_type: None,
            annotations: Some(annotations),
        };
        self.change(|index| {
            index.manifests.retain(|other| entry(other).is_none_or(|other| !same(&other)));
            index.manifests.push(added);
        })
    }

    /// Takes names away: all of which `gone` holds. Says how many there were.
    pub(crate) fn untag(&self, gone: impl Fn(&Entry) -> bool) -> Result<usize, ImageError> {
        let mut count = 0;
        self.change(|index| {
            let before = index.manifests.len();
            index.manifests.retain(|raw| entry(raw).is_none_or(|entry| !gone(&entry)));
            count = before - index.manifests.len();
        })?;
        Ok(count)
    }

    fn change(&self, change: impl FnOnce(&mut OciImageIndex)) -> Result<(), ImageError> {
        let _guard = self.lock()?;
        let mut index = self.read()?;
        change(&mut index);
        let json = serde_json::to_vec_pretty(&index).expect("an index has only text keys");
        if json.len() as u64 > MAX_INDEX_BYTES {
            let bytes = json.len() as u64;
            return Err(ImageError::TooLarge { what: "index.json", bytes, limit_bytes: MAX_INDEX_BYTES });
        }
        write_durably(&self.path, &json)
    }

    fn read(&self) -> Result<OciImageIndex, ImageError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty_index()),
            Err(error) => return Err(io_error("open", &self.path)(error)),
        };
        let bytes = read_bounded(file, &self.path, "index.json", MAX_INDEX_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| ImageError::Layout {
            path: self.path.clone(),
            why: format!("is not the index of an OCI image layout ({error})"),
        })
    }

    /// The lock ends with the returned file.
    fn lock(&self) -> Result<File, ImageError> {
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock);
        let file = file.map_err(io_error("open", &self.lock))?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_RETRY),
                Err(TryLockError::WouldBlock) => {
                    return Err(ImageError::Locked { path: self.lock.clone(), waited: LOCK_PATIENCE });
                }
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &self.lock)(error)),
            }
        }
    }
}

fn empty_index() -> OciImageIndex {
    OciImageIndex {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
        manifests: Vec::new(),
        artifact_type: None,
        annotations: None,
    }
}

/// Layouts that other tools wrote may have entries without a name, or with digests of other kinds.
fn entry(raw: &ImageIndexEntry) -> Option<Entry> {
    let annotations = raw.annotations.as_ref()?;
    let ref_name = annotations.get(ORG_OPENCONTAINERS_IMAGE_REF_NAME)?;
    let reference: ImageReference = ref_name.parse().ok()?;
    let written = annotations.get(WRITTEN).unwrap_or(ref_name).clone();
    let (namespace, pulled) = (annotations.get(NAMESPACE).cloned(), annotations.contains_key(PULLED));
    Some(Entry { name: reference.full_name(), written, manifest: raw.digest.parse().ok()?, namespace, pulled })
}

/// Writes the layout's version file if there is none, and refuses versions that are not known.
fn check_version(path: &Path) -> Result<(), ImageError> {
    const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return write_durably(path, VERSION.as_bytes()),
        other => other.map_err(io_error("read", path))?,
    };
    let version = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|layout| layout["imageLayoutVersion"].as_str().map(str::to_owned));
    match version {
        Some(version) if version.starts_with("1.") => Ok(()),
        Some(version) => {
            let why = format!("says version {version}, and only versions 1.x of OCI image layouts are known");
            Err(ImageError::Layout { path: path.to_owned(), why })
        }
        None => {
            let why = "does not say the version of an OCI image layout".to_owned();
            Err(ImageError::Layout { path: path.to_owned(), why })
        }
    }
}
