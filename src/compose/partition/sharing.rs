use api::{ReplicaId, WorkerName};

/// Which replicas of a worker share a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sharing {
    /// All.
    Worker,
    /// Those of one namespace.
    Namespace,
}

/// What the process of a worker is called that all its replicas share. A namespace of this name has one of its own only where
/// namespaces do.
const ALL: &str = "guests";

impl Sharing {
    /// The process that a replica is for.
    pub(super) fn group(self, replica: &ReplicaId) -> &str {
        match self {
            Self::Worker => ALL,
            Self::Namespace => &replica.0.namespace,
        }
    }

    /// The process at whose socket those of this machine find a worker's replicas: the one that runs all, or the one that joined.
    pub(super) fn found_at(self, worker: &WorkerName) -> String {
        self.lasting().map_or_else(|| worker.to_string(), |group| process_name(worker, group))
    }

    /// The process that is there whatever runs.
    pub(super) fn lasting(self) -> Option<&'static str> {
        (self == Self::Worker).then_some(ALL)
    }
}

/// The name of a worker's process, and with it of its sockets.
pub(super) fn process_name(worker: &WorkerName, group: &str) -> String {
    format!("{worker}.{group}")
}
