//! What Kubernetes checks of kinds that are only kept here, so that what is kept can be taken to another cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::{
    field::{Cause, FieldError},
    label_selector,
    schema::decode,
    values::{self, Form::*, Forms},
};

/// As Kubernetes: the longest name of an Ingress controller.
const MAX_CONTROLLER: usize = 250;

const BUDGET: Forms = &[
    ("spec.minAvailable", Share),
    ("spec.maxUnavailable", Share),
    ("spec.unhealthyPodEvictionPolicy", OneOf(&["IfHealthyBudget", "AlwaysAllow"])),
];

pub(super) fn disruption_budget(new: &Value, _: Option<&Value>) -> Vec<FieldError> {
    let mut errors = values::check(new, BUDGET);
    errors.extend(check_selector(&new["spec"]["selector"], "spec.selector"));
    if !new["spec"]["minAvailable"].is_null() && !new["spec"]["maxUnavailable"].is_null() {
        errors.push(FieldError::invalid("spec", "minAvailable and maxUnavailable cannot be both set: keep one"));
    }
    errors
}

const CLASS: Forms = &[
    ("spec.controller", Present),
    ("spec.parameters.kind", Present),
    ("spec.parameters.name", Present),
    ("spec.parameters.scope", OneOf(&["Cluster", "Namespace"])),
];

pub(super) fn ingress_class(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = values::check(new, CLASS);
    let spec = &new["spec"];
    let controller = spec["controller"].as_str().unwrap_or_default();
    match controller.split_once('/') {
        None if controller.is_empty() => {
            if !spec.is_object() {
                errors.push(FieldError::required("spec.controller", "is missing"));
            }
        }
        Some((domain, path))
            if api::check_dns_subdomain(domain).is_ok() && is_path(path) && controller.len() <= MAX_CONTROLLER => {}
        _ => {
            let message =
                format!("`{controller}` is not a controller's name: write `DOMAIN/NAME`, as `example.com/ingress`");
            errors.push(FieldError::invalid("spec.controller", message));
        }
    }
    if old.is_some_and(|old| old["spec"]["controller"] != spec["controller"]) {
        errors.push(FieldError::new(Cause::Immutable, "spec.controller", "cannot be changed: make another class"));
    }
    let parameters = &spec["parameters"];
    match (parameters["scope"].as_str(), parameters["namespace"].is_null()) {
        (Some("Namespace"), true) => {
            let message = "is missing: `scope` is `Namespace`";
            errors.push(FieldError::required("spec.parameters.namespace", message));
        }
        (Some("Cluster") | None, false) => {
            let message = "must be empty where `scope` is `Cluster`";
            errors.push(FieldError::invalid("spec.parameters.namespace", message));
        }
        _ => {}
    }
    errors
}

fn is_path(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

const LEASE: Forms = &[
    ("spec.leaseDurationSeconds", Between(1, i32::MAX as i64)),
    ("spec.leaseTransitions", Between(0, i32::MAX as i64)),
];

pub(super) fn lease(new: &Value, _: Option<&Value>) -> Vec<FieldError> {
    values::check(new, LEASE)
}

pub(super) fn check_selector(selector: &Value, path: &str) -> Vec<FieldError> {
    let selector: Option<LabelSelector> = decode(selector).ok();
    selector.map(|selector| label_selector::check(&selector, path)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(errors: Vec<FieldError>) -> Vec<String> {
        errors.into_iter().map(|error| error.path).collect()
    }

    #[test]
    fn a_budget_is_a_count_or_a_percentage_of_what_a_selector_names() {
        for (spec, wrong) in [
            (json!({ "minAvailable": -1 }), "spec.minAvailable"),
            (json!({ "minAvailable": "101%" }), "spec.minAvailable"),
            (json!({ "maxUnavailable": "x" }), "spec.maxUnavailable"),
            (json!({ "minAvailable": 1, "unhealthyPodEvictionPolicy": "Foo" }), "spec.unhealthyPodEvictionPolicy"),
            (
                json!({ "selector": { "matchExpressions": [ { "key": "a", "operator": "Foo" } ] } }),
                "spec.selector.matchExpressions[0].operator",
            ),
        ] {
            assert_eq!(paths(disruption_budget(&json!({ "spec": spec }), None)), [wrong], "{spec}");
        }
        let right =
            json!({ "spec": { "minAvailable": "50%", "selector": {}, "unhealthyPodEvictionPolicy": "AlwaysAllow" } });
        assert_eq!(disruption_budget(&right, None), []);
    }

    #[test]
    fn a_class_names_the_domain_of_its_controller_and_keeps_it() {
        for wrong in ["", "a", "A.B/c", "a.b/", "a b/c", "a.b/c d"] {
            let class = json!({ "spec": { "controller": wrong } });
            assert_eq!(paths(ingress_class(&class, None)), ["spec.controller"], "{wrong}");
        }
        assert_eq!(paths(ingress_class(&json!({}), None)), ["spec.controller"]);
        let (one, other) = (json!({ "spec": { "controller": "a.b/c" } }), json!({ "spec": { "controller": "a.b/d" } }));
        assert_eq!(ingress_class(&one, Some(&one)), []);
        assert_eq!(paths(ingress_class(&other, Some(&one))), ["spec.controller"]);
        let within = json!({ "spec": { "controller": "a.b/c", "parameters": { "kind": "K", "name": "n", "scope": "Namespace" } } });
        assert_eq!(paths(ingress_class(&within, None)), ["spec.parameters.namespace"]);
    }
}
