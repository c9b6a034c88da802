use std::{fmt, str::FromStr, time::Duration};

use api::ObjectKey;
use serde::{Deserialize, Serialize};

/// What the number of one Deployment's replicas follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Autoscaler {
    /// The Deployment that is scaled.
    pub deployment: ObjectKey,
    /// The HorizontalPodAutoscaler that says so; `None`: an annotation of the Deployment does.
    pub object: Option<ObjectKey>,
    /// The fewest replicas that there may be. 0: without traffic there are none.
    pub min: u32,
    /// The most replicas that there may be; at least `min`, and at least 1.
    pub max: u32,
    /// Who decides within these bounds.
    pub policy: PolicyKind,
    /// What is to hold for each replica; empty: what the policy finds sensible.
    pub targets: Vec<Target>,
    /// How fast it may go; `None`: as the policy does by itself.
    pub behavior: Option<Behavior>,
    /// Where `min` is 0: how long after the last request there are no replicas any more; `None`: as the policy does.
    pub idle_after: Option<Duration>,
}

impl Autoscaler {
    /// Whether CPU time of its replicas is to be in a [`View`](super::View).
    pub fn follows_cpu(&self) -> bool {
        self.targets.iter().any(|target| target.metric == Metric::Cpu)
    }

    /// A number within what it may choose.
    pub(super) fn within(&self, replicas: u32) -> u32 {
        replicas.clamp(self.min, self.max.max(self.min))
    }
}

/// Who decides how many replicas there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyKind {
    /// Start what requests need as they come, and hold the offered load and its square root.
    #[default]
    SqrtStaffing,
    /// Knative's autoscaler.
    Kpa,
    /// Kubernetes' HorizontalPodAutoscaler.
    Hpa,
}

impl PolicyKind {
    /// All of them, ours first.
    pub const ALL: [Self; 3] = [Self::SqrtStaffing, Self::Kpa, Self::Hpa];

    /// What users call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SqrtStaffing => "sqrt-staffing",
            Self::Kpa => "kpa",
            Self::Hpa => "hpa",
        }
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an autoscaling policy: write `sqrt-staffing`, `kpa` or `hpa`")]
pub struct UnknownPolicy(String);

impl FromStr for PolicyKind {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

/// What is to hold for each replica.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What is measured.
    pub metric: Metric,
    /// What it is to be.
    pub value: TargetValue,
}

/// What is measured of a Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Metric {
    /// Requests that arrive in a second.
    RequestsPerSecond,
    /// Requests that wait or are served at a time.
    Concurrency,
    /// CPU time, in cores.
    Cpu,
}

impl Metric {
    /// Its name in a HorizontalPodAutoscaler.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "http_requests_per_second",
            Self::Concurrency => "http_concurrency",
            Self::Cpu => "cpu",
        }
    }
}

/// What a metric is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum TargetValue {
    /// So much for each replica, in the metric's unit; above zero.
    Average(f64),
    /// Of CPU: so many percent of what each replica requests; above zero.
    Utilization(u32),
}

/// How fast an autoscaler may go: `spec.behavior` of a HorizontalPodAutoscaler.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Behavior {
    /// When there are to be more.
    pub scale_up: Option<Rules>,
    /// When there are to be fewer.
    pub scale_down: Option<Rules>,
}

/// How fast it may go in one direction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rules {
    /// Changes that are allowed; `None`: any.
    pub policies: Option<Vec<RulePolicy>>,
    /// Which of them counts.
    pub select: Select,
    /// The least change that was recommended within this time is made; `None`: the policy's own.
    pub stabilization: Option<Duration>,
    /// A metric may be off its target by this share before anything is done; `None`: the policy's own.
    pub tolerance: Option<f64>,
}

/// A change that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RulePolicy {
    /// So many replicas.
    Pods {
        /// The number of replicas.
        pods: u32,
        /// Within this time.
        period: Duration,
    },
    /// A share of the replicas that there were at the begin of the period.
    Percent {
        /// The share, in percent.
        percent: u32,
        /// Within this time.
        period: Duration,
    },
}

impl RulePolicy {
    pub(super) const fn period(self) -> Duration {
        match self {
            Self::Pods { period, .. } | Self::Percent { period, .. } => period,
        }
    }
}

/// Which of several policies counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Select {
    /// That which allows the greatest change.
    #[default]
    Max,
    /// That which allows the least change.
    Min,
    /// None: there is no change in this direction.
    Disabled,
}
