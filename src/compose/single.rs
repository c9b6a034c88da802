//! One component and a gateway before it: a worker and a gateway in this process, and in place of a control plane a loop that
//! keeps the one replica running.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::anyhow;
use api::{
    ObjectKey, ReplicaId, Timestamp,
    replica::{Grants, Limits, LogLine, Probes, ReplicaPhase, ReplicaSpec, Reserves},
    session::{
        self, Endpoint, ForGateway, ForWorker, GatewayDown, Ingress, IngressRule, PathMatch, Routes, ServicePort,
        ServiceRoute, WorkerDown, WorkerUp,
    },
};
use gateway::{Gateway, GatewayConfig};
use key_value::{MemoryKeyValue, Quota};
use registry_client::ImageStore;
use runtime::{Code, Ending, Handles, Replicas, Worker};
use tokio_util::sync::CancellationToken;
use transport::DirectConnect;

use super::{Roles, config, images::StoredImages, machine_name, only, scratch::Scratch};
use crate::config::{GatewayLimitArgs, HttpArgs, WorkerLimitArgs};

/// The namespace of the one Service, which nobody types.
const NAMESPACE: &str = "run";
/// The port that guests call it at.
const PORT: u16 = 80;
/// What failed after it had been ready is started again after this long, so that it does not fail without a pause.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// What is to be run, and for whom.
#[derive(Debug)]
pub(crate) struct SinglePlan {
    /// What the Service and its replicas are called.
    pub(crate) name: String,
    /// The component.
    pub(crate) component: Vec<u8>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
    pub(crate) http: HttpArgs,
    /// Hosts that it answers besides this machine's own names; `*`: all.
    pub(crate) hosts: Vec<String>,
    pub(crate) gateway: GatewayLimitArgs,
    pub(crate) worker: WorkerLimitArgs,
}

/// What becomes of the replica.
#[derive(Debug)]
pub(crate) enum SingleNews {
    /// It takes requests: the first time, or again.
    Ready,
    /// It wrote something.
    Said(LogLine),
    /// It failed, and is started again.
    Failed(String),
}

/// Starts the worker and the gateway. Returns where requests are taken, once that is so; `tell` hears of the replica.
pub(crate) async fn single(
    plan: SinglePlan,
    mut tell: impl FnMut(SingleNews) + Send + 'static,
    shutdown: &CancellationToken,
) -> anyhow::Result<(SocketAddr, Roles)> {
    let scratch = Scratch::make()?;
    let images = ImageStore::open(scratch.path().join("images"))?;
    let image = format!("{}:run", plan.name);
    let put = {
        let (images, image, component) = (images.clone(), image.clone(), plan.component);
        tokio::task::spawn_blocking(move || images.put_component(&image, component.into()))
    };
    let digest = put.await??.digest;
    let replicas = Replicas::new();
    let gateway_config = GatewayConfig {
        default_service: true,
        unknown_host_hint: Some("`--host NAME` lets it answer to another name"),
        ..config::gateway(&plan.http, &plan.gateway)
    };
    let gateway = Gateway::new(gateway_config, replicas.dialer());
    let address = gateway.bind()?;
    let stored = Arc::new(StoredImages(images.clone()));
    let cache = scratch.path().join("cache");
    let artifacts = config::artifacts(images, stored.clone(), &cache, &plan.worker, Code::default())?;
    let handles = Handles {
        key_value: Arc::new(MemoryKeyValue::new(Quota::default())),
        cluster_http: gateway.cluster_http(),
        artifacts: Arc::new(artifacts),
        images: stored,
        connect: Arc::new(DirectConnect),
    };
    let mut worker = Worker::new(config::worker(&machine_name(), &plan.worker), replicas, handles)?;

    let (worker_side, for_worker) = session::in_process();
    let (gateway_side, for_gateway) = session::in_process();
    let service = ObjectKey::new(NAMESPACE, plan.name.as_str());
    // At an address that others reach it is for them, whatever they call this machine.
    let everybody = !address.ip().to_canonical().is_loopback();
    let routes = routes(&service, &plan.hosts, everybody);
    let mut keeper = Keeper {
        spec: ReplicaSpec {
            id: ReplicaId(service.clone()),
            revision: plan.name,
            created: now(),
            image,
            digest,
            environment: plan.environment,
            grants: plan.grants,
            limits: plan.limits,
            reserves: Reserves::default(),
            probes: Probes::default(),
            seal: Vec::new(),
        },
        service,
        worker: for_worker,
        gateway: for_gateway,
        starts: 0,
        slots: None,
        was_ready: false,
    };

    let gateway_ends = shutdown.child_token();
    let worker_ends = Ending::default();
    let gateway_ended = worker_ends.now.clone().drop_guard();
    let mut roles = Roles::new(shutdown);
    roles.spawn("the gateway", async move {
        let _ended = gateway_ended;
        Ok(gateway.run(only(gateway_side), gateway_ends).await?)
    });
    roles.spawn("the worker", async move {
        worker.run(worker_side, &worker_ends).await;
        // What is mapped from there is let go of first.
        drop((worker, scratch));
        Ok(())
    });
    // It ends with the worker, which ends after the gateway: requests in flight have their replica until then.
    roles.watch(async move { keeper.keep(routes, &mut tell).await });
    Ok((address, roles))
}

/// What leads to the Service beside its own name and those of this machine.
fn routes(service: &ObjectKey, hosts: &[String], everybody: bool) -> Routes {
    let rule = |host: Option<&str>| IngressRule {
        host: host.map(str::to_owned),
        path: host.map_or(PathMatch::Otherwise, |_| PathMatch::Prefix("/".to_owned())),
        service: service.clone(),
    };
    let all = (everybody || hosts.iter().any(|host| host == "*")).then(|| rule(None));
    let rules = hosts.iter().filter(|host| *host != "*").map(|host| rule(Some(host))).chain(all).collect();
    Routes {
        services: vec![ServiceRoute {
            key: service.clone(),
            ports: vec![ServicePort { name: None, port: PORT }],
            load_balancer: false,
            guards: Vec::new(),
        }],
        ingresses: vec![Ingress { key: service.clone(), rules }],
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default() + since
}

/// Keeps one replica running, and tells the gateway of it.
struct Keeper {
    spec: ReplicaSpec,
    service: ObjectKey,
    worker: ForWorker,
    gateway: ForGateway,
    /// Replicas that were started: each has a name of its own.
    starts: u32,
    /// Requests that the replica takes at the same time, where its memory has no room for as many as it may.
    slots: Option<u32>,
    was_ready: bool,
}

impl Keeper {
    /// Runs until the sessions end; an error: the component cannot be started.
    async fn keep(&mut self, routes: Routes, tell: &mut (impl FnMut(SingleNews) + Send)) -> anyhow::Result<()> {
        self.down(GatewayDown::Routes(Arc::new(routes))).await;
        let worker = loop {
            match self.worker.rx.recv().await {
                Some(WorkerUp::Hello(hello)) => break hello.name,
                Some(_) => {}
                None => return Ok(()),
            }
        };
        self.start().await;
        loop {
            let message = tokio::select! {
                message = self.worker.rx.recv() => message,
                // Samples and wakes: there is nobody to scale.
                Some(_) = self.gateway.rx.recv() => continue,
            };
            match message {
                None => return Ok(()),
                Some(WorkerUp::Slots { id, slots }) if id == self.spec.id => {
                    self.slots = Some(slots);
                    if self.was_ready {
                        self.ready(&worker).await;
                    }
                }
                Some(WorkerUp::Log { lines, .. }) => lines.into_iter().for_each(|line| tell(SingleNews::Said(line))),
                Some(WorkerUp::Phase { id, phase: ReplicaPhase::Ready }) if id == self.spec.id => {
                    self.was_ready = true;
                    self.ready(&worker).await;
                    tell(SingleNews::Ready);
                }
                Some(WorkerUp::Phase { id, phase: ReplicaPhase::Failed(failure) }) if id == self.spec.id => {
                    if !self.was_ready {
                        return Err(anyhow!("the component cannot run: {}", failure.message));
                    }
                    self.none(format!("it failed and is started again: {}", failure.message)).await;
                    tell(SingleNews::Failed(failure.message));
                    tokio::time::sleep(RESTART_AFTER).await;
                    self.start().await;
                }
                Some(_) => {}
            }
        }
    }

    async fn start(&mut self) {
        self.starts += 1;
        self.slots = None;
        let name = format!("{}-{}", self.service.name, self.starts);
        self.spec.id = ReplicaId(ObjectKey::new(NAMESPACE, name.as_str()));
        self.spec.created = now();
        // An end of the session is seen where it is read.
        let _ = self.worker.tx.send(WorkerDown::Start(Arc::new(self.spec.clone()))).await;
    }

    async fn ready(&self, worker: &api::WorkerName) {
        let endpoint = Endpoint {
            replica: self.spec.id.clone(),
            worker: worker.clone(),
            concurrency: self.slots.unwrap_or(self.spec.limits.concurrency),
            request_deadline: self.spec.limits.request_deadline,
            address: None,
            standby: false,
        };
        self.endpoints(vec![endpoint], None).await;
    }

    async fn none(&self, reason: String) {
        self.endpoints(Vec::new(), Some(reason)).await;
    }

    async fn endpoints(&self, endpoints: Vec<Endpoint>, reason: Option<String>) {
        let service = self.service.clone();
        self.down(GatewayDown::Endpoints { service, endpoints, reason, hopeless: false }).await;
    }

    async fn down(&self, message: GatewayDown) {
        let _ = self.gateway.tx.send(message).await;
    }
}
