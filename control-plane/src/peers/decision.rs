use api::{Bucket, Digest, ObjectKey, ReplicaId, Timestamp, WorkerName};

use super::placed::Placed;

/// Labels and taints that begin so are given by who administers the installation.
const ADMINISTRATORS: &str = "sampan.dev/";

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
    /// To have a label of this key.
    Label(&'a str),
    /// To have a taint of this key.
    Taint(&'a str),
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
        "worker `{worker}` has no {what} `{key}`: those that begin with `{ADMINISTRATORS}` are given by `sampan token create`"
    )]
    Administrators { worker: WorkerName, what: &'static str, key: String },
}

/// Whether a worker may, by what was placed on it. Pure.
pub(super) fn decide(worker: &WorkerName, asked: &Asked<'_>, placed: &Placed, now: Timestamp) -> Result<(), Refusal> {
    let worker = || worker.clone();
    let administrators = |what, key: &str| match key.starts_with(ADMINISTRATORS) {
        true => Err(Refusal::Administrators { worker: worker(), what, key: key.to_owned() }),
        false => Ok(()),
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
        Asked::Label(key) => administrators("label", key),
        Asked::Taint(key) => administrators("taint", key),
    }
}
