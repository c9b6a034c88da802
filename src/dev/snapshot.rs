//! What files hold, so that a change is told from an event: what was written again, moved there and back, or is the same
//! in another file, has not changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

/// Files that are looked at for one component. What is beyond is not watched, and said.
const MAX_FILES: usize = 50_000;
/// Of a larger file, length and time stand for what it holds.
const MAX_HASHED_BYTES: u64 = 64 << 20;
/// A file that was changed so shortly before it was read may change again without another time.
const UNSETTLED: Duration = Duration::from_millis(100);
/// Folders whose content is made, not written.
const MADE: [&str; 2] = ["node_modules", ".git"];
/// Cargo marks the folder of what it makes with this file (<https://bford.info/cachedir>).
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Files, and folders with all below them, whether they are there or not.
    pub(super) roots: BTreeSet<PathBuf>,
    /// Neither these nor what is below them.
    pub(super) excluded: BTreeSet<PathBuf>,
    /// Of what is above the roots, folders from here on may be removed and made again too.
    pub(super) base: PathBuf,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    content: [u8; 32],
    file: Identity,
    settled: bool,
}

/// By what the system tells files apart: device, number, length, and nanoseconds of its last writing and last change.
type Identity = (u64, u64, u64, i128, i128);

/// Everything in a scope, at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    files: BTreeMap<PathBuf, Stamp>,
    /// The folders of which changes matter, with device and number.
    pub(super) folders: BTreeMap<PathBuf, (u64, u64)>,
    /// There is more than is looked at.
    pub(super) cut: bool,
}

impl Snapshot {
    /// Looks at a scope. What has not changed since `before` is not read again.
    pub(super) fn take(scope: &Scope, before: &Self) -> Self {
        let mut walk = Walk { scope, before, seen: HashSet::new(), found: Self::default() };
        for root in &scope.roots {
            walk.above(root);
            walk.path(root);
        }
        walk.found
    }

    /// The files that are other than before, new or gone.
    pub(super) fn differences(&self, before: &Self) -> BTreeSet<PathBuf> {
        let changed = self
            .files
            .iter()
            .filter(|(path, stamp)| before.files.get(*path).is_none_or(|earlier| earlier.content != stamp.content));
        let gone = before.files.keys().filter(|path| !self.files.contains_key(*path));
        changed.map(|(path, _)| path).chain(gone).cloned().collect()
    }

    /// Whether a file was written since, be it with what it held before.
    pub(super) fn is_rewritten(&self, path: &Path, before: &Self) -> bool {
        self.files.get(path).map(|stamp| stamp.file) != before.files.get(path).map(|stamp| stamp.file)
    }

    /// Whether a file was last written at this time or later.
    pub(super) fn is_written_since(&self, path: &Path, time: SystemTime) -> bool {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.files.get(path).is_none_or(|stamp| stamp.file.3 >= i128::try_from(since).unwrap_or_default())
    }
}

struct Walk<'a> {
    scope: &'a Scope,
    before: &'a Snapshot,
    /// Folders that were gone through, since links may lead in a circle.
    seen: HashSet<(PathBuf, u64, u64)>,
    found: Snapshot,
}

impl Walk<'_> {
    /// The folders above a root: it may be removed, moved, or made there later, and so may they.
    fn above(&mut self, root: &Path) {
        for folder in root.ancestors().skip(1) {
            let Some(metadata) = fs::metadata(folder).ok().filter(Metadata::is_dir) else { continue };
            self.found.folders.insert(folder.to_owned(), (metadata.dev(), metadata.ino()));
            if folder == self.scope.base || !folder.starts_with(&self.scope.base) {
                return;
            }
        }
    }

    fn path(&mut self, path: &Path) {
        if self.scope.excluded.iter().any(|excluded| path.starts_with(excluded)) {
            return;
        }
        let Ok(metadata) = fs::metadata(path) else { return };
        // Where a link leads to, something may be changed without a sign of it here.
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
            && let Ok(real) = fs::canonicalize(path)
        {
            if self.scope.excluded.contains(&real) {
                return;
            }
            self.above(&real);
        }
        if metadata.is_dir() {
            self.folder(path, &metadata);
        } else if metadata.is_file() {
            self.file(path, &metadata);
        }
    }

    fn folder(&mut self, folder: &Path, metadata: &Metadata) {
        let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        if !self.seen.insert((real, metadata.dev(), metadata.ino())) {
            return;
        }
        self.found.folders.insert(folder.to_owned(), (metadata.dev(), metadata.ino()));
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        entries.sort();
        for entry in entries {
            if !self.is_made(&entry) {
                self.path(&entry);
            }
        }
    }

    /// Whether something below a root is what editors, Cargo or package managers leave. The roots themselves are not asked.
    fn is_made(&self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let of_cargo = || path.with_file_name("Cargo.toml").is_file() || path.join(CACHE_TAG).is_file();
        let is_root = self.scope.roots.contains(path);
        let made = MADE.contains(&&*name) || (name == "target" && path.is_dir() && of_cargo());
        !is_root && (made || name.starts_with('.') || name.starts_with('#') || name.ends_with('~'))
    }

    fn file(&mut self, path: &Path, metadata: &Metadata) {
        if self.found.files.len() >= MAX_FILES {
            self.found.cut = true;
            return;
        }
        let time = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let changed = time(metadata.ctime(), metadata.ctime_nsec());
        let written = time(metadata.mtime(), metadata.mtime_nsec());
        let file = (metadata.dev(), metadata.ino(), metadata.len(), written, changed);
        let known = self.before.files.get(path).filter(|stamp| stamp.settled && stamp.file == file);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = i128::try_from(now.as_nanos()).unwrap_or_default() - changed
            > i128::try_from(UNSETTLED.as_nanos()).unwrap_or_default();
        let content = match known {
            Some(stamp) => stamp.content,
            None => content(path, metadata, file),
        };
        self.found.files.insert(path.to_owned(), Stamp { content, file, settled });
    }
}

fn content(path: &Path, metadata: &Metadata, file: Identity) -> [u8; 32] {
    let mut hash = Sha256::new();
    let read = if metadata.len() > MAX_HASHED_BYTES {
        Err(io::ErrorKind::FileTooLarge.into())
    } else {
        File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash))
    };
    if read.is_err() {
        hash.update(format!("{file:?}"));
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[&str]) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            files.iter().for_each(|file| tree.write(file, file));
            tree
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            fs::write(self.at(path), text).unwrap();
        }

        fn look(&self, roots: &[&str], excluded: &[&str]) -> Snapshot {
            let paths = |paths: &[&str]| paths.iter().map(|path| self.at(path)).collect();
            let scope = Scope { roots: paths(roots), excluded: paths(excluded), base: self.0.path().to_owned() };
            Snapshot::take(&scope, &Snapshot::default())
        }

        fn names(&self, found: &Snapshot) -> Vec<String> {
            let below = |path: &PathBuf| path.strip_prefix(self.0.path()).unwrap().to_string_lossy().into_owned();
            found.files.keys().map(below).collect()
        }
    }

    #[test]
    fn what_is_made_and_what_editors_leave_is_not_looked_at() {
        let tree = Tree::new(&["a.js", "target/x", "node_modules/y", ".git/z", ".a.js.swp", "b~", "dist/a.wasm"]);
        assert_eq!(tree.names(&tree.look(&[""], &["dist/a.wasm", "target"])), ["a.js"]);
    }

    #[test]
    fn what_is_named_is_looked_at_whatever_its_name() {
        let tree = Tree::new(&[".env", "Cargo.toml", "src/target/mod.rs", "target/debug/x"]);
        assert_eq!(tree.names(&tree.look(&["src", ".env"], &[])), [".env", "src/target/mod.rs"]);
    }

    #[test]
    fn only_another_content_is_a_difference() {
        let tree = Tree::new(&["src/a", "src/b"]);
        let before = tree.look(&["src"], &[]);
        tree.write("src/a", "src/a");
        fs::remove_file(tree.at("src/b")).unwrap();
        tree.write("src/c", "new");
        let after = tree.look(&["src"], &[]);
        assert_eq!(after.differences(&before), BTreeSet::from([tree.at("src/b"), tree.at("src/c")]));
        fs::remove_dir_all(tree.at("src")).unwrap();
        assert_eq!(tree.look(&["src"], &[]).differences(&after).len(), 2);
    }

    #[test]
    fn links_are_followed_and_a_circle_of_them_ends() {
        let tree = Tree::new(&["src/a", "else/b"]);
        symlink(tree.at("else"), tree.at("src/linked")).unwrap();
        symlink(tree.at("src"), tree.at("else/back")).unwrap();
        let found = tree.look(&["src"], &[]);
        assert_eq!(tree.names(&found), ["src/a", "src/linked/b"]);
        assert!(found.folders.contains_key(&tree.at("src/linked")));
    }

    #[test]
    fn the_nearest_folder_above_what_is_missing_is_looked_at_up_to_the_base() {
        let tree = Tree::new(&["app/Cargo.toml"]);
        let found = tree.look(&["app/src/deep"], &[]);
        let folders: Vec<_> = found.folders.keys().cloned().collect();
        assert_eq!(folders, [tree.0.path().to_owned(), tree.at("app")]);
    }
}
