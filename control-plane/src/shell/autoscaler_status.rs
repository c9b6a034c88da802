//! What an autoscaler decided, as the status of its HorizontalPodAutoscaler. A pure function from the object as it stands.

use api::Timestamp;
use kube_api::identity::rfc3339;
use scheduler::{
    AutoscalerStatus,
    autoscale::{Condition, Metric, MetricValue},
};
use serde_json::{Map, Value, json};

/// A HorizontalPodAutoscaler with this status.
pub(super) fn with_autoscaler_status(current: &Value, status: &AutoscalerStatus, now: Timestamp) -> Value {
    let mut object = current.clone();
    let mut written = Map::new();
    written.insert("observedGeneration".to_owned(), current["metadata"]["generation"].clone());
    written.insert("currentReplicas".to_owned(), status.replicas.into());
    written.insert("desiredReplicas".to_owned(), status.desired.into());
    if let Some(at) = status.last_scaled {
        written.insert("lastScaleTime".to_owned(), rfc3339(at).into());
    }
    let sources = current["spec"]["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = status.why.metrics.iter().enumerate().filter(|(_, value)| value.average.is_some());
    let metrics: Vec<Value> = known.map(|(index, value)| metric(sources.get(index), value)).collect();
    written.insert("currentMetrics".to_owned(), if metrics.is_empty() { Value::Null } else { metrics.into() });
    let before = current["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let conditions = status.why.conditions();
    written.insert("conditions".to_owned(), conditions.iter().map(|one| condition(one, before, now)).collect());
    object["status"] = Value::Object(written);
    object
}

/// As its source stands in the spec, with what was measured; without one, it is the CPU that is followed by default.
fn metric(source: Option<&Value>, value: &MetricValue) -> Value {
    let mut current = json!({ "averageValue": quantity(value.average.unwrap_or_default()) });
    if let Some(percent) = value.utilization {
        current["averageUtilization"] = percent.into();
    }
    let container = source.and_then(|source| source["containerResource"]["container"].as_str());
    match (value.metric, container) {
        (Metric::Cpu, Some(container)) => json!({
            "type": "ContainerResource",
            "containerResource": { "name": "cpu", "container": container, "current": current },
        }),
        (Metric::Cpu, None) => {
            json!({ "type": "Resource", "resource": { "name": "cpu", "current": current } })
        }
        (other, _) => {
            json!({ "type": "Pods", "pods": { "metric": { "name": other.name() }, "current": current } })
        }
    }
}

/// In thousandths, as Kubernetes writes averages that are no whole numbers.
fn quantity(value: f64) -> String {
    let millis = (value * 1000.0).round() as u64;
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// As it stands in a status; a condition that is what it was keeps its time.
pub(super) fn condition(condition: &Condition, before: &[Value], now: Timestamp) -> Value {
    let status = if condition.status { "True" } else { "False" };
    let same = before.iter().find(|before| before["type"] == condition.kind && before["status"] == status);
    let since = same.map_or_else(|| rfc3339(now).into(), |same| same["lastTransitionTime"].clone());
    json!({
        "type": condition.kind,
        "status": status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_written_in_thousandths_unless_they_are_whole() {
        assert_eq!((quantity(12.0).as_str(), quantity(0.25).as_str(), quantity(0.0).as_str()), ("12", "250m", "0"));
    }
}
