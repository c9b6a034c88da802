//! The ports of LoadBalancer Services: which are wanted, which are bound, and what the control plane is told of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use api::{
    ObjectKey,
    session::{GatewayUp, Routes, ServiceRoute},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::{
    front::{Door, Opens},
    listen::{bind_all, why_not},
    shared::Shared,
    spread::lanes,
    threads::{Opening, ServingThread},
};

/// How often a port that could not be bound is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The ports of a Service that want a listener each.
pub(crate) fn balanced_ports(route: &ServiceRoute) -> Vec<u16> {
    if route.load_balancer { route.ports.iter().map(|port| port.port).collect() } else { Vec::new() }
}

/// A port of a Service.
type Wanted = (ObjectKey, u16);

/// The listeners of LoadBalancer Services.
pub(crate) struct Balancers {
    shared: Arc<Shared>,
    /// The main address, whose port is taken.
    http: SocketAddr,
    stop: CancellationToken,
    ports: BTreeMap<Wanted, Port>,
    /// How many may be bound.
    seats: Arc<Semaphore>,
    retry_at: Instant,
    /// A port was given up, which its threads close by and by.
    retry_often_until: Instant,
}

struct Port {
    /// Cancelled, the listener closes. `None`: not bound.
    bound: Option<Bound>,
    outcome: Result<String, String>,
    told: bool,
}

struct Bound {
    closed: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl Balancers {
    /// No listener outlives `stop`.
    pub(crate) fn new(shared: Arc<Shared>, http: SocketAddr, stop: CancellationToken) -> Self {
        let now = Instant::now();
        let seats = Arc::new(Semaphore::new(shared.config.max_load_balancer_ports));
        Self { shared, http, stop, ports: BTreeMap::new(), seats, retry_at: now + RETRY, retry_often_until: now }
    }

    /// Opens and closes listeners, so that those of `routes` are there.
    pub(crate) async fn replace(&mut self, routes: &Routes, threads: &[ServingThread]) {
        let balanced = routes.services.iter().flat_map(|s| balanced_ports(s).into_iter().map(|port| (&s.key, port)));
        let wanted: BTreeSet<(&ObjectKey, u16)> = balanced.collect();
        self.give_up(|service, number| !wanted.contains(&(service, number)));
        for (service, number) in wanted {
            self.want(service, number, threads).await;
        }
    }

    /// Opens and closes listeners, so that one Service has those for these ports.
    pub(crate) async fn set(&mut self, service: &ObjectKey, wanted: Vec<u16>, threads: &[ServingThread]) {
        self.give_up(|owner, number| owner == service && !wanted.contains(&number));
        for number in wanted {
            self.want(service, number, threads).await;
        }
    }

    /// Closes the listeners of these. Another Service may have wanted a port that is free soon: once its threads have closed it.
    fn give_up(&mut self, which: impl Fn(&ObjectKey, u16) -> bool) {
        let before = self.ports.len();
        self.ports.retain(|(service, number), _| !which(service, *number));
        if self.ports.len() < before {
            self.retry_often_until = Instant::now() + RETRY;
        }
    }

    async fn want(&mut self, service: &ObjectKey, number: u16, threads: &[ServingThread]) {
        if !self.ports.contains_key(&(service.clone(), number)) {
            self.open(service.clone(), number, threads).await;
        }
    }

    /// Tries again what could not be bound: now and then, and each time that this is called just after a port was given up.
    pub(crate) async fn retry(&mut self, threads: &[ServingThread]) {
        let now = Instant::now();
        if now < self.retry_at && now >= self.retry_often_until {
            return;
        }
        self.retry_at = now + RETRY;
        let unbound: Vec<Wanted> =
            self.ports.iter().filter(|(_, port)| port.bound.is_none()).map(|(wanted, _)| wanted.clone()).collect();
        for (service, number) in unbound {
            self.open(service, number, threads).await;
        }
    }

    /// Tells outcomes that are new, as far as the session takes them.
    pub(crate) fn tell(&mut self, up: &mpsc::Sender<GatewayUp>) {
        for ((service, number), port) in self.ports.iter_mut().filter(|(_, port)| !port.told) {
            let (service, outcome) = (service.clone(), port.outcome.clone());
            port.told = up.try_send(GatewayUp::Listener { service, port: *number, outcome }).is_ok();
        }
    }

    /// Another session: it has been told nothing yet.
    pub(crate) fn tell_again(&mut self) {
        self.ports.values_mut().for_each(|port| port.told = false);
    }

    async fn open(&mut self, service: ObjectKey, number: u16, threads: &[ServingThread]) {
        let opened = self.bind(&service, number, threads).await;
        let outcome = opened.as_ref().map(|(addr, _)| addr.to_string()).map_err(Clone::clone);
        let bound = opened.ok().map(|(_, bound)| bound);
        let before = self.ports.get(&(service.clone(), number));
        let told = before.is_some_and(|before| before.told && before.outcome == outcome);
        self.ports.insert((service, number), Port { bound, outcome, told });
    }

    async fn bind(
        &self,
        service: &ObjectKey,
        number: u16,
        threads: &[ServingThread],
    ) -> Result<(SocketAddr, Bound), String> {
        let addr = SocketAddr::new(self.shared.config.load_balancer_ip, number);
        self.check_free(addr)?;
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| {
            let most = self.shared.config.max_load_balancer_ports;
            format!("the gateway listens at {most} ports of LoadBalancer Services already, which are all that it may: use an Ingress")
        })?;
        let listed = self.shared.directory.load().service(service).map(|listed| listed.service.clone());
        let service = listed.ok_or_else(|| format!("service {service} is gone"))?;
        let sockets = bind_all(addr, threads.len()).map_err(|error| why_not(addr, &error))?;
        let closed = self.stop.child_token();
        for ((socket, lane), thread) in sockets.into_iter().zip(lanes(threads.len())).zip(threads) {
            let opens = Opens::Always(Door::Straight(service.clone(), number));
            let opening = Opening { socket, opens, lane, closed: closed.clone() };
            thread.openings.send(opening).await.map_err(|_| "the gateway is shutting down".to_owned())?;
        }
        Ok((addr, Bound { closed, _seat: seat }))
    }

    /// Whether no other listener of this gateway has the address.
    fn check_free(&self, addr: SocketAddr) -> Result<(), String> {
        let overlap = self.http.ip() == addr.ip() || self.http.ip().is_unspecified() || addr.ip().is_unspecified();
        if self.http.port() == addr.port() && overlap {
            return Err("it is the gateway's own HTTP port, see `--http`".to_owned());
        }
        let taken = self.ports.iter().find(|((_, number), port)| *number == addr.port() && port.bound.is_some());
        match taken {
            Some(((owner, _), _)) => Err(format!("it is taken by service {owner}")),
            None => Ok(()),
        }
    }
}
