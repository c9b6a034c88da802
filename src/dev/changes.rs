//! Watches the files of a project and says what a change of them asks for.
//!
//! What the system tells is only a sign that something has happened; what has changed is found by looking, and so it
//! does not matter how an editor or `git` goes about it, nor whether folders go and come.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use notify::{ErrorKind, EventKind};
use parking_lot::Mutex;
use tokio::{sync::mpsc, time::Instant};

use super::{
    causes::{Causes, Verdict},
    remote_files::without_signs,
    snapshot::Scope,
    watched_files::{Subject, WatchedFiles},
};
use crate::{
    build::{Component, Inputs, PROJECT_FILE, Project, Recipe},
    errors::HintExt,
};

/// A change is acted on when nothing more has changed for this long. It is added to what every edit waits for; what is saved
/// later is built after it.
const QUIET: Duration = Duration::from_millis(20);
/// A change is acted on after this long at the latest.
const AT_LATEST: Duration = Duration::from_secs(2);
/// Where changes may give no sign, it is looked for them this often.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// What has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Components by name, with the files that have changed, as far as that is told.
    pub(super) components: BTreeMap<String, BTreeSet<PathBuf>>,
    /// Those of them of which files have changed only while the last build went on.
    pub(super) during_builds: BTreeSet<String>,
    pub(super) manifests: bool,
    pub(super) project_file: bool,
}

/// A build of one component that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) began: SystemTime,
    /// It gave what was there before.
    pub(super) same: bool,
    /// What it says that it read; `None`: it did not come so far, or says nothing.
    pub(super) inputs: Option<Inputs>,
    /// Cargo was at it, which writes `Cargo.lock`.
    pub(super) by_cargo: bool,
    /// It failed, and may be mended anywhere in these.
    pub(super) mended_in: BTreeSet<PathBuf>,
}

/// Watches the files of one project until it is dropped.
pub(super) struct Watch {
    /// When the first of the events came that nobody has looked after yet.
    signs: mpsc::Receiver<Instant>,
    /// It is looked this often without a sign.
    poll_every: Option<Duration>,
    files: Arc<Mutex<WatchedFiles>>,
    causes: BTreeMap<String, Causes>,
    /// Components of which something has changed while they were built, with what that is.
    pending: BTreeMap<String, BTreeSet<PathBuf>>,
    saved: Instant,
}

impl Watch {
    /// Begins to watch, but for what is below `excluded`. What cannot be watched is an error that names it.
    pub(super) async fn begin(project: &Project, excluded: &[PathBuf]) -> anyhow::Result<Self> {
        // One sign that waits says as much as many.
        let (tx, signs) = mpsc::channel(1);
        let sign = move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = tx.try_send(Instant::now());
            }
        };
        let watcher = notify::recommended_watcher(sign).map_err(not_watched)?;
        let files = Arc::new(Mutex::new(WatchedFiles::new(watcher, scopes(project, excluded))));
        let mut roots = project.components.iter().flat_map(|component| &component.watch).chain(&project.manifests);
        let poll_every = roots.any(|root| without_signs(root).is_some()).then_some(POLL_EVERY);
        let (causes, pending, saved) = (BTreeMap::new(), BTreeMap::new(), Instant::now());
        let watch = Self { signs, poll_every, files, causes, pending, saved };
        watch.look(|files| files.begin()).await??;
        Ok(watch)
    }

    /// Waits for changes and for them to settle.
    pub(super) async fn next(&mut self) -> anyhow::Result<Changes> {
        loop {
            let mut changes = Changes { components: std::mem::take(&mut self.pending), ..Changes::default() };
            changes.during_builds = changes.components.keys().cloned().collect();
            if changes.components.is_empty() {
                self.saved = self.sign().await;
                let began = Instant::now();
                while let Ok(Some(_)) = tokio::time::timeout_at(next_end(began), self.signs.recv()).await {}
            } else {
                self.saved = self.signs.try_recv().unwrap_or_else(|_| Instant::now());
            }
            for (subject, changed) in self.look(WatchedFiles::changes).await? {
                match subject {
                    Subject::ProjectFile => changes.project_file = true,
                    Subject::Manifests => changes.manifests = true,
                    Subject::Component(name) => {
                        self.causes.entry(name.clone()).or_default().outside(&changed);
                        changes.during_builds.remove(&name);
                        changes.components.entry(name).or_default().extend(changed);
                    }
                }
            }
            if changes != Changes::default() {
                return Ok(changes);
            }
        }
    }

    /// When the first of the changes was saved that [`Self::next`] told of last.
    pub(super) fn saved(&self) -> Instant {
        self.saved
    }

    /// Waits until something may have happened, and says when that was.
    async fn sign(&mut self) -> Instant {
        // The watcher, which has the other end, lives as long as this: there is always another one to wait for.
        let sign = self.signs.recv();
        let sign = match self.poll_every {
            Some(every) => tokio::time::timeout(every, sign).await.ok().flatten(),
            None => sign.await,
        };
        sign.unwrap_or_else(Instant::now)
    }

    /// Looks at what has changed while components were built: of what the user may have changed, [`Self::next`] tells.
    /// Returns the components of which the builds themselves change what is watched, with what that is, as far as it
    /// was not told.
    pub(super) async fn built(
        &mut self,
        mut finished: BTreeMap<String, Finished>,
    ) -> anyhow::Result<BTreeMap<String, BTreeSet<PathBuf>>> {
        let (mut causes, mut told) = (std::mem::take(&mut self.causes), BTreeMap::new());
        let mut pending = BTreeMap::new();
        let look = move |files: &mut WatchedFiles| {
            let mut found = Vec::new();
            for subject in files.subjects() {
                let Subject::Component(name) = &subject else { continue };
                let finished = finished.remove(name);
                let same = finished.as_ref().is_some_and(|finished| finished.same);
                let (changed, now) = files.changes_during(&subject, finished.as_ref());
                let causes = causes.entry(name.clone()).or_default();
                let Verdict { rebuild, told: said } =
                    causes.during(changed, same, |path| files.written(&subject, &now, path));
                if !rebuild.is_empty() {
                    pending.insert(name.clone(), rebuild);
                }
                if !said.is_empty() {
                    told.insert(name.clone(), said);
                }
                found.push((subject, now));
            }
            files.know(found);
            (causes, told, pending)
        };
        let told;
        (self.causes, told, self.pending) = self.look(look).await?;
        Ok(told)
    }

    /// From now on another time of this file of a component is a change too, whatever the file holds.
    pub(super) async fn go_by_time(&self, component: String, path: PathBuf) -> anyhow::Result<()> {
        self.look(move |files| files.go_by_time(&Subject::Component(component), path)).await
    }

    /// What cannot be watched, as far as it was not told.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.files.lock().complaints()
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut WatchedFiles) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || look(&mut files.lock())).await.context("looking at files was broken off")
    }
}

/// Linux has so many of its watchers for each user.
fn not_watched(error: notify::Error) -> anyhow::Error {
    const TOO_MANY: i32 = 24;
    let is_limit = matches!(&error.kind, ErrorKind::Io(error) if error.raw_os_error() == Some(TOO_MANY));
    let told = anyhow::Error::from(error).context("files cannot be watched");
    if is_limit {
        return told.hint(
            "this user has as many watchers as the system allows (or this process as many files): end other programs that \
             watch, or `sysctl fs.inotify.max_user_instances=1024`",
        );
    }
    told
}

fn next_end(began: Instant) -> Instant {
    (Instant::now() + QUIET).min(began + AT_LATEST)
}

fn scopes(project: &Project, excluded: &[PathBuf]) -> BTreeMap<Subject, Scope> {
    let scope = |roots: BTreeSet<PathBuf>, excluded: BTreeSet<PathBuf>| Scope {
        roots,
        excluded,
        base: project.root.clone(),
        by_time: BTreeSet::new(),
    };
    let file = BTreeSet::from([project.root.join(PROJECT_FILE)]);
    let manifests: BTreeSet<PathBuf> = project.manifests.iter().cloned().collect();
    let artifacts = project.components.iter().filter_map(artifact);
    let targets = project.components.iter().map(|component| component.dir.join("target"));
    let made: BTreeSet<PathBuf> = artifacts.chain(excluded).cloned().chain(targets).collect();
    // A component of the whole folder is not built from what is applied.
    let not_built: BTreeSet<PathBuf> = made.iter().chain(&manifests).chain(&file).cloned().collect();
    let component = |component: &Component| {
        let roots = component.watch.iter().cloned().collect();
        (Subject::Component(component.name.clone()), scope(roots, not_built.clone()))
    };
    let mut scopes: BTreeMap<_, _> = project.components.iter().map(component).collect();
    scopes.insert(Subject::ProjectFile, scope(file, BTreeSet::new()));
    scopes.insert(Subject::Manifests, scope(manifests, made));
    scopes
}

fn artifact(component: &Component) -> Option<&PathBuf> {
    match &component.recipe {
        Recipe::Command { artifact, .. } => Some(artifact),
        Recipe::Cargo | Recipe::Made { .. } => None,
    }
}

#[cfg(test)]
mod tests;
