//! Which workers may run a replica: `nodeSelector`, and what of `nodeAffinity` says no more than that could.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, PodSpec};

use crate::resources::{FieldError, check_labels};

const AFFINITY: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

pub(super) fn read(spec: &PodSpec, errors: &mut Vec<FieldError>) -> BTreeMap<String, String> {
    let mut selector = spec.node_selector.clone().unwrap_or_default();
    errors.extend(check_labels("spec.nodeSelector", &selector));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let Some(required) = required else { return selector };
    let [term] = required.node_selector_terms.as_slice() else {
        let message = "must be one term: a worker is chosen by labels that all hold";
        errors.push(FieldError::not_supported(format!("{AFFINITY}.nodeSelectorTerms"), message));
        return selector;
    };
    if term.match_fields.as_ref().is_some_and(|fields| !fields.is_empty()) {
        let message = "is not supported: use `matchExpressions` with a label, such as `kubernetes.io/hostname`";
        errors.push(FieldError::not_supported(format!("{AFFINITY}.nodeSelectorTerms[0].matchFields"), message));
    }
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        let path = format!("{AFFINITY}.nodeSelectorTerms[0].matchExpressions[{index}]");
        match label(requirement) {
            Some((key, value)) if selector.get(key).is_none_or(|held| held == value) => {
                errors.extend(check_labels(&path, &BTreeMap::from([(key.to_owned(), value.to_owned())])));
                selector.insert(key.to_owned(), value.to_owned());
            }
            Some((key, _)) => {
                let message =
                    format!("asks for another value of `{key}` than `spec.nodeSelector` does: no worker has both");
                errors.push(FieldError::invalid(path, message));
            }
            None => {
                let message = "is not supported: only `In` with one value, which a `nodeSelector` says too";
                errors.push(FieldError::not_supported(path, message));
            }
        }
    }
    selector
}

fn label(requirement: &NodeSelectorRequirement) -> Option<(&str, &str)> {
    match (requirement.operator.as_str(), requirement.values.as_deref().unwrap_or_default()) {
        ("In", [value]) => Some((&requirement.key, value)),
        _ => None,
    }
}
