//! Watches the files of a project and says what a change of them asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time::Instant};

use crate::build::{PROJECT_FILE, Project};

/// Changed paths that wait; when there are more, everything counts as changed.
const QUEUE: usize = 4096;
/// A change is acted on when nothing more has changed for this long.
const QUIET: Duration = Duration::from_millis(150);
/// A change is acted on after this long at the latest.
const AT_LATEST: Duration = Duration::from_secs(2);
/// Folders whose content is made, not written.
const IGNORED: [&str; 3] = ["target", "node_modules", ".git"];

/// What has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Components by name.
    pub(super) components: BTreeSet<String>,
    pub(super) manifests: bool,
    pub(super) project_file: bool,
}

/// Watches the files of one project until it is dropped.
pub(super) struct Watch {
    paths: mpsc::Receiver<PathBuf>,
    lost: Arc<AtomicBool>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to watch. What cannot be watched is an error that names it.
    pub(super) fn begin(project: &Project) -> anyhow::Result<Self> {
        let (tx, paths) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let (root, overflow) = (project.root.clone(), lost.clone());
        let report = move |event: notify::Result<notify::Event>| {
            let changed = match event {
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
                Ok(event) if !event.need_rescan() => event.paths,
                // The system has dropped events.
                _ => {
                    overflow.store(true, Ordering::Relaxed);
                    vec![root.clone()]
                }
            };
            if changed.into_iter().any(|path| tx.try_send(path).is_err()) {
                overflow.store(true, Ordering::Relaxed);
            }
        };
        let mut watcher = notify::recommended_watcher(report).context("files cannot be watched")?;
        for (folder, mode) in folders(project) {
            watcher.watch(&folder, mode).with_context(|| format!("{} cannot be watched", folder.display()))?;
        }
        Ok(Self { paths, lost, _watcher: watcher })
    }

    /// Waits for changes and for them to settle.
    pub(super) async fn next(&mut self, project: &Project) -> Changes {
        loop {
            let Some(path) = self.paths.recv().await else { return std::future::pending().await };
            let mut changes = Changes::default();
            classify(project, &path, &mut changes);
            let began = Instant::now();
            while let Ok(Some(path)) = tokio::time::timeout_at(next_end(began), self.paths.recv()).await {
                classify(project, &path, &mut changes);
            }
            if self.lost.swap(false, Ordering::Relaxed) {
                return Changes::everything(project);
            }
            if changes != Changes::default() {
                return changes;
            }
        }
    }
}

impl Changes {
    fn everything(project: &Project) -> Self {
        let components = project.components.iter().map(|component| component.name.clone()).collect();
        Self { components, manifests: true, project_file: true }
    }
}

fn next_end(began: Instant) -> Instant {
    (Instant::now() + QUIET).min(began + AT_LATEST)
}

/// What to watch, and whether with all below it. A file is watched through its folder, since editors replace files.
fn folders(project: &Project) -> BTreeMap<PathBuf, RecursiveMode> {
    let mut folders = BTreeMap::from([(project.root.clone(), RecursiveMode::NonRecursive)]);
    let sources = project.components.iter().flat_map(|component| &component.watch);
    for path in sources.chain(&project.manifests) {
        if path.is_dir() {
            folders.insert(path.clone(), RecursiveMode::Recursive);
        } else if let Some(parent) = path.parent().filter(|parent| parent.is_dir()) {
            folders.entry(parent.to_owned()).or_insert(RecursiveMode::NonRecursive);
        }
    }
    folders
}

fn classify(project: &Project, path: &Path, changes: &mut Changes) {
    if is_ignored(path.strip_prefix(&project.root).unwrap_or(path)) {
        return;
    }
    changes.project_file |= path == project.root.join(PROJECT_FILE);
    changes.manifests |= project.manifests.iter().any(|manifest| path.starts_with(manifest));
    let touched = project.components.iter().filter(|c| c.watch.iter().any(|watched| path.starts_with(watched)));
    changes.components.extend(touched.map(|component| component.name.clone()));
}

fn is_ignored(path: &Path) -> bool {
    let made = path.iter().any(|part| IGNORED.iter().any(|ignored| part == *ignored));
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    made || name.starts_with('.') || name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn project() -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        for made in ["products/src", "cart/src", "deploy"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        let mut text = "[app]\nname = \"shop\"\nmanifests = [\"deploy\"]\n".to_owned();
        for name in ["products", "cart"] {
            fs::write(folder.path().join(name).join("Cargo.toml"), "").unwrap();
            text.push_str(&format!("[component.{name}]\nimage = \"{name}\"\npath = \"{name}\"\n"));
        }
        fs::write(folder.path().join(PROJECT_FILE), text).unwrap();
        let project = Project::read(folder.path()).unwrap();
        (folder, project)
    }

    fn changes_of(project: &Project, path: &str) -> Changes {
        let mut changes = Changes::default();
        classify(project, &project.root.join(path), &mut changes);
        changes
    }

    #[test]
    fn a_source_asks_for_its_component_alone() {
        let (_folder, project) = project();
        let cart = Changes { components: BTreeSet::from(["cart".to_owned()]), ..Changes::default() };
        assert_eq!(changes_of(&project, "cart/src/lib.rs"), cart);
        assert_eq!(changes_of(&project, "cart/Cargo.toml"), cart);
        assert_eq!(changes_of(&project, "cart/README.md"), Changes::default());
    }

    #[test]
    fn manifests_and_the_project_file_are_told_apart() {
        let (_folder, project) = project();
        assert_eq!(changes_of(&project, "deploy/a/b.yaml"), Changes { manifests: true, ..Changes::default() });
        assert_eq!(changes_of(&project, PROJECT_FILE), Changes { project_file: true, ..Changes::default() });
    }

    #[test]
    fn what_is_made_and_what_editors_leave_is_ignored() {
        let (_folder, project) = project();
        for path in ["cart/src/target/x", "cart/src/.lib.rs.swp", "cart/src/lib.rs~", "deploy/.git/x"] {
            assert_eq!(changes_of(&project, path), Changes::default(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_change_on_disk_is_seen_once_it_settles() {
        let (_folder, project) = project();
        let mut watch = Watch::begin(&project).unwrap();
        fs::write(project.root.join("deploy/new.yaml"), "kind: A").unwrap();
        fs::write(project.root.join("products/src/lib.rs"), "").unwrap();
        let mut all = Changes::default();
        while !all.manifests || all.components.is_empty() {
            let next = tokio::time::timeout(Duration::from_secs(60), watch.next(&project)).await.expect("a change");
            all.manifests |= next.manifests;
            all.components.extend(next.components);
        }
        assert_eq!(all.components, BTreeSet::from(["products".to_owned()]));
    }
}
