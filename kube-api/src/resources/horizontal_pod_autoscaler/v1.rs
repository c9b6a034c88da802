//! `autoscaling/v1`: what old clients read and write. Whatever it has no fields for stands in annotations, as Kubernetes does it
//! (`pkg/apis/autoscaling/v1/conversion.go`), so that reading, changing and writing loses nothing.

use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use serde_json::{Map, Value, json};

use super::{HORIZONTAL_POD_AUTOSCALER, V2, v1_names};
use crate::resources::{FieldError, Resource, column::list_at, resource::View, schema::Schema};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

pub(in crate::resources) static HORIZONTAL_POD_AUTOSCALER_V1: Resource = Resource {
    version: "v1",
    schema: Schema::of::<HorizontalPodAutoscaler>(),
    view: Some(View { stored: &HORIZONTAL_POD_AUTOSCALER, of_stored, to_stored }),
    ..V2
};

/// The annotations mean something in version 1 alone.
pub(super) fn drop_round_trip_annotations(object: &mut Value) {
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        [METRICS, CURRENT_METRICS, BEHAVIOR, CONDITIONS].iter().for_each(|key| drop(annotations.remove(*key)));
    }
}

fn of_stored(mut object: Value) -> Value {
    drop_round_trip_annotations(&mut object);
    object["apiVersion"] = json!("autoscaling/v1");
    let mut notes = Map::new();
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        let mut metrics = list(spec.remove("metrics"));
        if let Some(at) = metrics.iter().position(is_cpu_utilization) {
            let percent = metrics.remove(at)["resource"]["target"]["averageUtilization"].take();
            spec.insert("targetCPUUtilizationPercentage".to_owned(), percent);
        }
        note(&mut notes, METRICS, metrics.iter().map(v1_names::metric).collect());
        let behavior = spec.remove("behavior").unwrap_or_default();
        note(&mut notes, BEHAVIOR, v1_names::capitalised(&behavior));
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        let current = list(status.remove("currentMetrics"));
        let cpu = current.iter().map(|metric| &metric["resource"]["current"]["averageUtilization"]);
        if let Some(percent) = cpu.clone().find(|percent| percent.is_number()) {
            status.insert("currentCPUUtilizationPercentage".to_owned(), percent.clone());
        }
        note(&mut notes, CURRENT_METRICS, current.iter().map(v1_names::current).collect());
        note(&mut notes, CONDITIONS, Value::Array(list(status.remove("conditions"))));
    }
    if !notes.is_empty() {
        if object["metadata"]["annotations"].is_null() {
            object["metadata"]["annotations"] = json!({});
        }
        let annotations = object["metadata"]["annotations"].as_object_mut();
        annotations.into_iter().for_each(|annotations| annotations.append(&mut notes));
    }
    object
}

fn to_stored(mut object: Value) -> Result<Value, FieldError> {
    let annotations = object["metadata"]["annotations"].clone();
    drop_round_trip_annotations(&mut object);
    object["apiVersion"] = json!("autoscaling/v2");
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        let mut metrics = list(noted(&annotations, METRICS)?.map(|noted| elements(&noted, v1_names::metric_of)));
        if let Some(percent) = spec.remove("targetCPUUtilizationPercentage").filter(Value::is_number) {
            let target = json!({ "type": "Utilization", "averageUtilization": percent });
            metrics.push(json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }));
        }
        spec.insert("metrics".to_owned(), Value::Array(metrics));
        if let Some(behavior) = noted(&annotations, BEHAVIOR)? {
            spec.insert("behavior".to_owned(), v1_names::uncapitalised(&behavior));
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("currentCPUUtilizationPercentage");
        if let Some(current) = noted(&annotations, CURRENT_METRICS)? {
            status.insert("currentMetrics".to_owned(), elements(&current, v1_names::current_of));
        }
        if let Some(conditions) = noted(&annotations, CONDITIONS)? {
            status.insert("conditions".to_owned(), conditions);
        }
    }
    Ok(object)
}

fn is_cpu_utilization(metric: &Value) -> bool {
    let resource = &metric["resource"];
    metric["type"] == "Resource" && resource["name"] == "cpu" && resource["target"]["averageUtilization"].is_number()
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(elements)) => elements,
        _ => Vec::new(),
    }
}

fn elements(list: &Value, convert: fn(&Value) -> Value) -> Value {
    list_at(list, "").iter().map(convert).collect()
}

/// What says nothing is not noted.
fn note(notes: &mut Map<String, Value>, key: &str, value: Value) {
    let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if !empty {
        notes.insert(key.to_owned(), json!(value.to_string()));
    }
}

fn noted(annotations: &Value, key: &str) -> Result<Option<Value>, FieldError> {
    let Some(text) = annotations[key].as_str() else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| {
        let message = format!("is not what Kubernetes writes there ({error}): remove it, or use `autoscaling/v2`");
        FieldError::invalid(format!("metadata.annotations[{key}]"), message)
    })
}
