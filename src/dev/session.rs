use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use api::ObjectKey;
use registry_client::ImageStore;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    changes::{Finished, Watch},
    deploy::{Deployer, MANIFESTS},
    follow::show_logs,
    history::History,
    observe::Observer,
    pin::Pins,
    urls::{Place, places},
};
use crate::{
    build::{Built, CompileError, Compiler, Component, Crates, Messages, PROJECT_FILE, Project},
    client::{apply::Planned, connection::Connection, kinds::Kinds},
    errors::report,
    screen::Screen,
    size::human_bytes,
};

/// How long the start waits for replicas to be ready before it shows the URLs all the same.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How often a build says how far it is, where there is no terminal.
const TOLD: Duration = Duration::from_secs(10);
/// How often its bar is drawn, where there is one.
const REDRAWN: Duration = Duration::from_millis(250);

/// What a session needs to know.
pub(crate) struct DevConfig {
    pub(crate) project: Project,
    pub(crate) connection: Connection,
    pub(crate) images: ImageStore,
    /// Where the gateway answers.
    pub(crate) http: SocketAddr,
    pub(crate) build_cache: Option<PathBuf>,
    /// Where the server keeps its state, which may be below the project.
    pub(crate) data_dir: PathBuf,
}

/// A project being worked on.
struct Session {
    project: Project,
    compiler: Compiler,
    images: ImageStore,
    pins: Pins,
    deployer: Deployer,
    screen: Screen,
    http: SocketAddr,
    /// Where files change that are not the project's.
    excluded: Vec<PathBuf>,
    /// What went wrong last, by the names of components and `manifests`.
    failed: BTreeSet<String>,
    history: History,
    /// Whether it was said where the project can be opened.
    shown: bool,
}

/// Builds, applies and watches a project until `shutdown`.
pub(crate) async fn run(config: DevConfig, screen: Screen, shutdown: CancellationToken) -> anyhow::Result<()> {
    let kinds = Kinds::discover(&config.connection).await?;
    let connection = config.connection.clone();
    let (observer, settled) = Observer::new(connection.clone(), screen, config.project.name.clone());
    // Dropped at the end, and the tasks with it.
    let mut watchers = JoinSet::new();
    watchers.spawn(observer.run());
    watchers.spawn(show_logs(connection, screen));
    let messages = Messages::Kept { coloured: screen.coloured() };
    let mut session = Session {
        compiler: Compiler::new(config.images.clone(), messages, config.build_cache.as_deref()),
        project: config.project,
        images: config.images,
        pins: Pins::default(),
        deployer: Deployer { connection: config.connection, kinds, screen },
        screen,
        http: config.http,
        excluded: config.build_cache.into_iter().chain([config.data_dir]).map(absolute).collect(),
        failed: BTreeSet::new(),
        history: History::default(),
        shown: false,
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        result = session.work(settled) => result,
    }
}

impl Session {
    async fn work(&mut self, settled: watch::Receiver<BTreeSet<ObjectKey>>) -> anyhow::Result<()> {
        // Before the first build, so that no change is missed.
        let mut watch = Watch::begin(&self.project, &self.excluded).await?;
        self.build_all(&mut watch).await?;
        self.start(settled).await?;
        loop {
            let changes = watch.next().await?;
            if changes.project_file && self.reread() {
                watch = Watch::begin(&self.project, &self.excluded).await?;
                self.build_all(&mut watch).await?;
                self.deploy_again().await;
            } else {
                let chosen = |component: &Component| changes.components.contains_key(&component.name);
                let older = self.history.older(&changes.components);
                let built = self.build(&mut watch, chosen, &changes.components).await?;
                for (name, path) in self.history.without_effect(older) {
                    let shown = self.below_root(&path);
                    let why = "is older than the last build, and Cargo goes by the times of files";
                    self.screen.event(&name, format_args!("{shown} {why}: `touch` it if it is to be built"));
                    watch.go_by_time(name, path).await?;
                }
                if built || changes.manifests {
                    self.deploy_again().await;
                }
            }
        }
    }

    /// The first deployment, and where it can be seen.
    async fn start(&mut self, mut settled: watch::Receiver<BTreeSet<ObjectKey>>) -> anyhow::Result<()> {
        if let Some(planned) = self.deploy().await {
            let wanted = deployments(&planned);
            // What could not be built cannot become ready either.
            let all_built = self.project.components.iter().all(|component| self.pins.has(&component.image));
            let patience = if all_built { START_PATIENCE } else { Duration::ZERO };
            let all_settled = settled.wait_for(|settled| wanted.is_subset(settled));
            if !matches!(tokio::time::timeout(patience, all_settled).await, Ok(Ok(_))) {
                self.screen.event(&self.project.name, "not all replicas are ready yet; going on");
            }
            self.show_places().await?;
        }
        self.screen.line(format_args!("\nWatching {}; Ctrl-C ends.\n", self.project.root.display()));
        Ok(())
    }

    /// Where the project can be opened.
    async fn show_places(&mut self) -> anyhow::Result<()> {
        let places = places(&self.deployer.connection, &self.project.name, self.http).await?;
        self.shown = true;
        if !places.is_empty() {
            self.screen.line("");
        }
        let width = places.iter().map(|place| place.at.len()).max().unwrap_or_default();
        for Place { at, what } in &places {
            self.screen.line(format_args!("  {at:width$}   {what}"));
        }
        // What was asked for by an Ingress or a port stands first.
        if let Some(first) = places.iter().find(|place| place.at.starts_with("http")) {
            self.screen.line(format_args!("\nOpen {} first.", first.at));
        }
        Ok(())
    }

    /// Builds all components.
    async fn build_all(&mut self, watch: &mut Watch) -> anyhow::Result<bool> {
        self.build(watch, |_| true, &BTreeMap::new()).await
    }

    /// Builds the components that are chosen, those of a workspace together, `because` of what has changed of each. Returns
    /// whether any image is new.
    async fn build(
        &mut self,
        watch: &mut Watch,
        chosen: impl Fn(&Component) -> bool,
        because: &BTreeMap<String, BTreeSet<PathBuf>>,
    ) -> anyhow::Result<bool> {
        let (mut any_new, mut finished) = (false, BTreeMap::new());
        let project = self.project.clone();
        for component in project.components.iter().filter(|component| chosen(component)) {
            match because.get(&component.name).map(|changed| self.some_of(changed)) {
                Some(names) if !names.is_empty() => {
                    self.screen.event(&component.name, format_args!("building, since {names} changed"));
                }
                _ => self.screen.event(&component.name, "building"),
            }
        }
        let batches = self.compiler.batches(&project.components, chosen);
        for batch in self.show_progress(&project.name, batches).await {
            let began = SystemTime::now();
            let name = match batch.components.as_slice() {
                [one] => &one.name,
                _ => &project.name,
            };
            for (component, built) in self.show_progress(name, self.compiler.build(&batch)).await {
                let (new, build) = self.take(component, built, began);
                any_new |= new;
                finished.insert(component.name.clone(), build);
            }
        }
        if finished.is_empty() {
            return Ok(false);
        }
        for (name, made) in watch.built(finished).await? {
            self.screen.event(&name, self.of_the_build(&made));
        }
        for complaint in watch.complaints() {
            self.screen.failure(&self.project.name, complaint);
        }
        Ok(any_new)
    }

    /// Says what became of a build, and pins what it made. Returns whether that is new.
    fn take(
        &mut self,
        component: &Component,
        built: Result<Built, CompileError>,
        began: SystemTime,
    ) -> (bool, Finished) {
        match built {
            Ok(built) => {
                let new = self.pins.set(&component.image, built.image.digest);
                let (size, seconds) = (human_bytes(built.image.size_bytes), built.took.as_secs_f32());
                let what = if new { "built" } else { "is the same," };
                if self.failed.remove(&component.name) {
                    self.screen.success(&component.name, format_args!("the error is mended: {what} {size}"));
                } else {
                    self.screen.event(&component.name, format_args!("{what} {size} in {seconds:.1} s"));
                }
                self.history.built(component, began, !new);
                (new, Finished { began, same: !new, inputs: built.inputs })
            }
            Err(error) => {
                self.failed.insert(component.name.clone());
                self.history.failed(component);
                self.show(component, error);
                // After a restart, what was built last is taken up again.
                if let Ok(digest) = self.images.resolve(&component.image) {
                    self.pins.set(&component.image, digest);
                }
                (false, Finished { began, same: false, inputs: None })
            }
        }
    }

    /// Waits for what a compiler does, and shows how far it is: by a bar on a terminal, else by a line now and then.
    async fn show_progress<T>(&self, name: &str, working: impl Future<Output = T>) -> T {
        let (began, progress) = (Instant::now(), self.compiler.progress());
        let bar = self.screen.bar(name);
        let mut tell = tokio::time::interval(if bar.is_some() { REDRAWN } else { TOLD });
        tell.tick().await;
        tokio::pin!(working);
        let done = loop {
            tokio::select! {
                done = &mut working => break done,
                _ = tell.tick() => {
                    let (Crates { done, all }, seconds) = (*progress.borrow(), began.elapsed().as_secs());
                    match &bar {
                        Some(bar) => bar.show(done, all),
                        None if all > 0 => {
                            let what = format_args!("building: {done} of {all} crates, {seconds} s");
                            self.screen.event(name, what);
                        }
                        None => self.screen.event(name, format_args!("building, {seconds} s")),
                    }
                }
            }
        };
        if let Some(bar) = bar {
            bar.remove();
        }
        done
    }

    /// Says that a build changes what is watched.
    fn of_the_build(&self, made: &BTreeSet<PathBuf>) -> String {
        let names = self.some_of(made);
        format!(
            "the build itself changes {names}: what builds write there is not built again; name only sources in `watch`"
        )
    }

    /// The names of some files, and how many there are besides.
    fn some_of(&self, paths: &BTreeSet<PathBuf>) -> String {
        const NAMED: usize = 3;
        let mut names: Vec<String> = paths.iter().take(NAMED).map(|path| self.below_root(path)).collect();
        names.extend((paths.len() > NAMED).then(|| format!("{} more", paths.len() - NAMED)));
        names.join(", ")
    }

    fn below_root(&self, path: &Path) -> String {
        path.strip_prefix(&self.project.root).unwrap_or(path).display().to_string()
    }

    fn show(&self, component: &Component, error: CompileError) {
        match error {
            CompileError::Source { program, messages } => {
                self.screen.failure(&component.name, format_args!("{program} failed; what runs goes on"));
                // Of several that one call builds, it stands with the first.
                if !messages.is_empty() {
                    self.screen.line(messages);
                }
            }
            CompileError::Other(error) => self.screen.failure(&component.name, report(&error)),
        }
    }

    /// Applies the manifests, and says where that can be seen if nothing could be seen before.
    async fn deploy_again(&mut self) {
        if self.deploy().await.is_some()
            && !self.shown
            && let Err(error) = self.show_places().await
        {
            self.screen.failure(MANIFESTS, report(&error));
        }
    }

    /// Applies the manifests; a failure is shown and the session goes on.
    async fn deploy(&mut self) -> Option<Vec<Planned>> {
        let planned = self.deployer.deploy(&self.project, &self.pins).await.unwrap_or_else(|error| {
            self.screen.failure(MANIFESTS, report(&error));
            None
        });
        match &planned {
            None => drop(self.failed.insert(MANIFESTS.to_owned())),
            Some(_) if self.failed.remove(MANIFESTS) => self.screen.success(MANIFESTS, "the error is mended: applied"),
            Some(_) => {}
        }
        planned
    }

    /// Reads the project file again. Returns whether it is another project now.
    fn reread(&mut self) -> bool {
        let why = match Project::read(&self.project.root) {
            Ok(project) if project.name != self.project.name => {
                "app.name has changed: start `sampan dev` again for that".to_owned()
            }
            Ok(project) => {
                if self.failed.remove(PROJECT_FILE) {
                    self.screen.success(PROJECT_FILE, "the error is mended");
                }
                let changed = project != self.project;
                self.project = project;
                return changed;
            }
            Err(error) => report(&error),
        };
        self.failed.insert(PROJECT_FILE.to_owned());
        self.screen.failure(PROJECT_FILE, why);
        false
    }
}

/// As changes are told: with the folder as it is, where it is there already.
fn absolute(path: PathBuf) -> PathBuf {
    let path = std::path::absolute(&path).unwrap_or(path);
    path.canonicalize().unwrap_or(path)
}

fn deployments(planned: &[Planned]) -> BTreeSet<ObjectKey> {
    let deployments = planned.iter().filter(|one| one.kind.kind == "Deployment");
    deployments.map(|one| ObjectKey::new(one.namespace.as_deref().unwrap_or_default(), one.name.as_str())).collect()
}
