use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Address, ObjectKey, ReplicaId, WorkerName};

/// From the control plane to a gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum GatewayDown {
    /// All Services and rules, anew. Replaces what was known. A session begins with it; from then on changes are told.
    Routes(Arc<Routes>),
    /// One Service, anew.
    Service(ServiceRoute),
    /// There is no such Service any more.
    ServiceGone(ObjectKey),
    /// All rules of one Ingress, anew; without rules, it is gone.
    Ingress(Ingress),
    /// Who may not send to all hosts outside, anew: all of them. Until it is told, nobody is known to be one of them.
    Leaving(Vec<Leaving>),
    /// All endpoints of one Service, anew. Replaces what was known of this Service.
    Endpoints {
        /// Which Service.
        service: ObjectKey,
        /// Its endpoints that take requests.
        endpoints: Vec<Endpoint>,
        /// Why there are none or too few, for the answer to a request that finds none.
        reason: Option<String>,
        /// Whether waiting for one is in vain for now: requests that wait are answered with the reason.
        hopeless: bool,
    },
}

/// From a gateway to the control plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum GatewayUp {
    /// A port of a LoadBalancer Service is bound, or cannot be.
    Listener {
        /// Which Service.
        service: ObjectKey,
        /// Which port of it.
        port: u16,
        /// The address that it listens at, or why it does not.
        outcome: Result<String, String>,
    },
    /// What was measured since the last sample of each of these Services; of all others, nothing happened. Sent each
    /// [`SAMPLE_WINDOW`] also when it is empty: its absence means that nothing is known.
    Samples(Vec<ServiceSample>),
    /// Requests wait for a replica of a Service: there is none, or all are busy. Sent when the first has to wait and when
    /// more do, without waiting for a sample.
    Wake {
        /// Which Service.
        service: ObjectKey,
        /// Requests that wait here.
        queued: u32,
        /// Requests that are being served from here.
        in_flight: u32,
    },
    /// Calls of guests that were denied since the last such message; sent with the samples when there are any.
    DeniedCalls(Vec<DeniedCalls>),
}

/// What a [`GatewayUp::DeniedCalls`] tells apart at most. What is beyond is counted where it was denied alone.
pub const MAX_DENIED_CALLS: usize = 256;

/// Calls of guests that a NetworkPolicy has denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedCalls {
    /// To whom.
    pub to: Denied,
    /// How many.
    pub count: u64,
}

/// To whom calls were denied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Denied {
    /// To a Service.
    Service(ObjectKey),
    /// To hosts outside.
    Outside {
        /// The namespace of the guests.
        namespace: String,
    },
}

/// How often a gateway says what it has measured.
pub const SAMPLE_WINDOW: Duration = Duration::from_millis(100);

/// What was measured at a Service over one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSample {
    /// Which Service.
    pub service: ObjectKey,
    /// How long the window was.
    pub window: Duration,
    /// Requests that arrived in it.
    pub arrivals: u64,
    /// Requests that ended in it.
    pub completed: u64,
    /// Of these, with a status of 500 or above.
    pub failed: u64,
    /// Requests being served at its end.
    pub in_flight: u32,
    /// Requests waiting at its end.
    pub queued: u32,
    /// Time from arrival to end, summed over those that ended.
    pub latency_sum: Duration,
    /// Requests that ended in it after a replica had worked on them.
    pub served: u64,
    /// Time from when a replica took them to their end, summed over those.
    pub service_sum: Duration,
    /// Time that requests spent here within the window, waiting or being served, summed: divided by the window it is how many
    /// there were on average.
    pub presence: Duration,
}

/// Everything that decides which Service a request goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Every Service.
    pub services: Vec<ServiceRoute>,
    /// Every Ingress.
    pub ingresses: Vec<Ingress>,
}

/// An Ingress as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingress {
    /// Its name. Of rules for the same host and path, those of the first by name hold.
    pub key: ObjectKey,
    /// Its rules, in no particular order: the gateway prefers the most specific.
    pub rules: Vec<IngressRule>,
}

/// A Service as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRoute {
    /// Its name.
    pub key: ObjectKey,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Whether each port wants a listener of its own.
    pub load_balancer: bool,
    /// Who may call it, by port; a port that has none may be called by everybody.
    pub guards: Vec<Guard>,
}

/// Whether somebody may do something: `None`, or which policy denies it.
pub type Verdict = Option<String>;

/// Who may call a port of a Service. What is known of a caller's revision goes before what is known of its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The port that callers use.
    pub port: u16,
    /// Callers that are not named below.
    pub others: Verdict,
    /// Callers of a namespace whose revision is not named.
    pub namespaces: Vec<(String, Verdict)>,
    /// Replicas of a revision.
    pub revisions: Vec<(ObjectKey, Verdict)>,
    /// Clients of a gateway.
    pub outside: Verdict,
}

impl Guard {
    /// The policy that keeps replicas of a revision from the port, found by going through what is known.
    pub fn denies(&self, caller: &ObjectKey) -> Option<&str> {
        let of_revision = self.revisions.iter().find(|(known, _)| known == caller).map(|(_, verdict)| verdict);
        let of_namespace = || self.namespaces.iter().find(|(known, _)| *known == *caller.namespace);
        of_revision.or_else(|| of_namespace().map(|(_, verdict)| verdict)).unwrap_or(&self.others).as_deref()
    }
}

/// Who may send to hosts outside at some ports. Whoever is not named may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// The first and the last of the ports.
    pub ports: (u16, u16),
    /// Callers of a namespace whose revision is not named.
    pub namespaces: Vec<(String, Verdict)>,
    /// Replicas of a revision.
    pub revisions: Vec<(ObjectKey, Verdict)>,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The port that callers use.
    pub port: u16,
}

/// One path of one rule of an Ingress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressRule {
    /// The host it is for: exact or `*.example.com`; `None`: whatever no rule with a host and no Service's name is for.
    pub host: Option<String>,
    /// The path it is for.
    pub path: PathMatch,
    /// Where its requests go.
    pub service: ObjectKey,
}

/// How a rule matches a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathMatch {
    /// This path alone.
    Exact(String),
    /// This path and those below it, element by element.
    Prefix(String),
    /// Every path that no rule is for, of whatever host it matches: a default backend.
    Otherwise,
}

/// A replica that takes requests for a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Which replica.
    pub replica: ReplicaId,
    /// Which worker runs it.
    pub worker: WorkerName,
    /// Requests that it takes at the same time: its concurrency, or fewer where its memory has no room for so many.
    pub concurrency: u32,
    /// How long it may take for a request.
    pub request_deadline: Duration,
    /// Where gateways of other processes reach its worker; `None` if it runs in this process.
    pub address: Option<Address>,
    /// Whether it runs nothing yet, and the first request starts it. It may refuse for want of room.
    pub standby: bool,
}
