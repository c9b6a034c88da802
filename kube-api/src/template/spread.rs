//! `topologySpreadConstraints` of a pod.

use std::collections::BTreeMap;

use api::template::SpreadConstraint;
use k8s_openapi::api::core::v1::{PodSpec, TopologySpreadConstraint};

use crate::fields::{FieldError, label_selector};

pub(super) fn read(
    spec: &PodSpec,
    labels: &BTreeMap<String, String>,
    errors: &mut Vec<FieldError>,
) -> Vec<SpreadConstraint> {
    let constraints = spec.topology_spread_constraints.iter().flatten().enumerate();
    constraints.map(|(index, constraint)| read_one(index, constraint, labels, errors)).collect()
}

fn read_one(
    index: usize,
    constraint: &TopologySpreadConstraint,
    labels: &BTreeMap<String, String>,
    errors: &mut Vec<FieldError>,
) -> SpreadConstraint {
    let path = format!("spec.topologySpreadConstraints[{index}]");
    if constraint.max_skew < 1 {
        errors.push(FieldError::invalid(format!("{path}.maxSkew"), "must be at least 1"));
    }
    if constraint.topology_key.is_empty() {
        errors.push(FieldError::required(format!("{path}.topologyKey"), "is missing: name a label of the nodes"));
    }
    let required = match constraint.when_unsatisfiable.as_str() {
        "DoNotSchedule" => true,
        "ScheduleAnyway" => false,
        other => {
            let message = format!("`{other}` is not known: write `DoNotSchedule` or `ScheduleAnyway`");
            errors.push(FieldError::invalid(format!("{path}.whenUnsatisfiable"), message));
            false
        }
    };
    let selector = constraint.label_selector.clone().unwrap_or_default();
    let wrong = label_selector::check(&selector, &format!("{path}.labelSelector"));
    if wrong.is_empty() && label_selector::unmet(&selector, labels).is_some() {
        let message = "must match the template's own labels: replicas are spread over those of the same Deployment";
        errors.push(FieldError::not_supported(format!("{path}.labelSelector"), message));
    }
    errors.extend(wrong);
    SpreadConstraint {
        topology_key: constraint.topology_key.clone(),
        max_skew: constraint.max_skew.max(1).unsigned_abs(),
        required,
    }
}
