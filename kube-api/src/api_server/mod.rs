//! The Kubernetes API: one generic handler over the table of kinds, served over TLS to whoever has the token.
//!
//! It reads and writes the stores, and follows logs. It decides nothing of placement or rollout, and does not carry out
//! what objects ask for: the shell watches the same stores.

mod accept;
mod account_token;
mod addresses;
mod advice;
mod apply;
mod authorship;
mod body;
mod checks;
mod compression;
mod delete;
mod discovery;
mod error;
mod frames;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod gifts;
mod guard;
mod heavy;
mod kubeconfig;
mod live;
mod metadata;
mod node_change;
mod objects;
mod openapi;
mod operations;
mod params;
mod patch;
mod path;
mod pod_log;
mod protobuf;
mod read;
mod references;
mod refused;
mod reviews;
mod router;
mod scale;
mod selector;
mod service_proxy;
mod strategic_merge;
mod strictness;
mod table;
mod verbatim;
mod versions;
mod watch;
mod write;
mod written_as;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use api::{ClusterHttp, Refusals};
use http_server::{
    ApiLimits,
    audit::{self, Auditing},
    read_on,
};
use serde_json::{Value, json};
use store::{Compare, Op, Store, StoreError};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::logs::PodLogs;

pub use guard::{Guard, authorized};
pub use kubeconfig::write_kubeconfig;
pub use live::{LiveCommands, LiveError, NodeChange};

/// Watches and followed logs at the same time.
pub const MAX_STREAMS: usize = 2048;
/// The namespace that is always there.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What the API works on.
pub struct ApiState {
    /// Users' intent.
    pub durable: Arc<dyn Store>,
    /// Projections of the live state: Pods, Nodes, Events, EndpointSlices.
    pub live: Arc<dyn Store>,
    /// What replicas wrote.
    pub logs: Arc<dyn PodLogs>,
    /// What users ask of the live state.
    pub commands: Arc<dyn LiveCommands>,
    /// What of an Ingress others take, or it of others.
    pub taken_paths: TakenPaths,
    /// The way of what Pods of users ask for; `None`: there is no gateway in this process.
    pub cluster: Option<Arc<dyn ClusterHttp>>,
    /// What else answers at the API's address: the registry.
    pub beside: axum::Router,
    /// What is taken before it is refused.
    pub limits: ApiLimits,
    /// What notes who asked for what; `None`: nothing does.
    pub audit: Option<Auditing>,
    /// Counts wrong tokens.
    pub refusals: Refusals,
    /// What each thread does as it begins that works on what may cost much.
    pub on_costly_thread_start: fn(),
}

/// Of all Ingresses and one that is written: a sentence for each host or path that one takes from the other.
pub type TakenPaths = fn(others: &[Value], ingress: &Value) -> Vec<String>;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store could not be read or written at the start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no threads.
    #[error("threads of the API cannot be started: {0}")]
    Threads(std::io::Error),
}

/// What every request is given.
#[derive(Clone)]
struct Api {
    objects: objects::Objects,
    logs: Arc<dyn PodLogs>,
    commands: Arc<dyn LiveCommands>,
    checker: checks::Checker,
    streams: Arc<Semaphore>,
    heavy: heavy::Heavy,
    guard: Guard,
    shutdown: CancellationToken,
}

/// Serves the API until the token is cancelled, then drains. Makes the default namespace if it is not there.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    state: ApiState,
    guard: Guard,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let ApiState {
        durable,
        live,
        logs,
        commands,
        taken_paths,
        cluster,
        beside,
        limits,
        audit,
        refusals,
        on_costly_thread_start,
    } = state;
    let heavy = heavy::Heavy::new(on_costly_thread_start).map_err(ServeError::Threads)?;
    let objects = objects::Objects { durable: durable.clone(), live, taken_paths };
    ensure_default_namespace(&objects).await?;
    let streams = Arc::new(Semaphore::new(MAX_STREAMS));
    let checker = checks::Checker { cluster, logs: logs.clone(), shutdown: shutdown.clone() };
    let api =
        Api { objects, logs, commands, checker, streams, heavy, guard: guard.clone(), shutdown: shutdown.clone() };
    let reading_on = axum::middleware::from_fn(read_on::after_the_answer);
    guard.roles.read(&*durable, &guard.users).await?;
    let mut router = router::router(api).merge(beside).layer(reading_on);
    if let Some(audit) = audit {
        router = router.layer(axum::middleware::from_fn_with_state(audit, audit::record));
    }
    let following = guard.roles.follow(&*durable, &guard.users, shutdown.clone());
    let serving = http_server::serve(listener, tls, router, error::AsStatus, limits, refusals, shutdown);
    tokio::join!(serving, following);
    Ok(())
}

async fn ensure_default_namespace(objects: &objects::Objects) -> Result<(), StoreError> {
    let path = format!("/api/v1/namespaces/{DEFAULT_NAMESPACE}");
    let target = path::Target::parse(&path).expect("namespaces are served");
    let mut namespace = json!({ "metadata": {
        "name": DEFAULT_NAMESPACE, "uid": http_server::new_uid(), "creationTimestamp": metadata::rfc3339_now() } });
    (target.resource.default)(&mut namespace);
    let key = objects::key(&target);
    let put = vec![Op::Put(key.clone(), objects::encode(&namespace)), write::default_account_of(DEFAULT_NAMESPACE)];
    match objects.durable.txn(vec![Compare::Absent(key)], put).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
