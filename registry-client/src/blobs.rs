use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use api::Digest;
use sha2::{Digest as _, Sha256};

use crate::{
    DiskReserve, ImageError,
    incoming::{Begun, Incoming},
};

/// The largest component that the store takes; Python guests are the largest known, at about 40 MB.
pub const MAX_COMPONENT_BYTES: u64 = 64 << 20;

/// The largest manifest, as registries limit it.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// How files are named while they are written.
const INCOMING: &str = ".incoming-";

/// How blobs are named while they are fetched. They outlive the process that fetches them.
const PARTIAL: &str = ".partial-";

/// A file that is still incoming after this long was left behind by a process that died.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The digest of these bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

/// Content-addressed files: `DIR/blobs/sha256/HEX`, each written whole or not at all.
#[derive(Debug)]
pub(crate) struct Blobs {
    dir: PathBuf,
    reserve: DiskReserve,
}

impl Blobs {
    pub(crate) fn open(layout: &Path, reserve: DiskReserve) -> Result<Self, ImageError> {
        let dir = layout.join("blobs").join("sha256");
        private_files::create_dir(&dir).map_err(io_error("create", &dir))?;
        remove_abandoned(&dir).map_err(io_error("clean up", &dir))?;
        Ok(Self { dir, reserve })
    }

    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.hex())
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Begins to fetch a blob, once nobody else does.
    pub(crate) fn begin(&self, digest: &Digest, patience: Duration) -> Result<Begun, ImageError> {
        let path = self.dir.join(format!("{PARTIAL}{}", digest.hex()));
        Incoming::begin(path, &self.path(digest), patience, &self.reserve)
    }

    /// As [`begin`](Self::begin), for who does not get to see what is there: it is fetched again. Of what broke off before, they see
    /// and wait for what was fetched for the same namespace alone.
    pub(crate) fn begin_anew(
        &self,
        digest: &Digest,
        namespace: Option<&str>,
        patience: Duration,
    ) -> Result<Incoming, ImageError> {
        let name = match namespace {
            None => digest.hex().to_owned(),
            Some(namespace) => digest_of(format!("{namespace} {digest}").as_bytes()).hex().to_owned(),
        };
        let path = self.dir.join(format!("{PARTIAL}{name}"));
        loop {
            // No blob has this name.
            let none = path.with_extension("none");
            if let Begun::Missing(incoming) = Incoming::begin(path.clone(), &none, patience, &self.reserve)? {
                return Ok(incoming);
            }
        }
    }

    /// Removes a blob, if it is there.
    pub(crate) fn remove(&self, digest: &Digest) -> Result<(), ImageError> {
        remove(&self.path(digest))
    }

    /// Makes these bytes durable. A blob that is there but damaged is replaced.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = digest_of(bytes);
        let path = self.path(&digest);
        if self.is_there(&digest, bytes) {
            // It may have been put unsynced. What is on the disk already costs little.
            sync(&path).map_err(io_error("write", &path))?;
        } else {
            self.reserve.check(bytes.len() as u64)?;
            write_durably(&path, bytes)?;
        }
        Ok(digest)
    }

    /// As [`put`](Self::put), but that it does not wait for the disk: what a crash of the machine leaves of it is damaged or missing.
    pub(crate) fn put_unsynced(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = digest_of(bytes);
        if !self.is_there(&digest, bytes) {
            self.reserve.check(bytes.len() as u64)?;
            write_whole(&self.path(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// Whether a blob is there undamaged, which is in use then.
    fn is_there(&self, digest: &Digest, bytes: &[u8]) -> bool {
        matches!(self.get(digest, "blob", bytes.len() as u64), Ok(Some(_))) && touch(&self.path(digest))
    }

    /// The disk's reserve, which all that adds bytes asks.
    pub(crate) fn reserve(&self) -> &DiskReserve {
        &self.reserve
    }

    /// The blob's bytes, checked against its digest; `None` if it is not there.
    pub(crate) fn get(
        &self,
        digest: &Digest,
        what: &'static str,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, ImageError> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", &path)(error)),
        };
        let bytes = read_bounded(file, &path, what, limit_bytes)?;
        let found = digest_of(&bytes);
        if found != *digest {
            let why = format!("its {} bytes have the digest {found}, not the one in its name", bytes.len());
            return Err(ImageError::Damaged { path, why });
        }
        Ok(Some(bytes))
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), ImageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Gives a file that was written at `from` its final name, durably.
pub(crate) fn settle(file: &File, from: &Path, path: &Path) -> Result<(), ImageError> {
    let settled = || -> io::Result<()> {
        file.sync_all()?;
        fs::rename(from, path)?;
        sync_dir_of(path)
    };
    settled().map_err(io_error("write", path))
}

/// Makes a file durable that is there.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_dir_of(path)
}

/// A rename is durable only once the directory is.
fn sync_dir_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Says of a file that it is in use, so that it is not collected. Whether it is there.
pub(crate) fn touch(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => {
            // Without the right to do so it is collected earlier, and then fetched again.
            let _ = file.set_modified(SystemTime::now());
            true
        }
        Err(_) => false,
    }
}

/// Reads a file that must not be larger than `limit_bytes`.
pub(crate) fn read_bounded(
    file: File,
    path: &Path,
    what: &'static str,
    limit_bytes: u64,
) -> Result<Vec<u8>, ImageError> {
    let size = file.metadata().map_err(io_error("read", path))?.len();
    if size > limit_bytes {
        return Err(ImageError::TooLarge { what, bytes: size, limit_bytes });
    }
    // It may grow between the look and the reading: the limit holds all the same.
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit_bytes).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    Ok(bytes)
}

/// Replaces `path` by these bytes: whoever reads it sees either the old or the new content, unless the machine crashes.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let write = || incoming_with(path, bytes)?.persist(path).map(drop).map_err(|error| error.error);
    write().map_err(io_error("write", path))
}

/// Replaces `path` by these bytes: after a crash either the old or the new content is there, whole.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let write = || -> io::Result<()> {
        let file = incoming_with(path, bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_dir_of(path)
    };
    write().map_err(io_error("write", path))
}

/// A file with these bytes beside `path`, which it is to become.
fn incoming_with(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(INCOMING).tempfile_in(dir)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn remove_abandoned(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(INCOMING) && !name.starts_with(PARTIAL) {
            continue;
        }
        // Another process may be removing the same file, or may just have finished it.
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED_AFTER) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Io { action, path, source }
}
