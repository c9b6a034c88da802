//! What Deployments and ReplicaSets have in common: a selector and a pod template.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::{
    column::{Column, joined, list_at},
    field::{Cause, FieldError},
    label_selector,
    schema::decode,
};
use crate::template;

/// The largest number of replicas that an object may ask for.
pub(super) const MAX_REPLICAS: i64 = 100_000;

pub(super) const CONTAINERS: Column = Column::wide("Containers", |object, _| containers(object, "name"));
pub(super) const IMAGES: Column = Column::wide("Images", |object, _| containers(object, "image"));
pub(super) const SELECTOR: Column =
    Column::wide("Selector", |object, _| json!(label_selector::text(&object["spec"]["selector"])));

fn containers(object: &Value, field: &str) -> Value {
    let containers = list_at(object, "/spec/template/spec/containers").iter();
    joined(containers.filter_map(|container| Some(container[field].as_str()?.to_owned())))
}

pub(super) fn set_defaults(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.entry("status").or_insert_with(|| json!({}));
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("replicas").or_insert_with(|| json!(1));
        if let Some(template) = spec.get_mut("template") {
            template::set_defaults(template);
        }
    }
}

pub(super) fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let spec = &new["spec"];
    if !spec.is_object() {
        return vec![FieldError::required("spec", "is missing: it needs a selector and a template")];
    }
    let mut errors = Vec::new();
    errors.extend(check_count(spec, "replicas", MAX_REPLICAS));
    errors.extend(check_count(spec, "minReadySeconds", i64::from(i32::MAX)));
    match spec["template"].is_object() {
        true => {
            let template = template::problems(&spec["template"]).into_iter();
            errors.extend(template.map(|error| error.under("spec.template")));
            let values = template::wrong_values(&spec["template"]).into_iter();
            errors.extend(values.map(|error| error.under("spec.template")));
        }
        false => errors.push(FieldError::required("spec.template", "is missing: it says what to run")),
    }
    errors.extend(check_selector(spec));
    if old.is_some_and(|old| old["spec"]["selector"] != spec["selector"]) {
        let message = "cannot be changed: delete the object and create it again";
        errors.push(FieldError::new(Cause::Immutable, "spec.selector", message));
    }
    errors
}

/// Refuses counts that are negative or beyond a limit.
pub(super) fn check_count(spec: &Value, field: &str, most: i64) -> Option<FieldError> {
    let count = spec[field].as_i64()?;
    (!(0..=most).contains(&count))
        .then(|| FieldError::invalid(format!("spec.{field}"), format!("{count} is out of range: use 0 to {most}")))
}

fn check_selector(spec: &Value) -> Option<FieldError> {
    const PATH: &str = "spec.selector";
    let selector = match &spec["selector"] {
        Value::Null => LabelSelector::default(),
        written => decode(written).ok()?,
    };
    let wanted = selector.match_labels.iter().flatten().count() + selector.match_expressions.iter().flatten().count();
    if wanted == 0 {
        return Some(FieldError::required(
            format!("{PATH}.matchLabels"),
            "is missing: name the labels of the template, such as `app: NAME`",
        ));
    }
    if let Some(error) = label_selector::check(&selector, PATH).pop() {
        return Some(error);
    }
    let labels: BTreeMap<String, String> = decode(&spec["template"]["metadata"]["labels"]).unwrap_or_default();
    let unmet = label_selector::unmet(&selector, &labels)?;
    let key = unmet.split([':', ' ']).next().unwrap_or_default().trim_start_matches('!');
    let has = match labels.get(key) {
        Some(other) => format!("has `{key}: {other}`"),
        None => format!("has no label `{key}`"),
    };
    let message = format!("`{unmet}` does not match the template, which {has} in `spec.template.metadata.labels`");
    Some(FieldError::invalid(PATH, message))
}
