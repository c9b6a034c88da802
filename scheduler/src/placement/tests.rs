use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    Digest, ObjectKey, ReplicaId, Timestamp, WorkerName,
    replica::{Grants, Limits, Probes},
    session::Capacity,
};
use proptest::prelude::*;

use super::*;
use crate::{Resources, SpreadConstraint};

const MIB: u64 = 1 << 20;

fn worker(name: &str, cpu_millis: u64, memory_mib: u64, replicas: u32) -> Worker {
    let capacity = Capacity { cpu_millis, memory_bytes: memory_mib * MIB, replicas };
    let mut worker = Worker::new(WorkerName(name.into()), capacity, Timestamp::default());
    worker.ready = true;
    worker
}

fn template(cpu_millis: u64, memory_mib: u64) -> Template {
    Template {
        hash: "h".to_owned(),
        source: Default::default(),
        container: "main".to_owned(),
        labels: BTreeMap::new(),
        image: "image".to_owned(),
        pull: Default::default(),
        environment: Vec::new(),
        grants: Grants::default(),
        limits: Limits::default(),
        probes: Probes::default(),
        grace: Duration::ZERO,
        requests: Resources { cpu_millis, memory_bytes: memory_mib * MIB },
        node_selector: BTreeMap::new(),
        node_affinity: Default::default(),
        spread: Vec::new(),
        tolerations: Vec::new(),
        priority: Default::default(),
    }
}

/// A few workers to place on.
struct Cluster {
    workers: Workers,
    placed: u32,
}

impl Cluster {
    fn of(workers: impl IntoIterator<Item = Worker>) -> Self {
        let mut all = Workers::default();
        workers.into_iter().for_each(|worker| all.add(worker));
        Self { workers: all, placed: 0 }
    }

    fn place(&mut self, template: &Template, desired: u32) -> Result<Arc<str>, String> {
        let group = ObjectKey::new("default", "app");
        let digest = Digest::from_sha256([0; 32]);
        let domains = Domains::count(template, &group, &self.workers);
        let class = Class { template, digest: &digest, group: &group, desired };
        let view = View { workers: &self.workers, only: None, first: 0 };
        let name = place(&class, view, &domains, &Settings::default())?;
        self.placed += 1;
        let id = ReplicaId(ObjectKey::new("default", format!("app-{}", self.placed)));
        self.workers.get_mut(&name).expect("it was chosen").bind(id, &group, template.requests);
        Ok(name.0)
    }
}

#[test]
fn what_does_not_fit_is_said_as_kubernetes_says_it() {
    let labelled = |name| {
        let mut worker = worker(name, 1000, 64, 10);
        worker.labels.insert("disk".to_owned(), "ssd".to_owned());
        worker
    };
    let others = ["c", "d", "e"].map(|name| worker(name, 1000, 1024, 10));
    let mut cluster = Cluster::of([labelled("a"), labelled("b")].into_iter().chain(others));
    let mut template = template(100, 128);
    template.node_selector.insert("disk".to_owned(), "ssd".to_owned());
    assert_eq!(
        cluster.place(&template, 1).unwrap_err(),
        "0/5 nodes are available: 3 node(s) didn't match Pod's node affinity/selector, 2 Insufficient memory."
    );
    assert_eq!(Cluster::of([]).place(&template, 1).unwrap_err(), "no nodes available to schedule pods");
}

#[test]
fn a_node_affinity_narrows_the_choice_and_the_domains_of_spreading() {
    use api::node_affinity::{LabelCondition, NodeAffinity, NodeRequirement, NodeTerm};
    let zoned = |name, zone: &str| {
        let mut worker = worker(name, 4000, 4096, 100);
        worker.labels.insert("zone".to_owned(), zone.to_owned());
        worker
    };
    let mut cluster = Cluster::of([zoned("a", "1"), zoned("b", "2"), zoned("c", "3"), worker("d", 4000, 4096, 100)]);
    let mut template = template(100, 64);
    let is = LabelCondition::In(vec!["2".to_owned(), "3".to_owned()]);
    template.node_affinity = NodeAffinity(vec![NodeTerm(vec![NodeRequirement { key: "zone".to_owned(), is }])]);
    template.spread = vec![SpreadConstraint { topology_key: "zone".to_owned(), max_skew: 1, required: true }];
    let mut chosen: Vec<_> = (0..4).map(|_| cluster.place(&template, 4).unwrap()).collect();
    chosen.sort();
    assert_eq!(chosen.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["b", "b", "c", "c"]);
    template.node_selector.insert("zone".to_owned(), "1".to_owned());
    assert_eq!(
        cluster.place(&template, 4).unwrap_err(),
        "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector."
    );
}

#[test]
fn replicas_of_one_deployment_are_spread_over_equal_workers() {
    let mut cluster = Cluster::of(["a", "b", "c"].map(|name| worker(name, 4000, 4096, 100)));
    let mut chosen: Vec<_> = (0..3).map(|_| cluster.place(&template(100, 64), 3).unwrap()).collect();
    chosen.sort();
    assert_eq!(chosen.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn a_single_replica_goes_where_it_fills_a_worker_best() {
    let mut used = worker("b", 4000, 4096, 100);
    used.reserved = Resources { cpu_millis: 2000, memory_bytes: 2048 * MIB };
    let mut cluster = Cluster::of([worker("a", 4000, 4096, 100), used, worker("c", 4000, 4096, 100)]);
    assert_eq!(&*cluster.place(&template(100, 64), 1).unwrap(), "b");
}

#[test]
fn a_worker_that_has_the_component_compiled_is_preferred() {
    let mut cached = worker("b", 4000, 4096, 100);
    cached.cached.insert(Digest::from_sha256([0; 32]));
    let mut cluster = Cluster::of([worker("a", 4000, 4096, 100), cached]);
    assert_eq!(&*cluster.place(&template(100, 64), 1).unwrap(), "b");
}

#[test]
fn a_required_spread_keeps_the_skew() {
    let zoned = |name, zone: &str| {
        let mut worker = worker(name, 4000, 4096, 100);
        worker.labels.insert("zone".to_owned(), zone.to_owned());
        worker
    };
    let mut full = zoned("c", "y");
    full.capacity.replicas = 1;
    let mut cluster = Cluster::of([zoned("a", "x"), zoned("b", "x"), full, worker("d", 4000, 4096, 100)]);
    let mut template = template(100, 64);
    template.spread = vec![SpreadConstraint { topology_key: "zone".to_owned(), max_skew: 1, required: true }];
    for _ in 0..3 {
        cluster.place(&template, 4).unwrap();
    }
    assert_eq!(
        cluster.place(&template, 4).unwrap_err(),
        "0/4 nodes are available: 3 node(s) didn't match pod topology spread constraints, 1 Too many pods."
    );
}

proptest! {
    #[test]
    fn placement_never_overcommits(
        capacities in prop::collection::vec((100u64..4000, 64u64..4096, 1u32..20), 1..12),
        requests in prop::collection::vec((0u64..800, 0u64..900), 1..80),
    ) {
        let name = |index: usize| format!("w{index}");
        let workers = capacities.iter().enumerate().map(|(index, (cpu, memory, places))| worker(&name(index), *cpu, *memory, *places));
        let mut cluster = Cluster::of(workers);
        for (cpu, memory) in requests {
            let template = template(cpu, memory);
            let fits = |worker: &Worker| {
                worker.reserved.cpu_millis + cpu <= worker.capacity.cpu_millis
                    && worker.reserved.memory_bytes + memory * MIB <= worker.capacity.memory_bytes
                    && worker.occupied() < worker.capacity.replicas
            };
            let has_room = cluster.workers.iter().any(fits);
            prop_assert_eq!(cluster.place(&template, 3).is_ok(), has_room);
            for worker in cluster.workers.iter() {
                prop_assert!(worker.reserved.cpu_millis <= worker.capacity.cpu_millis);
                prop_assert!(worker.reserved.memory_bytes <= worker.capacity.memory_bytes);
                prop_assert!(worker.occupied() <= worker.capacity.replicas);
            }
        }
    }
}
