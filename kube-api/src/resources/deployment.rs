use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME, number_at},
    field::FieldError,
    honoured::{Rule::*, Rules},
    scaling,
    schema::Schema,
    workload::{self, CONTAINERS, IMAGES, SELECTOR, check_count},
};
use crate::template;

pub(super) static DEPLOYMENT: Resource = Resource {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    scope: Scope::Namespaced,
    durability: Durability::Durable,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[Subresource::Status, Subresource::Scale],
    columns: &[
        NAME,
        Column::text("Ready", |object, _| {
            let ready = number_at(object, "/status/readyReplicas");
            json!(format!("{ready}/{}", number_at(object, "/spec/replicas")))
        }),
        Column::number("Up-to-date", |object, _| number_at(object, "/status/updatedReplicas")),
        Column::number("Available", |object, _| number_at(object, "/status/availableReplicas")),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    schema: Schema::of::<Deployment>(),
    honoured: RULES,
    default: set_defaults,
    validate,
    view: None,
};

const RULES: Rules = &[
    ("spec.replicas", Honoured),
    ("spec.selector", Honoured),
    ("spec.template", By(template::RULES)),
    ("spec.strategy.type", Honoured),
    ("spec.strategy.rollingUpdate", Honoured),
    ("spec.minReadySeconds", Honoured),
    ("spec.revisionHistoryLimit", Honoured),
    ("spec.progressDeadlineSeconds", Honoured),
    ("spec.paused", Honoured),
];

fn set_defaults(object: &mut Value) {
    workload::set_defaults(object);
    // `kubectl rollout undo` copies a ReplicaSet's annotations to its Deployment; these are the revision's own.
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(api::annotations::IMAGE_DIGEST);
        annotations.remove(api::annotations::PRIORITY);
    }
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("revisionHistoryLimit").or_insert_with(|| json!(10));
    spec.entry("progressDeadlineSeconds").or_insert_with(|| json!(600));
    let Some(strategy) = spec.entry("strategy").or_insert_with(|| json!({})).as_object_mut() else { return };
    // As Kubernetes: an empty type is one that was never set.
    if strategy.get("type").is_none_or(|kind| kind == "") {
        strategy.insert("type".to_owned(), json!("RollingUpdate"));
    }
    if strategy.get("type") == Some(&json!("RollingUpdate"))
        && let Some(rolling) = strategy.entry("rollingUpdate").or_insert_with(|| json!({})).as_object_mut()
    {
        rolling.entry("maxSurge").or_insert_with(|| json!("25%"));
        rolling.entry("maxUnavailable").or_insert_with(|| json!("25%"));
    }
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = workload::validate(new, old);
    errors.extend(scaling::check(new));
    let spec = &new["spec"];
    errors.extend(check_count(spec, "revisionHistoryLimit", 1000));
    errors.extend(check_count(spec, "progressDeadlineSeconds", i64::from(i32::MAX)));
    errors.extend(check_deadline(spec));
    errors.extend(check_strategy(&spec["strategy"]));
    errors
}

/// A replica that is not yet available would count as one that makes no progress.
fn check_deadline(spec: &Value) -> Option<FieldError> {
    let (deadline, ready) = (spec["progressDeadlineSeconds"].as_i64()?, spec["minReadySeconds"].as_i64().unwrap_or(0));
    let message = || format!("must be greater than minReadySeconds, which is {ready}");
    (deadline <= ready).then(|| FieldError::invalid("spec.progressDeadlineSeconds", message()))
}

fn check_strategy(strategy: &Value) -> Vec<FieldError> {
    const PATH: &str = "spec.strategy";
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str() {
        Some("Recreate") if rolling.is_object() => {
            let message = "means nothing with the type `Recreate`: remove it";
            vec![FieldError::invalid(format!("{PATH}.rollingUpdate"), message)]
        }
        Some("Recreate") | None => Vec::new(),
        Some("RollingUpdate") => {
            let mut errors: Vec<_> =
                ["maxSurge", "maxUnavailable"].into_iter().filter_map(|name| check_share(rolling, name)).collect();
            let zero = |name: &str| matches!(rolling[name].as_str(), Some("0" | "0%")) || rolling[name] == 0;
            if zero("maxSurge") && zero("maxUnavailable") {
                let message = "must not be 0 when `maxSurge` is 0: nothing could ever be replaced";
                errors.push(FieldError::invalid(format!("{PATH}.rollingUpdate.maxUnavailable"), message));
            }
            errors
        }
        Some(other) => {
            let message = format!("`{other}` is not known: write `RollingUpdate` or `Recreate`");
            vec![FieldError::invalid(format!("{PATH}.type"), message)]
        }
    }
}

fn check_share(rolling: &Value, name: &str) -> Option<FieldError> {
    let value = rolling.get(name).filter(|value| !value.is_null())?;
    let percent = |text: &str| text.strip_suffix('%').and_then(|number| number.parse::<u32>().ok());
    let right = match (value.as_i64(), value.as_str()) {
        (Some(count), _) => count >= 0,
        (_, Some(text)) => percent(text).is_some_and(|share| name != "maxUnavailable" || share <= 100),
        _ => false,
    };
    let message = || format!("{value} is neither a count nor a percentage: write `1` or `25%`");
    (!right).then(|| FieldError::invalid(format!("spec.strategy.rollingUpdate.{name}"), message()))
}
