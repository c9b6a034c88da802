use std::collections::BTreeSet;

use api::{ObjectKey, Timestamp};

use crate::{Deployment, DeploymentStatus, scaling::Scaling};

/// A Deployment and what is known of its rollout.
#[derive(Debug)]
pub(crate) struct DeploymentState {
    pub(crate) spec: Deployment,
    pub(crate) revisions: BTreeSet<ObjectKey>,
    /// The revision of the template as it is now; known once the store has been read.
    pub(crate) current: Option<ObjectKey>,
    /// What revisions were last scaled for; nothing after a restart.
    pub(crate) scaled_for: Option<ScaledFor>,
    /// When the rollout last came further.
    pub(crate) progressed: Timestamp,
    pub(crate) told: Option<DeploymentStatus>,
    /// What its number of replicas follows, if it is not the user's.
    pub(crate) scaling: Option<Scaling>,
}

/// A wanted number that revisions were scaled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScaledFor {
    pub(crate) desired: u32,
    /// With the surge that there was then: the most replicas of all revisions together.
    pub(crate) largest: u32,
}

impl DeploymentState {
    pub(crate) fn new(spec: Deployment, now: Timestamp) -> Self {
        Self {
            spec,
            revisions: BTreeSet::new(),
            current: None,
            scaled_for: None,
            progressed: now,
            told: None,
            scaling: None,
        }
    }

    /// How many replicas it is to have now: as its autoscaler has decided, or as the user wrote.
    pub(crate) fn wanted(&self) -> u32 {
        self.scaling.as_ref().and_then(|scaling| scaling.desired).unwrap_or(self.spec.replicas)
    }
}
