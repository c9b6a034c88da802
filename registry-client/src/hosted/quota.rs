use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use super::{ContentDigest, listing, repository_of};
use crate::{ImageError, ImageReference, ImageStore};

/// What sets the bytes of an owner.
pub const OWNER_FLAG: &str = "--registry-owner-bytes";
/// What sets the bytes of an owner's unfinished uploads.
pub const UNFINISHED_FLAG: &str = "--registry-unfinished-bytes";

/// What sets the blobs, manifests and tags of an owner.
pub const ENTRIES_FLAG: &str = "--registry-owner-entries";

/// Owners whose bytes are known without looking. Beyond it all are counted again.
const MAX_OWNERS: usize = 10_000;

/// What the owner of repositories may have in the registry. The owner is the first word of their names: `shop` of `shop/cart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadQuota {
    /// Bytes of blobs and manifests, and of unfinished uploads. A blob counts in each repository that has it.
    pub owner_bytes: u64,
    /// Blobs, manifests and tags: each takes files, or a place in the index that every look-up reads, however small it is.
    pub entries: u64,
    /// Bytes of unfinished uploads alone.
    pub unfinished_bytes: u64,
    /// Unfinished uploads.
    pub unfinished: u64,
}

impl Default for UploadQuota {
    fn default() -> Self {
        Self { owner_bytes: 32 << 30, entries: 10_000, unfinished_bytes: 16 << 30, unfinished: 1000 }
    }
}

/// An owner has as much as it may have.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OverQuota {
    /// In all.
    #[error(
        "the repositories of `{owner}` would have {would_be} bytes, and their quota is {limit}: delete what is not needed, or have \
         {OWNER_FLAG} raised"
    )]
    Owner {
        /// Who.
        owner: String,
        /// Bytes that it would have.
        would_be: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// In number.
    #[error(
        "the repositories of `{owner}` have {limit} blobs, manifests and tags, which are all that they may have: delete what is not \
         needed, or have {ENTRIES_FLAG} raised"
    )]
    Entries {
        /// Who.
        owner: String,
        /// How many it may have.
        limit: u64,
    },
    /// On its way. It ends with the uploads, or a day after they last got something.
    #[error(
        "the unfinished uploads of `{owner}` would have {would_be} bytes, and may have {limit}: {}have {UNFINISHED_FLAG} raised",
        if *.others == 0 { "this one alone has more, so " } else { "finish or cancel some, or " }
    )]
    Unfinished {
        /// Who.
        owner: String,
        /// Bytes that it would have.
        would_be: u64,
        /// Bytes that it has already.
        others: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// Begun, and neither finished nor cancelled.
    #[error("`{owner}` has {limit} unfinished uploads, which are all that it may have: finish or cancel some")]
    Uploads {
        /// Who.
        owner: String,
        /// How many it may have.
        limit: u64,
    },
}

impl OverQuota {
    /// Who has it.
    pub fn owner(&self) -> &str {
        match self {
            Self::Owner { owner, .. }
            | Self::Entries { owner, .. }
            | Self::Unfinished { owner, .. }
            | Self::Uploads { owner, .. } => owner,
        }
    }

    /// Which part of the quota it is, in words.
    pub fn quota(&self) -> &'static str {
        match self {
            Self::Owner { .. } => "registry bytes",
            Self::Entries { .. } => "registry entries",
            Self::Unfinished { .. } => "registry unfinished bytes",
            Self::Uploads { .. } => "registry unfinished uploads",
        }
    }
}

/// What owners have. Counted from the disk when it is first asked for, and kept up from then on.
#[derive(Debug)]
pub(super) struct Accounts {
    quota: UploadQuota,
    store: ImageStore,
    /// Of all repositories.
    dir: PathBuf,
    held: Mutex<HashMap<String, Held>>,
    refused: Refused,
    on_refusal: OnRefusal,
}

/// Who is told what is refused.
#[derive(Default)]
struct OnRefusal(OnceLock<Tell>);

type Tell = Box<dyn Fn(&OverQuota) + Send + Sync>;

impl fmt::Debug for OnRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRefusal").finish_non_exhaustive()
    }
}

/// How often each part of the quota has refused something.
#[derive(Debug, Default)]
struct Refused {
    owner: AtomicU64,
    entries: AtomicU64,
    unfinished: AtomicU64,
    uploads: AtomicU64,
}

/// What an owner has, as far as it has been counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerUsage {
    /// The first word of the names of the repositories.
    pub owner: String,
    /// Bytes of blobs and manifests.
    pub bytes: u64,
    /// Bytes of unfinished uploads.
    pub unfinished_bytes: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    /// Bytes of blobs and manifests.
    kept: u64,
    /// Blobs, manifests and tags.
    entries: u64,
    /// Bytes of unfinished uploads.
    unfinished: u64,
    /// Unfinished uploads.
    uploads: u64,
}

impl Refused {
    fn count(&self, over: &OverQuota) {
        let count = match over {
            OverQuota::Owner { .. } => &self.owner,
            OverQuota::Entries { .. } => &self.entries,
            OverQuota::Unfinished { .. } => &self.unfinished,
            OverQuota::Uploads { .. } => &self.uploads,
        };
        count.fetch_add(1, Relaxed);
    }
}

impl Accounts {
    pub(super) fn new(quota: UploadQuota, store: ImageStore, dir: PathBuf) -> Self {
        Self {
            quota,
            store,
            dir,
            held: Mutex::default(),
            refused: Refused::default(),
            on_refusal: OnRefusal::default(),
        }
    }

    pub(super) fn on_refusal(&self, tell: Tell) {
        let _ = self.on_refusal.0.set(tell);
    }

    pub(super) fn quota(&self) -> UploadQuota {
        self.quota
    }

    /// An upload begins.
    pub(super) fn begin(&self, repository: &str) -> Result<(), ImageError> {
        self.with(repository, |owner, held| {
            let limit = self.quota.unfinished;
            if held.uploads >= limit {
                return Err(OverQuota::Uploads { owner: owner.to_owned(), limit });
            }
            self.quota.admit_entry(owner, held)?;
            held.uploads += 1;
            Ok(())
        })
    }

    /// Whether an upload may get so much.
    pub(super) fn check(&self, repository: &str, bytes: u64) -> Result<(), ImageError> {
        self.with(repository, |owner, held| self.quota.admit(owner, held, bytes))
    }

    /// An upload gets so much.
    pub(super) fn receive(&self, repository: &str, bytes: u64) -> Result<(), ImageError> {
        self.with(repository, |owner, held| {
            self.quota.admit(owner, held, bytes)?;
            held.unfinished += bytes;
            Ok(())
        })
    }

    /// An upload of so many bytes has ended: it is kept as what was not there before, or gone.
    pub(super) fn end(&self, repository: &str, bytes: u64, kept: bool) {
        self.known(repository, |held| {
            held.uploads = held.uploads.saturating_sub(1);
            held.unfinished = held.unfinished.saturating_sub(bytes);
            if kept {
                held.kept += bytes;
                held.entries += 1;
            }
        });
    }

    /// An upload did not get what it was to get.
    pub(super) fn lost(&self, repository: &str, bytes: u64) {
        self.known(repository, |held| held.unfinished = held.unfinished.saturating_sub(bytes));
    }

    /// A repository gets what it did not have before.
    pub(super) fn keep(&self, repository: &str, bytes: u64) -> Result<(), ImageError> {
        self.with(repository, |owner, held| {
            self.quota.admit_in_all(owner, held, bytes)?;
            self.quota.admit_entry(owner, held)?;
            held.kept += bytes;
            held.entries += 1;
            Ok(())
        })
    }

    /// A repository gets a tag that it did not have before.
    pub(super) fn tag(&self, repository: &str) -> Result<(), ImageError> {
        self.with(repository, |owner, held| {
            self.quota.admit_entry(owner, held)?;
            held.entries += 1;
            Ok(())
        })
    }

    /// A repository has so many things no more, of so many bytes together.
    pub(super) fn give_up(&self, repository: &str, entries: usize, bytes: u64) {
        self.known(repository, |held| {
            held.kept = held.kept.saturating_sub(bytes);
            held.entries = held.entries.saturating_sub(entries as u64);
        });
    }

    /// What was refused, by what limits it.
    pub(super) fn refused(&self) -> [(&'static str, u64); 4] {
        let Refused { owner, entries, unfinished, uploads } = &self.refused;
        [
            ("owner_bytes", owner),
            ("owner_entries", entries),
            ("unfinished_bytes", unfinished),
            ("unfinished_uploads", uploads),
        ]
        .map(|(reason, count)| (reason, count.load(Relaxed)))
    }

    /// What owners have who have been counted: those who sent something since the process started.
    pub(super) fn usage(&self) -> Vec<OwnerUsage> {
        let of = |(owner, held): (&String, &Held)| OwnerUsage {
            owner: owner.clone(),
            bytes: held.kept,
            unfinished_bytes: held.unfinished,
        };
        let mut all: Vec<_> = self.held.lock().iter().map(of).collect();
        all.sort_by(|a, b| a.owner.cmp(&b.owner));
        all
    }

    /// Something has changed that was not told here.
    pub(super) fn recount(&self) {
        self.held.lock().clear();
    }

    fn with<T>(
        &self,
        repository: &str,
        ask: impl FnOnce(&str, &mut Held) -> Result<T, OverQuota>,
    ) -> Result<T, ImageError> {
        let owner = owner_of(repository);
        let mut all = self.held.lock();
        if !all.contains_key(owner) {
            if all.len() >= MAX_OWNERS {
                all.clear();
            }
            let counted = self.count(owner)?;
            all.insert(owner.to_owned(), counted);
        }
        let asked = ask(owner, all.entry(owner.to_owned()).or_default());
        Ok(asked.inspect_err(|over| {
            self.refused.count(over);
            if let Some(tell) = self.on_refusal.0.get() {
                tell(over);
            }
        })?)
    }

    /// Changes what is known of an owner. What is not known will be counted as it then is.
    fn known(&self, repository: &str, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.held.lock().get_mut(owner_of(repository)) {
            change(held);
        }
    }

    fn count(&self, owner: &str) -> Result<Held, ImageError> {
        let (mut held, mut open) = (Held::default(), vec![self.dir.join(owner)]);
        let names = self.store.entries()?;
        let tags = names.iter().filter_map(|entry| entry.written.parse().ok());
        let tags = tags.filter(|tag: &ImageReference| tag.digest().is_none() && is_of(tag, owner));
        held.entries = tags.count() as u64;
        while let Some(dir) = open.pop() {
            for entry in listing(&dir)? {
                let path = dir.join(&entry);
                match entry.as_str() {
                    "_blobs" | "_manifests" => {
                        let digests = listing(&path)?;
                        for digest in digests.iter().filter_map(|name| ContentDigest::of_file_name(name)) {
                            held.kept += size(&self.store.content_path(&digest));
                            held.entries += 1;
                        }
                    }
                    "_uploads" => {
                        let uploads = listing(&path)?;
                        held.uploads += uploads.len() as u64;
                        held.unfinished += uploads.iter().map(|upload| size(&path.join(upload))).sum::<u64>();
                    }
                    nested if !nested.starts_with('_') => open.push(path),
                    _ => {}
                }
            }
        }
        Ok(held)
    }
}

impl UploadQuota {
    fn admit(&self, owner: &str, held: &Held, bytes: u64) -> Result<(), OverQuota> {
        self.admit_in_all(owner, held, bytes)?;
        let (would_be, limit) = (held.unfinished.saturating_add(bytes), self.unfinished_bytes);
        if would_be > limit && bytes > 0 {
            return Err(OverQuota::Unfinished { owner: owner.to_owned(), would_be, others: held.unfinished, limit });
        }
        Ok(())
    }

    fn admit_entry(&self, owner: &str, held: &Held) -> Result<(), OverQuota> {
        let limit = self.entries;
        // An upload becomes one.
        if held.entries.saturating_add(held.uploads) >= limit {
            return Err(OverQuota::Entries { owner: owner.to_owned(), limit });
        }
        Ok(())
    }

    fn admit_in_all(&self, owner: &str, held: &Held, bytes: u64) -> Result<(), OverQuota> {
        let (would_be, limit) = (held.kept.saturating_add(held.unfinished).saturating_add(bytes), self.owner_bytes);
        if would_be > limit && bytes > 0 {
            return Err(OverQuota::Owner { owner: owner.to_owned(), would_be, limit });
        }
        Ok(())
    }
}

/// Whether a name of the local store is one of a repository of this owner.
fn is_of(tag: &ImageReference, owner: &str) -> bool {
    repository_of(tag).is_some_and(|repository| owner_of(&repository) == owner)
}

fn owner_of(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

/// Of a file; 0 if it is not there.
fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
