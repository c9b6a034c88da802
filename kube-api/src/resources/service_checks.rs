//! What Kubernetes checks of a Service's fields beside the ports that requests come to, most of which change nothing here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    column::list_at,
    field::{Cause, FieldError},
    values::{self, Form::*, Forms},
};

const POLICIES: &[&str] = &["Cluster", "Local"];
/// As Kubernetes: a day.
const MAX_AFFINITY_SECONDS: i64 = 86_400;

const FORMS: Forms = &[
    ("spec.ports[].targetPort", PortName),
    ("spec.ports[].appProtocol", QualifiedName),
    ("spec.internalTrafficPolicy", OneOf(POLICIES)),
    ("spec.externalTrafficPolicy", OneOf(POLICIES)),
    ("spec.ipFamilies[]", OneOf(&["IPv4", "IPv6"])),
    ("spec.ipFamilyPolicy", OneOf(&["SingleStack", "PreferDualStack", "RequireDualStack"])),
    ("spec.trafficDistribution", OneOf(&["PreferClose", "PreferSameZone", "PreferSameNode"])),
    ("spec.sessionAffinity", OneOf(&["None", "ClientIP"])),
    ("spec.sessionAffinityConfig.clientIP.timeoutSeconds", Between(1, MAX_AFFINITY_SECONDS)),
];

pub(super) fn check(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = values::check(new, FORMS);
    let spec = &new["spec"];
    let mut families = BTreeSet::new();
    for (index, family) in list_at(new, "/spec/ipFamilies").iter().enumerate() {
        if !families.insert(family.as_str()) {
            errors.push(FieldError::new(Cause::Duplicate, format!("spec.ipFamilies[{index}]"), "stands twice"));
        }
    }
    let names_one = spec["clusterIP"].as_str().is_some_and(|ip| !ip.is_empty());
    if !names_one && !list_at(new, "/spec/clusterIPs").is_empty() {
        errors.push(FieldError::invalid("spec.clusterIPs", "must be empty where `clusterIP` is not given"));
    }
    if spec["clusterIP"] == "None" && spec["type"] != "ClusterIP" {
        let message = "cannot be `None` with this type: what is opened has an address";
        errors.push(FieldError::invalid("spec.clusterIP", message));
    }
    // What an earlier type has left changes nothing.
    let is_left = |pointer: &str| {
        old.is_some_and(|old| {
            old["spec"].pointer(pointer).is_some() && old["spec"].pointer(pointer) == spec.pointer(pointer)
        })
    };
    for (_, path, types) in of_other_types(spec).into_iter().filter(|(pointer, ..)| !is_left(pointer)) {
        let message = format!("means nothing here: it belongs to the type {types}");
        errors.push(FieldError::invalid(format!("spec.{path}"), message));
    }
    errors
}

/// What belongs to types that this Service is not of: where it stands below `spec`, as a pointer and as errors name it, and
/// those types.
fn of_other_types(spec: &Value) -> Vec<(String, String, &'static str)> {
    const OPEN: &str = "`NodePort` or `LoadBalancer`";
    let field = |name: &str, types| (format!("/{name}"), name.to_owned(), types);
    let mut found = Vec::new();
    let (kind, given) = (spec["type"].as_str().unwrap_or("ClusterIP"), |field: &str| !spec[field].is_null());
    if kind == "ClusterIP" {
        let ports = spec["ports"].as_array().into_iter().flatten().enumerate();
        let numbered = ports.filter(|(_, port)| port["nodePort"].as_i64().is_some_and(|port| port != 0));
        found.extend(
            numbered.map(|(index, _)| (format!("/ports/{index}/nodePort"), format!("ports[{index}].nodePort"), OPEN)),
        );
        if given("externalTrafficPolicy") && spec["externalTrafficPolicy"] != "" {
            found.push(field("externalTrafficPolicy", OPEN));
        }
    }
    if kind != "LoadBalancer" && given("allocateLoadBalancerNodePorts") {
        found.push(field("allocateLoadBalancerNodePorts", "`LoadBalancer`"));
    }
    let asked = spec["healthCheckNodePort"].as_i64().is_some_and(|port| port != 0);
    if asked && (kind != "LoadBalancer" || spec["externalTrafficPolicy"] != "Local") {
        found.push(field("healthCheckNodePort", "`LoadBalancer` with the externalTrafficPolicy `Local`"));
    }
    found
}
