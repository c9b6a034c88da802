use std::collections::BTreeMap;

use api::ObjectKey;

use crate::{
    SpreadConstraint, Template,
    state::{Worker, Workers},
};

/// For each spread constraint of a template, how many replicas of the group each domain holds.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    counts: Vec<BTreeMap<String, u32>>,
}

impl Domains {
    /// Counts. Without constraints no worker is looked at.
    pub(crate) fn count(template: &Template, group: &ObjectKey, workers: &Workers) -> Self {
        let of_constraint = |constraint: &SpreadConstraint| {
            let mut counts = BTreeMap::new();
            for worker in workers.iter().filter(|worker| is_eligible(template, worker)) {
                if let Some(domain) = worker.labels.get(&constraint.topology_key) {
                    *counts.entry(domain.clone()).or_default() += worker.of_group(group);
                }
            }
            counts
        };
        Self { counts: template.spread.iter().map(of_constraint).collect() }
    }

    /// A replica was placed on this worker.
    pub(crate) fn add(&mut self, template: &Template, worker: &Worker) {
        for (constraint, counts) in template.spread.iter().zip(&mut self.counts) {
            if let Some(domain) = worker.labels.get(&constraint.topology_key) {
                *counts.entry(domain.clone()).or_default() += 1;
            }
        }
    }

    /// How far this worker's domain would be ahead of the emptiest one with one replica more. `None`: it is in no domain.
    pub(super) fn skew_with(&self, index: usize, constraint: &SpreadConstraint, worker: &Worker) -> Option<u32> {
        let counts = self.counts.get(index)?;
        let here = counts.get(worker.labels.get(&constraint.topology_key)?)?;
        let emptiest = counts.values().min()?;
        Some(here + 1 - emptiest)
    }
}

/// As in Kubernetes, what the node selector and affinity exclude is no domain. Nor is a lost worker, which could not be filled.
fn is_eligible(template: &Template, worker: &Worker) -> bool {
    !worker.lost && template.admits(&worker.labels)
}
