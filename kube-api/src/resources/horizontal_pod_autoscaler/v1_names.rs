//! What the fields of metrics and behaviour are called within the annotations of `autoscaling/v1`.

use serde_json::{Map, Value, json};

/// A metric of a spec: `{pods: {metric: {name}, target: {averageValue}}}` as `{pods: {metricName, targetAverageValue}}`.
pub(super) fn metric(metric: &Value) -> Value {
    of_sources(metric, |source| flat(source, "target"))
}

/// A metric of a status.
pub(super) fn current(metric: &Value) -> Value {
    of_sources(metric, |source| flat(source, "current"))
}

/// A metric of a spec, as it stands in an annotation.
pub(super) fn metric_of(noted: &Value) -> Value {
    of_sources(noted, |source| {
        let mut nested = nested(source, "target");
        let share = nested["target"]["averageUtilization"].is_number();
        nested["target"]["type"] = json!(if share { "Utilization" } else { "AverageValue" });
        nested
    })
}

/// A metric of a status, as it stands in an annotation.
pub(super) fn current_of(noted: &Value) -> Value {
    of_sources(noted, |source| nested(source, "current"))
}

/// Behaviour is noted as Go names its fields.
pub(super) fn capitalised(value: &Value) -> Value {
    renamed(value, |name| with_first(name, char::to_ascii_uppercase))
}

/// Behaviour, as it stands in an annotation.
pub(super) fn uncapitalised(value: &Value) -> Value {
    renamed(value, |name| with_first(name, char::to_ascii_lowercase))
}

/// Converts what is measured, and leaves the metric's type.
fn of_sources(metric: &Value, convert: impl Fn(&Map<String, Value>) -> Value) -> Value {
    let fields = metric.as_object().into_iter().flatten();
    let converted = |value: &Value| value.as_object().map_or_else(|| value.clone(), &convert);
    fields.map(|(name, value)| (name.clone(), converted(value))).collect()
}

fn flat(source: &Map<String, Value>, amounts: &str) -> Value {
    let mut flat = Map::new();
    for (field, value) in source {
        match value.as_object() {
            Some(metric) if field == "metric" => {
                let named = |name: &String| if name == "name" { "metricName".to_owned() } else { name.clone() };
                flat.extend(metric.iter().map(|(name, value)| (named(name), value.clone())));
            }
            Some(values) if field == amounts => {
                let values = values.iter().filter(|(name, _)| *name != "type");
                let named = |name: &str| format!("{amounts}{}", with_first(name, char::to_ascii_uppercase));
                flat.extend(values.map(|(name, value)| (named(name), value.clone())));
            }
            _ => drop(flat.insert(field.clone(), value.clone())),
        }
    }
    Value::Object(flat)
}

fn nested(source: &Map<String, Value>, amounts: &str) -> Value {
    let mut nested = json!({ amounts: {} });
    for (field, value) in source {
        match (field.as_str(), field.strip_prefix(amounts)) {
            ("metricName", _) => nested["metric"]["name"] = value.clone(),
            ("selector", _) => nested["metric"]["selector"] = value.clone(),
            (_, Some(name)) => nested[amounts][with_first(name, char::to_ascii_lowercase)] = value.clone(),
            (name, None) => nested[name] = value.clone(),
        }
    }
    nested
}

/// With other names of fields, and without those that say nothing.
fn renamed(value: &Value, name: impl Fn(&str) -> String + Copy) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.iter().filter(|(_, value)| !value.is_null());
            said.map(|(field, value)| (name(field), renamed(value, name))).collect()
        }
        Value::Array(elements) => elements.iter().map(|element| renamed(element, name)).collect(),
        value => value.clone(),
    }
}

fn with_first(name: &str, change: fn(&char) -> char) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| change(&first).to_string() + letters.as_str())
}
