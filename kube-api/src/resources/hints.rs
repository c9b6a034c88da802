//! What the writer of an object should know though nothing is wrong, as Kubernetes warns of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Resource, honoured::Warning, values::walk};
use crate::template::is_address;

const NO_ADDRESS: &str = "a replica has no address of its own, and is found by its name: the variable is 127.0.0.1";
const TEMPLATE: &str = "spec.template.spec";
const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";

/// All hints about an object.
pub(crate) fn hints(resource: &Resource, object: &Value) -> Vec<Warning> {
    let mut hints = Vec::new();
    let mut say = |sentence: String, value: &Value| hints.push(Warning { sentence, value: value.clone() });
    if object["metadata"]["annotations"].get(INGRESS_CLASS).is_some() && resource.kind == "Ingress" {
        let class = &object["metadata"]["annotations"][INGRESS_CLASS];
        say(format!("annotation \"{INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"), class);
    }
    if resource.kind == "NetworkPolicy" {
        let types = object["spec"]["policyTypes"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (direction, name) in [("ingress", "Ingress"), ("egress", "Egress")] {
            let rules = &object["spec"][direction];
            if rules.as_array().is_some_and(|rules| !rules.is_empty()) && !types.iter().any(|one| one == name) {
                say(format!("spec.{direction}: changes nothing: spec.policyTypes does not name {name}"), rules);
            }
        }
    }
    // The template of a Deployment; its ReplicaSets have the same one.
    if resource.kind == "Deployment" {
        of_template(object, &mut say);
    }
    hints
}

fn of_template(object: &Value, say: &mut dyn FnMut(String, &Value)) {
    walk(object, &format!("{TEMPLATE}.containers[]"), "", &mut |path, container| {
        twice(
            container,
            path,
            "env",
            |variable| variable["name"].as_str().map(str::to_owned),
            &mut |path, name, value| {
                say(
                    format!("{path}: hides previous definition of \"{name}\", which may be dropped when using apply"),
                    value,
                );
            },
        );
        for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
            let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
            if field.as_str().is_some_and(is_address) {
                say(format!("{path}.env[{index}].valueFrom.fieldRef: {NO_ADDRESS}"), variable);
            }
        }
        let port = |port: &Value| Some(format!("{}/{}", port["containerPort"], port["protocol"]));
        twice(container, path, "ports", port, &mut |path, _, value| {
            say(format!("{path}: duplicate port definition"), value)
        });
    });
    walk(object, &format!("{TEMPLATE}.imagePullSecrets[]"), "", &mut |path, secret| {
        if secret["name"].as_str().is_none_or(str::is_empty) {
            say(format!("{path}.name: invalid empty name \"\", it names no Secret"), secret);
        }
    });
    walk(object, &format!("{TEMPLATE}.topologySpreadConstraints[]"), "", &mut |path, one| {
        if one["labelSelector"].is_null() {
            say(format!("{path}.labelSelector: is missing, which matches no Pod in Kubernetes"), one);
        }
    });
}

/// Tells of each element of a list that one before it has the same key as.
fn twice(
    holder: &Value,
    path: &str,
    list: &str,
    key: impl Fn(&Value) -> Option<String>,
    tell: &mut dyn FnMut(&str, &str, &Value),
) {
    let mut seen = BTreeMap::new();
    for (index, element) in holder[list].as_array().into_iter().flatten().enumerate() {
        let Some(key) = key(element) else { continue };
        if seen.insert(key.clone(), index).is_some() {
            tell(&format!("{path}.{list}[{index}]"), &key, element);
        }
    }
}
