use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicUsize},
};

use api::{
    Dialer, ObjectKey,
    session::{Endpoint, GatewayUp, IngressRule, PathMatch, Routes, ServiceRoute},
};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    GatewayConfig,
    balance::{Awakened, Service, Waits, WhyNone},
    measurements::loads,
    refusal::RefusalCounts,
    routes::{RouteTable, Rule},
};

/// What all threads of a gateway see.
pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) directory: ArcSwap<Directory>,
    pub(crate) refusals: RefusalCounts,
    pub(crate) connections: AtomicUsize,
    dialer: Arc<dyn Dialer>,
    /// Every Service that routes or endpoints were told of. Off the request's way, which reads `directory`.
    services: Mutex<HashMap<ObjectKey, Arc<Service>>>,
    pub(crate) awakened: Awakened,
    /// While the gateway runs.
    up: ArcSwapOption<mpsc::Sender<GatewayUp>>,
}

/// Where requests go, by host and path and by the Service's name.
pub(crate) struct Directory {
    pub(crate) hosts: RouteTable<Target>,
    pub(crate) services: HashMap<ObjectKey, Listed>,
}

/// Where a route leads.
pub(crate) enum Target {
    Service(Arc<Service>),
    /// A rule names it, but it is not there.
    Missing(ObjectKey),
}

/// A Service that exists, and what its callers may name.
pub(crate) struct Listed {
    pub(crate) service: Arc<Service>,
    pub(crate) ports: Vec<u16>,
}

impl Shared {
    pub(crate) fn new(config: GatewayConfig, dialer: Arc<dyn Dialer>) -> Self {
        let directory = Directory { hosts: RouteTable::new([]), services: HashMap::new() };
        Self {
            config,
            directory: ArcSwap::from_pointee(directory),
            refusals: RefusalCounts::default(),
            connections: AtomicUsize::new(0),
            dialer,
            services: Mutex::default(),
            awakened: Awakened::default(),
            up: ArcSwapOption::empty(),
        }
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

    fn new_service(&self, key: &ObjectKey) -> Arc<Service> {
        Arc::new(Service::new(key.clone(), self.awakened.clone()))
    }

    pub(crate) fn services(&self) -> Vec<Arc<Service>> {
        self.services.lock().values().cloned().collect()
    }

    /// Replaces all routes.
    pub(crate) fn route(&self, routes: &Routes) {
        let mut services = self.services.lock();
        let list = |route: &ServiceRoute| {
            let service = services.entry(route.key.clone()).or_insert_with(|| self.new_service(&route.key)).clone();
            (route.key.clone(), Listed { service, ports: route.ports.iter().map(|port| port.port).collect() })
        };
        let listed: HashMap<_, _> = routes.services.iter().map(list).collect();
        services.retain(|key, service| listed.contains_key(key) || service.has_endpoints());
        drop(services);
        let hosts = RouteTable::new(rules(routes, &listed));
        self.directory.store(Arc::new(Directory { hosts, services: listed }));
    }

    /// Replaces the endpoints of a Service.
    pub(crate) fn replace(&self, key: &ObjectKey, endpoints: &[Endpoint], why_none: WhyNone) {
        let listed = self.directory.load().services.contains_key(key);
        let service = {
            let mut services = self.services.lock();
            let service = services.entry(key.clone()).or_insert_with(|| self.new_service(key)).clone();
            if endpoints.is_empty() && !listed {
                services.remove(key);
            }
            service
        };
        service.replace(endpoints, why_none, &*self.dialer);
        service.tell_if_waiting(|| self.wake(&service));
    }
}

/// Ingress rules before the Services' own names, so that a rule may take a path of a Service's host; in an order that
/// does not depend on that of the message.
fn rules(routes: &Routes, listed: &HashMap<ObjectKey, Listed>) -> Vec<Rule<Target>> {
    let target = |key: &ObjectKey| match listed.get(key) {
        Some(listed) => Target::Service(listed.service.clone()),
        None => Target::Missing(key.clone()),
    };
    let mut ingress: Vec<&IngressRule> = routes.ingress.iter().collect();
    ingress.sort_by(|a, b| a.service.cmp(&b.service));
    let ingress = ingress.into_iter().map(|rule| Rule {
        host: rule.host.clone(),
        path: rule.path.clone(),
        target: target(&rule.service),
    });
    let own = routes.services.iter().map(|ServiceRoute { key, .. }| Rule {
        host: Some(format!("{}.{}.localhost", key.name, key.namespace)),
        path: PathMatch::Prefix("/".to_owned()),
        target: target(key),
    });
    ingress.chain(own).collect()
}
