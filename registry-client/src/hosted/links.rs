use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{ContentDigest, listing};
use crate::{
    ImageError,
    blobs::{io_error, remove, write_durably},
};

/// A directory with one small file for each digest that belongs there.
pub(super) struct Links {
    dir: PathBuf,
}

impl Links {
    pub(super) fn in_dir(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn contains(&self, digest: &ContentDigest) -> bool {
        self.path(digest).is_file()
    }

    pub(super) fn get(&self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, ImageError> {
        let path = self.path(digest);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(io_error("read", &path)),
        }
    }

    /// Writes a link durably, if it is not there with the same text.
    pub(super) fn put(&self, digest: &ContentDigest, text: &[u8]) -> Result<(), ImageError> {
        if self.get(digest)?.as_deref() == Some(text) {
            return Ok(());
        }
        private_files::create_dir(&self.dir).map_err(io_error("create", &self.dir))?;
        write_durably(&self.path(digest), text)
    }

    pub(super) fn remove(&self, digest: &ContentDigest) -> Result<(), ImageError> {
        remove(&self.path(digest))
    }

    pub(super) fn all(&self) -> Result<Vec<ContentDigest>, ImageError> {
        Ok(listing(&self.dir)?.iter().filter_map(|name| ContentDigest::of_file_name(name)).collect())
    }

    pub(super) fn path(&self, digest: &ContentDigest) -> PathBuf {
        Path::new(&self.dir).join(digest.file_name())
    }
}
