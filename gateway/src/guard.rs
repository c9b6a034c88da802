//! Who may call whom, as the control plane has decided: looked up, and not decided here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use api::{
    ObjectKey,
    session::{Denied, DeniedCalls, Guard, Leaving, MAX_DENIED_CALLS, ServiceRoute, Verdict},
};
use parking_lot::Mutex;

/// The port that those mean who name none, where a Service has it.
const DEFAULT_PORT: u16 = 80;

/// Who may call a Service.
pub(crate) struct Guards {
    ports: Vec<(u16, PortGuard)>,
    /// The port that clients reach whose rule names none.
    default_port: u16,
}

struct PortGuard {
    callers: Callers,
    outside: Verdict,
}

/// A verdict for each caller.
struct Callers {
    others: Verdict,
    namespaces: HashMap<String, Verdict>,
    revisions: HashMap<ObjectKey, Verdict>,
}

impl Callers {
    fn denies(&self, caller: &ObjectKey) -> Option<&str> {
        let of_namespace = || self.namespaces.get(&*caller.namespace);
        self.revisions.get(caller).or_else(of_namespace).unwrap_or(&self.others).as_deref()
    }
}

impl Guards {
    /// `None`: everybody may.
    pub(crate) fn of(route: &ServiceRoute) -> Option<Self> {
        if route.guards.is_empty() {
            return None;
        }
        let guard = |Guard { port, others, namespaces, revisions, outside }: Guard| {
            let callers = Callers {
                others,
                namespaces: namespaces.into_iter().collect(),
                revisions: revisions.into_iter().collect(),
            };
            (port, PortGuard { callers, outside })
        };
        let ports = || route.ports.iter().map(|port| port.port);
        let default_port = ports().find(|port| *port == DEFAULT_PORT).or_else(|| ports().next());
        Some(Self {
            ports: route.guards.iter().cloned().map(guard).collect(),
            default_port: default_port.unwrap_or(DEFAULT_PORT),
        })
    }

    /// The policy that keeps replicas of a revision from a port.
    pub(crate) fn denies(&self, caller: &ObjectKey, port: u16) -> Option<&str> {
        self.at(port)?.callers.denies(caller)
    }

    /// The policy that keeps clients of the gateway from a port; `None`: the one that is meant where none is named.
    pub(crate) fn denies_clients(&self, port: Option<u16>) -> Option<&str> {
        self.at(port.unwrap_or(self.default_port))?.outside.as_deref()
    }

    fn at(&self, port: u16) -> Option<&PortGuard> {
        self.ports.iter().find(|(guarded, _)| *guarded == port).map(|(_, guard)| guard)
    }
}

/// Counts calls of guests that a policy has denied.
#[derive(Debug, Default)]
pub(crate) struct DenialCounts {
    inside: AtomicU64,
    outside: AtomicU64,
    /// What the control plane has not been told.
    untold: Mutex<BTreeMap<Denied, u64>>,
}

impl DenialCounts {
    pub(crate) fn count(&self, to: Denied) {
        let total = if matches!(to, Denied::Service(_)) { &self.inside } else { &self.outside };
        total.fetch_add(1, Relaxed);
        let mut untold = self.untold.lock();
        if untold.len() < MAX_DENIED_CALLS || untold.contains_key(&to) {
            *untold.entry(to).or_default() += 1;
        }
    }

    /// To Services, and to hosts outside, since the start.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.inside.load(Relaxed), self.outside.load(Relaxed))
    }

    /// What was denied since it was taken last.
    pub(crate) fn take(&self) -> Vec<DeniedCalls> {
        let untold = std::mem::take(&mut *self.untold.lock());
        untold.into_iter().map(|(to, count)| DeniedCalls { to, count }).collect()
    }

    pub(crate) fn is_told(&self) -> bool {
        self.untold.lock().is_empty()
    }
}

/// Who may send to hosts outside.
#[derive(Default)]
pub(crate) struct Leavings(Vec<((u16, u16), Callers)>);

impl Leavings {
    pub(crate) fn new(rules: Vec<Leaving>) -> Self {
        let rule = |Leaving { ports, namespaces, revisions }| {
            let (namespaces, revisions) = (namespaces.into_iter().collect(), revisions.into_iter().collect());
            (ports, Callers { others: None, namespaces, revisions })
        };
        Self(rules.into_iter().map(rule).collect())
    }

    /// The policy that keeps replicas of a revision from hosts outside.
    pub(crate) fn denies(&self, caller: &ObjectKey, port: u16) -> Option<&str> {
        let (_, callers) = self.0.iter().find(|((first, last), _)| (*first..=*last).contains(&port))?;
        callers.denies(caller)
    }
}
