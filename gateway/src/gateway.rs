use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use api::{
    ClusterHttp, Dialer,
    session::{GatewayDown, GatewaySide},
};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    GatewayConfig, GatewayError, Measurements,
    balance::WhyNone,
    balancers::{Balancers, balanced_ports},
    cluster_http::InnerCalls,
    front::Opens,
    guard::Leavings,
    listen::{bind_all, why_not},
    measurements::measure,
    memory,
    sampler::Sampler,
    shared::Shared,
    spread::lanes,
    threads::{self, Opening, ServingThread},
};

/// The gateway role. Cloning gives another handle to the same gateway.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    /// The main address' sockets, between `bind` and `run`.
    bound: Arc<Mutex<Option<Bound>>>,
}

struct Bound {
    addr: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Gateway {
    /// A gateway that reaches replicas through `dialer`. It listens nowhere yet.
    pub fn new(config: GatewayConfig, dialer: Arc<dyn Dialer>) -> Self {
        Self { shared: Arc::new(Shared::new(config, dialer)), bound: Arc::default() }
    }

    /// The way from guests to Services of the cluster. It works before `run`, and asks nobody but this gateway.
    pub fn cluster_http(&self) -> Arc<dyn ClusterHttp> {
        Arc::new(InnerCalls(self.shared.clone()))
    }

    /// Takes the main HTTP address, before anything is promised to anybody. Connections wait there until `run`.
    pub fn bind(&self) -> Result<SocketAddr, GatewayError> {
        let mut bound = self.bound.lock();
        if let Some(bound) = &*bound {
            return Ok(bound.addr);
        }
        let addr = self.shared.config.http;
        let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
        let failed = |error| match error {
            error if in_use(&error) => GatewayError::AddressInUse { addr },
            error => GatewayError::Bind { addr, why: why_not(addr, &error) },
        };
        let sockets = bind_all(addr, self.shared.config.threads).map_err(failed)?;
        let addr = sockets[0].local_addr().map_err(failed)?;
        *bound = Some(Bound { addr, sockets });
        Ok(addr)
    }

    /// The main HTTP address: as bound, or as configured before that.
    pub fn http_addr(&self) -> SocketAddr {
        self.bound.lock().as_ref().map_or(self.shared.config.http, |bound| bound.addr)
    }

    /// What was counted since the gateway was made.
    pub fn measurements(&self) -> Measurements {
        measure(&self.shared)
    }

    /// Serves until `shutdown`, then finishes what is in flight within the drain time. Binds first, if that was not
    /// done. When a session ends it goes on with what it last knew, and takes the next of `sessions`, if there is one.
    pub async fn run(
        &self,
        sessions: impl FnMut() -> Option<GatewaySide>,
        shutdown: CancellationToken,
    ) -> Result<(), GatewayError> {
        let http = self.bind()?;
        // Also when this future is dropped, the threads end.
        let stop = shutdown.child_token();
        let _stop_threads = stop.clone().drop_guard();
        let threads = self.start_threads(&stop)?;
        tokio::spawn(memory::watch(self.shared.clone(), stop.clone()));
        let mut balancers = Balancers::new(self.shared.clone(), http, stop.clone());
        self.follow(sessions, Some((&mut balancers, &threads)), &stop).await;
        drop(balancers);
        for thread in threads {
            // An error says that the thread ended too, by a panic.
            let _ = thread.ended.await;
        }
        self.shared.connect_up(None);
        Ok(())
    }

    fn start_threads(&self, stop: &CancellationToken) -> Result<Vec<ServingThread>, GatewayError> {
        let sockets = self.bound.lock().as_mut().map(|bound| std::mem::take(&mut bound.sockets)).unwrap_or_default();
        let mut threads = Vec::with_capacity(sockets.len());
        let lanes = lanes(sockets.len());
        let opens = Opens::main(self.http_addr().ip(), self.shared.config.publish_services);
        for (number, (socket, lane)) in sockets.into_iter().zip(lanes).enumerate() {
            let first = Opening { socket, opens: opens.clone(), lane, closed: stop.clone() };
            let thread = threads::start(self.shared.clone(), number, first, stop.clone());
            threads.push(thread.map_err(GatewayError::Thread)?);
        }
        Ok(threads)
    }

    /// As [`Gateway::run`], for calls of guests alone: it listens nowhere.
    pub async fn run_inside(&self, sessions: impl FnMut() -> Option<GatewaySide>, shutdown: CancellationToken) {
        self.follow(sessions, None, &shutdown).await;
        self.shared.connect_up(None);
    }

    /// Does what the control plane says, and tells it what happens, until shutdown. It never waits for the session to
    /// take a message: the control plane may itself be waiting for this gateway.
    async fn follow(
        &self,
        mut sessions: impl FnMut() -> Option<GatewaySide>,
        mut listening: Option<(&mut Balancers, &[ServingThread])>,
        stop: &CancellationToken,
    ) {
        let mut session = self.next(&mut sessions);
        let mut sampler = Sampler::new();
        let mut tick = interval(self.shared.config.sample_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                message = heard(&mut session) => match message {
                    Some(message) => self.apply(message, &mut listening).await,
                    None => {
                        session = self.next(&mut sessions);
                        if let Some((balancers, _)) = &mut listening {
                            balancers.tell_again();
                        }
                    }
                },
                _ = tick.tick() => {
                    if let Some(session) = &session {
                        sampler.sample(&self.shared, &session.tx);
                    }
                    if let Some((balancers, threads)) = &mut listening {
                        balancers.retry(threads).await;
                    }
                }
            }
            if let (Some((balancers, _)), Some(session)) = (&mut listening, &session) {
                balancers.tell(&session.tx);
            }
        }
    }

    fn next(&self, sessions: &mut impl FnMut() -> Option<GatewaySide>) -> Option<GatewaySide> {
        let session = sessions();
        self.shared.connect_up(session.as_ref().map(|session| session.tx.clone()));
        session
    }

    async fn apply(&self, message: GatewayDown, listening: &mut Option<(&mut Balancers, &[ServingThread])>) {
        match message {
            GatewayDown::Routes(routes) => {
                self.shared.route(&routes);
                self.shared.knows_routes();
                if let Some((balancers, threads)) = listening {
                    balancers.replace(&routes, threads).await;
                }
            }
            GatewayDown::Service(route) => {
                self.shared.list(&route);
                if let Some((balancers, threads)) = listening {
                    balancers.set(&route.key, balanced_ports(&route), threads).await;
                }
            }
            GatewayDown::ServiceGone(key) => {
                self.shared.unlist(&key);
                if let Some((balancers, threads)) = listening {
                    balancers.set(&key, Vec::new(), threads).await;
                }
            }
            GatewayDown::Ingress(ingress) => self.shared.rule(ingress),
            GatewayDown::Leaving(rules) => self.shared.leavings.store(Arc::new(Leavings::new(rules))),
            GatewayDown::Endpoints { service, endpoints, reason, hopeless } => {
                self.shared.replace(&service, &endpoints, WhyNone { reason, hopeless });
            }
        }
    }
}

/// What the control plane says next; `None` when the session has ended. Without a session, nothing.
async fn heard(session: &mut Option<GatewaySide>) -> Option<GatewayDown> {
    match session {
        Some(session) => session.rx.recv().await,
        None => std::future::pending().await,
    }
}
