//! What `kubectl get hpa` prints, as Kubernetes' own server writes it.

use serde_json::{Value, json};

use crate::resources::column::{AGE, Column, NAME, list_at, number_at};

/// Metrics that are printed; of others only how many they are.
const SHOWN: usize = 2;
const UNKNOWN: &str = "<unknown>";

pub(super) const ALL: &[Column] = &[
    NAME,
    Column::text("Reference", |object, _| {
        let target = &object["spec"]["scaleTargetRef"];
        json!(format!("{}/{}", text(&target["kind"]), text(&target["name"])))
    }),
    Column::text("Targets", |object, _| json!(targets(object))),
    Column::text("MinPods", |object, _| {
        let least = &object["spec"]["minReplicas"];
        json!(if least.is_null() { "<unset>".to_owned() } else { least.to_string() })
    }),
    Column::number("MaxPods", |object, _| number_at(object, "/spec/maxReplicas")),
    Column::number("Replicas", |object, _| number_at(object, "/status/currentReplicas")),
    AGE,
];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn targets(object: &Value) -> String {
    let (metrics, current) = (list_at(object, "/spec/metrics"), list_at(object, "/status/currentMetrics"));
    if metrics.is_empty() {
        return "<none>".to_owned();
    }
    let shown = metrics.iter().enumerate().take(SHOWN);
    let shown: Vec<_> = shown.map(|(index, metric)| target(metric, current.get(index))).collect();
    match metrics.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} + {more} more...", shown.join(", ")),
    }
}

fn target(metric: &Value, current: Option<&Value>) -> String {
    let (source, named) = match metric["type"].as_str() {
        Some("Pods") => ("pods", false),
        Some("Resource") => ("resource", true),
        Some("ContainerResource") => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let (wanted, now) = (&metric[source]["target"], current.map(|current| &current[source]["current"]));
    let (now, wanted) = match (&wanted["averageValue"], &wanted["averageUtilization"]) {
        (Value::Null, percent) => (shown(now, "averageUtilization", "%"), format!("{percent}%")),
        (value, _) => (shown(now, "averageValue", ""), plain(value)),
    };
    let name = if named { format!("{}: ", text(&metric[source]["name"])) } else { String::new() };
    format!("{name}{now}/{wanted}")
}

fn shown(current: Option<&Value>, field: &str, unit: &str) -> String {
    match current.map(|current| &current[field]) {
        None | Some(Value::Null) => UNKNOWN.to_owned(),
        Some(value) => format!("{}{unit}", plain(value)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
