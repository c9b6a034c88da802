use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicUsize},
};

use api::{
    Dialer, ObjectKey,
    session::{Endpoint, GatewayUp, Ingress, Routes, ServiceRoute},
};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::{
    GatewayConfig,
    balance::{Awakened, Service, Waits, WhyNone},
    guard::{DenialCounts, Guards, Leavings},
    measurements::loads,
    offenders::Offenders,
    overload::Overload,
    refusal::RefusalCounts,
    routing::{Directory, Ingresses, Listed},
    sources::Sources,
};

/// What all threads of a gateway see.
pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) directory: ArcSwap<Directory>,
    pub(crate) refusals: RefusalCounts,
    pub(crate) denied_calls: DenialCounts,
    pub(crate) connections: AtomicUsize,
    pub(crate) sources: Sources,
    pub(crate) offenders: Offenders,
    pub(crate) overload: Overload,
    dialer: Arc<dyn Dialer>,
    /// Who may send to hosts outside.
    pub(crate) leavings: ArcSwap<Leavings>,
    /// Off the request's way, which reads `directory`.
    known: Mutex<Known>,
    pub(crate) awakened: Awakened,
    /// While the gateway runs.
    up: ArcSwapOption<mpsc::Sender<GatewayUp>>,
    /// Whether the control plane has told which routes there are.
    told_routes: watch::Sender<bool>,
}

/// What the control plane has told.
#[derive(Default)]
struct Known {
    /// Every Service that routes or endpoints were told of.
    services: HashMap<ObjectKey, Arc<Service>>,
    ingresses: Ingresses,
}

impl Shared {
    pub(crate) fn new(config: GatewayConfig, dialer: Arc<dyn Dialer>) -> Self {
        Self {
            config,
            directory: ArcSwap::default(),
            refusals: RefusalCounts::default(),
            denied_calls: DenialCounts::default(),
            connections: AtomicUsize::new(0),
            sources: Sources::default(),
            offenders: Offenders::default(),
            overload: Overload::default(),
            dialer,
            leavings: ArcSwap::default(),
            known: Mutex::default(),
            awakened: Awakened::default(),
            up: ArcSwapOption::empty(),
            told_routes: watch::Sender::new(false),
        }
    }

    /// The control plane has told which routes there are: who asks for another is told so from now on.
    pub(crate) fn knows_routes(&self) {
        self.told_routes.send_if_modified(|told| !std::mem::replace(told, true));
    }

    /// Waits until it is known which routes there are.
    pub(crate) async fn routes_known(&self) {
        // It cannot fail: the sender is held here.
        let _ = self.told_routes.subscribe().wait_for(|told| *told).await;
    }

    /// Whether it is known which routes there are.
    pub(crate) fn are_routes_known(&self) -> bool {
        *self.told_routes.borrow()
    }

    /// Sets the session that wakes go to; `None` lets go of it, so that the control plane sees its end.
    pub(crate) fn connect_up(&self, up: Option<mpsc::Sender<GatewayUp>>) {
        self.up.store(up.map(Arc::new));
    }

    /// Says that requests wait for a replica. Whether the message went out.
    pub(crate) fn wake(&self, service: &Service) -> bool {
        let (in_flight, queued) = loads(service, &service.totals());
        let wake = GatewayUp::Wake { service: service.key().clone(), queued, in_flight };
        self.up.load().as_ref().is_some_and(|up| up.try_send(wake).is_ok())
    }

    pub(crate) fn waits(&self) -> Waits {
        Waits {
            limit: self.config.queue_limit,
            all_busy: self.config.queue_wait,
            no_endpoints: self.config.queue_wait_no_endpoints,
        }
    }

    pub(crate) fn services(&self) -> Vec<Arc<Service>> {
        self.known.lock().services.values().cloned().collect()
    }

    /// Host, path and Service of each rule that leads somewhere from this machine: one of a wildcard has no host to go to.
    pub(crate) fn rules(&self) -> Vec<(String, String, ObjectKey)> {
        let known = self.known.lock();
        let rules =
            known.ingresses.all().into_iter().filter(|(host, ..)| host.is_none_or(|host| !host.starts_with('*')));
        rules.map(|(host, path, key)| (host.unwrap_or("localhost").to_owned(), path.to_owned(), key.clone())).collect()
    }

    /// Replaces all routes.
    pub(crate) fn route(&self, routes: &Routes) {
        let (mut known, mut directory) = (self.known.lock(), Directory::default());
        for route in &routes.services {
            let service = known.service(&route.key, &self.awakened);
            service.guard(Guards::of(route));
            directory.list(&route.key, listed(route, service));
        }
        known.services.retain(|key, _| directory.service(key).is_some());
        known.ingresses = Ingresses::default();
        for ingress in &routes.ingresses {
            known.rule(ingress.clone(), &mut directory);
        }
        if self.config.default_service {
            directory.choose_default(known.ingresses.services());
        }
        self.directory.store(Arc::new(directory));
    }

    /// A Service is new or has changed.
    pub(crate) fn list(&self, route: &ServiceRoute) {
        let service = self.known.lock().service(&route.key, &self.awakened);
        service.guard(Guards::of(route));
        self.change(|directory| directory.list(&route.key, listed(route, service)));
    }

    /// A Service is gone, with its endpoints. Requests that it has taken go on.
    pub(crate) fn unlist(&self, key: &ObjectKey) {
        self.change(|directory| directory.unlist(key));
        self.known.lock().services.remove(key);
    }

    /// The rules of an Ingress are new or have changed.
    pub(crate) fn rule(&self, ingress: Ingress) {
        self.change(|directory| self.known.lock().rule(ingress, directory));
    }

    /// Only who hears the control plane changes it, one change after the other.
    fn change(&self, change: impl FnOnce(&mut Directory)) {
        let mut directory = Directory::clone(&self.directory.load());
        change(&mut directory);
        if self.config.default_service {
            directory.choose_default(self.known.lock().ingresses.services());
        }
        self.directory.store(Arc::new(directory));
    }

    /// Replaces the endpoints of a Service.
    pub(crate) fn replace(&self, key: &ObjectKey, endpoints: &[Endpoint], why_none: WhyNone) {
        let listed = self.directory.load().service(key).is_some();
        let service = {
            let mut known = self.known.lock();
            let service = known.service(key, &self.awakened);
            if endpoints.is_empty() && !listed {
                known.services.remove(key);
            }
            service
        };
        service.replace(endpoints, why_none, &*self.dialer);
        service.tell_if_waiting(|| self.wake(&service));
    }
}

impl Known {
    fn service(&mut self, key: &ObjectKey, awakened: &Awakened) -> Arc<Service> {
        let new = || Arc::new(Service::new(key.clone(), awakened.clone()));
        self.services.entry(key.clone()).or_insert_with(new).clone()
    }

    fn rule(&mut self, ingress: Ingress, directory: &mut Directory) {
        for host in self.ingresses.set(ingress) {
            directory.set_rules(host.as_deref(), self.ingresses.of(&host));
        }
    }
}

fn listed(route: &ServiceRoute, service: Arc<Service>) -> Listed {
    let ports = route.ports.iter().map(|port| port.port).collect();
    Listed { service, ports, load_balancer: route.load_balancer }
}
