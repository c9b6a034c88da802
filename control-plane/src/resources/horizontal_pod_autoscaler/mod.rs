use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME, joined, list_at, number_at},
    field::FieldError,
    honoured::{Rule::*, Rules},
    resource::schema_of,
    workload::MAX_REPLICAS,
};

pub(super) static HORIZONTAL_POD_AUTOSCALER: Resource = Resource {
    group: "autoscaling",
    version: "v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    scope: Scope::Namespaced,
    durability: Durability::Durable,
    names: NameRule::Subdomain,
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Reference", |object, _| {
            let target = &object["spec"]["scaleTargetRef"];
            let part = |field: &str| target[field].as_str().unwrap_or_default().to_owned();
            json!(format!("{}/{}", part("kind"), part("name")))
        }),
        Column::text("Targets", |object, _| targets(object)),
        Column::text("MinPods", |object, _| json!(number_at(object, "/spec/minReplicas").to_string())),
        Column::number("MaxPods", |object, _| number_at(object, "/spec/maxReplicas")),
        Column::number("Replicas", |object, _| number_at(object, "/status/currentReplicas")),
        AGE,
    ],
    schema: schema_of::<HorizontalPodAutoscaler>,
    honoured: RULES,
    default: set_defaults,
    validate,
    warnings: |_| vec!["the autoscaler is stored, but nothing acts on it yet: the number of replicas stays".to_owned()],
};

const RULES: Rules = &[
    ("spec.scaleTargetRef", Honoured),
    ("spec.minReplicas", Honoured),
    ("spec.maxReplicas", Honoured),
    ("spec.metrics", Honoured),
    ("spec.behavior", Honoured),
];

fn targets(object: &Value) -> Value {
    let current = list_at(object, "/status/currentMetrics");
    let metrics = list_at(object, "/spec/metrics").iter().enumerate();
    joined(metrics.map(|(index, metric)| {
        let resource = &metric["resource"];
        let name = resource["name"].as_str().unwrap_or("metric");
        let target = &resource["target"];
        let wanted = match target["averageUtilization"].as_i64() {
            Some(percent) => format!("{percent}%"),
            None => target["averageValue"].as_str().unwrap_or("<unknown>").to_owned(),
        };
        let now = current.get(index).and_then(|metric| metric["resource"]["current"]["averageUtilization"].as_i64());
        let now = now.map_or_else(|| "<unknown>".to_owned(), |percent| format!("{percent}%"));
        format!("{name}: {now}/{wanted}")
    }))
}

fn set_defaults(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("minReplicas").or_insert_with(|| json!(1));
    spec.entry("metrics").or_insert_with(|| {
        json!([{ "type": "Resource",
            "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }])
    });
}

fn validate(new: &Value, _old: Option<&Value>) -> Vec<FieldError> {
    let spec = &new["spec"];
    let mut errors = Vec::new();
    let target = &spec["scaleTargetRef"];
    if !matches!(target["kind"].as_str(), Some("Deployment" | "ReplicaSet")) {
        let message = "only a Deployment or a ReplicaSet can be scaled";
        errors.push(FieldError::invalid("spec.scaleTargetRef.kind", message));
    }
    if target["name"].as_str().unwrap_or_default().is_empty() {
        errors.push(FieldError::required("spec.scaleTargetRef.name", "is missing: name what is to be scaled"));
    }
    let (least, most) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(0));
    if !(1..=MAX_REPLICAS).contains(&most) {
        let message = format!("{most} is out of range: use 1 to {MAX_REPLICAS}");
        errors.push(FieldError::invalid("spec.maxReplicas", message));
    }
    if !(0..=most.max(0)).contains(&least) {
        let message = format!("{least} is out of range: use 0 to `maxReplicas`");
        errors.push(FieldError::invalid("spec.minReplicas", message));
    }
    errors
}
