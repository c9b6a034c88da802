use api::{Bucket, Digest, ObjectKey, ReplicaId, Timestamp, WorkerName};
use kube_api::fields::{is_label_value, is_qualified_name};

use super::placed::Placed;

/// Labels and taints that begin so are given by who administers the installation.
const ADMINISTRATORS: &str = "sampan.dev/";
/// Labels of these domains are Kubernetes' own, and of those below them.
const KUBERNETES: [&str; 2] = ["kubernetes.io", "k8s.io"];
/// Labels of Kubernetes' own that a Node gives itself there too.
const OF_NODES: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
];
/// Domains of Kubernetes' own below which a Node gives itself any label there too.
const DOMAINS_OF_NODES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// What a worker asks for, or speaks of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// The entries of a store.
    KeyValue(&'a Bucket),
    /// An image.
    Image(&'a Digest),
    /// To say something of a replica.
    Says(&'a ReplicaId),
    /// To have compiled an image.
    Compiled(&'a Digest),
    /// To have a label of this key and this value.
    Label(&'a str, &'a str),
    /// To have a taint of this key and this value.
    Taint(&'a str, &'a str),
}

/// Why a worker may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "worker `{worker}` may not use store `{store}` of namespace `{namespace}`: no replica that is granted it is placed there"
    )]
    KeyValue { worker: WorkerName, namespace: String, store: String },
    #[error("worker `{worker}` may not have image {digest}: no replica of it is placed there")]
    Image { worker: WorkerName, digest: Digest },
    #[error("worker `{worker}` speaks of replica {id}, which was not placed there")]
    Replica { worker: WorkerName, id: ReplicaId },
    #[error("worker `{worker}` speaks of Service {service}, which no guest of it may call, or as a gateway of its own")]
    Service { worker: WorkerName, service: ObjectKey },
    #[error("worker `{worker}` speaks of image {digest}, of which no replica was placed there")]
    Compiled { worker: WorkerName, digest: Digest },
    #[error(
        "worker `{worker}` gives itself no {what} `{key}`: those that begin with `{ADMINISTRATORS}`, and most of `kubernetes.io` and \
         `k8s.io`, are given by `sampan token create`"
    )]
    Administrators { worker: WorkerName, what: &'static str, key: String },
    #[error("worker `{worker}` has no {what} `{key}`, which is not written as one")]
    Malformed { worker: WorkerName, what: &'static str, key: String },
    #[error(
        "worker `{worker}` says that it runs {replicas} replicas that were not placed there: it is told to stop them"
    )]
    Forged { worker: WorkerName, replicas: usize },
    #[error("worker `{worker}` says that it has {said}, more than its token allows: it counts as {counts}")]
    Capacity { worker: WorkerName, said: String, counts: String },
}

/// Whether a worker may, by what was placed on it. Pure.
pub(super) fn decide(worker: &WorkerName, asked: &Asked<'_>, placed: &Placed, now: Timestamp) -> Result<(), Refusal> {
    let worker = || worker.clone();
    let own = |what, key: &str, value: &str, reserved: bool| match (
        is_qualified_name(key) && is_label_value(value),
        reserved,
    ) {
        (true, false) => Ok(()),
        (true, true) => Err(Refusal::Administrators { worker: worker(), what, key: key.to_owned() }),
        (false, _) => Err(Refusal::Malformed { worker: worker(), what, key: key.to_owned() }),
    };
    match *asked {
        Asked::KeyValue(bucket) if placed.may_use(bucket, now) => Ok(()),
        Asked::KeyValue(Bucket { namespace, name }) => {
            Err(Refusal::KeyValue { worker: worker(), namespace: namespace.clone(), store: name.clone() })
        }
        Asked::Image(digest) if placed.may_have(digest, now) => Ok(()),
        Asked::Image(digest) => Err(Refusal::Image { worker: worker(), digest: digest.clone() }),
        Asked::Says(id) if placed.knows(id) => Ok(()),
        Asked::Says(id) => Err(Refusal::Replica { worker: worker(), id: id.clone() }),
        Asked::Compiled(digest) if placed.knows_image(digest) => Ok(()),
        Asked::Compiled(digest) => Err(Refusal::Compiled { worker: worker(), digest: digest.clone() }),
        Asked::Label(key, value) => own("label", key, value, is_reserved(key)),
        Asked::Taint(key, value) => own("taint", key, value, key.starts_with(ADMINISTRATORS)),
    }
}

/// Whether a label's key is not one that a Node gives itself, as with Kubernetes' NodeRestriction.
fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    let below = |of: &str| domain.strip_suffix(of).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    key.starts_with(ADMINISTRATORS)
        || (KUBERNETES.into_iter().any(below) && !OF_NODES.contains(&key) && !DOMAINS_OF_NODES.into_iter().any(below))
}
