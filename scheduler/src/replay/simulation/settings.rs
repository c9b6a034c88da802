use std::time::Duration;

use api::ObjectKey;

use crate::autoscale::{Autoscaler, PolicyKind};

/// What is the same for every policy of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// From the decision to start a replica until it takes requests.
    pub start: Duration,
    /// Requests that a replica works on at a time; at least one.
    pub concurrency: u32,
    /// The most replicas that there may be.
    pub max: u32,
    /// How long after the last request there are no replicas any more; `None`: as each policy does by itself.
    pub idle_after: Option<Duration>,
    /// Requests that wait at most; further ones are refused.
    pub queue_limit: usize,
    /// How long a request waits at most where replicas are there.
    pub queue_wait: Duration,
    /// The same, where none is.
    pub queue_wait_no_replica: Duration,
}

impl Default for Settings {
    /// As Sampan does: a start takes a millisecond, and the gateway waits as it does by itself.
    fn default() -> Self {
        Self {
            start: Duration::from_millis(1),
            concurrency: 100,
            max: 1000,
            idle_after: None,
            queue_limit: 1024,
            queue_wait: Duration::from_secs(10),
            queue_wait_no_replica: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// Kubernetes' autoscaler has one replica at least, unless a feature gate is on; the others go down to none.
    pub(super) fn autoscaler(&self, policy: PolicyKind) -> Autoscaler {
        let min = if policy == PolicyKind::Hpa { 1 } else { 0 };
        Autoscaler {
            deployment: service(),
            object: None,
            min,
            max: self.max.max(1),
            policy,
            targets: Vec::new(),
            behavior: None,
            idle_after: self.idle_after,
        }
    }
}

/// What is simulated is called something.
pub(super) fn service() -> ObjectKey {
    ObjectKey::new("replay", "function")
}
