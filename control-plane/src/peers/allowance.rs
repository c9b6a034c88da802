use std::collections::BTreeMap;

use api::{
    Taint,
    session::{Capacity, WorkerHello},
};
use serde::{Deserialize, Serialize};
use store::{Op, object_key};

use super::GROUP;

/// Under which it is in the store, by the worker's name: no kind of the API.
pub(super) const PLURAL: &str = "workerallowances";
/// What no machine has more of, so that sums of it hold.
const SANE: Capacity = Capacity { cpu_millis: 100_000_000, memory_bytes: 1 << 50, replicas: 1_000_000 };

/// What the token that a worker joined with allows it to have for guests, and gives to its Node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Allowance {
    /// At most so much CPU, in thousandths of a core.
    pub(crate) cpu_millis: Option<u64>,
    /// At most so much memory.
    pub(crate) memory_bytes: Option<u64>,
    /// At most so many replicas.
    pub(crate) replicas: Option<u32>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
}

impl Allowance {
    /// Cuts what a worker says of itself to what is allowed, and adds what is given to it. Answers what it said that it has, if that
    /// was more.
    pub(super) fn apply(&self, hello: &mut WorkerHello) -> Option<Capacity> {
        let said = hello.capacity;
        hello.capacity = Capacity {
            cpu_millis: said.cpu_millis.min(self.cpu_millis.unwrap_or(SANE.cpu_millis)),
            memory_bytes: said.memory_bytes.min(self.memory_bytes.unwrap_or(SANE.memory_bytes)),
            replicas: said.replicas.min(self.replicas.unwrap_or(SANE.replicas)),
        };
        hello.labels.extend(self.labels.clone());
        hello.taints.retain(|taint| !self.taints.iter().any(|given| given.key == taint.key));
        hello.taints.extend(self.taints.iter().cloned());
        (hello.capacity != said).then_some(said)
    }

    /// Writes down what a worker may, in place of what it might before.
    pub(crate) fn note(&self, worker: &str) -> Op {
        let key = object_key(GROUP, PLURAL, None, worker);
        if *self == Self::default() {
            return Op::Delete(key);
        }
        Op::Put(key, serde_json::to_vec(self).expect("plain data is JSON").into())
    }
}

#[cfg(test)]
mod tests {
    use api::{TaintEffect, WorkerName};

    use super::*;

    #[test]
    fn a_worker_has_no_more_than_its_token_allows_and_what_that_gives_it() {
        let taint = |key: &str| Taint { key: key.into(), value: String::new(), effect: TaintEffect::NoSchedule };
        let allowance = Allowance {
            cpu_millis: Some(2000),
            memory_bytes: Some(1 << 30),
            replicas: None,
            labels: [("sampan.dev/tier".to_owned(), "gold".to_owned())].into(),
            taints: vec![taint("sampan.dev/dedicated")],
        };
        let mut hello = WorkerHello {
            name: WorkerName("w".into()),
            capacity: Capacity { cpu_millis: u64::MAX, memory_bytes: 1 << 20, replicas: u32::MAX },
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            taints: vec![taint("own")],
            address: None,
            running: Vec::new(),
            cached: Vec::new(),
        };
        assert_eq!(allowance.apply(&mut hello).map(|said| said.replicas), Some(u32::MAX));
        let Capacity { cpu_millis, memory_bytes, replicas } = hello.capacity;
        assert_eq!((cpu_millis, memory_bytes, replicas), (2000, 1 << 20, SANE.replicas));
        assert_eq!(hello.labels.into_keys().collect::<Vec<_>>(), ["sampan.dev/tier", "zone"]);
        assert_eq!(hello.taints, [taint("own"), taint("sampan.dev/dedicated")]);
    }
}
