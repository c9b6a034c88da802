use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{ContentDigest, Repositories, Repository, listing, parsed::needs, referring::Referring};
use crate::{ImageError, ImageReference, blobs::remove, index::Entry};

/// An upload that got nothing for this long has been given up.
pub const UPLOAD_EXPIRES_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What is not to be collected.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// Manifests that deployments and their revisions use.
    pub manifests: BTreeSet<api::Digest>,
    /// References that they name, which may not be resolved yet.
    pub references: BTreeSet<String>,
    /// What is younger than this: somebody may be about to use it.
    pub grace: Duration,
    /// Names of images that nothing uses are taken away too: of those pulled from a registry, or of all.
    pub unused: Unused,
    /// Nothing is removed; what would be is told.
    pub dry_run: bool,
}

/// Which images that have a name and that nothing uses are collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unused {
    /// None: whoever gave the name takes it away.
    #[default]
    Kept,
    /// Those from other registries that were not used for this long. They can be pulled again.
    PulledBefore(Duration),
    /// The least recently used of those from other registries, until the blobs have at most so many bytes.
    PulledAbove(u64),
    /// All.
    All,
}

/// What was collected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Names of images.
    pub names: Vec<String>,
    /// Files.
    pub blobs: usize,
    /// Bytes of these.
    pub bytes: u64,
}

/// Times and sizes of files, seen once.
struct Seen {
    now: SystemTime,
    grace: Duration,
}

impl Seen {
    /// Whether a file was written or used within the grace. One that cannot be looked at is taken to be.
    fn is_young(&self, path: &Path) -> bool {
        age(path, self.now).is_none_or(|age| age < self.grace)
    }
}

impl Repositories {
    /// Removes what nothing needs: blobs that no manifest names, manifests that have no tag, uploads that were given up.
    ///
    /// Marks from names, from what runs, from what is young, and from pushes under way; follows indexes, configs, layers, and
    /// what refers to something: signatures, other `subject`s, and indexes of what runs.
    pub fn collect(&self, keep: &Keep) -> Result<Collected, ImageError> {
        let seen = Seen { now: SystemTime::now(), grace: keep.grace };
        let (entries, repositories) = (self.store.entries()?, self.all()?);
        let referring = Referring::read(self, &repositories, &entries)?;
        let used = referring.with_all(used(&entries, keep));
        let mut gone = self.unused(&entries, &used, keep, &seen)?;
        let manifest = |entry: &Entry| ContentDigest::from(&entry.manifest);
        let named = entries.iter().filter(|entry| !gone.contains(&key(entry))).map(manifest);
        // What is about an image has its name for as long as the image has.
        let kept = referring.with_all(named.chain(used.iter().cloned()).collect());
        for entry in entries.iter().filter(|entry| kept.contains(&manifest(entry))) {
            gone.remove(&key(entry));
        }
        let mut roots = used;
        roots.extend(entries.iter().filter(|entry| !gone.contains(&key(entry))).map(manifest));
        for repository in &repositories {
            let manifests = repository.links("_manifests");
            roots.extend(manifests.all()?.into_iter().filter(|digest| seen.is_young(&manifests.path(digest))));
            roots.extend(repository.pushed_meanwhile(&seen)?);
        }
        let needed = self.reach(roots, &referring);
        if !keep.dry_run {
            self.store.index().untag(|entry| gone.contains(&key(entry)))?;
            for repository in &repositories {
                repository.forget(&needed, &seen)?;
            }
        }
        self.accounts.recount();
        let mut collected = self.sweep(&needed, &seen, keep.dry_run)?;
        collected.names =
            entries.into_iter().filter(|entry| gone.contains(&key(entry))).map(|entry| entry.written).collect();
        collected.names.sort();
        Ok(collected)
    }

    /// What [`collect`](Self::collect) leaves for its grace alone, and would collect without one.
    pub fn kept_by_grace(&self, keep: &Keep) -> Result<Collected, ImageError> {
        let dry = Keep { dry_run: true, ..keep.clone() };
        let (now, later) = (self.collect(&dry)?, self.collect(&Keep { grace: Duration::ZERO, ..dry })?);
        let names = later.names.into_iter().filter(|name| !now.names.contains(name)).collect();
        let (blobs, bytes) = (later.blobs.saturating_sub(now.blobs), later.bytes.saturating_sub(now.bytes));
        Ok(Collected { names, blobs, bytes })
    }

    fn all(&self) -> Result<Vec<Repository>, ImageError> {
        Ok(self.linked()?.iter().filter_map(|name| self.repository(name).ok()).collect())
    }

    /// The names that are to be taken away.
    fn unused(
        &self,
        entries: &[Entry],
        used: &BTreeSet<ContentDigest>,
        keep: &Keep,
        seen: &Seen,
    ) -> Result<BTreeSet<Key>, ImageError> {
        let path = |entry: &Entry| self.store.blobs().path(&entry.manifest);
        let idle = |entry: &&Entry| !used.contains(&(&entry.manifest).into()) && !seen.is_young(&path(entry));
        let pulled = |entry: &&Entry| entry.pulled;
        let names = |entries: Vec<&Entry>| entries.into_iter().map(key).collect();
        Ok(match keep.unused {
            Unused::Kept => BTreeSet::new(),
            Unused::All => names(entries.iter().filter(idle).collect()),
            Unused::PulledBefore(limit) => {
                let old = |entry: &&Entry| age(&path(entry), seen.now).is_some_and(|age| age >= limit);
                names(entries.iter().filter(idle).filter(pulled).filter(old).collect())
            }
            Unused::PulledAbove(max_bytes) => {
                let mut excess = self.bytes()?.saturating_sub(max_bytes);
                let mut candidates: Vec<_> = entries.iter().filter(idle).filter(pulled).collect();
                candidates.sort_by_key(|entry| std::cmp::Reverse(age(&path(entry), seen.now)));
                let mut gone = Vec::new();
                for entry in candidates {
                    if excess == 0 {
                        break;
                    }
                    excess = excess.saturating_sub(self.store.size_of(&entry.manifest));
                    gone.push(entry);
                }
                names(gone)
            }
        })
    }

    /// Bytes of all blobs.
    fn bytes(&self) -> Result<u64, ImageError> {
        let mut bytes = 0;
        self.each_blob(|_, path| {
            bytes += fs::metadata(path).map_or(0, |metadata| metadata.len());
            Ok(())
        })?;
        Ok(bytes)
    }

    /// All that can be reached from these manifests.
    fn reach(&self, roots: BTreeSet<ContentDigest>, referring: &Referring) -> BTreeSet<ContentDigest> {
        let (mut needed, mut open): (BTreeSet<ContentDigest>, Vec<_>) = (BTreeSet::new(), roots.into_iter().collect());
        while let Some(digest) = open.pop() {
            if !needed.insert(digest.clone()) {
                continue;
            }
            open.extend(self.store.small_blob(&digest).map(|bytes| needs(&bytes)).unwrap_or_default());
            open.extend(referring.attached_to(&digest).cloned());
        }
        needed
    }

    fn sweep(&self, needed: &BTreeSet<ContentDigest>, seen: &Seen, dry_run: bool) -> Result<Collected, ImageError> {
        let mut collected = Collected::default();
        self.each_blob(|digest, path| {
            if needed.contains(digest) || seen.is_young(path) {
                return Ok(());
            }
            collected.bytes += fs::metadata(path).map_or(0, |metadata| metadata.len());
            collected.blobs += 1;
            if dry_run { Ok(()) } else { remove(path) }
        })?;
        Ok(collected)
    }

    fn each_blob(
        &self,
        mut each: impl FnMut(&ContentDigest, &Path) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        for algorithm in ["sha256", "sha512"] {
            let dir = self.store.dir().join("blobs").join(algorithm);
            for name in listing(&dir)? {
                // What is incoming has another name.
                if let Ok(digest) = format!("{algorithm}:{name}").parse() {
                    each(&digest, &dir.join(name))?;
                }
            }
        }
        Ok(())
    }
}

/// What runs or is to run: by digest, and by the names that are written in templates.
fn used(entries: &[Entry], keep: &Keep) -> BTreeSet<ContentDigest> {
    let written = keep.references.iter().filter_map(|text| text.parse::<ImageReference>().ok());
    let (mut names, mut used) = (BTreeSet::new(), BTreeSet::from_iter(keep.manifests.iter().map(ContentDigest::from)));
    for reference in written {
        match reference.digest() {
            Some(digest) => used.insert(digest.into()),
            None => names.insert(reference.full_name()),
        };
    }
    let named = |entry: &&Entry| names.contains(&entry.name) || keep.references.contains(&entry.written);
    used.extend(entries.iter().filter(named).map(|entry| ContentDigest::from(&entry.manifest)));
    used
}

impl Repository {
    /// Blobs that came since the oldest upload under way began: those of the same push, whose manifest is still to come.
    fn pushed_meanwhile(&self, seen: &Seen) -> Result<Vec<ContentDigest>, ImageError> {
        let dir = self.dir.join("_uploads");
        let paths = listing(&dir)?.into_iter().map(|upload| dir.join(upload));
        let under_way = paths.filter(|path| age(path, seen.now).is_none_or(|age| age < UPLOAD_EXPIRES_AFTER));
        let began = under_way.filter_map(|path| fs::metadata(path).and_then(|metadata| metadata.created()).ok()).min();
        let Some(began) = began else { return Ok(Vec::new()) };
        let blobs = self.links("_blobs");
        let is_later = |digest: &ContentDigest| {
            fs::metadata(blobs.path(digest)).and_then(|link| link.modified()).is_ok_and(|linked| linked > began)
        };
        Ok(blobs.all()?.into_iter().filter(is_later).collect())
    }

    /// Removes links to what is not needed, and uploads that were given up.
    fn forget(&self, needed: &BTreeSet<ContentDigest>, seen: &Seen) -> Result<(), ImageError> {
        for kind in ["_manifests", "_blobs"] {
            let links = self.links(kind);
            for digest in links.all()? {
                let young = seen.is_young(&links.path(&digest)) || seen.is_young(&self.blob_path(&digest));
                if !needed.contains(&digest) && !young {
                    links.remove(&digest)?;
                }
            }
        }
        for subject in listing(&self.dir.join("_referrers"))? {
            let links = self.links(&format!("_referrers/{subject}"));
            for digest in links.all()?.iter().filter(|digest| !needed.contains(digest)) {
                links.remove(digest)?;
            }
        }
        let uploads = self.dir.join("_uploads");
        for upload in listing(&uploads)? {
            let path = uploads.join(upload);
            if age(&path, seen.now).is_some_and(|age| age >= UPLOAD_EXPIRES_AFTER) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// A name, with the namespace that alone may use it: the same name may be another image in another one.
type Key = (String, Option<String>);

fn key(entry: &Entry) -> Key {
    (entry.name.clone(), entry.namespace.clone())
}

fn age(path: &Path, now: SystemTime) -> Option<Duration> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Some(now.duration_since(modified).unwrap_or_default())
}
