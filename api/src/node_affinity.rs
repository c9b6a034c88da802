//! Which workers may run a replica, by more than one label each: `requiredDuringSchedulingIgnoredDuringExecution` of Kubernetes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Terms of which one at least must hold; without any, all workers are fine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAffinity(pub Vec<NodeTerm>);

/// Requirements that must all hold. Without any it holds nowhere, as in Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTerm(pub Vec<NodeRequirement>);

/// What must hold of one label of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRequirement {
    /// Which label.
    pub key: String,
    /// What of it.
    pub is: LabelCondition,
}

/// What may be asked of a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelCondition {
    /// It is there with one of these values.
    In(Vec<String>),
    /// It is not there, or with another value than these.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
    /// It is a whole number above this one.
    Gt(i64),
    /// It is a whole number below this one.
    Lt(i64),
}

impl NodeAffinity {
    /// Whether a worker with these labels is fine.
    pub fn admits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.is_empty() || self.0.iter().any(|term| term.holds(labels))
    }
}

impl NodeTerm {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.0.is_empty() && self.0.iter().all(|requirement| requirement.is.holds(labels.get(&requirement.key)))
    }
}

impl LabelCondition {
    fn holds(&self, value: Option<&String>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(values) => value.is_some_and(|value| values.contains(value)),
            Self::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
            Self::Gt(bound) => number().is_some_and(|number| number > *bound),
            Self::Lt(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LabelCondition::*, *};

    fn term<const N: usize>(requirements: [(&str, LabelCondition); N]) -> NodeTerm {
        NodeTerm(requirements.into_iter().map(|(key, is)| NodeRequirement { key: key.to_owned(), is }).collect())
    }

    #[test]
    fn one_term_must_hold_with_all_that_it_requires() {
        let labels =
            BTreeMap::from([("disk", "ssd"), ("cores", "8")].map(|(key, value)| (key.to_owned(), value.to_owned())));
        let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        let holds = |terms: Vec<NodeTerm>| NodeAffinity(terms).admits(&labels);
        assert!(holds(vec![]), "nothing is asked");
        assert!(!holds(vec![term([])]), "a term that asks nothing holds nowhere");
        for (key, is, right) in [
            ("disk", In(values(&["hdd", "ssd"])), true),
            ("disk", In(values(&["hdd"])), false),
            ("zone", In(values(&["a"])), false),
            ("disk", NotIn(values(&["ssd"])), false),
            ("zone", NotIn(values(&["a"])), true),
            ("disk", Exists, true),
            ("zone", Exists, false),
            ("zone", DoesNotExist, true),
            ("disk", DoesNotExist, false),
            ("cores", Gt(7), true),
            ("cores", Gt(8), false),
            ("cores", Lt(9), true),
            ("disk", Gt(0), false),
            ("zone", Lt(1), false),
        ] {
            assert_eq!(holds(vec![term([(key, is.clone())])]), right, "{key} {is:?}");
        }
        assert!(!holds(vec![term([("disk", Exists), ("zone", Exists)])]), "all must hold");
        assert!(holds(vec![term([("zone", Exists)]), term([("disk", Exists)])]), "one term is enough");
    }
}
