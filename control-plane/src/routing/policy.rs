//! Who may call whom: NetworkPolicies as Kubernetes says them. A pod that no policy of a direction selects may do anything in
//! that direction; one that is selected may do what a rule of any of them allows. A call needs both sides: the caller's egress
//! and the callee's ingress.

use std::{collections::BTreeMap, fmt};

use api::ObjectKey;
use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube_api::fields::label_selector;

pub(crate) type Labels = BTreeMap<String, String>;

/// A stored NetworkPolicy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) key: ObjectKey,
    pods: LabelSelector,
    /// `None`: it says nothing of this direction.
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    /// `None`: everybody, also hosts outside.
    peers: Option<Vec<Peer>>,
    /// `None`: every port.
    ports: Option<Vec<Ports>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Peer {
    /// `None`: all of the namespaces.
    pods: Option<LabelSelector>,
    /// `None`: the policy's own.
    namespaces: Option<LabelSelector>,
}

#[derive(Debug, Clone, PartialEq)]
enum Ports {
    All,
    Range(u16, u16),
    /// As a pod's container calls it.
    Named(String),
    /// Of another protocol than TCP, or beyond all numbers.
    Never,
}

/// Somebody at one end of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pod<'a> {
    pub(crate) namespace: &'a str,
    /// `None`: not known. Then a policy that may select it does, and a rule that may not allow it does not.
    pub(crate) labels: Option<&'a Labels>,
    /// Of the namespace; `None`: not known.
    pub(crate) of_namespace: Option<&'a Labels>,
}

/// Where a call ends: the port of the pod, by its number and by the names that its containers give to numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port<'a> {
    pub(crate) number: u16,
    pub(crate) names: &'a BTreeMap<String, u16>,
}

/// A call that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied<'a> {
    /// The first by name of those that select the pod.
    pub(crate) policy: &'a ObjectKey,
    pub(crate) direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ingress,
    Egress,
}

/// Whether a call is allowed, or which policy denies it. `policies` are in order of their names.
pub(crate) fn decide<'a>(policies: &'a [Policy], from: Pod<'_>, to: Pod<'_>, port: Port<'_>) -> Result<(), Denied<'a>> {
    egress(policies, from, |rule, own| rule.allows_pod(own, to) && rule.allows_port(port))?;
    ingress(policies, to, |rule, own| rule.allows_pod(own, from) && rule.allows_port(port))
}

/// As [`decide`], of a caller that nothing is said of: a gateway.
pub(crate) fn decide_for_gateway<'a>(
    policies: &'a [Policy],
    gateway: Pod<'_>,
    to: Pod<'_>,
    port: Port<'_>,
) -> Result<(), Denied<'a>> {
    ingress(policies, to, |rule, own| rule.allows_pod(own, gateway) && rule.allows_port(port))
}

/// At which ports a pod may send to hosts outside. They have no labels: a rule that names peers is not for them.
pub(crate) fn outside<'a>(policies: &'a [Policy], from: Pod<'_>) -> Outside<'a> {
    let Err(denied) = egress(policies, from, |_, _| false) else {
        return Outside { allowed: vec![(0, u16::MAX)], denied: None };
    };
    let own = policies.iter().filter(|policy| *policy.key.namespace == *from.namespace);
    let rules =
        own.filter(|policy| policy.certainly_selects(from.labels)).flat_map(|policy| policy.egress.iter().flatten());
    let mut ranges: Vec<(u16, u16)> = rules.filter(|rule| rule.peers.is_none()).flat_map(Rule::ranges).collect();
    ranges.sort_unstable();
    let mut allowed: Vec<(u16, u16)> = Vec::new();
    for (from, to) in ranges.into_iter().filter(|(from, to)| from <= to) {
        match allowed.last_mut() {
            Some((_, last)) if from <= last.saturating_add(1) => *last = to.max(*last),
            _ => allowed.push((from, to)),
        }
    }
    Outside { allowed, denied: Some(denied) }
}

/// What a pod may send to hosts outside.
#[derive(Debug)]
pub(crate) struct Outside<'a> {
    /// Ranges of ports, in order, none of which touches another.
    allowed: Vec<(u16, u16)>,
    /// What denies it the others.
    denied: Option<Denied<'a>>,
}

impl<'a> Outside<'a> {
    pub(crate) fn decide(&self, port: u16) -> Result<(), Denied<'a>> {
        let after = self.allowed.partition_point(|(from, _)| *from <= port);
        let is_allowed = after.checked_sub(1).is_some_and(|last| port <= self.allowed[last].1);
        match self.denied {
            Some(denied) if !is_allowed => Err(denied),
            _ => Ok(()),
        }
    }
}

fn egress<'a>(policies: &'a [Policy], from: Pod<'_>, allows: impl Fn(&Rule, &str) -> bool) -> Result<(), Denied<'a>> {
    let denied = in_direction(policies, from, |policy| policy.egress.as_deref(), allows);
    denied.map_or(Ok(()), |policy| Err(Denied { policy, direction: Direction::Egress }))
}

fn ingress<'a>(policies: &'a [Policy], to: Pod<'_>, allows: impl Fn(&Rule, &str) -> bool) -> Result<(), Denied<'a>> {
    let denied = in_direction(policies, to, |policy| policy.ingress.as_deref(), allows);
    denied.map_or(Ok(()), |policy| Err(Denied { policy, direction: Direction::Ingress }))
}

/// The policy that denies what no rule allows to a pod that is selected.
fn in_direction<'a>(
    policies: &'a [Policy],
    pod: Pod<'_>,
    rules: impl Fn(&'a Policy) -> Option<&'a [Rule]>,
    allows: impl Fn(&Rule, &str) -> bool,
) -> Option<&'a ObjectKey> {
    let mut first = None;
    for policy in policies.iter().filter(|policy| *policy.key.namespace == *pod.namespace) {
        let Some(rules) = rules(policy) else { continue };
        if !policy.may_select(pod.labels) {
            continue;
        }
        if policy.certainly_selects(pod.labels) && rules.iter().any(|rule| allows(rule, pod.namespace)) {
            return None;
        }
        first.get_or_insert(&policy.key);
    }
    first
}

impl Policy {
    /// Reads a stored policy. It was checked when it was stored.
    pub(crate) fn read(key: &ObjectKey, policy: NetworkPolicy) -> Self {
        let spec = policy.spec.unwrap_or_default();
        let ingress = spec.ingress.unwrap_or_default();
        let ingress: Vec<Rule> = ingress.into_iter().map(|rule| Rule::new(rule.from, rule.ports)).collect();
        let egress = spec.egress.unwrap_or_default();
        let egress: Vec<Rule> = egress.into_iter().map(|rule| Rule::new(rule.to, rule.ports)).collect();
        let types = spec.policy_types.unwrap_or_default();
        let names = |direction: &str| types.iter().any(|named| named == direction);
        Self {
            key: key.clone(),
            pods: spec.pod_selector.unwrap_or_default(),
            ingress: (types.is_empty() || names("Ingress")).then_some(ingress),
            egress: ((types.is_empty() && !egress.is_empty()) || names("Egress")).then_some(egress),
        }
    }

    /// Whether it says who may be called.
    pub(crate) fn isolates_egress(&self) -> bool {
        self.egress.is_some()
    }

    /// Whether it says who may call pods of these labels.
    pub(crate) fn isolates_ingress_of(&self, labels: &Labels) -> bool {
        self.ingress.is_some() && self.may_select(Some(labels))
    }

    /// The ranges of ports that its rules of egress name by numbers.
    pub(crate) fn egress_ports(&self) -> impl Iterator<Item = (u16, u16)> {
        let ports = self.egress.iter().flatten().flat_map(|rule| rule.ports.iter().flatten());
        ports.filter_map(|ports| match ports {
            Ports::Range(first, last) => Some((*first, *last)),
            _ => None,
        })
    }

    fn certainly_selects(&self, labels: Option<&Labels>) -> bool {
        certainly(&self.pods, labels)
    }

    fn may_select(&self, labels: Option<&Labels>) -> bool {
        labels.is_none_or(|labels| label_selector::selects(&self.pods, labels))
    }
}

impl Rule {
    fn new(peers: Option<Vec<NetworkPolicyPeer>>, ports: Option<Vec<NetworkPolicyPort>>) -> Self {
        // As in Kubernetes, an empty list is none.
        let peers = peers.filter(|peers| !peers.is_empty());
        let ports = ports.filter(|ports| !ports.is_empty());
        Self {
            peers: peers.map(|peers| peers.into_iter().filter_map(Peer::new).collect()),
            ports: ports.map(|ports| ports.into_iter().map(|port| Ports::new(&port)).collect()),
        }
    }

    fn allows_pod(&self, own: &str, pod: Pod<'_>) -> bool {
        self.peers.as_ref().is_none_or(|peers| peers.iter().any(|peer| peer.is(own, pod)))
    }

    /// The ports that it allows, as far as these are numbers.
    fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        let every = self.ports.is_none().then_some((0, u16::MAX));
        let named = self.ports.iter().flatten().filter_map(|ports| match ports {
            Ports::All => Some((0, u16::MAX)),
            Ports::Range(first, last) => Some((*first, *last)),
            Ports::Named(_) | Ports::Never => None,
        });
        every.into_iter().chain(named)
    }

    fn allows_port(&self, port: Port<'_>) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.iter().any(|one| one.is(port)))
    }
}

impl Peer {
    /// `None`: it is a range of addresses, which is refused where it is written.
    fn new(peer: NetworkPolicyPeer) -> Option<Self> {
        let NetworkPolicyPeer { ip_block, pod_selector, namespace_selector } = peer;
        let selects = ip_block.is_none() && (pod_selector.is_some() || namespace_selector.is_some());
        selects.then_some(Self { pods: pod_selector, namespaces: namespace_selector })
    }

    fn is(&self, own: &str, pod: Pod<'_>) -> bool {
        let of_namespace = match &self.namespaces {
            None => own == pod.namespace,
            Some(selector) => certainly(selector, pod.of_namespace),
        };
        of_namespace && self.pods.as_ref().is_none_or(|selector| certainly(selector, pod.labels))
    }
}

impl Ports {
    fn new(port: &NetworkPolicyPort) -> Self {
        if port.protocol.as_deref().is_some_and(|protocol| protocol != "TCP") {
            return Self::Never;
        }
        match &port.port {
            None => Self::All,
            Some(IntOrString::String(name)) => Self::Named(name.clone()),
            Some(IntOrString::Int(first)) => match (u16::try_from(*first), port.end_port.map(u16::try_from)) {
                (Ok(first), None) => Self::Range(first, first),
                (Ok(first), Some(Ok(last))) => Self::Range(first, last),
                _ => Self::Never,
            },
        }
    }

    fn is(&self, port: Port<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Range(first, last) => (first..=last).contains(&&port.number),
            Self::Named(name) => port.names.get(name) == Some(&port.number),
            Self::Never => false,
        }
    }
}

impl Denied<'_> {
    /// Which says at which port of the pod, since that is what rules name, and not the Service's.
    pub(crate) fn at(self, pod_port: u16) -> impl fmt::Display {
        let Self { policy, direction } = self;
        fmt::from_fn(move |f| write!(f, "NetworkPolicy {policy} ({direction} at pod port {pod_port})"))
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress of the callee",
            Self::Egress => "egress of the caller",
        })
    }
}

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkPolicy {} ({})", self.policy, self.direction)
    }
}

fn certainly(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    labels.map_or_else(|| is_empty(selector), |labels| label_selector::selects(selector, labels))
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
