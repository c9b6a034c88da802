use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Address, Digest, ReplicaId, Taint, WorkerName,
    replica::{LogLine, ReplicaPhase, ReplicaSpec},
};

/// From a worker to the control plane. The first message of a session is `Hello`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum WorkerUp {
    /// Who the worker is and what it already runs.
    Hello(WorkerHello),
    /// A replica came into this phase.
    Phase {
        /// Which replica.
        id: ReplicaId,
        /// Where it is now.
        phase: ReplicaPhase,
    },
    /// A replica's instances trapped since the last report, though it goes on.
    Traps {
        /// Which replica.
        id: ReplicaId,
        /// The number of traps.
        count: u32,
        /// What the last one said.
        last: String,
    },
    /// Lines of a replica's log, oldest first. When the session is full they are dropped and counted.
    Log {
        /// Which replica.
        id: ReplicaId,
        /// The lines.
        lines: Vec<LogLine>,
    },
    /// This component is compiled and ready to be started here.
    Cached {
        /// Which component.
        digest: Digest,
    },
    /// CPU time that replicas have used since they started, of those where it has grown since the last report.
    Usage(Vec<CpuUsage>),
    /// How many requests a replica takes at the same time, where that is not its concurrency: its memory limit has room for so
    /// many instances. Told before it takes any, and when it has changed.
    Slots {
        /// Which replica.
        id: ReplicaId,
        /// How many; at least one.
        slots: u32,
    },
    /// The worker is alive.
    Heartbeat,
    /// The worker is about to end: its replicas are to be moved elsewhere, and no new ones come. It ends when it runs none.
    Leaving,
}

/// CPU time that a replica has used since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuUsage {
    /// Which replica.
    pub id: ReplicaId,
    /// Time in its guest.
    pub used: Duration,
}

/// Who a worker is and what it already runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// Its name, and its Node's.
    pub name: WorkerName,
    /// What it can hold.
    pub capacity: Capacity,
    /// Node labels.
    pub labels: BTreeMap<String, String>,
    /// Node taints.
    pub taints: Vec<Taint>,
    /// Where gateways of other processes reach it; `None` if there are none.
    pub address: Option<Address>,
    /// Replicas that it runs, from an earlier session.
    pub running: Vec<RunningReplica>,
    /// Components that are compiled here.
    pub cached: Vec<Digest>,
}

/// What a worker can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// CPU in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory for guests.
    pub memory_bytes: u64,
    /// Replicas.
    pub replicas: u32,
}

/// A replica that a worker runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningReplica {
    /// As it was told.
    pub spec: ReplicaSpec,
    /// Where it is.
    pub phase: ReplicaPhase,
}

/// From the control plane to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum WorkerDown {
    /// Run this replica. Answered by `Phase` messages.
    Start(Arc<ReplicaSpec>),
    /// Be ready to run this replica: compile it now, start it when a request comes. Answered by `Phase` messages, `Standby`
    /// first. It holds nothing until then, and is not started if there is no room for it.
    Standby(Arc<ReplicaSpec>),
    /// Finish what is in flight within `grace`, then stop. A replica that is not here answers `Stopped`.
    Stop {
        /// Which replica.
        id: ReplicaId,
        /// For requests in flight.
        grace: Duration,
    },
}
