use std::{sync::Arc, time::Duration};

use api::{Digest, ObjectKey, Timestamp, template::Template};
use serde::{Deserialize, Serialize};

/// What the user wants to run: a template and a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its name.
    pub key: ObjectKey,
    /// Its identity, for owner references.
    pub uid: String,
    /// Counts changes of the spec.
    pub generation: u64,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// Whether that number was written for its autoscaler, and the spec has not been written since.
    pub autoscaled: bool,
    /// What they are to be.
    pub template: Arc<Template>,
    /// How a new template replaces the old one.
    pub strategy: Strategy,
    /// How long a replica must be ready before it counts as available.
    pub min_ready: Duration,
    /// Old revisions kept for undo.
    pub revision_history_limit: u32,
    /// Without progress for so long, a rollout is reported as failed.
    pub progress_deadline: Duration,
    /// No rollout while this holds; scaling goes on.
    pub paused: bool,
}

/// How a new template replaces the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// Step by step.
    RollingUpdate {
        /// How many replicas there may be above the wanted number. Percentages round up.
        max_surge: Share,
        /// How many may be missing below it. Percentages round down.
        max_unavailable: Share,
    },
    /// All old ones end before the first new one starts.
    Recreate,
}

/// A count, or a percentage of the wanted number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

/// One version of a Deployment: a ReplicaSet. A ReplicaSet of the user's own has no `deployment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its name: the Deployment's, a dash and the template's hash.
    pub key: ObjectKey,
    /// The Deployment that owns it.
    pub deployment: Option<ObjectKey>,
    /// Counts a Deployment's revisions from 1; the highest is the current one.
    pub number: u64,
    /// What its replicas are.
    pub template: Arc<Template>,
    /// How many of them are wanted now.
    pub replicas: u32,
    /// How long a replica must be ready before it counts as available.
    pub min_ready: Duration,
    /// What the image reference was resolved to; kept for the revision's life.
    pub digest: Option<Digest>,
    /// When it was made.
    pub created: Timestamp,
}
