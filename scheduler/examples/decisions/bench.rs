use std::{sync::Arc, time::Duration};

use api::{
    Digest, ObjectKey, Timestamp, WorkerName,
    replica::{Grants, Limits, Probes},
    session::{Capacity, WorkerHello, WorkerUp},
};
use scheduler::{Action, Deployment, Event, Resources, Revision, Scheduler, Settings, Share, Strategy, Template};

/// Of each node.
pub(crate) const CAPACITY: Capacity = Capacity { cpu_millis: 16_000, memory_bytes: 64 << 30, replicas: 1000 };

/// A scheduler with nodes, whose images are found at once.
pub(crate) struct Bench {
    scheduler: Scheduler,
    now: Timestamp,
}

impl Bench {
    pub(crate) fn new(nodes: u32) -> Self {
        let mut bench =
            Self { scheduler: Scheduler::new(1, Settings::default()), now: Timestamp::from_secs(1_000_000) };
        bench.step(Event::Loaded);
        for number in 0..nodes {
            let worker = WorkerName(format!("node-{number}").into());
            let hello = WorkerHello {
                name: worker.clone(),
                capacity: CAPACITY,
                labels: Default::default(),
                taints: Vec::new(),
                address: None,
                running: Vec::new(),
                cached: Vec::new(),
            };
            bench.step(Event::Worker { worker, message: WorkerUp::Hello(hello) });
        }
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        self.scheduler.step(event, self.now)
    }

    /// How many of its replicas were placed.
    pub(crate) fn place(&mut self, deployment: Deployment) -> usize {
        let revision = ObjectKey::new("default", format!("{}-a", deployment.key.name));
        self.step(Event::Deployment(deployment));
        let result = Ok(Digest::from_sha256([1; 32]));
        let actions = self.step(Event::ImageResolved { revision, result });
        actions.iter().filter(|action| matches!(action, Action::Start { .. })).count()
    }

    /// Whether a replica was placed that is of no Deployment.
    pub(crate) fn place_alone(&mut self, number: u32, requests: Resources) -> bool {
        let revision = Revision {
            key: ObjectKey::new("default", format!("alone-{number}")),
            deployment: None,
            number: 1,
            template: template(requests),
            replicas: 1,
            min_ready: Duration::ZERO,
            digest: Some(Digest::from_sha256([1; 32])),
            created: self.now,
        };
        self.step(Event::Revision(revision)).iter().any(|action| matches!(action, Action::Start { .. }))
    }
}

pub(crate) fn deployment(number: u32, replicas: u32, requests: Resources) -> Deployment {
    Deployment {
        key: ObjectKey::new("default", format!("app-{number}")),
        uid: String::new(),
        generation: 1,
        replicas,
        template: template(requests),
        strategy: Strategy::RollingUpdate { max_surge: Share::Count(1), max_unavailable: Share::Count(0) },
        min_ready: Duration::ZERO,
        revision_history_limit: 10,
        progress_deadline: Duration::from_secs(600),
        paused: false,
        autoscaled: false,
    }
}

fn template(requests: Resources) -> Arc<Template> {
    Arc::new(Template {
        hash: "a".to_owned(),
        source: Default::default(),
        container: "main".to_owned(),
        labels: Default::default(),
        image: "app:1".to_owned(),
        pull: Default::default(),
        environment: Vec::new(),
        grants: Grants::default(),
        limits: Limits::default(),
        probes: Probes::default(),
        grace: Duration::from_secs(30),
        requests,
        node_selector: Default::default(),
        node_affinity: Default::default(),
        spread: Vec::new(),
        tolerations: Vec::new(),
        priority: Default::default(),
    })
}
