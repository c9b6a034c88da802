//! Which workers may run a replica: `nodeSelector`, and what `nodeAffinity` requires.

use std::collections::BTreeMap;

use api::node_affinity::{LabelCondition, NodeAffinity, NodeRequirement, NodeTerm};
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

use crate::fields::{
    FieldError,
    labels::{check_labels, is_qualified_name},
};

const TERMS: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
/// Requirements and values of all terms together: all of them are held against each worker.
pub(crate) const MAX_SAID: usize = 256;
/// The label that each worker has with its name, which is all that `matchFields` can ask for.
const HOSTNAME: &str = "kubernetes.io/hostname";

pub(super) fn read(spec: &PodSpec, errors: &mut Vec<FieldError>) -> (BTreeMap<String, String>, NodeAffinity) {
    let selector = spec.node_selector.clone().unwrap_or_default();
    errors.extend(check_labels("spec.nodeSelector", &selector));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let Some(required) = required else { return (selector, NodeAffinity::default()) };
    if required.node_selector_terms.is_empty() {
        errors.push(FieldError::required(TERMS, "is empty: write one term at least, of which one has to hold"));
    }
    let said: usize = required.node_selector_terms.iter().map(said).sum();
    if said > MAX_SAID {
        let message = format!("has {said} requirements and values in all: at most {MAX_SAID} are allowed");
        errors.push(FieldError::invalid(TERMS, message));
        return (selector, NodeAffinity::default());
    }
    let terms = required.node_selector_terms.iter().enumerate().map(|(index, read)| term(read, index, errors));
    (selector, NodeAffinity(terms.collect()))
}

fn said(term: &NodeSelectorTerm) -> usize {
    let all = term.match_expressions.iter().flatten().chain(term.match_fields.iter().flatten());
    all.map(|requirement| 1 + requirement.values.as_ref().map_or(0, Vec::len)).sum()
}

fn term(term: &NodeSelectorTerm, index: usize, errors: &mut Vec<FieldError>) -> NodeTerm {
    let mut requirements = Vec::new();
    for (at, expression) in term.match_expressions.iter().flatten().enumerate() {
        let path = format!("{TERMS}[{index}].matchExpressions[{at}]");
        if !is_qualified_name(&expression.key) {
            errors.push(FieldError::invalid(format!("{path}.key"), "is no name of a label"));
        }
        let is = condition(expression, &path).map_err(|error| errors.push(error));
        requirements.extend(is.map(|is| NodeRequirement { key: expression.key.clone(), is }));
    }
    for (at, field) in term.match_fields.iter().flatten().enumerate() {
        let path = format!("{TERMS}[{index}].matchFields[{at}]");
        if field.key != "metadata.name" {
            let message = "is not known: nodes have no other field to ask for than `metadata.name`";
            errors.push(FieldError::not_supported(format!("{path}.key"), message));
        }
        let one = field.values.as_ref().is_some_and(|values| values.len() == 1);
        if !matches!(&*field.operator, "In" | "NotIn") || !one {
            let message = "must be `In` or `NotIn` with one value, the name of a node";
            errors.push(FieldError::invalid(format!("{path}.operator"), message));
        }
        let is = condition(field, &path).map_err(|error| errors.push(error));
        requirements.extend(is.map(|is| NodeRequirement { key: HOSTNAME.to_owned(), is }));
    }
    NodeTerm(requirements)
}

fn condition(requirement: &NodeSelectorRequirement, path: &str) -> Result<LabelCondition, FieldError> {
    let values = requirement.values.clone().unwrap_or_default();
    let wrong =
        |why: &str| Err(FieldError::invalid(format!("{path}.values"), format!("{why} for `{}`", requirement.operator)));
    match (requirement.operator.as_str(), values.as_slice()) {
        ("In" | "NotIn", []) => wrong("must have one value at least"),
        ("In", _) => Ok(LabelCondition::In(values)),
        ("NotIn", _) => Ok(LabelCondition::NotIn(values)),
        ("Exists", []) => Ok(LabelCondition::Exists),
        ("DoesNotExist", []) => Ok(LabelCondition::DoesNotExist),
        ("Exists" | "DoesNotExist", _) => wrong("must be empty"),
        ("Gt" | "Lt", [value]) => match value.parse() {
            Ok(bound) if requirement.operator == "Gt" => Ok(LabelCondition::Gt(bound)),
            Ok(bound) => Ok(LabelCondition::Lt(bound)),
            Err(_) => wrong("must be a whole number"),
        },
        ("Gt" | "Lt", _) => wrong("must be one whole number"),
        _ => {
            let message = "is not known: write `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`";
            Err(FieldError::invalid(format!("{path}.operator"), message))
        }
    }
}
