//! The composition root: the only place that knows which roles this process plays and how they are joined.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use api::{WorkerName, session};
use control_plane::{CollectionConfig, ControlPlane, ControlPlaneConfig, Persistence};
use gateway::{Gateway, GatewayConfig};
use registry_client::{ImageStore, Registries};
use runtime::{Compile, CompileProcess, Handles, Replicas, Worker, WorkerConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{config::ServerArgs, paths::DataDir, serve::Addresses};

/// What requests in flight get at the end. The whole end takes five seconds at most.
const DRAIN: Duration = Duration::from_secs(3);
/// The worker's name where the machine has none that can be used.
const UNNAMED: &str = "local";

/// The roles of this process while they run.
pub(crate) struct Roles {
    tasks: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

impl Roles {
    /// Waits until all of them have ended: because of `shutdown`, or because one did and took the others along.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            self.shutdown.cancel();
            result = result.and(ended.context("a part of Sampan failed in a way that it should not").flatten());
        }
        result
    }
}

/// Starts all three roles in this process, joined by sessions within it. Answers once each takes requests.
pub(crate) async fn start(args: &ServerArgs, shutdown: &CancellationToken) -> anyhow::Result<(Addresses, Roles)> {
    let dir = args.data.resolve()?;
    make_private(dir.root())?;
    let images = ImageStore::open(dir.images())?;
    let control = Arc::new(ControlPlane::open(
        control_plane_config(args, &dir),
        images.clone(),
        Registries::new(args.registries.settings()?)?,
    )?);
    let replicas = Replicas::new();
    let gateway = Gateway::new(gateway_config(args), replicas.dialer());
    let handles = Handles { key_value: control.key_value(), cluster_http: gateway.cluster_http() };
    let mut worker = Worker::new(worker_config(args, &dir), images.clone(), replicas, handles)?;
    let (http, api) = (gateway.bind()?, control.bind().await?);

    let (worker_side, for_worker) = session::in_process();
    let (gateway_side, for_gateway) = session::in_process();
    control.attach_worker(for_worker);
    control.attach_gateway(for_gateway);

    // They end one after the other: no role before those that need it.
    let gateway_ends = shutdown.child_token();
    let (worker_ends, control_ends) = (CancellationToken::new(), CancellationToken::new());
    let (gateway_ended, worker_ended) = (worker_ends.clone().drop_guard(), control_ends.clone().drop_guard());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ended = gateway_ended;
        let ran = gateway.run(gateway_side, gateway_ends).await.context("the gateway failed");
        tracing::debug!("the gateway has ended");
        ran
    });
    tasks.spawn(async move {
        let _ended = worker_ended;
        worker.run(worker_side, worker_ends).await;
        tracing::debug!("the worker has ended");
        Ok(())
    });
    tasks.spawn(async move {
        let ran = control.run(control_ends).await.context("the control plane failed");
        tracing::debug!("the control plane has ended");
        ran
    });
    let addresses = Addresses { http, api, kubeconfig: dir.kubeconfig(), images };
    Ok((addresses, Roles { tasks, shutdown: shutdown.clone() }))
}

fn control_plane_config(args: &ServerArgs, dir: &DataDir) -> ControlPlaneConfig {
    let default = CollectionConfig::default();
    let collection = CollectionConfig {
        max_age: args.limits.image_max_age.unwrap_or(default.max_age),
        max_bytes: args.limits.image_max_bytes.or(default.max_bytes),
        ..default
    };
    ControlPlaneConfig {
        data_dir: dir.root().to_owned(),
        api_addr: args.api,
        persistence: Persistence::Durable,
        collection,
    }
}

fn gateway_config(args: &ServerArgs) -> GatewayConfig {
    let (limits, default) = (&args.limits, GatewayConfig::default());
    GatewayConfig {
        http: args.http,
        load_balancer_ip: args.load_balancer_ip,
        threads: limits.threads.map_or(default.threads, usize::from),
        max_header_bytes: limits.max_header_bytes.unwrap_or(default.max_header_bytes),
        max_body_bytes: limits.max_body_bytes.unwrap_or(default.max_body_bytes),
        max_connections: limits.max_connections.unwrap_or(default.max_connections),
        queue_limit: limits.queue_limit.unwrap_or(default.queue_limit),
        queue_wait: limits.queue_wait.unwrap_or(default.queue_wait),
        drain: DRAIN,
        ..default
    }
}

fn worker_config(args: &ServerArgs, dir: &DataDir) -> WorkerConfig {
    let name = machine_name();
    let mut config = WorkerConfig::new(WorkerName(name.as_str().into()), dir.compile_cache());
    config.labels = BTreeMap::from([
        ("kubernetes.io/hostname".to_owned(), name),
        ("kubernetes.io/os".to_owned(), std::env::consts::OS.to_owned()),
        ("kubernetes.io/arch".to_owned(), std::env::consts::ARCH.to_owned()),
    ]);
    let process = std::env::current_exe().ok().map(|program| CompileProcess {
        // The program that runs, also when its file has been replaced meanwhile.
        program: Some(PathBuf::from("/proc/self/exe")).filter(|path| path.exists()).unwrap_or(program),
        args: vec!["compile".to_owned()],
        memory_bytes: args.limits.compile_memory.unwrap_or(CompileProcess::DEFAULT_MEMORY_BYTES),
        timeout: args.limits.compile_timeout.unwrap_or(CompileProcess::DEFAULT_TIMEOUT),
    });
    config.compile = process.map_or(Compile::InThreads, Compile::Process);
    if let Some(memory_bytes) = args.limits.guest_memory {
        config.capacity.memory_bytes = memory_bytes;
    }
    config
}

/// The machine's name, if it can name a Node.
fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_lowercase();
    if api::check_dns_subdomain(&name).is_ok() { name } else { UNNAMED.to_owned() }
}

/// Makes the data directory for this user alone: there are keys and users' data in it.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("the data directory {} cannot be made: choose another with --data-dir", dir.display()))
}
