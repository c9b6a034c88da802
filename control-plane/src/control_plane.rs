use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use api::{
    ClusterHttp, ConfirmAddress, KeyValue, Refusals, WorkerName,
    outbound::Connect,
    session::{ForGateway, ForWorker},
};
use http::HeaderMap;
use http_server::{
    ApiLimits, Certificates, Holder, Token, TokenDigest, Users,
    audit::{AuditLog, AuditSettings, Auditing},
    bearer,
};
use key_value::{MemoryKeyValue, Quota, RedbKeyValue, RedisKeyValue, RedisSettings, SealedKeyValue};
use kube_api::{
    api_server::{ApiState, Guard, serve, write_kubeconfig},
    identity::now,
};
use parking_lot::Mutex;
use registry_client::{
    DiskReserve, ImageStore, Registries,
    hosted::{CollectionConfig, Repositories, UploadQuota},
};
use registry_server::Tokens;
use scheduler::Event;
use store::{MemoryStore, RedbStore, Store, disk::DataDirLock, encryption::EncryptionKeys};
use tokio::{
    net::TcpListener,
    sync::{OnceCell, mpsc},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Commands, Measurements, OpenError, Peers, RunError,
    bootstrap::ensure_objects,
    budgets, garbage, images,
    join::{self, JoinTokens, Register},
    live::Live,
    logs::Logs,
    projection::Projection,
    routing,
    shell::{self, Expected, Handles, Input, KeyValueFigures, Shell, Sources},
    usage,
};

/// The objects that users want, in the data directory.
const STORE_FILE: &str = "store.redb";
/// What guests keep, in the data directory.
const KEY_VALUE_FILE: &str = "keyvalue.redb";
/// The API's authority and token, in the data directory.
const API_DIR: &str = "api";
/// The authority alone, for clients of the registry, beside the API's own files.
const TRUST_DIR: &str = "trust";
/// What clients need to reach the API, in the data directory.
const KUBECONFIG_FILE: &str = "kubeconfig";

/// How a control plane is set up.
#[derive(Debug, Clone)]
pub struct ControlPlaneConfig {
    /// Where everything durable is kept. One process at a time uses it.
    pub data_dir: PathBuf,
    /// Where the Kubernetes API listens; port 0 takes a free one.
    pub api_addr: SocketAddr,
    /// Whether objects and guests' entries outlive the process.
    pub persistence: Persistence,
    /// The Redis that keeps guests' entries; `None`: the data directory does.
    pub key_value: Option<RedisSettings>,
    /// What each namespace may keep there.
    pub key_value_quota: Quota,
    /// What each owner of repositories may push.
    pub upload_quota: UploadQuota,
    /// Bytes of the disk that only objects may take: below them guests' entries are not written. `None`: what is usual.
    pub disk_reserve: Option<u64>,
    /// What objects and guests' entries are encrypted by where they are kept.
    pub encryption: EncryptionKeys,
    /// When images that nothing uses are removed.
    pub collection: CollectionConfig,
    /// When a worker that says nothing is given up.
    pub silence: Silence,
    /// Workers that begin and end with this process: in it, or as processes that it starts. They are waited for after the
    /// start; those of an earlier life that are not among them are gone, and forgotten.
    pub own_workers: Vec<WorkerName>,
    /// Names the authority that join tokens carry; `None`: nobody joins, and nobody who has joined before is waited for.
    pub join_authority: Option<String>,
    /// What the API takes before it refuses.
    pub api_limits: ApiLimits,
    /// Users beside the administrator, whose tokens the installation was given.
    pub users: HashMap<TokenDigest, Holder>,
    /// Where it is written who asked the API and the registry for what; `None`: nowhere.
    pub audit: Option<AuditSettings>,
    /// What each thread does as it begins that works on what may cost much: patches, and large bodies.
    pub on_costly_thread_start: fn(),
}

/// When a worker that says nothing is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// After this time its replicas get no requests, and it no new ones.
    pub not_ready_after: Duration,
    /// After this time its replicas are replaced elsewhere.
    pub lost_after: Duration,
}

impl Silence {
    /// For workers of other processes: a replica elsewhere costs a millisecond, so little is waited for.
    pub const BETWEEN_PROCESSES: Self =
        Self { not_ready_after: Duration::from_millis(500), lost_after: Duration::from_millis(900) };
    /// For the worker of the same process, which cannot be lost alone.
    pub const IN_PROCESS: Self = Self { not_ready_after: Duration::from_secs(4), lost_after: Duration::from_secs(10) };
}

/// Whether what is stored outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    /// It is on disk before it is answered.
    #[default]
    Durable,
    /// It is gone with the process: for tests and demonstrations.
    Ephemeral,
}

/// The control plane of one installation: opened, then joined by workers and gateways, then run.
pub struct ControlPlane {
    config: ControlPlaneConfig,
    store: Arc<dyn Store>,
    live: MemoryStore,
    key_value: Arc<dyn KeyValue>,
    logs: Logs,
    measurements: Measurements,
    peers: Peers,
    images: Sources,
    inputs: mpsc::Sender<Input>,
    inbox: Mutex<Option<mpsc::Receiver<Input>>>,
    bound: Mutex<Option<Bound>>,
    register: OnceCell<Register>,
    cluster: OnceLock<Arc<dyn ClusterHttp>>,
    ingress: OnceLock<SocketAddr>,
    confirm: OnceLock<Arc<dyn ConfirmAddress>>,
    _lock: DataDirLock,
}

/// The API, ready to take requests.
struct Bound {
    listener: TcpListener,
    certificates: Certificates,
    users: Users,
    tokens: Tokens,
    audit: Option<Arc<AuditLog>>,
}

impl ControlPlane {
    /// Whether a data directory holds the state of one, of this process or of another.
    pub fn is_kept_in(data_dir: &Path) -> bool {
        data_dir.join(STORE_FILE).exists()
    }

    /// Takes the data directory and opens what is in it. It blocks on the disk. Images that `store` does not have
    /// are pulled into it. Redis, if there is one, is reached through `connect`; this is to be called within the runtime
    /// that is to carry that connection.
    pub fn open(
        config: ControlPlaneConfig,
        store: ImageStore,
        registries: Registries,
        connect: Arc<dyn Connect>,
    ) -> Result<Self, OpenError> {
        let lock = DataDirLock::acquire(&config.data_dir)?;
        let images = Sources { store, registries };
        let store: Arc<dyn Store> = match config.persistence {
            Persistence::Durable => {
                let file = config.data_dir.join(STORE_FILE);
                Arc::new(RedbStore::open_encrypted(&file, config.encryption.clone())?)
            }
            Persistence::Ephemeral => Arc::new(MemoryStore::new(now())),
        };
        let (key_value, figures, refusals) = open_key_value(&config, connect)?;
        let measurements = Measurements::counting(refusals);
        measurements.show_key_value(figures);
        let (inputs, inbox) = shell::queue();
        Ok(Self {
            config,
            store,
            live: MemoryStore::new(now()),
            key_value,
            logs: Logs::default(),
            measurements,
            peers: Peers::default(),
            images,
            inputs,
            inbox: Mutex::new(Some(inbox)),
            bound: Mutex::new(None),
            register: OnceCell::new(),
            cluster: OnceLock::new(),
            ingress: OnceLock::new(),
            confirm: OnceLock::new(),
            _lock: lock,
        })
    }

    /// Lets a worker join, before or while the control plane runs.
    pub fn attach_worker(&self, session: ForWorker) {
        self.attach(Input::AttachWorker(session));
    }

    /// Lets a gateway join, before or while the control plane runs.
    pub fn attach_gateway(&self, session: ForGateway) {
        self.attach(Input::AttachGateway(session, None));
    }

    /// Takes the session in which a worker routes what its guests call. It is told no more than that needs.
    pub fn attach_router(&self, session: ForGateway, worker: WorkerName) {
        self.attach(Input::AttachGateway(session, Some(worker)));
    }

    /// Where a gateway of this process takes requests for Ingresses: they show it as their address. Call it before
    /// [`ControlPlane::run`].
    pub fn show_ingresses_at(&self, gateway: SocketAddr) {
        let _ = self.ingress.set(gateway);
    }

    /// The way to Services of the cluster, through a gateway of this process: Pods that users make ask them. Call it before
    /// [`ControlPlane::run`]; the first call holds.
    pub fn reach_services_through(&self, gateway: Arc<dyn ClusterHttp>) {
        let _ = self.cluster.set(gateway);
    }

    /// How it is found out whether workers are where they advertise that they are; otherwise it is believed. Call it before
    /// [`ControlPlane::run`].
    pub fn confirm_addresses_through(&self, confirm: Arc<dyn ConfirmAddress>) {
        let _ = self.confirm.set(confirm);
    }

    /// The process of a worker has ended, as who started it saw: its replicas are replaced at once.
    pub fn worker_died(&self, worker: WorkerName) {
        // Without room in the queue, its silence tells.
        let _ = self.inputs.try_send(Input::Event(Event::WorkerDied(worker)));
    }

    /// Who has joined, and by which tokens others may.
    pub async fn register(&self) -> Result<Register, RunError> {
        let open = async || {
            let tokens = JoinTokens::new(self.store.clone(), self.config.join_authority.clone().unwrap_or_default());
            let tokens = tokens.telling(self.peers.clone());
            let (live, own) = (Arc::new(self.live.clone()), self.config.own_workers.clone());
            let refusals = self.measurements.refusals().clone();
            let register = Register::open(self.store.clone(), live, tokens, own, refusals).await?;
            register.set_commands(self.commands());
            Ok::<_, RunError>(register)
        };
        Ok(self.register.get_or_try_init(open).await?.clone())
    }

    /// A session that finds no room in the queue is dropped: its other side sees the end, and comes again.
    fn attach(&self, session: Input) {
        if self.inputs.try_send(session).is_err() {
            tracing::warn!("a session was turned away: too much waits for the control plane, or it has ended");
        }
    }

    /// The durable store behind `wasi:keyvalue`.
    pub fn key_value(&self) -> Arc<dyn KeyValue> {
        self.key_value.clone()
    }

    /// What gateways measured last at each Service.
    pub fn measurements(&self) -> Measurements {
        self.measurements.clone()
    }

    /// What each worker may ask and say.
    pub fn peers(&self) -> Peers {
        self.peers.clone()
    }

    /// What users may ask of the live state.
    pub fn commands(&self) -> Commands {
        Commands::new(self.inputs.clone())
    }

    /// The logs of all replicas.
    pub fn logs(&self) -> Logs {
        self.logs.clone()
    }

    /// The file that clients find the API with; [`ControlPlane::bind`] writes it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.config.data_dir.join(KUBECONFIG_FILE)
    }

    /// Takes the API's address, and writes the kubeconfig for it. Requests wait until [`ControlPlane::run`].
    pub async fn bind(&self) -> Result<SocketAddr, OpenError> {
        let wanted = self.config.api_addr;
        let unbound = |why: std::io::Error| OpenError::Address { address: wanted, why: why.to_string() };
        let listener = TcpListener::bind(wanted).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let (certificates, users, tokens) = self.identity(address)?;
        let opened = self.config.audit.clone().map(|settings| {
            let path = settings.path.clone();
            AuditLog::open(settings).map_err(|why| OpenError::AuditLog { path, why: why.to_string() })
        });
        let audit = opened.transpose()?.map(Arc::new);
        if let Some(audit) = &audit {
            self.measurements.count_lost_audit_events(audit.lost());
            let path = self.config.data_dir.join(STORE_FILE);
            let register = self.register().await;
            let register = register.map_err(|error| store::OpenError::Unusable { path, why: error.to_string() })?;
            register.set_audit(audit.clone());
        }
        self.images.registries.set_own_hosts(own_hosts(address));
        *self.bound.lock() = Some(Bound { listener, certificates, users, tokens, audit });
        Ok(address)
    }

    fn identity(&self, address: SocketAddr) -> Result<(Certificates, Users, Tokens), OpenError> {
        let unusable = |path: &Path, why: String| store::OpenError::Unusable { path: path.to_owned(), why };
        let dir = self.config.data_dir.join(API_DIR);
        private_files::create_dir(&dir).map_err(|why| unusable(&dir, why.to_string()))?;
        let certificates = Certificates::open(&dir, &[address.ip().to_string()])?;
        // Docker's clients want a directory with nothing but what they are to trust.
        let trust = dir.join(TRUST_DIR);
        private_files::write(&trust.join("ca.crt"), certificates.authority_pem.as_bytes())
            .map_err(|why| unusable(&trust, why.to_string()))?;
        let token_file = dir.join("token");
        let token = Token::load_or_create(&token_file).map_err(|why| unusable(&token_file, why.to_string()))?;
        let kubeconfig = self.kubeconfig();
        write_kubeconfig(&kubeconfig, &dialled(address).to_string(), &certificates.authority_pem, &token)
            .map_err(|why| unusable(&kubeconfig, why.to_string()))?;
        let tokens = Tokens::load_or_create(&dir, token.clone()).map_err(|why| unusable(&dir, why.to_string()))?;
        let key_file = dir.join("account-key");
        let account_key = Token::load_or_create(&key_file).map_err(|why| unusable(&key_file, why.to_string()))?;
        Ok((certificates, Users::new(token, self.config.users.clone(), account_key), tokens))
    }

    /// Runs until `shutdown`, then writes what is left. Call it once; without [`ControlPlane::bind`] there is no API.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), RunError> {
        let inbox = self.inbox.lock().take().ok_or(RunError::RunTwice)?;
        ensure_objects(&*self.store, now()).await?;
        // Either may end by failing; the other then ends too.
        let stop = shutdown.child_token();
        let shell = async {
            let _ended = stop.clone().drop_guard();
            let shell = Shell::new(self.handles()?, (self.inputs.clone(), inbox), stop.clone());
            shell.run(|| tracing::debug!("the store has been read")).await.map_err(RunError::from)
        };
        let api = async {
            let _ended = stop.clone().drop_guard();
            self.serve_api(stop.clone()).await
        };
        let collector = async {
            let _ended = stop.clone().drop_guard();
            garbage::run(self.store.clone(), Arc::new(self.live.clone()), stop.clone()).await.map_err(RunError::from)
        };
        let counter = async {
            let _ended = stop.clone().drop_guard();
            budgets::run(self.store.clone(), Arc::new(self.live.clone()), stop.clone()).await.map_err(RunError::from)
        };
        let (shell, api, collector, counter) = tokio::join!(shell, api, collector, counter);
        shell.and(api).and(collector).and(counter)
    }

    fn handles(&self) -> Result<Handles, RunError> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| RunError::Random(error.to_string()))?;
        Ok(Handles {
            store: self.store.clone(),
            projection: Projection::new(self.live.clone()),
            logs: self.logs.clone(),
            measurements: self.measurements.clone(),
            peers: self.peers.clone(),
            images: Arc::new(self.images.clone()),
            seed: u64::from_le_bytes(seed),
            silence: self.config.silence,
            confirm: self.confirm.get().cloned(),
            ingress: self.ingress.get().copied(),
            expected: Expected {
                own: self.config.own_workers.iter().cloned().collect(),
                others: self.config.join_authority.is_some(),
            },
        })
    }

    async fn serve_api(&self, stop: CancellationToken) -> Result<(), RunError> {
        let bound = self.bound.lock().take();
        let Some(Bound { listener, certificates, users, tokens, audit }) = bound else {
            stop.cancelled().await;
            return Ok(());
        };
        let tokens = Arc::new(tokens);
        let (images, quota) = (self.images.store.clone(), self.config.upload_quota);
        let opened = tokio::task::spawn_blocking(move || Repositories::open_within(images, quota)).await;
        let opened = opened.map_err(|error| RunError::Registry(error.to_string()))?;
        let repositories = opened.map_err(|error| RunError::Registry(error.to_string()))?;
        let quotas = self.measurements.refusals().quotas().clone();
        repositories.on_refusal(move |over| quotas.note(over.quota(), over.owner(), &over.to_string()));
        self.measurements.show_registry(repositories.clone());
        let register = self.register().await?;
        let guard = Guard::new(users.clone());
        let joining = join::router(register.clone(), guard.clone());
        let images = images::Images {
            store: self.store.clone(),
            registries: self.images.registries.clone(),
            repositories: repositories.clone(),
        };
        let listing = images::router(images.clone(), self.images.store.clone(), guard.clone());
        let usage = usage::router(self.measurements.clone(), guard.clone());
        let state = ApiState {
            durable: self.store.clone(),
            live: Arc::new(self.live.clone()),
            logs: Arc::new(self.logs.clone()),
            commands: Arc::new(Live {
                commands: self.commands(),
                register,
                store: self.store.clone(),
                in_turn: Arc::default(),
            }),
            taken_paths: routing::taken_paths,
            cluster: self.cluster.get().cloned(),
            beside: registry_server::router(repositories, tokens.clone()).merge(listing).merge(joining).merge(usage),
            limits: self.config.api_limits,
            audit: audit.clone().map(|log| {
                let whose = move |headers: &HeaderMap| {
                    tokens.user(headers).map(Arc::new).or_else(|| users.of(bearer(headers)?))
                };
                Auditing { log, user: Arc::new(whose) }
            }),
            refusals: self.measurements.refusals().clone(),
            on_costly_thread_start: self.config.on_costly_thread_start,
        };
        let collecting = images.keep_collected(self.config.collection.clone(), stop.clone());
        let (served, ()) = tokio::join!(serve(listener, certificates.server, state, guard, stop), collecting);
        if let Some(audit) = audit {
            // What was noted is written before the process ends.
            let _ = tokio::task::spawn_blocking(move || audit.close()).await;
        }
        Ok(served?)
    }
}

fn open_key_value(
    config: &ControlPlaneConfig,
    connect: Arc<dyn Connect>,
) -> Result<(Arc<dyn KeyValue>, KeyValueFigures, Refusals), OpenError> {
    let mut figures = KeyValueFigures { quota: config.key_value_quota, file: None };
    let (file, quota) = (config.data_dir.join(KEY_VALUE_FILE), config.key_value_quota);
    let (store, refusals): (Arc<dyn KeyValue>, Refusals) = match (&config.key_value, config.persistence) {
        (Some(settings), _) => {
            if file.exists() {
                tracing::warn!(store = %settings, file = %file.display(), "guests' entries of before are not moved: \
                    they stay in the file, and guests see those of the store");
            }
            let store = RedisKeyValue::new(settings.clone(), connect, quota);
            let refusals = store.refused();
            if config.encryption.reads_others() {
                tokio::spawn(key_value::rewrite(store.clone(), config.encryption.clone()));
            } else {
                tokio::spawn(store.clone().connected());
            }
            (Arc::new(store), refusals)
        }
        (None, Persistence::Durable) => {
            key_value::reseal(&file, &config.encryption)?;
            let reserve = DiskReserve::of(&config.data_dir, config.disk_reserve);
            let store = Arc::new(RedbKeyValue::open(&file, quota, reserve)?);
            figures.file = Some(store.clone());
            let refusals = store.refused();
            (store, refusals)
        }
        (None, Persistence::Ephemeral) => {
            let store = MemoryKeyValue::new(quota);
            let refusals = store.refused();
            (Arc::new(store), refusals)
        }
    };
    Ok((Arc::new(SealedKeyValue::new(store, config.encryption.clone())), figures, refusals))
}

/// Where a client on this machine reaches a listener: one that takes every address has none that can be dialled.
fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Hosts in references that are the registry of this installation.
fn own_hosts(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    vec![address.to_string(), format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "control_plane_tests.rs"]
mod tests;
