use std::{net::IpAddr, sync::Arc};

use api::{ObjectKey, session::IngressRule};
use rpds::HashTrieMapSync;

use super::table::{RouteTable, Routed};
use crate::balance::Service;

/// Where requests go: by host and path, or by the name of a Service. Requests read one while a changed copy is made beside
/// it, which shares with it all that has not changed.
#[derive(Clone, Default)]
pub(crate) struct Directory {
    /// By name and namespace, as their hosts begin.
    services: HashTrieMapSync<String, Listed>,
    rules: RouteTable<Target>,
    /// Where this machine's own names lead, if no rule is for them.
    default: Option<Arc<Service>>,
}

/// What a client is offered. What an Ingress names is public; what Services are called is for those on the same machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// The same as [`Self::NamesToo`], and who asks in vain is told what there is: it is on the same machine.
    Everything,
    /// Rules of Ingresses, and each Service at `SERVICE.NAMESPACE.localhost`.
    NamesToo,
    /// Rules of Ingresses.
    RulesAlone,
}

/// A Service that exists, and what its callers may name.
pub(crate) struct Listed {
    pub(crate) service: Arc<Service>,
    pub(crate) ports: Vec<u16>,
    /// Whether it has ports of its own.
    pub(crate) load_balancer: bool,
}

/// Where a rule leads. The Service may be missing.
struct Target {
    service: ObjectKey,
    name: String,
}

/// Why a request has nowhere to go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRoute<'a> {
    /// A rule names this Service, but there is none.
    Missing(&'a ObjectKey),
    /// No rule and no Service names the host.
    UnknownHost,
    /// The host is known, but none of its rules is for this path.
    NoRuleForPath,
}

impl Directory {
    /// A Service by its name.
    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&Listed> {
        self.services.get(&name(key))
    }

    /// Where a request goes, as Kubernetes says it of Ingresses: to a rule for its host and path, then to rules for a wildcard,
    /// then to those without a host, and at last to a default backend. A Service's own host comes before what does not name
    /// that host, where names are `offered`; and this machine's own names lead to the default, if there is one. `host` is
    /// lower-case and without port.
    pub(crate) fn route(&self, host: &str, path: &str, offered: Offered) -> Result<&Arc<Service>, NoRoute<'_>> {
        if let Some(Routed::To(target)) = self.rules.by_name(host, path) {
            return self.target(target);
        }
        if offered != Offered::RulesAlone
            && let Some(own) = host.strip_suffix(".localhost").and_then(|name| self.services.get(name))
        {
            return Ok(&own.service);
        }
        match self.rules.by_wildcard(host, path) {
            Routed::To(target) => self.target(target),
            Routed::UnknownHost => {
                let default = self.default.as_ref().filter(|_| offered != Offered::RulesAlone && is_this_machine(host));
                default.ok_or(NoRoute::UnknownHost)
            }
            Routed::NoRuleForPath => Err(NoRoute::NoRuleForPath),
        }
    }

    fn target<'a>(&'a self, target: &'a Target) -> Result<&'a Arc<Service>, NoRoute<'a>> {
        let listed = self.services.get(&target.name);
        listed.map(|listed| &listed.service).ok_or(NoRoute::Missing(&target.service))
    }

    pub(crate) fn list(&mut self, key: &ObjectKey, listed: Listed) {
        self.services.insert_mut(name(key), listed);
    }

    pub(crate) fn unlist(&mut self, key: &ObjectKey) {
        self.services.remove_mut(&name(key));
    }

    /// The names of all Services, in order.
    pub(crate) fn names(&self) -> Vec<ObjectKey> {
        let mut names: Vec<ObjectKey> = self.services.values().map(|listed| listed.service.key().clone()).collect();
        names.sort();
        names
    }

    /// Chooses where this machine's own names lead; `ruled` are the Services that rules name.
    pub(crate) fn choose_default<'a>(&mut self, ruled: impl Iterator<Item = &'a ObjectKey>) {
        let mut all = self.services.values();
        if let (Some(only), None) = (all.next(), all.next()) {
            self.default = Some(only.service.clone());
            return;
        }
        let balanced = self.services.values().filter(|listed| listed.load_balancer);
        let exposed = ruled.filter_map(|key| self.service(key)).chain(balanced).map(|listed| &listed.service);
        let mut one: Option<&Arc<Service>> = None;
        for service in exposed {
            if one.is_some_and(|one| one.key() != service.key()) {
                self.default = None;
                return;
            }
            one = Some(service);
        }
        self.default = one.cloned();
    }

    /// Sets all rules of a host.
    pub(crate) fn set_rules<'a>(&mut self, host: Option<&str>, rules: impl Iterator<Item = &'a IngressRule>) {
        let target = |service: &ObjectKey| Target { service: service.clone(), name: name(service) };
        self.rules.set(host, rules.map(|rule| (rule.path.clone(), target(&rule.service))));
    }
}

/// Whether a host means this machine to whoever is on it, and can be made to mean no other: no name server is asked for
/// `localhost`, nor for an address.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// Names of Services and Namespaces hold no dot, so that no other Service has it.
fn name(key: &ObjectKey) -> String {
    format!("{}.{}", key.name, key.namespace)
}
