//! Label selectors as requests have them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// `app=shop,tier in (web,api),!old`.
pub(crate) fn text(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(|expression| {
        let (key, values) = (&expression.key, expression.values.as_deref().unwrap_or_default().join(","));
        match expression.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        }
    });
    equal.chain(expressions).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_expressions_stand_together() {
        let selector = json!({
            "matchLabels": { "app": "shop" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["web", "api"] },
                { "key": "zone", "operator": "NotIn", "values": ["a"] },
                { "key": "old", "operator": "DoesNotExist" },
                { "key": "new", "operator": "Exists" },
            ],
        });
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        assert_eq!(text(&selector), "app=shop,tier in (web,api),zone notin (a),!old,new");
    }
}
