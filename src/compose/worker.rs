use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use api::{Address, KeyValue, OpenArtifact, Taint, WorkerName, outbound::Connect};
use gateway::{Gateway, GatewayConfig};
use key_value::{RedisKeyValue, SealedKeyValue};
use registry_client::{ImageStore, hosted::CollectionConfig};
use runtime::{Artifacts, Code, Ended, Ending, Handles, Replicas, Worker, WorkerConfig};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use transport::{
    AskedArtifacts, AskedConnect, BrokerClient, ControlPlaneClient, ControlPlaneWay, DirectConnect, Identity, Peer,
    RemoteDialer, RemoteImages, RemoteKeyValue, RequestLimits, RequestListener, Role, ServingThreads, Wanted, machine,
    serve_requests,
};

use super::{Roles, config, confinement::Confined, images::spawn_collection, joining, make_private, nearby::Nearby};
use crate::config::{JoinAddress, JoinArgs, WorkerLimitArgs};
use crate::errors::HintExt;
use crate::key_value::{KeyValueArgs, Redis};
use crate::metrics::{Metrics, MetricsArgs};
use crate::paths::{DataDir, DataDirArgs};

/// How a worker of its own process is set up.
#[derive(Debug, Clone)]
pub(crate) struct WorkerPlan {
    pub(crate) join: JoinArgs,
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) cpu_millis: Option<u64>,
    pub(crate) max_replicas: Option<u32>,
    /// Where gateways of other machines reach it; `None`: only those of this one.
    pub(crate) listen: Option<SocketAddr>,
    /// What others dial in place of `listen`.
    pub(crate) advertise: Option<String>,
    pub(crate) threads: Option<u16>,
    pub(crate) drain_timeout: Duration,
    pub(crate) limits: WorkerLimitArgs,
    pub(crate) key_value: KeyValueArgs,
    /// When images go that it fetched; `None`: another process sees to that.
    pub(crate) collection: Option<CollectionConfig>,
    pub(crate) metrics: MetricsArgs,
    pub(crate) data: DataDirArgs,
}

/// A worker's place in the installation: how it reaches the control plane, and where gateways reach it.
pub(super) struct Prepared {
    pub(super) dir: DataDir,
    pub(super) peer: Peer,
    pub(super) client: ControlPlaneClient,
    pub(super) identity: Option<Arc<Identity>>,
    /// Who started this process and opens for it what it needs; `None`: it joined by itself.
    pub(super) broker: Option<BrokerClient>,
    pub(super) listener: RequestListener,
    pub(super) config: WorkerConfig,
}

/// Joins, and takes the addresses.
pub(super) async fn prepare(plan: &WorkerPlan) -> anyhow::Result<Prepared> {
    let dir = plan.data.resolve()?;
    let peer = Peer { role: Role::Worker, name: plan.name.clone() };
    if plan.join.join == JoinAddress::Broker {
        return prepare_brokered(plan, dir, peer).await;
    }
    make_private(&dir.sockets())?;
    let (client, identity) = joining::join_as(&plan.join, &peer, &dir).await?;
    let socket = dir.request_socket(&peer.name);
    let tcp = match (plan.listen, &identity) {
        (Some(address), Some(identity)) => Some((address, identity.clone())),
        (Some(_), None) => anyhow::bail!("--listen needs a certificate: join at HOST:PORT with a token"),
        (None, _) => None,
    };
    let listener = RequestListener::bind(Some(socket.clone()), tcp).await;
    let listener = listener.with_context(|| format!("requests cannot be taken at {}", socket.display()));
    let listener = listener.hint("choose another address with --listen, or another directory with --data-dir")?;
    if identity.is_some() && plan.listen.is_none() {
        tracing::warn!(
            "no gateway reaches this worker, and so it gets no replicas: it joined over the network without `--listen IP:PORT`"
        );
    }
    let tcp = listener.tcp_addr().map(|bound| plan.advertise.clone().unwrap_or_else(|| bound.to_string()));
    let config = placed(plan, &dir, tcp)?;
    Ok(Prepared { dir, peer, client, identity, broker: None, listener, config })
}

/// The same, of a process that may open nothing itself.
async fn prepare_brokered(plan: &WorkerPlan, dir: DataDir, peer: Peer) -> anyhow::Result<Prepared> {
    let broker =
        BrokerClient::of_standard_input().context("standard input is no socket of who started this process")?;
    let client = ControlPlaneClient::new(ControlPlaneWay::Broker(broker.clone()));
    let socket = broker.open(Wanted::Requests).await.context("no socket was given for requests")?;
    let listener = RequestListener::given(socket).context("requests cannot be taken at the socket that was given")?;
    let config = placed(plan, &dir, None)?;
    Ok(Prepared { dir, peer, client, identity: None, broker: Some(broker), listener, config })
}

/// How the worker is set up, with where it is reached.
fn placed(plan: &WorkerPlan, dir: &DataDir, tcp: Option<String>) -> anyhow::Result<WorkerConfig> {
    let mut config = config::worker(&plan.name, &plan.limits);
    apply(plan, &mut config);
    let socket = dir.request_socket(&plan.name);
    let socket = socket.to_str().context("the data directory's path is no UTF-8")?.to_owned();
    config.address = Some(Address { machine: machine().to_owned(), socket: Some(socket), tcp });
    Ok(config)
}

/// On the machine of its control plane a worker is found by its name, beside the socket at which it joined: a link there leads to
/// where this process, or one that it starts, takes requests. Who was started by the control plane is there already.
pub(super) fn be_found(plan: &WorkerPlan, dir: &DataDir, socket: &Path) -> anyhow::Result<()> {
    let JoinAddress::Socket(control) = &plan.join.join else { return Ok(()) };
    let absolute = |path: &Path| -> std::io::Result<PathBuf> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(folder.canonicalize()?.join(path.file_name().unwrap_or_default()))
    };
    let own = dir.request_socket(&plan.name);
    let link = || -> std::io::Result<()> {
        let place = absolute(&control.with_file_name(own.file_name().unwrap_or_default()))?;
        let (own, socket) = (absolute(&own)?, absolute(socket)?);
        if place == socket {
            return Ok(());
        }
        if place != own && fs::symlink_metadata(&place).is_ok_and(|there| !there.is_symlink()) {
            return Err(std::io::Error::other("another worker of this name is there: choose another --name"));
        }
        let new = place.with_extension("new");
        let _ = fs::remove_file(&new);
        symlink(socket, &new)?;
        fs::rename(new, place)
    };
    link().with_context(|| format!("worker `{}` cannot be found beside {}", plan.name, control.display()))
}

/// Starts a worker. It leaves when `leave` is cancelled: its replicas are moved first, for as long as its drain timeout.
/// `shutdown` ends it at once.
pub(crate) async fn worker(
    plan: &WorkerPlan,
    confined: Confined,
    leave: &CancellationToken,
    shutdown: &CancellationToken,
) -> anyhow::Result<(WorkerName, Roles)> {
    let Prepared { dir, peer, client, identity, broker, listener, config: worker_config } = prepare(plan).await?;
    be_found(plan, &dir, &dir.request_socket(&peer.name))?;
    let name = worker_config.name.clone();
    let replicas = Replicas::new();
    let elsewhere = RemoteDialer::new(RequestLimits::default(), identity.clone(), Handle::current());
    let mut elsewhere = elsewhere.until(shutdown.clone());
    if let Some(broker) = &broker {
        elsewhere = elsewhere.through(broker.clone());
        let (gone, shutdown) = (broker.gone().clone(), shutdown.clone());
        // Without who started it there is no reason to run: it ends also when that was killed.
        tokio::spawn(async move {
            gone.cancelled().await;
            shutdown.cancel();
        });
    }
    let dialer = Nearby { own: name.clone(), here: replicas.dialer(), elsewhere: Arc::new(elsewhere) };
    // What its guests call is routed here: a gateway that listens nowhere.
    let inside = Gateway::new(GatewayConfig::default(), Arc::new(dialer));
    let artifacts: Arc<dyn OpenArtifact> = match &broker {
        Some(broker) => Arc::new(AskedArtifacts::new(broker.clone())),
        None => Arc::new(own_artifacts(plan, &dir, &client)?),
    };
    let connect = connect(broker);
    let handles = Handles {
        key_value: key_value(confined.redis, &client, connect.clone()),
        cluster_http: inside.cluster_http(),
        artifacts,
        images: Arc::new(RemoteImages::new(&client)),
        connect,
    };
    let ended = CancellationToken::new();
    let threads = serving_threads(plan);
    let here = replicas.dialer();
    let mut worker = Worker::new(worker_config, replicas, handles)?;

    let counted = Metrics { gateway: Some(inside.clone()), control_plane: Some(client.clone()), ..Metrics::default() };
    let (offered, stop) = (plan.metrics.offer(counted).await?, ended.clone());
    let ending = Ending { leave: leave.clone(), now: CancellationToken::new() };
    let mut roles = Roles::new(shutdown);
    roles.spawn("the listener for metrics", async move { stop.run_until_cancelled(offered).await.unwrap_or(Ok(())) });
    if let Some(collection) = plan.collection.clone() {
        spawn_collection(&mut roles, collection, &dir, ended.clone())?;
    }
    joining::spawn_renewal(&mut roles, &client, identity, (peer, dir), ended.clone());
    let stop = ended.clone();
    roles.spawn("the listener for requests", async move { Ok(serve_requests(listener, here, threads, stop).await?) });
    let (inside_client, stop) = (client.clone(), ended.clone());
    roles.spawn("the routing of guests' calls", async move {
        let sessions = {
            let stop = stop.clone();
            move || Some(inside_client.gateway_session(stop.clone()))
        };
        inside.run_inside(sessions, stop).await;
        Ok(())
    });
    let end = end(ending.clone(), client.clone(), shutdown.clone(), plan.drain_timeout, ended.clone());
    roles.spawn("the end of the worker", end);
    roles.spawn("the worker", async move {
        let _ended = ended.clone().drop_guard();
        while worker.run(client.worker_session(ended.clone()), &ending).await == Ended::Session {}
        // What it said last is on its way.
        tokio::time::sleep(LAST_WORDS).await;
        Ok(())
    });
    Ok((name, roles))
}

/// Redis, which is there without the control plane, or what the control plane keeps.
pub(super) fn key_value(
    redis: Option<Redis>,
    client: &ControlPlaneClient,
    connect: Arc<dyn Connect>,
) -> Arc<dyn KeyValue> {
    let Some(redis) = redis else { return Arc::new(RemoteKeyValue::new(client)) };
    let store = RedisKeyValue::new(redis.settings, connect, redis.quota);
    tokio::spawn(store.clone().connected());
    Arc::new(SealedKeyValue::new(Arc::new(store), redis.encryption))
}

/// What is compiled on this machine, of images of the control plane.
pub(super) fn own_artifacts(
    plan: &WorkerPlan,
    dir: &DataDir,
    client: &ControlPlaneClient,
) -> anyhow::Result<Artifacts> {
    let (images, elsewhere) = (ImageStore::open(dir.images())?, Arc::new(RemoteImages::new(client)));
    Ok(config::artifacts(images, elsewhere, &dir.compile_cache(), &plan.limits, Code::default())?)
}

/// By who started this process, or from here if it has joined by itself.
fn connect(broker: Option<BrokerClient>) -> Arc<dyn Connect> {
    match broker {
        Some(broker) => Arc::new(AskedConnect::new(broker)),
        None => Arc::new(DirectConnect),
    }
}

/// The threads that take requests from gateways.
pub(super) fn serving_threads(plan: &WorkerPlan) -> ServingThreads {
    let count = plan.threads.map_or_else(|| GatewayConfig::default().threads, usize::from);
    ServingThreads { count, start: runtime::start_serving_thread }
}

/// For the session's last messages.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(100);

/// A worker that leaves waits no longer than this for a control plane that is not reached, and could move nothing.
const NOBODY_MOVES: Duration = Duration::from_secs(2);
/// How often it is looked whether that is reached.
const LOOKED: Duration = Duration::from_millis(100);

/// Ends a worker that leaves after its time, and at once when it is told so.
pub(super) async fn end(
    ending: Ending,
    client: ControlPlaneClient,
    shutdown: CancellationToken,
    drain_timeout: Duration,
    ended: CancellationToken,
) -> anyhow::Result<()> {
    let leaves_for_long = async {
        ending.leave.cancelled().await;
        tokio::time::sleep(drain_timeout).await;
        tracing::warn!("not all replicas could be moved within {drain_timeout:?}: what is left is stopped");
    };
    let nobody_moves = async {
        ending.leave.cancelled().await;
        let mut reached = Instant::now();
        while reached.elapsed() < NOBODY_MOVES {
            if client.is_connected() {
                reached = Instant::now();
            }
            tokio::time::sleep(LOOKED).await;
        }
        tracing::info!("the control plane is not reached, and so nothing is moved: what is left is stopped");
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = leaves_for_long => {}
        () = nobody_moves => {}
        () = ended.cancelled() => {}
    }
    ending.now.cancel();
    Ok(())
}

fn apply(plan: &WorkerPlan, config: &mut WorkerConfig) {
    config.labels.extend(plan.labels.iter().cloned());
    config.taints.clone_from(&plan.taints);
    if let Some(cpu_millis) = plan.cpu_millis {
        config.capacity.cpu_millis = cpu_millis;
    }
    if let Some(replicas) = plan.max_replicas {
        config.capacity.replicas = replicas;
    }
}
