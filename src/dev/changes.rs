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
use notify::EventKind;
use parking_lot::Mutex;
use tokio::{sync::mpsc, time::Instant};

use super::{
    causes::{Causes, Verdict},
    eyes::{Eyes, Subject},
    snapshot::Scope,
};
use crate::build::{Component, Inputs, PROJECT_FILE, Project, Recipe};

/// A change is acted on when nothing more has changed for this long.
const QUIET: Duration = Duration::from_millis(150);
/// A change is acted on after this long at the latest.
const AT_LATEST: Duration = Duration::from_secs(2);

/// What has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Components by name.
    pub(super) components: BTreeSet<String>,
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
}

/// Watches the files of one project until it is dropped.
pub(super) struct Watch {
    signs: mpsc::Receiver<()>,
    eyes: Arc<Mutex<Eyes>>,
    causes: BTreeMap<String, Causes>,
    /// Components of which something has changed while they were built.
    pending: BTreeSet<String>,
}

impl Watch {
    /// Begins to watch, but for what is below `excluded`. What cannot be watched is an error that names it.
    pub(super) async fn begin(project: &Project, excluded: &[PathBuf]) -> anyhow::Result<Self> {
        // One sign that waits says as much as many.
        let (tx, signs) = mpsc::channel(1);
        let sign = move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = tx.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(sign).context("files cannot be watched")?;
        let eyes = Arc::new(Mutex::new(Eyes::new(watcher, scopes(project, excluded))));
        let watch = Self { signs, eyes, causes: BTreeMap::new(), pending: BTreeSet::new() };
        watch.look(|eyes| eyes.begin()).await??;
        Ok(watch)
    }

    /// Waits for changes and for them to settle.
    pub(super) async fn next(&mut self) -> anyhow::Result<Changes> {
        loop {
            let mut changes = Changes { components: std::mem::take(&mut self.pending), ..Changes::default() };
            if changes.components.is_empty() {
                // The watcher, which has the other end, lives as long as this.
                if self.signs.recv().await.is_none() {
                    return std::future::pending().await;
                }
                let began = Instant::now();
                while let Ok(Some(())) = tokio::time::timeout_at(next_end(began), self.signs.recv()).await {}
            }
            for (subject, changed) in self.look(Eyes::changes).await? {
                match subject {
                    Subject::ProjectFile => changes.project_file = true,
                    Subject::Manifests => changes.manifests = true,
                    Subject::Component(name) => {
                        self.causes.entry(name.clone()).or_default().outside(&changed);
                        changes.components.insert(name);
                    }
                }
            }
            if changes != Changes::default() {
                return Ok(changes);
            }
        }
    }

    /// Looks at what has changed while components were built: of what the user may have changed, [`Self::next`] tells.
    /// Answers the components of which the builds themselves change what is watched, with what that is, as far as it
    /// was not told.
    pub(super) async fn built(
        &mut self,
        mut finished: BTreeMap<String, Finished>,
    ) -> anyhow::Result<BTreeMap<String, BTreeSet<PathBuf>>> {
        let (mut causes, mut told) = (std::mem::take(&mut self.causes), BTreeMap::new());
        let mut pending = BTreeSet::new();
        let look = move |eyes: &mut Eyes| {
            let mut found = Vec::new();
            for subject in eyes.subjects() {
                let Subject::Component(name) = &subject else { continue };
                let finished = finished.remove(name);
                let same = finished.as_ref().is_some_and(|finished| finished.same);
                let (changed, now) = eyes.changes_during(&subject, finished.as_ref());
                let causes = causes.entry(name.clone()).or_default();
                let Verdict { rebuild, told: said } =
                    causes.during(changed, same, |path| eyes.is_rewritten(&subject, &now, path));
                if !rebuild.is_empty() {
                    pending.insert(name.clone());
                }
                if !said.is_empty() {
                    told.insert(name.clone(), said);
                }
                found.push((subject, now));
            }
            eyes.know(found);
            (causes, told, pending)
        };
        let told;
        (self.causes, told, self.pending) = self.look(look).await?;
        Ok(told)
    }

    /// What cannot be watched, as far as it was not told.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.eyes.lock().complaints()
    }

    async fn look<T: Send + 'static>(&self, look: impl FnOnce(&mut Eyes) -> T + Send + 'static) -> anyhow::Result<T> {
        let eyes = self.eyes.clone();
        tokio::task::spawn_blocking(move || look(&mut eyes.lock())).await.context("looking at files was broken off")
    }
}

fn next_end(began: Instant) -> Instant {
    (Instant::now() + QUIET).min(began + AT_LATEST)
}

fn scopes(project: &Project, excluded: &[PathBuf]) -> BTreeMap<Subject, Scope> {
    let scope = |roots: BTreeSet<PathBuf>, excluded: BTreeSet<PathBuf>| {
        // Who works below what is excluded means it.
        let excluded = excluded.into_iter().filter(|folder| !roots.iter().any(|root| root.starts_with(folder)));
        Scope { excluded: excluded.collect(), roots, base: project.root.clone() }
    };
    let file = BTreeSet::from([project.root.join(PROJECT_FILE)]);
    let manifests = project.manifests.iter().cloned().collect();
    let artifacts = project.components.iter().filter_map(artifact);
    let targets = project.components.iter().map(|component| component.dir.join("target"));
    let made: BTreeSet<PathBuf> = artifacts.chain(excluded).cloned().chain(targets).collect();
    let component = |component: &Component| {
        let roots = component.watch.iter().cloned().collect();
        (Subject::Component(component.name.clone()), scope(roots, made.clone()))
    };
    let mut scopes: BTreeMap<_, _> = project.components.iter().map(component).collect();
    scopes.insert(Subject::ProjectFile, scope(file, BTreeSet::new()));
    scopes.insert(Subject::Manifests, scope(manifests, made.clone()));
    scopes
}

fn artifact(component: &Component) -> Option<&PathBuf> {
    match &component.recipe {
        Recipe::Command { artifact, .. } => Some(artifact),
        Recipe::Cargo => None,
    }
}

#[cfg(test)]
mod tests;
