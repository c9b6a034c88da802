use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    hash,
    hash::{Hash, Hasher},
    io::{self, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use api::Digest;
use parking_lot::Mutex;

use super::seal::Seal;
use crate::WorkerError;

/// What all compiled components may take on disk. Beyond it, those written longest ago are removed.
const MAX_CACHE_BYTES: u64 = 4 << 30;

/// How artifacts are kept and sealed, in their names: those of another way are not looked at. Raise it with the way.
const FORMAT: u32 = 2;

const ARTIFACT: &str = "cwasm";
const SEAL: &str = "seal";

/// Compiled components on disk. Each is named by its component and by what compiled it, and sealed with a key of this
/// installation: what does not bear the seal is not loaded but compiled anew.
pub(super) struct ArtifactCache {
    dir: PathBuf,
    seal: Seal,
    compiler: String,
    /// Artifacts whose seal this process has checked, as the files were then.
    checked: Mutex<HashMap<Digest, Stamp>>,
}

/// What tells a file from another, and from itself after a change: device, inode, size, and when its inode last changed.
type Stamp = (u64, u64, u64, (i64, i64));

fn stamp(file: &File) -> Option<Stamp> {
    let file = file.metadata().ok()?;
    Some((file.dev(), file.ino(), file.size(), (file.ctime(), file.ctime_nsec())))
}

/// Has `lent` be the same file as `kept`, or one with the same content where a file cannot have two names.
fn link(kept: &Path, lent: &Path) -> io::Result<()> {
    let inode = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let wanted = inode(kept)?;
    match inode(lent) {
        Ok(there) if there == wanted => return Ok(()),
        Ok(_) => fs::remove_file(lent)?,
        Err(_) => {}
    }
    match fs::hard_link(kept, lent) {
        // Another has been faster: it is checked as this one would be.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) => fs::copy(kept, lent).map(drop),
        Ok(()) => Ok(()),
    }
}

/// The digests, in hexadecimal, of the components that have been compiled into this directory.
pub fn compiled_components(dir: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let artifact = |name: std::ffi::OsString| {
        let name = name.into_string().ok()?.strip_suffix(&format!(".{ARTIFACT}"))?.to_owned();
        Some(name.split('-').next()?.to_owned())
    };
    names.filter_map(artifact).collect()
}

impl ArtifactCache {
    /// In `dir`, for what this engine compiles.
    pub(super) fn open(dir: &Path, engine: &wasmtime::Engine) -> Result<Self, WorkerError> {
        let failed = |action| move |source| WorkerError::Cache { action, path: dir.to_owned(), source };
        private_files::create_dir(dir).map_err(failed("create"))?;
        let seal = Seal::open(dir).map_err(failed("read or make the key in"))?;
        let mut hasher = hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compiler = format!("{:016x}-v{FORMAT}", hasher.finish());
        Ok(Self { dir: dir.to_owned(), seal, compiler, checked: Mutex::default() })
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.path(digest, ARTIFACT).exists()
    }

    /// The artifact of a component, if it is here and sealed by this installation. Anything else is as good as nothing.
    pub(super) fn find(&self, digest: &Digest) -> Option<File> {
        self.open_sealed(digest, &self.path(digest, ARTIFACT))
    }

    /// As [`find`](Self::find), by a link in `dir`: for who sees of all files those in there alone. Says where that is.
    pub(super) fn lend(&self, digest: &Digest, dir: &Path) -> Option<(File, PathBuf)> {
        let (kept, lent) = (self.path(digest, ARTIFACT), dir.join(format!("{}.{ARTIFACT}", self.name(digest))));
        if let Err(error) = link(&kept, &lent) {
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            if !is_missing {
                tracing::warn!(path = %lent.display(), %error, "a compiled component cannot be linked");
            }
            return None;
        }
        // What is checked is what is lent: the very file.
        let Some(file) = self.open_sealed(digest, &lent) else {
            let _ = fs::remove_file(&lent);
            return None;
        };
        Some((file, lent))
    }

    fn open_sealed(&self, digest: &Digest, path: &Path) -> Option<File> {
        let mut file = File::open(path).ok()?;
        if !self.is_sealed(digest, &mut file)? {
            tracing::warn!(path = %path.display(), "the compiled component does not bear our seal: compiling it again");
            return None;
        }
        file.rewind().ok()?;
        Some(file)
    }

    /// Whether an artifact bears our seal; `None` if it cannot be told. What was checked once is not read again while the file is
    /// the same.
    fn is_sealed(&self, digest: &Digest, file: &mut File) -> Option<bool> {
        let before = stamp(file)?;
        if self.checked.lock().get(digest) == Some(&before) {
            return Some(true);
        }
        let mut artifact = Vec::new();
        file.read_to_end(&mut artifact).ok()?;
        let fits = match fs::read(self.path(digest, SEAL)) {
            Ok(seal) => self.seal.fits(&self.name(digest), &artifact, &seal),
            Err(_) => false,
        };
        if fits {
            self.checked.lock().insert(digest.clone(), before);
        }
        Some(fits)
    }

    /// Keeps what was compiled, and opens it. The seal goes first, so that an artifact is never seen without one.
    pub(super) fn store(&self, digest: &Digest, artifact: &[u8]) -> io::Result<File> {
        self.make_room(artifact.len() as u64)?;
        self.write(&self.path(digest, SEAL), &self.seal.of(&self.name(digest), artifact))?;
        let file = self.write(&self.path(digest, ARTIFACT), artifact)?;
        // What was sealed a moment ago need not be read again to see that.
        if let Some(stamp) = stamp(&file) {
            self.checked.lock().insert(digest.clone(), stamp);
        }
        Ok(file)
    }

    /// The file that was written, from its beginning.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        let mut file = file.persist(path)?;
        file.rewind()?;
        Ok(file)
    }

    fn name(&self, digest: &Digest) -> String {
        format!("{}-{}", digest.hex(), self.compiler)
    }

    fn path(&self, digest: &Digest, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.name(digest)))
    }

    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut artifacts: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.dir)?
            .filter_map(|entry| {
                let (entry, path) = entry.ok().map(|entry| (entry.metadata(), entry.path()))?;
                let metadata = entry.ok().filter(|_| path.extension().is_some_and(|kind| kind == ARTIFACT))?;
                Some((metadata.modified().ok()?, metadata.len(), path))
            })
            .collect();
        artifacts.sort();
        let mut total: u64 = bytes + artifacts.iter().map(|(_, size, _)| size).sum::<u64>();
        for (_, size, path) in artifacts {
            if total <= MAX_CACHE_BYTES {
                break;
            }
            // Replicas that run from it keep their mapping.
            fs::remove_file(&path)?;
            let _ = fs::remove_file(path.with_extension(SEAL));
            total -= size;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    struct Fixture {
        engine: wasmtime::Engine,
        digest: Digest,
        dir: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let digest = Digest::from_sha256([7; 32]);
            Self { engine: wasmtime::Engine::default(), digest, dir: tempfile::tempdir().unwrap() }
        }

        fn cache(&self) -> ArtifactCache {
            ArtifactCache::open(self.dir.path(), &self.engine).unwrap()
        }

        fn filled(&self) -> ArtifactCache {
            let cache = self.cache();
            cache.store(&self.digest, &self.engine.precompile_component(EMPTY).unwrap()).unwrap();
            cache
        }
    }

    #[test]
    fn what_was_stored_is_loaded_by_the_next_process() {
        let fixture = Fixture::new();
        fixture.filled();
        let next = fixture.cache();
        assert!(next.contains(&fixture.digest));
        assert!(next.find(&fixture.digest).is_some());
    }

    #[test]
    fn what_this_process_has_written_is_not_read_again_to_check_it() {
        let fixture = Fixture::new();
        let cache = fixture.filled();
        fs::remove_file(cache.path(&fixture.digest, SEAL)).unwrap();
        assert!(cache.find(&fixture.digest).is_some());
        assert!(fixture.cache().find(&fixture.digest).is_none(), "others check it");
    }

    #[test]
    fn what_is_lent_is_the_sealed_file_itself_and_nothing_that_lay_in_its_place() {
        let fixture = Fixture::new();
        let (cache, run) = (fixture.filled(), tempfile::tempdir().unwrap());
        let kept = fs::metadata(cache.path(&fixture.digest, ARTIFACT)).unwrap();
        let lend = || cache.lend(&fixture.digest, run.path());
        let (file, path) = lend().unwrap();
        assert_eq!(file.metadata().unwrap().ino(), kept.ino());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "planted").unwrap();
        let (file, _) = lend().unwrap();
        assert_eq!(file.metadata().unwrap().ino(), kept.ino());
        // What is changed through the link is no longer sealed, and is not lent.
        fs::write(&path, "planted").unwrap();
        assert!(lend().is_none() && !path.exists());
        assert!(cache.lend(&Digest::from_sha256([8; 32]), run.path()).is_none());
    }

    #[test]
    fn an_artifact_that_was_changed_is_not_loaded() {
        let fixture = Fixture::new();
        let cache = fixture.filled();
        let path = cache.path(&fixture.digest, ARTIFACT);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(cache.find(&fixture.digest).is_none());
    }

    #[test]
    fn an_artifact_that_was_cut_off_or_has_no_seal_is_not_loaded() {
        let fixture = Fixture::new();
        let cache = fixture.filled();
        let path = cache.path(&fixture.digest, ARTIFACT);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(cache.find(&fixture.digest).is_none());
        fs::write(&path, bytes).unwrap();
        assert!(cache.find(&fixture.digest).is_some());
        fs::remove_file(cache.path(&fixture.digest, SEAL)).unwrap();
        assert!(fixture.cache().find(&fixture.digest).is_none());
    }

    #[test]
    fn an_artifact_under_the_name_of_another_component_is_not_loaded() {
        let fixture = Fixture::new();
        let cache = fixture.filled();
        let other = Digest::from_sha256([8; 32]);
        for extension in [ARTIFACT, SEAL] {
            fs::copy(cache.path(&fixture.digest, extension), cache.path(&other, extension)).unwrap();
        }
        assert!(cache.find(&other).is_none());
    }

    #[test]
    fn a_key_that_was_cut_off_is_replaced_and_components_are_compiled_anew() {
        let fixture = Fixture::new();
        fixture.filled();
        fs::write(fixture.dir.path().join("key"), "").unwrap();
        assert!(fixture.cache().find(&fixture.digest).is_none());
        let cache = fixture.filled();
        assert!(cache.find(&fixture.digest).is_some());
        assert!(fixture.cache().find(&fixture.digest).is_some());
    }

    #[test]
    fn the_key_is_private_and_another_key_opens_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let fixture = Fixture::new();
        fixture.filled();
        let key = fixture.dir.path().join("key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(key).unwrap();
        assert!(fixture.cache().find(&fixture.digest).is_none());
    }
}
