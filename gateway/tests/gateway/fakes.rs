//! Replicas that do what a test says, and a gateway in front of them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use api::{
    Body, Dialer, ObjectKey, ReplicaId, Serve, ServeError, WorkerName,
    session::{
        Endpoint, ForGateway, GatewayDown, GatewaySide, GatewayUp, IngressRule, PathMatch, Routes, ServicePort,
        ServiceRoute, in_process,
    },
};
use futures::future::BoxFuture;
use gateway::{Gateway, GatewayConfig, GatewayError, ServiceMeasurement};
use http::{Request, Response};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No condition that a test waits for takes longer, unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub type Answer = Result<Response<Body>, ServeError>;
type Handler = Arc<dyn Fn(String, Request<Body>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Every replica answers with `handler`, which is told the replica's name.
struct FakeDialer {
    handler: Handler,
    remote: Arc<AtomicBool>,
}

struct FakeReplica {
    name: String,
    handler: Handler,
    remote: Arc<AtomicBool>,
}

impl Dialer for FakeDialer {
    fn dial(&self, endpoint: &Endpoint) -> Arc<dyn Serve> {
        let (handler, remote) = (self.handler.clone(), self.remote.clone());
        Arc::new(FakeReplica { name: endpoint.replica.0.name.to_string(), handler, remote })
    }
}

impl Serve for FakeReplica {
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Answer> {
        (self.handler)(self.name.clone(), request)
    }

    fn is_remote(&self) -> bool {
        self.remote.load(Relaxed)
    }
}

/// A gateway that runs, and the control plane's side of its session.
pub struct Running {
    pub gateway: Gateway,
    pub addr: SocketAddr,
    pub session: ForGateway,
    pub remote: Arc<AtomicBool>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<Result<(), GatewayError>>,
}

pub fn config() -> GatewayConfig {
    GatewayConfig {
        http: "127.0.0.1:0".parse().unwrap(),
        threads: 2,
        sample_interval: Duration::from_millis(20),
        ..GatewayConfig::default()
    }
}

/// One session, and then no other.
fn once(side: GatewaySide) -> impl FnMut() -> Option<GatewaySide> {
    let mut side = Some(side);
    move || side.take()
}

pub fn start<F, A>(config: GatewayConfig, handler: F) -> Running
where
    F: Fn(String, Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let handler: Handler = Arc::new(move |name, request| Box::pin(handler(name, request)));
    let remote = Arc::<AtomicBool>::default();
    let gateway = Gateway::new(config, Arc::new(FakeDialer { handler, remote: remote.clone() }));
    let addr = gateway.bind().unwrap();
    let (side, session) = in_process();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn({
        let (gateway, shutdown) = (gateway.clone(), shutdown.clone());
        async move { gateway.run(once(side), shutdown).await }
    });
    Running { gateway, addr, session, remote, shutdown, task }
}

/// A gateway with the Service `shop/cart`, and replicas of it with these concurrencies, called r0, r1, …
pub async fn cart<F, A>(config: GatewayConfig, concurrencies: &[u32], handler: F) -> Running
where
    F: Fn(String, Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let running = start(config, handler);
    running.route(Routes { services: vec![service("cart", &[80])], ingresses: vec![] }).await;
    let named: Vec<_> = concurrencies.iter().enumerate().map(|(n, c)| (format!("r{n}"), *c)).collect();
    running.endpoints("cart", &named).await;
    running
}

pub const CART: &str = "cart.shop.localhost";

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

pub fn service(name: &str, ports: &[u16]) -> ServiceRoute {
    let ports = ports.iter().map(|&port| ServicePort { name: None, port }).collect();
    ServiceRoute { key: key(name), ports, load_balancer: false, guards: Vec::new() }
}

pub fn rule(host: Option<&str>, path: &str, service: &str) -> IngressRule {
    let path = PathMatch::Prefix(path.to_owned());
    IngressRule { host: host.map(str::to_owned), path, service: key(service) }
}

pub fn text(text: impl Into<String>) -> Answer {
    Ok(Response::new(api::full_body(text.into())))
}

impl Running {
    /// From now on all replicas are in other processes.
    pub fn make_remote(&self) {
        self.remote.store(true, Relaxed);
    }

    pub async fn route(&self, routes: Routes) {
        let keys: Vec<_> = routes.services.iter().map(|service| service.key.clone()).collect();
        self.session.tx.send(GatewayDown::Routes(Arc::new(routes))).await.unwrap();
        until("the routes are known", || {
            let known = self.gateway.measurements().services;
            keys.iter().all(|key| known.iter().any(|service| service.service == *key))
        })
        .await;
    }

    pub async fn endpoints(&self, service: &str, replicas: &[(String, u32)]) {
        self.no_endpoints(service, replicas, None).await;
        let concurrency: u64 = replicas.iter().map(|(_, concurrency)| u64::from(*concurrency)).sum();
        until("the endpoints are known", || {
            let known = self.measured(service);
            (known.replicas, known.concurrency) == (replicas.len(), concurrency)
        })
        .await;
    }

    pub async fn no_endpoints(&self, service: &str, replicas: &[(String, u32)], reason: Option<&str>) {
        let endpoint = |(name, concurrency): &(String, u32)| Endpoint {
            replica: ReplicaId(key(name)),
            worker: WorkerName("w".into()),
            concurrency: *concurrency,
            request_deadline: Duration::from_secs(30),
            address: None,
            standby: false,
        };
        self.tell(service, replicas.iter().map(endpoint).collect(), reason, false).await;
    }

    pub async fn tell(&self, service: &str, endpoints: Vec<Endpoint>, reason: Option<&str>, hopeless: bool) {
        let reason = reason.map(str::to_owned);
        let message = GatewayDown::Endpoints { service: key(service), endpoints, reason, hopeless };
        self.session.tx.send(message).await.unwrap();
    }

    pub fn measured(&self, service: &str) -> ServiceMeasurement {
        let services = self.gateway.measurements().services;
        services.into_iter().find(|measured| measured.service == key(service)).unwrap()
    }

    /// The next message of which `wanted` makes something.
    pub async fn message<T>(&mut self, wanted: impl Fn(GatewayUp) -> Option<T>) -> T {
        let next = async {
            loop {
                if let Some(found) = wanted(self.session.rx.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the message comes")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
