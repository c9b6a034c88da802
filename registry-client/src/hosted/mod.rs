//! The repositories that the registry of an installation offers: the same blobs and names as the local store, and
//! beside them what a repository has that has no name.
//!
//! `hosted/NAME/_blobs`, `_manifests` and `_referrers` hold one small file for each link, and `_uploads` what is
//! on its way. A name begins with no `_`, so that repositories nest. Tags are the names of the local store.

mod collect;
mod collection;
mod content_digest;
mod links;
mod manifests;
mod parsed;
mod quota;
mod referring;
mod uploads;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    ImageError, ImageReference, ImageStore,
    blobs::{io_error, touch},
};

pub use collect::{Collected, Keep, UPLOAD_EXPIRES_AFTER, Unused};
pub use collection::{CollectionConfig, collect, keep_collected, kept_by_grace};
pub use content_digest::{ContentDigest, Verifier};
pub use manifests::{Descriptor, ManifestError, PutManifest, StoredManifest};
pub use quota::{ENTRIES_FLAG, OWNER_FLAG, OverQuota, OwnerUsage, UNFINISHED_FLAG, UploadQuota};
pub use uploads::{Upload, UploadError};

use links::Links;
use quota::Accounts;
pub(crate) use referring::subject_of_tag;
use uploads::Running;

/// The longest name of a repository, as the distribution specification suggests.
pub const MAX_REPOSITORY_BYTES: usize = 255;

/// All repositories of a store. Clones share them; any number of processes may use them at the same time.
#[derive(Debug, Clone)]
pub struct Repositories {
    store: ImageStore,
    dir: PathBuf,
    running: Arc<Running>,
    accounts: Arc<Accounts>,
}

/// One repository. That it can be named does not mean that there is anything in it.
#[derive(Debug, Clone)]
pub struct Repository {
    store: ImageStore,
    name: String,
    dir: PathBuf,
    running: Arc<Running>,
    accounts: Arc<Accounts>,
}

impl Repositories {
    /// The repositories of a store.
    pub fn open(store: ImageStore) -> Result<Self, ImageError> {
        Self::open_within(store, UploadQuota::default())
    }

    /// The same, with a quota for each owner of repositories.
    pub fn open_within(store: ImageStore, quota: UploadQuota) -> Result<Self, ImageError> {
        let dir = store.dir().join("hosted");
        private_files::create_dir(&dir).map_err(io_error("create", &dir))?;
        let accounts = Arc::new(Accounts::new(quota, store.clone(), dir.clone()));
        Ok(Self { store, dir, running: Arc::default(), accounts })
    }

    /// What was refused since the process started, by what limits it.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let disk = ("disk", self.store.blobs().reserve().refused());
        self.accounts.refused().into_iter().chain([disk])
    }

    /// Has quotas tell what they refuse. It is called while others wait, so it must be quick; the first call holds.
    pub fn on_refusal(&self, tell: impl Fn(&OverQuota) + Send + Sync + 'static) {
        self.accounts.on_refusal(Box::new(tell));
    }

    /// What each owner may have.
    pub fn quota(&self) -> UploadQuota {
        self.accounts.quota()
    }

    /// What owners have who have sent something since the process started.
    pub fn usage(&self) -> Vec<OwnerUsage> {
        self.accounts.usage()
    }

    /// The repository of this name, or why it can have none.
    pub fn repository(&self, name: &str) -> Result<Repository, String> {
        check_name(name)?;
        Ok(Repository {
            store: self.store.clone(),
            name: name.to_owned(),
            dir: self.dir.join(name),
            running: self.running.clone(),
            accounts: self.accounts.clone(),
        })
    }

    /// The names of all repositories that have something, sorted.
    pub fn names(&self) -> Result<Vec<String>, ImageError> {
        let mut names = self.linked()?;
        let written = self.store.entries()?.into_iter().filter_map(|entry| entry.written.parse().ok());
        names.extend(written.filter_map(|reference| repository_of(&reference)));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The names of all repositories that have links.
    fn linked(&self) -> Result<Vec<String>, ImageError> {
        let (mut names, mut open) = (Vec::new(), vec![String::new()]);
        while let Some(name) = open.pop() {
            for entry in listing(&self.dir.join(&name))? {
                match entry.as_str() {
                    "_manifests" | "_blobs" | "_uploads" => names.push(name.clone()),
                    nested if !nested.starts_with('_') => {
                        open.push(format!("{name}/{nested}").trim_matches('/').to_owned())
                    }
                    _ => {}
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

impl Repository {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A blob, opened, with its size; `None` if the repository does not have it.
    pub fn blob(&self, digest: &ContentDigest) -> Result<Option<(File, u64)>, ImageError> {
        if !self.has_blob(digest)? {
            return Ok(None);
        }
        self.open_blob(digest)
    }

    /// Whether a repository has a blob, without looking at it.
    pub fn has_blob(&self, digest: &ContentDigest) -> Result<bool, ImageError> {
        let blobs = self.links("_blobs");
        if !blobs.contains(digest) {
            self.adopt()?;
        }
        // Who is told that it is there counts on it for a while.
        Ok(blobs.contains(digest) && touch(&self.blob_path(digest)))
    }

    /// Takes a blob from another repository, or from any if none is named. Says whether it was there.
    pub fn mount(&self, digest: &ContentDigest, from: Option<&Self>) -> Result<bool, ImageError> {
        let there = match from {
            Some(from) => from.has_blob(digest)?,
            None => touch(&self.blob_path(digest)),
        };
        let blobs = self.links("_blobs");
        if there && !blobs.contains(digest) {
            self.accounts.keep(&self.name, self.blob_bytes(digest))?;
            blobs.put(digest, b"")?;
        }
        Ok(there)
    }

    /// Takes a blob out of the repository. Its bytes are collected once nothing needs them. Says whether it was there.
    pub fn delete_blob(&self, digest: &ContentDigest) -> Result<bool, ImageError> {
        let there = self.has_blob(digest)?;
        self.links("_blobs").remove(digest)?;
        if there {
            self.accounts.give_up(&self.name, 1, self.blob_bytes(digest));
        }
        Ok(there)
    }

    /// The size of a blob; 0 if it is not here.
    fn blob_bytes(&self, digest: &ContentDigest) -> u64 {
        fs::metadata(self.blob_path(digest)).map_or(0, |metadata| metadata.len())
    }

    fn links(&self, kind: &str) -> Links {
        Links::in_dir(self.dir.join(kind))
    }

    fn blob_path(&self, digest: &ContentDigest) -> PathBuf {
        self.store.content_path(digest)
    }

    fn open_blob(&self, digest: &ContentDigest) -> Result<Option<(File, u64)>, ImageError> {
        let path = self.blob_path(digest);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map_err(io_error("read", &path))?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("open", &path)(error)),
        }
    }

    /// Whether a name of the local store is a tag here.
    fn tag_of(&self, written: &str) -> Option<String> {
        let reference: ImageReference = written.parse().ok()?;
        (reference.digest().is_none() && repository_of(&reference)? == self.name).then(|| reference.tag())
    }
}

/// Lower-case words, as the distribution specification has it; and none that would be another registry's.
fn check_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_REPOSITORY_BYTES {
        return Err(format!("a name has at most {MAX_REPOSITORY_BYTES} bytes"));
    }
    let reference: ImageReference = format!("{name}:x").parse().map_err(|error: ImageError| error.to_string())?;
    if name.split('/').any(|word| word.is_empty() || word.starts_with('_')) {
        return Err("a name is made of words with `/` between them".to_owned());
    }
    if reference.names_registry() {
        let why = "begins with the host of another registry, and would take the place of its images here";
        return Err(format!("`{name}` {why}"));
    }
    Ok(())
}

/// The repository in which an image of the local store is found, if it is one that is hosted here.
fn repository_of(reference: &ImageReference) -> Option<String> {
    (!reference.names_registry()).then(|| reference.written_repository())
}

/// The names in a directory; none if it is not there.
fn listing(dir: &Path) -> Result<Vec<String>, ImageError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error("list", dir))?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<Result<_, _>>().map_err(io_error("list", dir))
}
