use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{
    changes::Finished,
    snapshot::{Scope, Snapshot, Written},
};

/// A look finds folders, which are watched and then looked at again, since something may have happened in between. So many
/// times, while there are other folders each time.
const MOST_LOOKS: usize = 4;

/// What Cargo writes itself, from what it reads.
const LOCK_FILE: &str = "Cargo.lock";

/// What a change concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    ProjectFile,
    Manifests,
    /// By its name.
    Component(String),
}

/// Looks at files, and keeps the system watching the folders that they are in.
pub(super) struct WatchedFiles {
    watcher: RecommendedWatcher,
    /// By device and number: links lead to one folder by several paths.
    watched: BTreeMap<(u64, u64), PathBuf>,
    scopes: BTreeMap<Subject, Scope>,
    known: BTreeMap<Subject, Snapshot>,
    /// Roots that belong to a subject only until it is built: what kept it from that may be mended anywhere in them.
    until_built: BTreeMap<Subject, BTreeSet<PathBuf>>,
    /// What is not watched, and whether that was told.
    complaints: BTreeMap<String, bool>,
    /// The system allows no more.
    limited: bool,
}

impl WatchedFiles {
    pub(super) fn new(watcher: RecommendedWatcher, scopes: BTreeMap<Subject, Scope>) -> Self {
        let known = scopes.keys().map(|subject| (subject.clone(), Snapshot::default())).collect();
        let (watched, until_built, complaints) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { watcher, watched, scopes, known, until_built, complaints, limited: false }
    }

    /// Takes what is there as known. It is an error if the system does not watch that much; of a folder that may not be
    /// looked into, [`Self::complaints`] tells.
    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        self.known = self.look();
        match self.complaints.keys().next() {
            Some(why) if self.limited => Err(anyhow::anyhow!("{why}")),
            _ => Ok(()),
        }
    }

    /// What has changed since it was known. It is known from now on.
    pub(super) fn changes(&mut self) -> Vec<(Subject, BTreeSet<PathBuf>)> {
        let now = self.look();
        let changed = now.iter().map(|(subject, now)| (subject.clone(), now.differences(&self.known[subject])));
        let changed = changed.filter(|(_, changed)| !changed.is_empty()).collect();
        self.known = now;
        changed
    }

    pub(super) fn subjects(&self) -> Vec<Subject> {
        self.scopes.keys().cloned().collect()
    }

    /// What has changed of a subject while components were built, and how it is now. What its build says that it
    /// read belongs to it from now on.
    pub(super) fn changes_during(
        &mut self,
        subject: &Subject,
        finished: Option<&Finished>,
    ) -> (BTreeSet<PathBuf>, Snapshot) {
        let (Some(scope), Some(known)) = (self.scopes.get_mut(subject), self.known.get(subject)) else {
            return Default::default();
        };
        let before = scope.roots.clone();
        if let Some(finished) = finished {
            for root in self.until_built.remove(subject).into_iter().flatten() {
                scope.roots.remove(&root);
            }
            let further = finished.mended_in.iter().filter(|folder| scope.roots.insert((*folder).clone()));
            self.until_built.insert(subject.clone(), further.cloned().collect());
        }
        if let Some(inputs) = finished.and_then(|finished| finished.inputs.as_ref()) {
            scope.roots.extend(inputs.read.iter().cloned());
            scope.excluded.extend(inputs.made.clone());
        }
        let now = Snapshot::take(scope, known);
        let belongs_to = |roots: &BTreeSet<PathBuf>, path: &Path| roots.iter().any(|root| path.starts_with(root));
        let mut changed = now.differences(known);
        changed.retain(|path| {
            // Of what was not looked at before, only the time tells.
            let written = finished.is_none_or(|finished| now.is_written_since(path, finished.began));
            let of_cargo = finished.is_some_and(|finished| finished.by_cargo) && path.ends_with(LOCK_FILE);
            (belongs_to(&before, path) || written) && belongs_to(&scope.roots, path) && !of_cargo
        });
        (changed, now)
    }

    /// Whether a file was written since it was known.
    pub(super) fn written(&self, subject: &Subject, now: &Snapshot, path: &Path) -> Written {
        self.known.get(subject).map_or(Written::Not, |known| now.written(path, known))
    }

    /// Takes what was found as known.
    pub(super) fn know(&mut self, found: impl IntoIterator<Item = (Subject, Snapshot)>) {
        self.known.extend(found);
        let known = std::mem::take(&mut self.known);
        self.watch(&known);
        self.known = known;
    }

    /// From now on another time of a file is a change too.
    pub(super) fn go_by_time(&mut self, subject: &Subject, path: PathBuf) {
        let Some(scope) = self.scopes.get_mut(subject) else { return };
        scope.by_time.insert(path.clone());
        if let Some(known) = self.known.get_mut(subject) {
            known.take_again(scope, &path);
        }
    }

    /// What cannot be watched, as far as it was not told.
    pub(super) fn complaints(&mut self) -> Vec<String> {
        let all = self.complaints.iter_mut();
        all.filter_map(|(why, told)| (!std::mem::replace(told, true)).then(|| why.clone())).collect()
    }

    fn look(&mut self) -> BTreeMap<Subject, Snapshot> {
        let mut now = self.take(&self.known);
        for _ in 1..MOST_LOOKS {
            self.watch(&now);
            let again = self.take(&now);
            let same = again.iter().all(|(subject, again)| again.folders == now[subject].folders);
            now = again;
            if same {
                break;
            }
        }
        now
    }

    fn take(&self, before: &BTreeMap<Subject, Snapshot>) -> BTreeMap<Subject, Snapshot> {
        let take = |(subject, scope): (&Subject, &Scope)| (subject.clone(), Snapshot::take(scope, &before[subject]));
        self.scopes.iter().map(take).collect()
    }

    /// Has the system watch the folders of what was found. Those that are watched are named again: one that was
    /// moved away and back is watched no more, and nothing else tells.
    fn watch(&mut self, found: &BTreeMap<Subject, Snapshot>) {
        let all = found.values().flat_map(|found| &found.folders);
        let wanted: BTreeMap<(u64, u64), PathBuf> = all.map(|(path, file)| (*file, path.clone())).collect();
        for (_, gone) in self.watched.iter().filter(|(file, _)| !wanted.contains_key(*file)) {
            // It was perhaps removed, and with it the watch.
            let _ = self.watcher.unwatch(gone);
        }
        for folder in wanted.values() {
            match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                Err(error) if !matches!(error.kind, ErrorKind::PathNotFound) && folder.is_dir() => {
                    self.limited |= matches!(error.kind, ErrorKind::MaxFilesWatch);
                    let why = match &error.kind {
                        ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                            "you may not read it; if nothing in it is built, leave it out of `watch`"
                        }
                        ErrorKind::MaxFilesWatch => {
                            "the system watches no more for this user: `sysctl fs.inotify.max_user_watches=1048576` \
                             raises that, or name fewer folders in `watch`"
                        }
                        _ => &error.to_string(),
                    };
                    self.complaints.entry(format!("{} cannot be watched: {why}", folder.display())).or_insert(false);
                }
                _ => {}
            }
        }
        if found.values().any(|found| found.cut) {
            let why = "there are more files than are watched: name the folders of sources in `watch`".to_owned();
            self.complaints.entry(why).or_insert(false);
        }
        self.watched = wanted;
    }
}
