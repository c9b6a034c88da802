//! What Sampan does with each field that Kubernetes knows. Whatever no rule names is refused, never ignored.

use serde_json::Value;

use super::field::FieldError;

/// What is done with a field.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// It is honoured, with everything below it.
    Honoured,
    /// Only these values hold here anyway (as JSON writes them, texts without quotes); the sentence says why.
    Only(&'static [&'static str], &'static str),
    /// It cannot be honoured; the sentence says what to do instead.
    Refused(&'static str),
}

/// Rules by path, with `[]` for every element of a list.
pub type Rules = &'static [(&'static str, Rule)];

/// Refuses every field that no rule honours. Absent and empty values say nothing, so they are fine.
pub fn check(object: &Value, rules: Rules) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(object, rules, "", "", &mut errors);
    errors
}

fn walk(value: &Value, rules: Rules, pattern: &str, path: &str, errors: &mut Vec<FieldError>) {
    if is_empty(value) {
        return;
    }
    match rules.iter().find(|(name, _)| *name == pattern).map(|(_, rule)| *rule) {
        Some(Rule::Honoured) => {}
        Some(Rule::Only(values, why)) => {
            if !values.contains(&plain(value).as_str()) {
                let values = values.join("` or `");
                errors.push(FieldError::not_supported(path, format!("only `{values}` is supported: {why}")));
            }
        }
        Some(Rule::Refused(instead)) => {
            errors.push(FieldError::not_supported(path, format!("is not supported: {instead}")))
        }
        None => descend(value, rules, pattern, path, errors),
    }
}

fn descend(value: &Value, rules: Rules, pattern: &str, path: &str, errors: &mut Vec<FieldError>) {
    let known_below = |separator: &str| {
        let start = format!("{pattern}{separator}");
        pattern.is_empty() || rules.iter().any(|(name, _)| name.starts_with(&start))
    };
    match value {
        Value::Object(fields) if known_below(".") => {
            for (key, value) in fields {
                walk(value, rules, &join(pattern, key), &join(path, key), errors);
            }
        }
        Value::Array(elements) if known_below("[]") => {
            for (index, element) in elements.iter().enumerate() {
                walk(element, rules, &format!("{pattern}[]"), &format!("{path}[{index}]"), errors);
            }
        }
        _ => errors.push(FieldError::not_supported(path, "is not supported by sampan: remove it")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULES: Rules = &[
        ("spec.ports[].port", Rule::Honoured),
        ("spec.ports[].protocol", Rule::Only(&["TCP"], "requests come over TCP")),
        ("spec.volumes", Rule::Refused("use `wasi:keyvalue`")),
        ("spec.selector", Rule::Honoured),
    ];

    fn errors(value: Value) -> Vec<String> {
        check(&value, RULES).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_honoured_or_empty_is_accepted() {
        let value = json!({ "spec": { "ports": [ { "port": 1, "protocol": "TCP" } ], "volumes": [],
            "selector": { "any": "thing" }, "affinity": {}, "securityContext": { "capabilities": {} } } });
        assert_eq!(errors(value), Vec::<String>::new());
    }

    #[test]
    fn everything_else_is_refused_by_its_path_with_the_way_out() {
        let value = json!({ "spec": { "ports": [ { "protocol": "TCP" }, { "protocol": "UDP", "hostPort": 1 } ],
            "volumes": [ 1 ], "affinity": { "podAffinity": { "x": 1 } } } });
        let mut said = errors(value);
        said.sort();
        assert_eq!(
            said,
            [
                "spec.affinity: is not supported by sampan: remove it",
                "spec.ports[1].hostPort: is not supported by sampan: remove it",
                "spec.ports[1].protocol: only `TCP` is supported: requests come over TCP",
                "spec.volumes: is not supported: use `wasi:keyvalue`",
            ]
        );
    }
}
