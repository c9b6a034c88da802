//! What a pod template says, as far as it is placed and run.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Pull, Taint, TaintEffect,
    node_affinity::NodeAffinity,
    replica::{Grants, Limits, Probes},
};

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
    /// What else must hold of its labels.
    #[serde(default)]
    pub node_affinity: NodeAffinity,
    /// How replicas are to be spread.
    pub spread: Vec<SpreadConstraint>,
    /// Taints of workers that do not keep its replicas away.
    pub tolerations: Vec<Toleration>,
    /// How much its replicas matter when there is not room for all. A revision keeps what it was made with.
    pub priority: Priority,
}

impl Template {
    /// Whether a worker with these labels may run its replicas.
    pub fn admits(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        self.node_selector.iter().all(has) && self.node_affinity.admits(labels)
    }

    /// Whether a taint does not keep its replicas away.
    pub fn tolerates(&self, taint: &Taint) -> bool {
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
