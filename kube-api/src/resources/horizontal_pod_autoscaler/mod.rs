//! HorizontalPodAutoscalers. They are stored as `autoscaling/v2`; `autoscaling/v1` is another view of the same objects.

mod behavior;
mod columns;
mod metrics;
mod v1;
mod v1_names;

#[cfg(test)]
mod tests;

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
};
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    field::FieldError,
    honoured::{Rule::*, Rules},
    scaling,
    schema::{Schema, decode},
    workload::MAX_REPLICAS,
};

pub(crate) use metrics::warnings;
pub(super) use v1::HORIZONTAL_POD_AUTOSCALER_V1;

pub(super) static HORIZONTAL_POD_AUTOSCALER: Resource = V2;

const V2: Resource = Resource {
    group: "autoscaling",
    version: "v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    scope: Scope::Namespaced,
    durability: Durability::Durable,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[Subresource::Status],
    columns: columns::ALL,
    schema: Schema::of::<HorizontalPodAutoscaler>(),
    honoured: RULES,
    default: set_defaults,
    validate,
    view: None,
};

const NO_REPLICA_SETS: &str = "a ReplicaSet follows its Deployment: name that one";
const METRIC_TYPES: &str =
    "what is measured is each replica's requests (`Pods`) and CPU (`Resource`, `ContainerResource`)";
const REQUEST_METRICS: &str = "this is what gateways measure";
const OWN_REQUESTS: &str = "the requests of the target itself are measured: remove it";
const AVERAGE: &str = "it is compared with the average over the replicas";
const WRITE_AVERAGE: &str = "write `averageValue`: it is compared with the average over the replicas";
const CPU_ALONE: &str = "memory and other resources are limited for each replica, and not measured";
const CPU_TARGETS: &str = "CPU is compared with what is requested, or with a number of cores";

const RULES: Rules = &[
    ("spec.scaleTargetRef.apiVersion", Only(&["apps/v1"], NO_REPLICA_SETS)),
    ("spec.scaleTargetRef.kind", Only(&["Deployment"], NO_REPLICA_SETS)),
    ("spec.scaleTargetRef.name", Honoured),
    ("spec.minReplicas", Honoured),
    ("spec.maxReplicas", Honoured),
    ("spec.metrics[].type", Only(&["Pods", "Resource", "ContainerResource"], METRIC_TYPES)),
    ("spec.metrics[].pods.metric.name", Only(&["http_requests_per_second", "http_concurrency"], REQUEST_METRICS)),
    ("spec.metrics[].pods.metric.selector", Refused(OWN_REQUESTS)),
    ("spec.metrics[].pods.target.type", Only(&["AverageValue"], AVERAGE)),
    ("spec.metrics[].pods.target.averageValue", Honoured),
    ("spec.metrics[].pods.target.averageUtilization", Refused(WRITE_AVERAGE)),
    ("spec.metrics[].pods.target.value", Refused(WRITE_AVERAGE)),
    ("spec.metrics[].resource.name", Only(&["cpu"], CPU_ALONE)),
    ("spec.metrics[].resource.target.type", Only(&["Utilization", "AverageValue"], CPU_TARGETS)),
    ("spec.metrics[].resource.target.averageUtilization", Honoured),
    ("spec.metrics[].resource.target.averageValue", Honoured),
    ("spec.metrics[].resource.target.value", Refused(WRITE_AVERAGE)),
    ("spec.metrics[].containerResource.name", Only(&["cpu"], CPU_ALONE)),
    ("spec.metrics[].containerResource.container", Honoured),
    ("spec.metrics[].containerResource.target.type", Only(&["Utilization", "AverageValue"], CPU_TARGETS)),
    ("spec.metrics[].containerResource.target.averageUtilization", Honoured),
    ("spec.metrics[].containerResource.target.averageValue", Honoured),
    ("spec.metrics[].containerResource.target.value", Refused(WRITE_AVERAGE)),
    ("spec.metrics[].object", Refused(METRIC_TYPES)),
    ("spec.metrics[].external", Refused(METRIC_TYPES)),
    ("spec.behavior", Honoured),
];

fn set_defaults(object: &mut Value) {
    v1::drop_round_trip_annotations(object);
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("minReplicas").or_insert_with(|| json!(1));
    if let Some(target) = spec.get_mut("scaleTargetRef").and_then(Value::as_object_mut) {
        target.entry("apiVersion").or_insert_with(|| json!("apps/v1"));
    }
    let metrics = spec.entry("metrics").or_insert_with(|| json!([]));
    metrics::set_defaults(metrics);
    if let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) {
        behavior::set_defaults(behavior);
    }
}

fn validate(new: &Value, _old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = scaling::check(new);
    // The schema has been checked, so it can be read.
    let spec: HorizontalPodAutoscalerSpec = decode(&new["spec"]).unwrap_or_default();
    errors.extend(check_target(&spec.scale_target_ref));
    errors.extend(check_bounds(&spec));
    errors.extend(metrics::check(spec.metrics.as_deref().unwrap_or_default()));
    errors.extend(spec.behavior.iter().flat_map(behavior::check));
    errors
}

fn check_target(target: &CrossVersionObjectReference) -> Vec<FieldError> {
    let parts = [("kind", &target.kind), ("name", &target.name)];
    let missing = parts.into_iter().filter(|(_, value)| value.is_empty());
    let error = |(field, _)| {
        FieldError::required(format!("spec.scaleTargetRef.{field}"), "is missing: name the Deployment that is scaled")
    };
    let mut errors: Vec<_> = missing.map(error).collect();
    // As Kubernetes: both stand in paths.
    for (field, value) in parts.into_iter().filter(|(_, value)| value.contains(['/', '%'])) {
        let message = format!("`{value}` cannot stand in a path: write it without `/` and `%`");
        errors.push(FieldError::invalid(format!("spec.scaleTargetRef.{field}"), message));
    }
    errors
}

fn check_bounds(spec: &HorizontalPodAutoscalerSpec) -> Vec<FieldError> {
    let (least, most) = (spec.min_replicas.unwrap_or(1), i64::from(spec.max_replicas));
    let mut errors = Vec::new();
    if !(1..=MAX_REPLICAS).contains(&most) {
        let message = format!("{most} is out of range: use 1 to {MAX_REPLICAS}");
        errors.push(FieldError::invalid("spec.maxReplicas", message));
    }
    if least < 0 {
        errors.push(FieldError::invalid("spec.minReplicas", format!("{least} is out of range: use 0 or more")));
    } else if errors.is_empty() && most < i64::from(least) {
        let message = format!("must not be less than `minReplicas`, which is {least}");
        errors.push(FieldError::invalid("spec.maxReplicas", message));
    }
    errors
}
