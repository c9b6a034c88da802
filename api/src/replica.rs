//! What a replica is told to be, and what it says of itself.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Digest, ReplicaId, Timestamp};

/// Everything that a worker needs to run one replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaSpec {
    /// The replica's name, its Pod's.
    pub id: ReplicaId,
    /// The name of the revision (ReplicaSet) that it is a replica of.
    pub revision: String,
    /// When the scheduler made it.
    pub created: Timestamp,
    /// The reference that the user wrote, for messages.
    pub image: String,
    /// The image, pinned: the digest of its OCI manifest.
    pub digest: Digest,
    /// `wasi:cli/environment` and `wasi:config`, resolved from env, ConfigMaps and Secrets.
    pub environment: BTreeMap<String, String>,
    /// What the guest may reach.
    pub grants: Grants,
    /// What the guest may use.
    pub limits: Limits,
    /// What it takes of its worker's capacity.
    pub reserves: Reserves,
    /// How readiness and liveness are found out.
    pub probes: Probes,
    /// The control plane's seal: with it, a later life of it knows that it placed this replica on this worker. Empty: none.
    pub seal: Vec<u8>,
}

/// What a guest may reach. Nothing, unless named here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Hosts for outbound HTTP, as the `sampan.dev/outbound` annotation names them.
    pub outbound: Vec<String>,
    /// `wasi:keyvalue` stores, as the `sampan.dev/key-value` annotation names them.
    pub key_value: Vec<String>,
}

/// What a replica takes of its worker's capacity while it runs: what its pod asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reserves {
    /// CPU in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory.
    pub memory_bytes: u64,
}

/// What a guest may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// All linear memories and tables of the replica's instances together.
    pub memory_bytes: u64,
    /// CPU time in thousandths of a core; `None`: not limited.
    pub cpu_millis: Option<u64>,
    /// Requests at the same time.
    pub concurrency: u32,
    /// From the arrival of a request at the replica to the end of its answer.
    pub request_deadline: Duration,
    /// Whether instances are reused.
    pub isolation: Isolation,
}

impl Limits {
    /// Memory of a replica that names no limit.
    pub const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;
    /// Concurrency of a replica that names none.
    pub const DEFAULT_CONCURRENCY: u32 = 100;
    /// Request deadline of a replica that names none.
    pub const DEFAULT_REQUEST_DEADLINE: Duration = Duration::from_secs(30);
    /// Requests that a reused instance serves before it is replaced.
    pub const DEFAULT_MAX_REUSE: u32 = 1000;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: Self::DEFAULT_MEMORY_BYTES,
            cpu_millis: None,
            concurrency: Self::DEFAULT_CONCURRENCY,
            request_deadline: Self::DEFAULT_REQUEST_DEADLINE,
            isolation: Isolation::Request,
        }
    }
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// A fresh instance for each request.
    Request,
    /// Instances serve one request at a time, and up to `max_reuse` in all.
    Replica {
        /// After how many requests an instance is replaced.
        max_reuse: u32,
    },
}

/// How readiness and liveness are found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probes {
    /// Until it succeeds, no other probe runs and the replica is not ready.
    pub startup: Option<HttpProbe>,
    /// While it fails, the replica gets no requests.
    pub readiness: Option<HttpProbe>,
    /// When it fails, the replica is restarted.
    pub liveness: Option<HttpProbe>,
}

/// An `httpGet` probe: a request to the guest, as Kubernetes does it. 200 to 399 is success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpProbe {
    /// Path and query.
    pub path: String,
    /// Further request headers.
    pub headers: Vec<(String, String)>,
    /// Before the first try.
    pub initial_delay: Duration,
    /// Between tries.
    pub period: Duration,
    /// For each try.
    pub timeout: Duration,
    /// Failures in a row that count.
    pub failure_threshold: u32,
    /// Successes in a row that count.
    pub success_threshold: u32,
}

/// How far a replica is, in the order in which it goes through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaPhase {
    /// It runs nothing and holds nothing; its component is compiled, and the first request starts it.
    Standby,
    /// The component is fetched, compiled and linked.
    Starting,
    /// It runs, but its readiness or startup probe has not succeeded.
    NotReady,
    /// It takes requests.
    Ready,
    /// It takes no new requests and finishes what it has.
    Draining,
    /// It ended because it was told to.
    Stopped,
    /// It ended by itself, or could not start.
    Failed(Failure),
}

/// Why a replica ended or could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which kind.
    pub reason: FailureReason,
    /// For people: what happened and the way out.
    pub message: String,
}

/// The kinds of failure, each shown as a container state's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureReason {
    /// The image is not in the local store and could not be had.
    ErrImagePull,
    /// It could not be had more than once; it is asked for again after a pause.
    ImagePullBackOff,
    /// The image is not something that can run: no component, or not linkable with what is granted.
    InvalidImage,
    /// A ConfigMap, Secret or grant that it needs is missing.
    CreateContainerConfigError,
    /// It trapped too often in too short a time, or failed its liveness probe.
    Error,
    /// It trapped over its memory limit too often.
    OomKilled,
    /// Its worker went away.
    NodeLost,
}

impl FailureReason {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrImagePull => "ErrImagePull",
            Self::ImagePullBackOff => "ImagePullBackOff",
            Self::InvalidImage => "InvalidImage",
            Self::CreateContainerConfigError => "CreateContainerConfigError",
            Self::Error => "Error",
            Self::OomKilled => "OOMKilled",
            Self::NodeLost => "NodeLost",
        }
    }

    /// The reason that is written so. One that is not known is an [`Error`](Self::Error).
    pub fn parse(text: &str) -> Self {
        let all = [
            Self::ErrImagePull,
            Self::ImagePullBackOff,
            Self::InvalidImage,
            Self::CreateContainerConfigError,
            Self::OomKilled,
            Self::NodeLost,
        ];
        all.into_iter().find(|reason| reason.as_str() == text).unwrap_or(Self::Error)
    }
}

/// One line of a replica's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// Where it came from.
    pub source: LogSource,
    /// Without its line end; at most [`LogLine::MAX_BYTES`].
    pub text: String,
}

impl LogLine {
    /// Longer lines are cut here.
    pub const MAX_BYTES: usize = 16 << 10;
}

/// Where a log line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSource {
    /// The guest's standard output.
    Stdout,
    /// The guest's standard error.
    Stderr,
    /// `wasi:logging`, at this level.
    Logging(LogLevel),
    /// Sampan itself: traps, refusals, denied requests.
    Sampan,
}

/// A level of `wasi:logging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are wasi:logging's own")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}
