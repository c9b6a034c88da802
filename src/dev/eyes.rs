use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{
    changes::Finished,
    snapshot::{Scope, Snapshot},
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
pub(super) struct Eyes {
    watcher: RecommendedWatcher,
    /// By device and number: links lead to one folder by several paths.
    watched: BTreeMap<(u64, u64), PathBuf>,
    scopes: BTreeMap<Subject, Scope>,
    known: BTreeMap<Subject, Snapshot>,
    complaints: BTreeMap<String, bool>,
}

impl Eyes {
    pub(super) fn new(watcher: RecommendedWatcher, scopes: BTreeMap<Subject, Scope>) -> Self {
        let known = scopes.keys().map(|subject| (subject.clone(), Snapshot::default())).collect();
        Self { watcher, watched: BTreeMap::new(), scopes, known, complaints: BTreeMap::new() }
    }

    /// Takes what is there as known.
    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        self.known = self.look();
        match self.complaints().first() {
            Some(why) => Err(anyhow::anyhow!("{why}")),
            None => Ok(()),
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
        if let Some(inputs) = finished.and_then(|finished| finished.inputs.as_ref()) {
            scope.roots.extend(inputs.read.iter().cloned());
            scope.excluded.extend(inputs.made.clone());
        }
        let now = Snapshot::take(scope, known);
        let is_new = |path: &Path| !before.iter().any(|root| path.starts_with(root));
        let mut changed = now.differences(known);
        changed.retain(|path| {
            // Of what was not looked at before, only the time tells.
            let written = finished.is_none_or(|finished| now.is_written_since(path, finished.began));
            let of_cargo = finished.is_some_and(|finished| finished.inputs.is_some()) && path.ends_with(LOCK_FILE);
            (!is_new(path) || written) && !of_cargo
        });
        (changed, now)
    }

    /// Whether a file was written since it was known.
    pub(super) fn is_rewritten(&self, subject: &Subject, now: &Snapshot, path: &Path) -> bool {
        self.known.get(subject).is_some_and(|known| now.is_rewritten(path, known))
    }

    /// Takes what was found as known.
    pub(super) fn know(&mut self, found: impl IntoIterator<Item = (Subject, Snapshot)>) {
        self.known.extend(found);
        let known = std::mem::take(&mut self.known);
        self.watch(&known);
        self.known = known;
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
                    let why = match &error.kind {
                        ErrorKind::MaxFilesWatch => "the system watches no more: raise fs.inotify.max_user_watches",
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
