//! Which workers may run a replica: `nodeSelector`, and what of `nodeAffinity` says no more than that could.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, PodSpec};

use crate::fields::{FieldError, labels::check_labels};

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
        if holds_everywhere(requirement) {
            continue;
        }
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

/// Labels that every worker has, with all values that they have anywhere: a component runs on each of them.
const ON_EVERY_WORKER: [(&str, &[&str]); 4] = [
    ("kubernetes.io/os", &["linux"]),
    ("kubernetes.io/arch", &["amd64", "arm64"]),
    ("beta.kubernetes.io/os", &["linux"]),
    ("beta.kubernetes.io/arch", &["amd64", "arm64"]),
];

/// Whether all workers that there could be are as is asked for, as with the list of all architectures of an image.
fn holds_everywhere(requirement: &NodeSelectorRequirement) -> bool {
    let known = ON_EVERY_WORKER.iter().find(|(key, _)| *key == requirement.key);
    let Some((_, everywhere)) = known else { return false };
    let given = requirement.values.as_deref().unwrap_or_default();
    let is_given = |value: &&str| given.iter().any(|one| one == value);
    match requirement.operator.as_str() {
        "In" => everywhere.iter().all(is_given),
        "NotIn" => !everywhere.iter().any(is_given),
        "Exists" => given.is_empty(),
        _ => false,
    }
}

fn label(requirement: &NodeSelectorRequirement) -> Option<(&str, &str)> {
    match (requirement.operator.as_str(), requirement.values.as_deref().unwrap_or_default()) {
        ("In", [value]) => Some((&requirement.key, value)),
        _ => None,
    }
}
