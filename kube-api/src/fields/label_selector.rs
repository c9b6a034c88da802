//! Label selectors as objects write them: `matchLabels` and `matchExpressions`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde_json::Value;

use super::{FieldError, labels::check_labels, list_at};

/// Everything that is wrong with a selector which stands at `path`.
pub(crate) fn check(selector: &LabelSelector, path: &str) -> Vec<FieldError> {
    let labels = selector.match_labels.clone().unwrap_or_default();
    let mut errors = check_labels(&format!("{path}.matchLabels"), &labels);
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        errors.extend(check_requirement(requirement, &format!("{path}.matchExpressions[{index}]")));
    }
    errors
}

fn check_requirement(requirement: &LabelSelectorRequirement, path: &str) -> Vec<FieldError> {
    let values = requirement.values.as_deref().unwrap_or_default();
    let error = match (requirement.operator.as_str(), values) {
        ("In" | "NotIn", []) => Some(FieldError::required(
            format!("{path}.values"),
            format!("is missing: `{}` compares with values", requirement.operator),
        )),
        ("Exists" | "DoesNotExist", [_, ..]) => Some(FieldError::invalid(
            format!("{path}.values"),
            format!("must be empty: `{}` looks at the key alone", requirement.operator),
        )),
        ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => None,
        (other, _) => Some(FieldError::invalid(
            format!("{path}.operator"),
            format!("`{other}` is not known: write `In`, `NotIn`, `Exists` or `DoesNotExist`"),
        )),
    };
    let key = BTreeMap::from([(requirement.key.clone(), String::new())]);
    check_labels(&format!("{path}.key"), &key).into_iter().chain(error).collect()
}

/// Whether a selector selects an object with these labels. An empty one selects every object.
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().flatten().all(|requirement| holds(requirement, labels))
}

/// The first of the selector's requirements, as text, that these labels do not meet.
pub fn unmet(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Option<String> {
    let mut equal = selector.match_labels.iter().flatten();
    if let Some((key, value)) = equal.find(|(key, value)| labels.get(*key) != Some(value)) {
        return Some(format!("{key}: {value}"));
    }
    let requirement = selector.match_expressions.iter().flatten().find(|requirement| !holds(requirement, labels))?;
    Some(requirement_text(&requirement.key, &requirement.operator, requirement.values.as_deref().unwrap_or_default()))
}

fn holds(requirement: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|listed| listed == value));
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        _ => value.is_none(),
    }
}

/// A selector as queries write it: `app=cart,tier in (a,b)`.
pub(crate) fn text(selector: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| format!("{key}={}", word(value)));
    let expressions = list_at(selector, "/matchExpressions").iter().map(|one| {
        let values: Vec<_> = list_at(one, "/values").iter().map(word).collect();
        requirement_text(&word(&one["key"]), &word(&one["operator"]), &values)
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

fn requirement_text(key: &str, operator: &str, values: &[String]) -> String {
    match operator {
        "In" => format!("{key} in ({})", values.join(",")),
        "NotIn" => format!("{key} notin ({})", values.join(",")),
        "Exists" => key.to_owned(),
        _ => format!("!{key}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::decode;

    #[test]
    fn every_operator_is_compared_and_written_as_kubernetes_does() {
        let selector = json!({ "matchLabels": { "app": "cart" }, "matchExpressions": [
            { "key": "tier", "operator": "In", "values": ["a", "b"] }, { "key": "old", "operator": "DoesNotExist" },
            { "key": "env", "operator": "NotIn", "values": ["test"] }, { "key": "zone", "operator": "Exists" } ] });
        assert_eq!(text(&selector), "app=cart,tier in (a,b),!old,env notin (test),zone");
        let selector: LabelSelector = decode(&selector).unwrap();
        assert_eq!(check(&selector, "s"), []);
        let unmet = |labels: &[(&str, &str)]| {
            unmet(&selector, &labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let right = [("app", "cart"), ("tier", "b"), ("zone", "")];
        assert_eq!(unmet(&right), None);
        assert_eq!(unmet(&right[1..]).as_deref(), Some("app: cart"));
        assert_eq!(unmet(&[("app", "cart"), ("tier", "c"), ("zone", "")]).as_deref(), Some("tier in (a,b)"));
        assert_eq!(unmet(&[right[0], right[1], right[2], ("old", "x")]).as_deref(), Some("!old"));
        assert_eq!(unmet(&[right[0], right[1], right[2], ("env", "test")]).as_deref(), Some("env notin (test)"));
        assert_eq!(unmet(&right[..2]).as_deref(), Some("zone"));
    }

    #[test]
    fn what_no_selector_can_be_is_named_by_its_path() {
        let selector = json!({ "matchExpressions": [
            { "key": "a", "operator": "In" }, { "key": "a", "operator": "Exists", "values": ["x"] },
            { "key": "a", "operator": "Like" }, { "key": "-", "operator": "Exists" } ] });
        let paths: Vec<_> = check(&decode(&selector).unwrap(), "s").into_iter().map(|error| error.path).collect();
        let at = |index: usize, field: &str| format!("s.matchExpressions[{index}].{field}");
        assert_eq!(paths, [at(0, "values"), at(1, "values"), at(2, "operator"), at(3, "key")]);
    }
}
