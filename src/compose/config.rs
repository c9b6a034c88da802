//! From flags to how the roles are set up.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use api::{FetchImage, WorkerName};
use control_plane::{ControlPlaneConfig, Persistence, Silence};
use gateway::GatewayConfig;
use http_server::{ApiLimits, audit::AuditSettings};
use registry_client::{ImageStore, Puller, Registries, RegistrySettings, hosted::CollectionConfig};
use runtime::{Artifacts, Code, Compile, CompileProcess, CompileServer, WorkerConfig, WorkerError};

use super::DRAIN;
use crate::{
    config::{ApiLimitArgs, AuditArgs, GatewayLimitArgs, HttpArgs, ImageLimitArgs, ServerArgs, WorkerLimitArgs},
    descriptors,
    key_value::Redis,
    paths::DataDir,
};

/// The name of a machine that has none that can be used.
const UNNAMED: &str = "local";
/// In builds for tests: pull processes do what a registry could that has taken them over, to what is in this directory.
const HOSTILE_PULLS: &str = "SAMPAN_HOSTILE_PULLS";

pub(super) fn control_plane(
    args: &ServerArgs,
    redis: Option<&Redis>,
    dir: &DataDir,
    silence: Silence,
    own_workers: Vec<WorkerName>,
) -> anyhow::Result<ControlPlaneConfig> {
    Ok(ControlPlaneConfig {
        data_dir: dir.root().to_owned(),
        api_addr: args.api,
        persistence: Persistence::Durable,
        key_value: redis.map(|redis| redis.settings.clone()),
        key_value_quota: args.key_value.quota(),
        upload_quota: args.disk.uploads(),
        disk_reserve: args.disk.disk_reserve,
        encryption: args.key_value.encryption()?,
        collection: collection(&args.images),
        silence,
        own_workers,
        join_authority: None,
        api_limits: api_limits(&args.api_limits),
        users: args.token_auth_file.as_deref().map(http_server::read_token_file).transpose()?.unwrap_or_default(),
        audit: audit(&args.audit),
        on_costly_thread_start: runtime::do_costly_work_on_this_thread,
    })
}

/// Who may connect to the API.
fn api_limits(args: &ApiLimitArgs) -> ApiLimits {
    let default = ApiLimits::default();
    ApiLimits {
        max_connections: args.api_max_connections.unwrap_or(default.max_connections),
        max_strangers: args.api_max_strangers.unwrap_or(default.max_strangers),
        max_strangers_per_source: args.api_max_strangers_per_source.unwrap_or(default.max_strangers_per_source),
        time_to_authenticate: args.api_time_to_authenticate.unwrap_or(default.time_to_authenticate),
    }
}

/// Where the audit log is written.
fn audit(args: &AuditArgs) -> Option<AuditSettings> {
    const DAY: u64 = 24 * 3600;
    let max_age = args.audit_log_maxage.map_or(AuditSettings::MAX_AGE, |days| Duration::from_secs(days * DAY));
    Some(AuditSettings {
        path: args.audit_log.clone()?,
        max_bytes: args.audit_log_maxsize.map_or(AuditSettings::MAX_BYTES, |megabytes| megabytes << 20),
        max_backups: args.audit_log_maxbackup.unwrap_or(AuditSettings::MAX_BACKUPS),
        max_age: Some(max_age).filter(|age| !age.is_zero()),
    })
}

/// When images go that nothing uses.
pub(crate) fn collection(limits: &ImageLimitArgs) -> CollectionConfig {
    let default = CollectionConfig::default();
    CollectionConfig {
        max_age: limits.image_max_age.unwrap_or(default.max_age),
        max_bytes: limits.image_max_bytes.or(default.max_bytes),
        ..default
    }
}

pub(super) fn gateway(http: &HttpArgs, limits: &GatewayLimitArgs) -> GatewayConfig {
    let default = GatewayConfig::default();
    GatewayConfig {
        http: http.http,
        publish_services: http.publish_services,
        load_balancer_ip: http.load_balancer_ip,
        trusted_proxies: http.trusted_proxies.clone(),
        threads: limits.threads.map_or(default.threads, usize::from),
        start_thread: runtime::start_serving_thread,
        max_header_bytes: limits.max_header_bytes.unwrap_or(default.max_header_bytes),
        max_body_bytes: limits.max_body_bytes.unwrap_or(default.max_body_bytes),
        max_connections: limits.max_connections.unwrap_or(default.max_connections),
        max_connections_per_source: limits.max_connections_per_source,
        descriptors: descriptors::for_connections(),
        memory_limit: limits.memory_limit,
        overload: default.overload.with(&limits.overload),
        queue_limit: limits.queue_limit.unwrap_or(default.queue_limit),
        queue_wait: limits.queue_wait.unwrap_or(default.queue_wait),
        replay_body_bytes: limits
            .replay_body_bytes
            .map_or(default.replay_body_bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        drain: DRAIN,
        ..default
    }
}

pub(super) fn worker(name: &str, limits: &WorkerLimitArgs) -> WorkerConfig {
    let mut config = WorkerConfig::new(WorkerName(name.into()));
    config.labels = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", env::consts::OS),
        ("kubernetes.io/arch", architecture()),
        // As kubelets do, for manifests of before.
        ("beta.kubernetes.io/os", env::consts::OS),
        ("beta.kubernetes.io/arch", architecture()),
    ]
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .into();
    if let Some(warm_bytes) = limits.warm_memory {
        config.warm_bytes = warm_bytes;
    }
    if let Some(kept_bytes) = limits.kept_memory {
        config.kept_memory_bytes = kept_bytes;
    }
    if let Some(memory_bytes) = limits.guest_memory {
        config.capacity.memory_bytes = memory_bytes;
    }
    if let Some(max_handles) = limits.max_handles {
        config.max_handles = max_handles;
    }
    config
}

/// What Kubernetes calls this machine's architecture, which is what Go does.
fn architecture() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// The compiled components in a directory, of such code, which processes of their own make within the limits that were set.
pub(super) fn artifacts(
    images: ImageStore,
    elsewhere: Arc<dyn FetchImage>,
    dir: &Path,
    limits: &WorkerLimitArgs,
    code: Code,
) -> Result<Artifacts, WorkerError> {
    Artifacts::open(images, elsewhere, dir, compile(limits, code), code)
}

/// Compiles in processes of their own, of this program, within the limits that were set.
fn compile(limits: &WorkerLimitArgs, code: Code) -> Compile {
    let memory_bytes = limits.compile_memory.unwrap_or(CompileProcess::DEFAULT_MEMORY_BYTES);
    let timeout = limits.compile_timeout.unwrap_or(CompileProcess::DEFAULT_TIMEOUT);
    let program = this_program();
    let mut args = vec!["compile-server".to_owned(), memory_bytes.to_string(), timeout.as_millis().to_string()];
    args.extend((code == Code::Unoptimized).then(|| "--unoptimized".to_owned()));
    program.map_or(Compile::InThreads, |program| {
        Compile::Server(CompileServer::new(CompileProcess { program, args, memory_bytes, timeout }))
    })
}

/// Registries whose images are pulled by processes of their own, of this program.
pub(super) fn registries(settings: RegistrySettings) -> anyhow::Result<Registries> {
    let registries = Registries::new(settings)?;
    let mut args = vec![OsString::from("pull-process")];
    let hostile = env::var_os(HOSTILE_PULLS).filter(|_| cfg!(debug_assertions));
    args.extend(hostile.iter().flat_map(|dir| [OsString::from("--hostile-to"), dir.clone()]));
    Ok(match this_program() {
        Ok(program) => {
            let puller = Puller::new(program, args);
            #[cfg(debug_assertions)]
            let puller = if hostile.is_some() { puller.heard() } else { puller };
            registries.pulled_by(puller)
        }
        Err(error) => {
            tracing::warn!(%error, "this program cannot be started again: images are pulled in this process");
            registries
        }
    })
}

/// The program that runs, also when its file has been replaced meanwhile.
fn this_program() -> io::Result<PathBuf> {
    Some(PathBuf::from("/proc/self/exe")).filter(|path| path.exists()).map_or_else(env::current_exe, Ok)
}

/// The machine's name, if it can name a Node.
pub(crate) fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_lowercase();
    if api::check_dns_subdomain(&name).is_ok() { name } else { UNNAMED.to_owned() }
}
