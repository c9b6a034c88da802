//! What Kubernetes checks of a pod template beside what is read of it: single values, and what stands side by side.
//!
//! Only who writes a template is told: what was stored before such a check came goes on.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fields::{
    Cause, FieldError,
    labels::check_annotations,
    values::{self, Form::*, Forms},
};

const PROFILES: &[&str] = &["RuntimeDefault", "Unconfined", "Localhost"];
/// As Kubernetes: ids of users and groups.
const ID: values::Form = Between(0, i32::MAX as i64);
const SCHEMES: &[&str] = &["HTTP", "HTTPS"];
const WEIGHT: values::Form = Between(1, 100);

const FORMS: Forms = &[
    ("spec.serviceAccountName", ObjectName),
    ("spec.hostname", Label),
    ("spec.subdomain", Label),
    ("spec.dnsPolicy", OneOf(&["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"])),
    ("spec.securityContext.runAsUser", ID),
    ("spec.securityContext.runAsGroup", ID),
    ("spec.securityContext.fsGroup", ID),
    ("spec.securityContext.supplementalGroups[]", ID),
    ("spec.securityContext.seccompProfile.type", OneOf(PROFILES)),
    ("spec.securityContext.fsGroupChangePolicy", OneOf(&["Always", "OnRootMismatch"])),
    ("spec.containers[].securityContext.runAsUser", ID),
    ("spec.containers[].securityContext.runAsGroup", ID),
    ("spec.containers[].securityContext.seccompProfile.type", OneOf(PROFILES)),
    ("spec.containers[].securityContext.procMount", OneOf(&["Default", "Unmasked"])),
    ("spec.containers[].terminationMessagePolicy", OneOf(&["File", "FallbackToLogsOnError"])),
    ("spec.containers[].lifecycle.preStop.sleep.seconds", Between(0, i32::MAX as i64)),
    ("spec.containers[].startupProbe.httpGet.scheme", OneOf(SCHEMES)),
    ("spec.containers[].readinessProbe.httpGet.scheme", OneOf(SCHEMES)),
    ("spec.containers[].livenessProbe.httpGet.scheme", OneOf(SCHEMES)),
    ("spec.containers[].startupProbe.terminationGracePeriodSeconds", Between(1, i32::MAX as i64)),
    ("spec.containers[].livenessProbe.terminationGracePeriodSeconds", Between(1, i32::MAX as i64)),
    ("spec.containers[].ports[].name", PortName),
    ("spec.containers[].env[].valueFrom.fieldRef.apiVersion", OneOf(&["v1"])),
    ("spec.containers[].env[].valueFrom.configMapKeyRef.name", ObjectName),
    ("spec.containers[].env[].valueFrom.configMapKeyRef.key", Key),
    ("spec.containers[].env[].valueFrom.secretKeyRef.name", ObjectName),
    ("spec.containers[].env[].valueFrom.secretKeyRef.key", Key),
    ("spec.containers[].envFrom[].prefix", Prefix),
    ("spec.containers[].envFrom[].configMapRef.name", ObjectName),
    ("spec.containers[].envFrom[].secretRef.name", ObjectName),
    ("spec.tolerations[].key", QualifiedName),
    ("spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight", WEIGHT),
    ("spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight", WEIGHT),
    ("spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].weight", WEIGHT),
    ("spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[].topologyKey", Present),
    ("spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[].topologyKey", Present),
];

/// Everything of this kind that is wrong with a template, relative to it.
pub(super) fn wrong(template: &Value) -> Vec<FieldError> {
    let mut errors = values::check(template, FORMS);
    errors.extend(check_annotations("metadata.annotations", &template["metadata"]["annotations"]));
    values::walk(template, "spec.containers[]", "", &mut |path, container| {
        errors.extend(check_container(container, path))
    });
    values::walk(template, "spec.tolerations[]", "", &mut |path, one| errors.extend(check_toleration(one, path)));
    errors.extend(check_spread(template));
    errors
}

fn check_container(container: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        errors.extend(check_handlers(
            &container[probe],
            &format!("{path}.{probe}"),
            &["httpGet", "tcpSocket", "exec", "grpc"],
        ));
    }
    if !container["readinessProbe"]["terminationGracePeriodSeconds"].is_null() {
        let message = "means nothing for a probe that stops nothing";
        errors.push(FieldError::invalid(format!("{path}.readinessProbe.terminationGracePeriodSeconds"), message));
    }
    for hook in ["postStart", "preStop"] {
        let (handler, path) = (&container["lifecycle"][hook], format!("{path}.lifecycle.{hook}"));
        if handler.as_object().is_some_and(serde_json::Map::is_empty) {
            errors.push(FieldError::required(path.clone(), "names no handler"));
        }
        errors.extend(check_handlers(handler, &path, &["httpGet", "tcpSocket", "exec", "sleep"]));
    }
    errors
}

/// One handler at most, and a command where that is it.
fn check_handlers(holder: &Value, path: &str, known: &[&str]) -> Vec<FieldError> {
    let mut given = known.iter().filter(|name| !holder[**name].is_null());
    let (first, mut errors) = (given.next(), Vec::new());
    if let Some((first, second)) = first.zip(given.next()) {
        errors.push(FieldError::invalid(
            format!("{path}.{second}"),
            format!("stands beside `{first}`: keep one of them"),
        ));
    }
    let exec = &holder["exec"];
    if exec.is_object() && exec["command"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(format!("{path}.exec.command"), "is missing"));
    }
    errors
}

fn check_toleration(one: &Value, path: &str) -> Option<FieldError> {
    let given = one["value"].as_str().is_some_and(|value| !value.is_empty());
    if given && one["operator"] == "Exists" {
        let message = "must be empty: `Exists` looks at the key alone";
        return Some(FieldError::invalid(format!("{path}.value"), message));
    }
    values::check(one, &[("value", LabelValue)]).pop().map(|error| error.under(path))
}

fn check_spread(template: &Value) -> Vec<FieldError> {
    let (mut seen, mut errors) = (BTreeSet::new(), Vec::new());
    values::walk(template, "spec.topologySpreadConstraints[]", "", &mut |path, one| {
        let pair = (one["topologyKey"].as_str(), one["whenUnsatisfiable"].as_str());
        if !seen.insert(pair) {
            let message = "stands twice with this `whenUnsatisfiable`";
            errors.push(FieldError::new(Cause::Duplicate, format!("{path}.topologyKey"), message));
        }
        let selected = one["labelSelector"]["matchLabels"].as_object();
        for (index, key) in one["matchLabelKeys"].as_array().into_iter().flatten().enumerate() {
            let twice = key.as_str().filter(|key| selected.is_some_and(|labels| labels.contains_key(*key)));
            errors.extend(twice.map(|key| {
                let message = format!("`{key}` stands in `labelSelector` too");
                FieldError::invalid(format!("{path}.matchLabelKeys[{index}]"), message)
            }));
        }
    });
    errors
}
