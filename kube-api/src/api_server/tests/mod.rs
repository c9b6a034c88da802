//! The API as clients see it, over stores in memory.

mod absent;
mod account_tokens;
mod across_fields;
mod autoscalers;
mod charts;
mod checks;
mod cluster;
mod costs;
mod discovery;
mod events;
mod field_validation;
mod finalizers;
mod forms;
mod kubectl;
mod logs;
mod nulls;
mod objects;
mod patches;
mod priority_classes;
mod refusals;
mod scales;
mod shops;
mod strangers;
mod tables;
mod tls;
mod users;
mod values;
mod watches;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use api::{ObjectKey, Refusals, ReplicaId, Timestamp, WorkerName};
use axum::{Router, body::Body};
use futures::future::{BoxFuture, FutureExt, ready};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use http_server::{ApiLimits, Certificates, Token, Users};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::{MemoryStore, Store};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Api, ApiState, Guard, LiveCommands, LiveError, MAX_STREAMS, NodeChange, ensure_default_namespace, objects::Objects,
    router, serve, write_kubeconfig,
};
use crate::{identity::now, logs::PodLogs};
use logs::Logs;

/// How long a test waits for what should come.
const PATIENCE: Duration = Duration::from_secs(60);
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// Remembers what was asked of the live state.
#[derive(Debug, Default)]
struct Recorder {
    said: Mutex<Vec<String>>,
}

impl LiveCommands for Recorder {
    fn delete_replica(&self, id: ReplicaId) -> Result<(), LiveError> {
        self.said.lock().push(format!("delete {id}"));
        Ok(())
    }

    fn evict_replica(&self, id: ReplicaId) -> Result<(), LiveError> {
        self.said.lock().push(format!("evict {id}"));
        Ok(())
    }

    fn change_node(&self, worker: WorkerName, change: NodeChange) -> BoxFuture<'static, Result<(), LiveError>> {
        let marks = if change.marks.is_empty() { String::new() } else { format!(" {:?}", change.marks) };
        self.said.lock().push(format!("cordon {worker} {}{marks}", change.cordoned));
        ready(Ok(())).boxed()
    }

    fn forget(&self, worker: WorkerName) -> BoxFuture<'static, Result<bool, LiveError>> {
        self.said.lock().push(format!("forget {worker}"));
        ready(Ok(&*worker.0 != "connected")).boxed()
    }

    fn revoke(&self, worker: WorkerName) -> BoxFuture<'static, Result<bool, LiveError>> {
        self.said.lock().push(format!("revoke {worker}"));
        ready(Ok(&*worker.0 == "joined")).boxed()
    }
}

/// Ingresses take all of each other, and the first by name has it.
fn taken_paths(others: &[Value], ingress: &Value) -> Vec<String> {
    let name = |ingress: &Value| ingress["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let others = others.iter().map(name).filter(|other| *other != name(ingress));
    others.map(|other| format!("Ingress default/{} gets no requests", other.max(name(ingress)))).collect()
}

/// An API without sockets.
struct Fixture {
    router: Router,
    token: Token,
    guard: Guard,
    live: MemoryStore,
    durable: Arc<dyn Store>,
    logs: Logs,
    commands: Arc<Recorder>,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::load_or_create(&folder.path().join("token")).unwrap();
        let live = MemoryStore::new(Timestamp::from_secs(1));
        let durable: Arc<dyn Store> = Arc::new(MemoryStore::new(Timestamp::from_secs(1)));
        let objects = Objects { durable: durable.clone(), live: Arc::new(live.clone()), taken_paths };
        ensure_default_namespace(&objects).await.unwrap();
        let (logs, commands) = (Logs::default(), Arc::new(Recorder::default()));
        let shutdown = CancellationToken::new();
        let guard = Guard::new(Users::new(token.clone(), HashMap::new(), Token::random().unwrap()));
        let api = Api {
            objects,
            logs: Arc::new(logs.clone()),
            commands: commands.clone(),
            checker: super::checks::Checker {
                cluster: Some(Arc::new(cluster::OneService)),
                logs: Arc::new(logs.clone()),
                shutdown: shutdown.clone(),
            },
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            heavy: super::heavy::Heavy::new(|| {}).unwrap(),
            guard: guard.clone(),
            shutdown: shutdown.clone(),
        };
        let router = router::router(api);
        Self { router, token, guard, live, durable, logs, commands, shutdown, _folder: folder }
    }

    async fn response(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token.as_str()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
    }

    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
        let response = self.response(method, path, headers, body).await;
        let code = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call("GET", path, &[], "").await
    }

    async fn table(&self, path: &str) -> Value {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        self.call("GET", path, &[("accept", accept)], "").await.1
    }

    async fn post(&self, path: &str, object: &Value) -> (StatusCode, Value) {
        self.call("POST", path, &[("content-type", "application/json")], &object.to_string()).await
    }

    async fn patch(&self, path: &str, kind: &str, patch: &Value) -> (StatusCode, Value) {
        let kind = format!("application/{kind}");
        self.call("PATCH", path, &[("content-type", &kind)], &patch.to_string()).await
    }

    /// Creates an object that must be right.
    async fn create(&self, path: &str, object: &Value) -> Value {
        let (code, created) = self.post(path, object).await;
        assert_eq!(code, StatusCode::CREATED, "{created}");
        created
    }

    /// Puts a Pod into the live store, as the shell does.
    fn put_pod(&self, name: &str, phase: &str) {
        let pod = json!({
            "metadata": { "name": name, "namespace": "default", "uid": crate::identity::pod_uid(&pod_key(name)), "labels": { "app": "a" },
                "creationTimestamp": "2024-01-01T00:00:00Z" },
            "spec": { "nodeName": "worker-1", "containers": [ { "name": "c", "image": "hello:v1" } ] },
            "status": { "phase": phase, "containerStatuses": [ { "name": "c", "ready": phase == "Running", "restartCount": 2 } ] },
        });
        self.live.put(format!("core/pods/default/{name}"), pod.to_string().into());
    }

    fn put_node(&self, name: &str) {
        self.put_node_that_is(name, "True");
    }

    /// As [`Self::put_node`]; `ready` is the status of its condition.
    fn put_node_that_is(&self, name: &str, ready: &str) {
        let node = json!({
            "metadata": { "name": name, "creationTimestamp": "2024-01-01T00:00:00Z" }, "spec": {},
            "status": { "conditions": [ { "type": "Ready", "status": ready } ] },
        });
        self.live.put(format!("core/nodes/{name}"), node.to_string().into());
    }
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "labels": { "app": name } },
        "spec": { "selector": { "matchLabels": { "app": name } }, "template": {
            "metadata": { "labels": { "app": name } },
            "spec": { "containers": [ { "name": "c", "image": "hello:v1" } ] } } },
    })
}

/// An API on a loopback port, with a kubeconfig.
struct Server {
    address: String,
    folder: tempfile::TempDir,
    authority_pem: String,
    token: Token,
    live: MemoryStore,
    logs: Logs,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(ApiLimits::default()).await
    }

    async fn start_with(limits: ApiLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::open(folder.path(), &[]).unwrap();
        let token = Token::load_or_create(&folder.path().join("token")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (live, logs) = (MemoryStore::new(Timestamp::from_secs(1)), Logs::default());
        let state = ApiState {
            beside: axum::Router::new(),
            durable: Arc::new(MemoryStore::new(Timestamp::from_secs(1))),
            live: Arc::new(live.clone()),
            logs: Arc::new(logs.clone()),
            taken_paths,
            commands: Arc::new(Recorder::default()),
            cluster: None,
            limits,
            audit: None,
            refusals: Refusals::default(),
            on_costly_thread_start: || {},
        };
        write_kubeconfig(&folder.path().join("kubeconfig"), &address, &certificates.authority_pem, &token).unwrap();
        let shutdown = CancellationToken::new();
        let guard = Guard::new(Users::new(token.clone(), HashMap::new(), Token::random().unwrap()));
        let (tls, stop) = (certificates.server.clone(), shutdown.clone());
        let serving = tokio::spawn(async move { serve(listener, tls, state, guard, stop).await.unwrap() });
        let authority_pem = certificates.authority_pem;
        Self { address, folder, authority_pem, token, live, logs, shutdown, serving }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Ends it and waits until it has ended.
    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.serving).await.expect("it drains in time").unwrap();
    }
}

fn pod_key(name: &str) -> ReplicaId {
    ReplicaId(ObjectKey::new("default", name))
}
