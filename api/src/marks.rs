//! What users have said of a worker beyond what it says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Taint, TaintEffect};

/// Labels, annotations and taints that users have given a worker, or taken from it. They go before what it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerMarks {
    /// Labels by key; `None`: taken away.
    pub labels: BTreeMap<String, Option<String>>,
    /// Annotations by key; `None`: taken away.
    pub annotations: BTreeMap<String, Option<String>>,
    /// Taints, each key and effect once.
    pub taints: Vec<TaintMark>,
}

/// A taint that was given, or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaintMark {
    /// What it is called.
    pub key: String,
    /// What it does.
    pub effect: TaintEffect,
    /// Its value; `None`: it was taken away.
    pub value: Option<String>,
}

impl WorkerMarks {
    /// Adds what was said later, which goes before what was said earlier.
    pub fn add(&mut self, later: Self) {
        self.labels.extend(later.labels);
        self.annotations.extend(later.annotations);
        // A worker says none of itself that would have to be taken away.
        self.annotations.retain(|_, value| value.is_some());
        for mark in later.taints {
            self.taints.retain(|earlier| !mark.is_about(&earlier.key, earlier.effect));
            self.taints.push(mark);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len() + self.annotations.len() + self.taints.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of a worker that says `own` of itself.
    pub fn labels(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = own.clone();
        for (key, value) in &self.labels {
            match value {
                Some(value) => labels.insert(key.clone(), value.clone()),
                None => labels.remove(key),
            };
        }
        labels
    }

    /// Its annotations: it says none of itself.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.annotations.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
    }

    /// The taints of a worker that says `own` of itself.
    pub fn taints(&self, own: &[Taint]) -> Vec<Taint> {
        let is_marked = |taint: &&Taint| self.taints.iter().any(|mark| mark.is_about(&taint.key, taint.effect));
        let kept = own.iter().filter(|taint| !is_marked(taint)).cloned();
        let given = self
            .taints
            .iter()
            .filter_map(|mark| Some(Taint { key: mark.key.clone(), value: mark.value.clone()?, effect: mark.effect }));
        kept.chain(given).collect()
    }
}

impl TaintMark {
    fn is_about(&self, key: &str, effect: TaintEffect) -> bool {
        self.key == key && self.effect == effect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str) -> Taint {
        Taint { key: key.into(), value: value.into(), effect: TaintEffect::NoSchedule }
    }

    fn mark(key: &str, value: Option<&str>) -> TaintMark {
        TaintMark { key: key.into(), effect: TaintEffect::NoSchedule, value: value.map(str::to_owned) }
    }

    #[test]
    fn what_users_say_of_a_worker_goes_before_what_it_says_of_itself() {
        let own = BTreeMap::from([("disk".to_owned(), "ssd".to_owned()), ("zone".to_owned(), "a".to_owned())]);
        let mut marks = WorkerMarks {
            labels: BTreeMap::from([("disk".to_owned(), None), ("zone".to_owned(), Some("b".to_owned()))]),
            taints: vec![mark("gpu", None), mark("team", Some("shop"))],
            ..WorkerMarks::default()
        };
        assert_eq!(marks.labels(&own), BTreeMap::from([("zone".to_owned(), "b".to_owned())]));
        assert_eq!(marks.taints(&[taint("gpu", "yes"), taint("old", "")]), [taint("old", ""), taint("team", "shop")]);
        marks.add(WorkerMarks {
            labels: BTreeMap::from([("disk".to_owned(), Some("nvme".to_owned()))]),
            annotations: BTreeMap::from([("owner".to_owned(), None)]),
            taints: vec![mark("team", None)],
        });
        assert_eq!(marks.labels(&own)["disk"], "nvme");
        assert_eq!(marks.taints(&[]), []);
        assert_eq!(marks.len(), 4, "what was taken away is remembered, but for annotations");
    }
}
