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
/// What marks a folder of what can be made again (<https://bford.info/cachedir>): Cargo's, wherever that is, and others'.
const CACHE_TAG: &str = "CACHEDIR.TAG";
/// How names end under which editors keep a file for a moment, or beside it: Emacs and others, JetBrains' while they save.
const OF_EDITORS: [&str; 4] = ["~", ".swp", "___jb_tmp___", "___jb_old___"];
/// Vim makes and removes a file of this name, to see whether it may write to the folder.
const VIMS_PROBE: &str = "4913";
/// Emacs has a compiler look at what is not saved yet in a copy with this in its name.
const OF_FLYMAKE: &str = "_flymake.";

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Files, and folders with all below them, whether they are there or not.
    pub(super) roots: BTreeSet<PathBuf>,
    /// Neither these nor what is below them, but for roots there and what is below those.
    pub(super) excluded: BTreeSet<PathBuf>,
    /// Of what is above the roots, folders from here on may be removed and made again too.
    pub(super) base: PathBuf,
    /// Files of which another time is a difference too.
    pub(super) by_time: BTreeSet<PathBuf>,
}

impl Scope {
    fn excludes(&self, path: &Path) -> bool {
        // A root at or below what is excluded is meant.
        let is_meant =
            |excluded: &PathBuf| self.roots.iter().any(|root| root.starts_with(excluded) && path.starts_with(root));
        self.excluded.iter().any(|excluded| path.starts_with(excluded) && !is_meant(excluded))
    }
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

/// What has become of a file since an earlier look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing.
    Not,
    /// It was not there.
    New,
    /// It was written, be it with what it held, or is gone.
    Again,
}

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

    /// Looks at one file alone again.
    pub(super) fn take_again(&mut self, scope: &Scope, path: &Path) {
        let mut walk = Walk { scope, before: &Self::default(), seen: HashSet::new(), found: Self::default() };
        walk.path(path);
        self.files.extend(walk.found.files);
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

    /// What has become of a file since an earlier look.
    pub(super) fn written(&self, path: &Path, before: &Self) -> Written {
        let [now, before] = [self, before].map(|look| look.files.get(path).map(|stamp| stamp.file));
        match (before, now) {
            (None, Some(_)) => Written::New,
            (before, now) if before == now => Written::Not,
            _ => Written::Again,
        }
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
        if self.scope.excludes(path) {
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
        if self.scope.roots.contains(path) {
            return false;
        }
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let of_editor =
            || OF_EDITORS.iter().any(|end| name.ends_with(end)) || name == VIMS_PROBE || name.contains(OF_FLYMAKE);
        let of_cargo = || name == "target" && path.is_dir() && path.with_file_name("Cargo.toml").is_file();
        name.starts_with('.')
            || name.starts_with('#')
            || MADE.contains(&&*name)
            || of_editor()
            || of_cargo()
            || path.join(CACHE_TAG).is_file()
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
            None => content(path, metadata, file, self.scope.by_time.contains(path)),
        };
        self.found.files.insert(path.to_owned(), Stamp { content, file, settled });
    }
}

fn content(path: &Path, metadata: &Metadata, file: Identity, by_time: bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    let read = if metadata.len() > MAX_HASHED_BYTES {
        Err(io::ErrorKind::FileTooLarge.into())
    } else {
        File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash))
    };
    if read.is_err() || by_time {
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
            let base = self.0.path().to_owned();
            let scope = Scope { roots: paths(roots), excluded: paths(excluded), base, by_time: BTreeSet::new() };
            Snapshot::take(&scope, &Snapshot::default())
        }

        fn names(&self, found: &Snapshot) -> Vec<String> {
            let below = |path: &PathBuf| path.strip_prefix(self.0.path()).unwrap().to_string_lossy().into_owned();
            found.files.keys().map(below).collect()
        }
    }

    #[test]
    fn what_is_made_and_what_editors_leave_is_not_looked_at() {
        let made = ["target/x", "sub/node_modules/y", ".git/z", "dist/a.wasm", "out/CACHEDIR.TAG", "out/wasm32/b.wasm"];
        let left = [
            ".a.js.swp",
            "a.js.swp",
            "b~",
            "#a.js#",
            ".#a.js",
            "4913",
            "a.js___jb_tmp___",
            "a.js___jb_old___",
            "a_flymake.js",
        ];
        let tree = Tree::new(&[&["a.js"][..], &made, &left].concat());
        assert_eq!(tree.names(&tree.look(&[""], &["dist/a.wasm", "target"])), ["a.js"]);
    }

    #[test]
    fn what_is_named_is_looked_at_whatever_its_name() {
        let tree = Tree::new(&[".env", "Cargo.toml", "src/target/mod.rs", "target/debug/x"]);
        assert_eq!(tree.names(&tree.look(&["src", ".env"], &[])), [".env", "src/target/mod.rs"]);
    }

    #[test]
    fn a_root_below_what_is_excluded_is_looked_at_and_nothing_else_there() {
        let tree =
            Tree::new(&["src/a", "deploy/a.yaml", "deploy/b.yaml", "state/project/src/c", "state/project/dist/d"]);
        let found = tree.look(&["", "deploy/b.yaml"], &["deploy", "state"]);
        assert_eq!(tree.names(&found), ["deploy/b.yaml", "src/a"]);
        let found = tree.look(&["state/project"], &["state", "state/project/dist"]);
        assert_eq!(tree.names(&found), ["state/project/src/c"]);
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
