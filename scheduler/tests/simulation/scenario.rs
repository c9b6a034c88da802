use std::{sync::Arc, time::Duration};

use api::{
    replica::{Grants, Limits, Probes},
    session::Capacity,
};
use scheduler::{Priority, Resources, Settings, SpreadConstraint, Template};

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) workers: u32,
    /// What each worker holds.
    pub(crate) capacity: Capacity,
    /// Whether more may be wanted than fits, so that priorities decide who runs.
    pub(crate) scarce: bool,
    /// Whether images of some templates are never to be had, and what is paused stays so: rollouts end in the middle.
    pub(crate) stuck: bool,
    pub(crate) deployments: u32,
    /// The most replicas that a Deployment is scaled to.
    pub(crate) max_replicas: u32,
    /// How long there is trouble. Afterwards everything is healed.
    pub(crate) trouble: Duration,
    /// The time between two troubles, on average.
    pub(crate) trouble_every: Duration,
    /// How long the world then has to converge.
    pub(crate) quiet: Duration,
    pub(crate) trace: bool,
}

impl Scenario {
    pub(crate) fn small(seed: u64) -> Self {
        Self {
            seed,
            workers: 3 + (seed % 6) as u32,
            capacity: AMPLE,
            scarce: false,
            stuck: false,
            deployments: 1 + (seed % 4) as u32,
            max_replicas: 8,
            trouble: Duration::from_secs(90),
            trouble_every: Duration::from_millis(1500),
            quiet: Duration::from_secs(180),
            trace: std::env::var_os("SAMPAN_SEED").is_some(),
        }
    }

    pub(crate) fn large(seed: u64) -> Self {
        Self {
            workers: 1000,
            deployments: 20,
            max_replicas: 250,
            trouble: Duration::from_secs(15),
            trouble_every: Duration::from_millis(100),
            quiet: Duration::from_secs(120),
            ..Self::small(seed)
        }
    }

    /// Workers that do not hold what is wanted. Nothing stands by here: a request would start it in room that is given away.
    pub(crate) fn scarce(seed: u64) -> Self {
        Self {
            workers: 1 + (seed % 4) as u32,
            capacity: Capacity { cpu_millis: 500, memory_bytes: 768 << 20, replicas: 5 },
            scarce: true,
            deployments: 2 + (seed % 3) as u32,
            ..Self::small(seed)
        }
    }

    /// Rollouts that never end, and are scaled meanwhile.
    pub(crate) fn stuck(seed: u64) -> Self {
        Self { stuck: true, ..Self::small(seed) }
    }

    /// Whether this image can be had at all.
    pub(crate) fn has_image(&self, reference: &str) -> bool {
        !self.stuck || !matches!(reference, "image:4" | "image:5")
    }

    /// Shorter pauses than in production, so that a run converges in little simulated time.
    pub(crate) fn settings() -> Settings {
        Settings {
            backoff_cap: Duration::from_secs(10),
            image_retry_cap: Duration::from_secs(10),
            image_answer_within: Duration::from_secs(10),
            forgotten_after: Duration::from_secs(60),
            ..Settings::default()
        }
    }
}

/// Workers that together hold more than is ever wanted, surge included.
const AMPLE: Capacity = Capacity { cpu_millis: 4000, memory_bytes: 4 << 30, replicas: 40 };

/// The zone of a worker, for spreading.
pub(crate) fn zone(worker: u32) -> String {
    format!("zone-{}", worker % 3)
}

/// The priorities of templates: the next version may matter more or less.
const PRIORITIES: [i32; 5] = [0, 100, 10, 0, 10];

/// One of a Deployment's templates. They differ in what they ask for, and in how much they matter.
pub(crate) fn template(version: u32) -> Arc<Template> {
    let requests = Resources {
        cpu_millis: 50 * u64::from(1 + version % 3),
        memory_bytes: (64 << 20) * u64::from(1 + version % 4),
    };
    let spread = SpreadConstraint { topology_key: "zone".to_owned(), max_skew: 2, required: false };
    Arc::new(Template {
        hash: format!("v{version}"),
        source: Default::default(),
        container: "main".to_owned(),
        labels: Default::default(),
        image: format!("image:{version}"),
        pull: Default::default(),
        environment: Vec::new(),
        grants: Grants::default(),
        // Limits equal requests, so that what a left-over replica holds is known exactly.
        limits: Limits {
            memory_bytes: requests.memory_bytes,
            cpu_millis: Some(requests.cpu_millis),
            ..Limits::default()
        },
        probes: Probes::default(),
        grace: Duration::from_secs(2),
        requests,
        node_selector: Default::default(),
        node_affinity: Default::default(),
        spread: if version.is_multiple_of(2) { vec![spread] } else { Vec::new() },
        tolerations: Vec::new(),
        priority: Priority {
            class: None,
            value: PRIORITIES[version as usize % PRIORITIES.len()],
            preempts: version != 4,
        },
    })
}
