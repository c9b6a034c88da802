//! `spec.behavior`: how fast an autoscaler may go.

use std::ops::RangeInclusive;

use api::Quantity;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};
use serde_json::{Map, Value, json};

use crate::resources::field::FieldError;

/// As Kubernetes, in seconds.
const PERIOD_RANGE: RangeInclusive<i32> = 1..=1800;
const WINDOW_RANGE: RangeInclusive<i32> = 0..=3600;

/// As Kubernetes: whoever says something of the behaviour is given the rest of it. The window of scaling down stays open, as
/// there it is a setting of the controller.
pub(super) fn set_defaults(behavior: &mut Map<String, Value>) {
    let policy = |kind: &str, value: u32| json!({ "type": kind, "value": value, "periodSeconds": 15 });
    let up = json!({ "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
        "policies": [policy("Pods", 4), policy("Percent", 100)] });
    let down = json!({ "selectPolicy": "Max", "policies": [policy("Percent", 100)] });
    for (direction, defaults) in [("scaleUp", up), ("scaleDown", down)] {
        let rules = behavior.entry(direction).or_insert(Value::Null);
        if rules.is_null() {
            *rules = json!({});
        }
        let (Some(rules), Value::Object(defaults)) = (rules.as_object_mut(), defaults) else { continue };
        for (field, default) in defaults {
            let value = rules.entry(field).or_insert(Value::Null);
            if value.is_null() {
                *value = default;
            }
        }
    }
}

pub(super) fn check(behavior: &HorizontalPodAutoscalerBehavior) -> Vec<FieldError> {
    let directions = [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)];
    let rules = directions.into_iter().filter_map(|(direction, rules)| Some((direction, rules.as_ref()?)));
    rules.flat_map(|(direction, rules)| check_rules(&format!("spec.behavior.{direction}"), rules)).collect()
}

fn check_rules(path: &str, rules: &HPAScalingRules) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(seconds) = rules.stabilization_window_seconds {
        errors.extend(check_range(format!("{path}.stabilizationWindowSeconds"), seconds, &WINDOW_RANGE));
    }
    if let Some(policy) = rules.select_policy.as_deref() {
        errors.extend(check_word(format!("{path}.selectPolicy"), policy, &["Max", "Min", "Disabled"]));
    }
    if let Some(error) = rules.tolerance.as_ref().and_then(|tolerance| tolerance.0.parse::<Quantity>().err()) {
        errors.push(FieldError::invalid(format!("{path}.tolerance"), error.to_string()));
    }
    let policies = rules.policies.as_deref().unwrap_or_default();
    if policies.is_empty() {
        let message =
            "must hold at least one policy: leave the list away for the default, or set `selectPolicy: Disabled`";
        errors.push(FieldError::required(format!("{path}.policies"), message));
    }
    let each = policies.iter().enumerate();
    errors.extend(each.flat_map(|(index, policy)| check_policy(&format!("{path}.policies[{index}]"), policy)));
    errors
}

fn check_policy(path: &str, policy: &HPAScalingPolicy) -> Vec<FieldError> {
    let kind = check_word(format!("{path}.type"), &policy.type_, &["Pods", "Percent"]);
    let value = check_range(format!("{path}.value"), policy.value, &(1..=i32::MAX));
    let period = check_range(format!("{path}.periodSeconds"), policy.period_seconds, &PERIOD_RANGE);
    [kind, value, period].into_iter().flatten().collect()
}

fn check_range(path: String, number: i32, range: &RangeInclusive<i32>) -> Option<FieldError> {
    let message = || format!("{number} is out of range: use {} to {}", range.start(), range.end());
    (!range.contains(&number)).then(|| FieldError::invalid(path, message()))
}

fn check_word(path: String, word: &str, known: &[&str]) -> Option<FieldError> {
    let message = || format!("`{word}` is not known: write `{}`", known.join("` or `"));
    (!known.contains(&word)).then(|| FieldError::invalid(path, message()))
}
