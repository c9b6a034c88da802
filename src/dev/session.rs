mod builds;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use api::ObjectKey;
use gateway::AccessReader;
use registry_client::ImageStore;
use runtime::Artifacts;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    access::show_requests,
    changes::Watch,
    deploy::{Deployer, MANIFESTS, Saved, deployments},
    edits::Edits,
    follow::show_logs,
    history::History,
    neighbours::show_neighbours,
    observe::Observer,
    pin::Pins,
    urls::{Place, places},
};
use crate::{
    build::{Compiler, Component, Messages, PROJECT_FILE, Profile, Project},
    client::{apply::Planned, connection::Connection, kinds::Kinds},
    errors::report,
    open::open,
    screen::Screen,
};

/// How long the start waits for replicas to be ready before it shows the URLs all the same.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// What a session needs to know.
pub(crate) struct DevConfig {
    pub(crate) project: Project,
    pub(crate) connection: Connection,
    pub(crate) images: ImageStore,
    /// Where the server has components compiled.
    pub(crate) artifacts: Option<Artifacts>,
    /// Where the gateway answers.
    pub(crate) http: SocketAddr,
    /// Whether Services answer there by their names.
    pub(crate) names_answer: bool,
    pub(crate) profile: Profile,
    pub(crate) build_cache: Option<PathBuf>,
    /// Where the server keeps its state, which may be below the project.
    pub(crate) data_dir: PathBuf,
    /// That, if it was named.
    pub(crate) named_data_dir: Option<PathBuf>,
    /// Whether a browser is to be opened.
    pub(crate) open: bool,
    /// Requests as they end.
    pub(crate) requests: AccessReader,
}

/// A project being worked on.
struct Session {
    project: Project,
    compiler: Compiler,
    images: ImageStore,
    artifacts: Option<Artifacts>,
    pins: Pins,
    deployer: Deployer,
    screen: Screen,
    http: SocketAddr,
    names_answer: bool,
    /// Whether a browser is to be opened, and was not.
    open: bool,
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
    let (project, named) = (&config.project, config.named_data_dir.as_deref());
    show_neighbours(&config.connection, screen, &project.name, named).await?;
    if project.manifests.is_empty() && !project.components.is_empty() {
        let what = "none: a Deployment and a Service are made; `--write-manifests` writes them";
        screen.event(MANIFESTS, what);
    }
    let connection = config.connection.clone();
    let edits = Edits::default();
    let (observer, settled) = Observer::new(connection.clone(), screen, config.project.name.clone(), edits.clone());
    // Dropped at the end, and the tasks with it.
    let mut watchers = JoinSet::new();
    watchers.spawn(observer.run());
    watchers.spawn(show_logs(connection, screen));
    watchers.spawn(show_requests(config.requests, screen));
    let messages = Messages::Kept { coloured: screen.coloured() };
    let mut session = Session {
        compiler: Compiler::new(config.images.clone(), messages, config.profile, config.build_cache.as_deref())
            .for_edits(),
        project: config.project,
        images: config.images,
        artifacts: config.artifacts,
        pins: Pins::default(),
        deployer: Deployer { connection: config.connection, kinds, screen, edits, applied: BTreeMap::new() },
        screen,
        http: config.http,
        names_answer: config.names_answer,
        open: config.open,
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
                let saved = watch.saved();
                watch = Watch::begin(&self.project, &self.excluded).await?;
                let made = self.build_all(&mut watch).await?;
                self.deploy_again(Saved { at: saved, build: made.any_new.then_some(made.took) }).await;
            } else {
                let chosen = |component: &Component| changes.components.contains_key(&component.name);
                let older = self.history.older(&changes.components);
                let saved = watch.saved();
                let made = self.build(&mut watch, chosen, &changes).await?;
                for (name, path) in self.history.without_effect(older) {
                    let shown = self.below_root(&path);
                    let why = "is older than the last build, and Cargo goes by the times of files";
                    self.screen.event(&name, format_args!("{shown} {why}: `touch` it if it is to be built"));
                    watch.go_by_time(name, path).await?;
                }
                if made.any_new || changes.manifests {
                    self.deploy_again(Saved { at: saved, build: made.any_new.then_some(made.took) }).await;
                }
            }
        }
    }

    /// The first deployment, and where it can be seen.
    async fn start(&mut self, mut settled: watch::Receiver<BTreeSet<ObjectKey>>) -> anyhow::Result<()> {
        if let Some(planned) = self.deploy(None).await {
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
        let names_answer = self.names_answer;
        let places = places(&self.deployer.connection, &self.project.name, self.http, names_answer).await?;
        self.shown = true;
        if !places.is_empty() {
            self.screen.line("");
        }
        let width = places.iter().map(|place| place.at.len()).max().unwrap_or_default();
        for Place { at, what } in &places {
            self.screen.line(format_args!("  {at:width$}   {what}"));
        }
        // What an Ingress says people should open stands first.
        if let Some(first) = places.iter().find(|place| place.at.starts_with("http")) {
            self.screen.line(format_args!("\nOpen {} first.", first.at));
            if std::mem::take(&mut self.open)
                && let Err(why) = open(&first.at).await
            {
                self.screen.failure("sampan", why);
            }
        }
        Ok(())
    }

    /// Applies the manifests, and says where that can be seen if nothing could be seen before.
    async fn deploy_again(&mut self, saved: Saved) {
        if self.deploy(Some(saved)).await.is_some()
            && !self.shown
            && let Err(error) = self.show_places().await
        {
            self.screen.failure(MANIFESTS, report(&error));
        }
    }

    /// Applies the manifests; a failure is shown and the session goes on.
    async fn deploy(&mut self, saved: Option<Saved>) -> Option<Vec<Planned>> {
        let planned = self.deployer.deploy(&self.project, &self.pins, saved).await.unwrap_or_else(|error| {
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
        let why = match Project::find(&self.project.found_at) {
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
