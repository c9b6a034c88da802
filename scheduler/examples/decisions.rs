//! How many placements the scheduler decides in a second at 5000 nodes, and how well it packs. Run it with `--release`.
//!
//! Packing is compared with best-fit-decreasing: the share of the same replicas that either can place on the same nodes.

use std::{sync::Arc, time::Instant};

use api::{
    Digest, ObjectKey, Timestamp, WorkerName,
    replica::{Grants, Limits, Probes},
    session::{Capacity, WorkerHello, WorkerUp},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use scheduler::{Action, Deployment, Event, Resources, Scheduler, Settings, Share, Strategy, Template};

const NODES: u32 = 5000;
const CAPACITY: Capacity = Capacity { cpu_millis: 16_000, memory_bytes: 64 << 30, replicas: 1000 };
/// Deployments and replicas of each: what is placed to measure speed.
const DEPLOYMENTS: u32 = 200;
const REPLICAS: u32 = 500;

fn main() {
    println!("decisions_per_second {:.0}", decisions_per_second());
    println!("packing_ratio {:.4}", packing_ratio());
}

fn decisions_per_second() -> f64 {
    let mut bench = Bench::new(NODES);
    let deployments: Vec<_> =
        (0..DEPLOYMENTS).map(|n| deployment(n, REPLICAS, requests(u64::from(n % 7) + 1))).collect();
    let began = Instant::now();
    let placed: usize = deployments.into_iter().map(|deployment| bench.place(deployment)).sum();
    placed as f64 / began.elapsed().as_secs_f64()
}

/// Memory that was placed, as a share of what best-fit-decreasing places of the same on the same nodes.
fn packing_ratio() -> f64 {
    const NODES: u32 = 100;
    let mut rng = SmallRng::seed_from_u64(7);
    // More than fits, in sizes that leave gaps: each its own Deployment, so that nothing is spread.
    let sizes: Vec<u64> = (0..3000).map(|_| rng.random_range(1..=9)).collect();
    let mut bench = Bench::new(NODES);
    let ours: u64 = sizes
        .iter()
        .enumerate()
        .map(|(number, size)| bench.place(deployment(number as u32, 1, requests(*size))) as u64 * size)
        .sum();
    let mut free = vec![CAPACITY.memory_bytes >> 30; NODES as usize];
    let mut decreasing = sizes;
    decreasing.sort_by(|a, b| b.cmp(a));
    let best: u64 = decreasing
        .into_iter()
        .filter_map(|size| {
            let fits = free.iter_mut().filter(|free| **free >= size).min_by_key(|free| **free)?;
            *fits -= size;
            Some(size)
        })
        .sum();
    ours as f64 / best as f64
}

fn requests(gibibytes: u64) -> Resources {
    Resources { cpu_millis: 100, memory_bytes: gibibytes << 30 }
}

struct Bench {
    scheduler: Scheduler,
    now: Timestamp,
}

impl Bench {
    fn new(nodes: u32) -> Self {
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
    fn place(&mut self, deployment: Deployment) -> usize {
        let revision = ObjectKey::new("default", format!("{}-a", deployment.key.name));
        self.step(Event::Deployment(deployment));
        let result = Ok(Digest::from_sha256([1; 32]));
        let actions = self.step(Event::ImageResolved { revision, result });
        actions.iter().filter(|action| matches!(action, Action::Start { .. })).count()
    }
}

fn deployment(number: u32, replicas: u32, requests: Resources) -> Deployment {
    Deployment {
        key: ObjectKey::new("default", format!("app-{number}")),
        uid: String::new(),
        generation: 1,
        replicas,
        template: Arc::new(Template {
            hash: "a".to_owned(),
            source: serde_json::Value::Null,
            labels: Default::default(),
            image: "app:1".to_owned(),
            pull: Default::default(),
            environment: Vec::new(),
            grants: Grants::default(),
            limits: Limits::default(),
            probes: Probes::default(),
            grace: std::time::Duration::from_secs(30),
            requests,
            node_selector: Default::default(),
            spread: Vec::new(),
            tolerations: Vec::new(),
        }),
        strategy: Strategy::RollingUpdate { max_surge: Share::Count(1), max_unavailable: Share::Count(0) },
        min_ready: std::time::Duration::ZERO,
        revision_history_limit: 10,
        progress_deadline: std::time::Duration::from_secs(600),
        paused: false,
    }
}
