use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    Digest, ObjectKey, Pull, Taint, TaintEffect, Timestamp,
    replica::{Grants, Limits, Probes},
};
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

/// One version of a pod template, with what the scheduler and the worker need from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// `pod-template-hash`: equal templates have equal hashes.
    pub hash: String,
    /// The pod template as the user wrote it, for projections.
    pub source: TemplateSource,
    /// The name of its container.
    pub container: String,
    /// Labels of its replicas, without `pod-template-hash`.
    pub labels: BTreeMap<String, String>,
    /// The image reference as the user wrote it.
    pub image: String,
    /// How that image is to be had.
    pub pull: Pull,
    /// Environment, in order: later entries win.
    pub environment: Vec<EnvSource>,
    /// What the guest may reach.
    pub grants: Grants,
    /// What the guest may use.
    pub limits: Limits,
    /// How readiness and liveness are found out.
    pub probes: Probes,
    /// For requests in flight when a replica is stopped.
    pub grace: Duration,
    /// What is reserved on the worker for each replica.
    pub requests: Resources,
    /// Labels that a worker must have.
    pub node_selector: BTreeMap<String, String>,
    /// How replicas are to be spread.
    pub spread: Vec<SpreadConstraint>,
    /// Taints of workers that do not keep its replicas away.
    pub tolerations: Vec<Toleration>,
    /// How much its replicas matter when there is not room for all. A revision keeps what it was made with.
    pub priority: Priority,
}

impl Template {
    /// Whether a taint does not keep its replicas away.
    pub(crate) fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| toleration.covers(taint))
    }
}

/// How much replicas matter when there is not room for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority {
    /// The PriorityClass that it comes from, if there is one.
    pub class: Option<String>,
    /// The higher goes first.
    pub value: i32,
    /// Whether replicas of lower values are stopped to make room.
    pub preempts: bool,
}

impl Priority {
    /// The `preemptionPolicy`, as Kubernetes writes it.
    pub fn policy(&self) -> &'static str {
        if self.preempts { "PreemptLowerPriority" } else { "Never" }
    }
}

/// Without a PriorityClass.
impl Default for Priority {
    fn default() -> Self {
        Self { class: None, value: 0, preempts: true }
    }
}

/// A pod template as the user wrote it (`metadata` and `spec`), as JSON. There is one for each revision, few are ever looked
/// at, and an object in memory takes ten times as much as its text: so the text is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateSource(Box<str>);

impl TemplateSource {
    /// The text of a pod template.
    pub fn new(template: &serde_json::Value) -> Self {
        Self(template.to_string().into())
    }

    /// The pod template; `null` if there is none.
    pub fn read(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// Taints that a replica puts up with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toleration {
    /// Which; `None`: any.
    pub key: Option<String>,
    /// With this value; `None`: with any.
    pub value: Option<String>,
    /// With this effect; `None`: with any.
    pub effect: Option<TaintEffect>,
}

impl Toleration {
    fn covers(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
            && self.effect.is_none_or(|effect| effect == taint.effect)
    }
}

/// Where environment entries come from. The shell resolves them when a replica starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum EnvSource {
    Value {
        name: String,
        value: String,
    },
    ConfigMapKey {
        name: String,
        config_map: String,
        key: String,
        optional: bool,
    },
    SecretKey {
        name: String,
        secret: String,
        key: String,
        optional: bool,
    },
    /// The downward API: `metadata.name`, `metadata.namespace`, `metadata.uid`, `spec.nodeName`, or a label or annotation.
    Field {
        name: String,
        path: String,
    },
    AllOfConfigMap {
        config_map: String,
        prefix: String,
        optional: bool,
    },
    AllOfSecret {
        secret: String,
        prefix: String,
        optional: bool,
    },
}

/// CPU and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Bytes.
    pub memory_bytes: u64,
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

/// A topology spread constraint over replicas of the same Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadConstraint {
    /// The worker label whose values are the domains.
    pub topology_key: String,
    /// How far the fullest domain may be ahead of the emptiest.
    pub max_skew: u32,
    /// `DoNotSchedule` if true, else `ScheduleAnyway`.
    pub required: bool,
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
