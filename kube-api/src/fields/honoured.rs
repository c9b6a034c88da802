//! What Sampan does with each field that Kubernetes knows. Whatever no rule names is refused, never ignored.

use serde_json::Value;

use super::field::FieldError;

/// What is done with a field.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// It is honoured, with everything below it that has no rule of its own.
    Honoured,
    /// Only these values hold here anyway (as JSON writes them, texts without quotes); the sentence says why.
    Only(&'static [&'static str], &'static str),
    /// It is taken though it changes nothing, which its writer is told with the sentence that says why. These values hold
    /// here anyway, so nothing is said of them.
    Warned(&'static [&'static str], &'static str),
    /// As [`Rule::Warned`] for these values; others are refused, as [`Rule::Only`] refuses them.
    OnlyWarned(&'static [&'static str], &'static str),
    /// It cannot be honoured; the sentence says what to do instead.
    Refused(&'static str),
    /// What is below goes by these rules, relative to the field.
    By(Rules),
}

/// Rules by path, with `[]` for every element of a list. The empty path is the whole object, where it is [`Rule::Warned`] of.
pub type Rules = &'static [(&'static str, Rule)];

/// What rules say of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is refused.
    pub errors: Vec<FieldError>,
    /// What is taken and changes nothing.
    pub warnings: Vec<Warning>,
}

/// What the writer of an object is told of a value that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// For people: where the value stands, and why it changes nothing.
    pub sentence: String,
    /// The value itself: another one is told of again.
    pub value: Value,
}

/// Goes by the rules through every field. Absent and empty values say nothing, so they are fine.
pub fn check(object: &Value, rules: Rules) -> Findings {
    let mut findings = Findings::default();
    if let Some((_, Rule::Warned(_, why))) = rules.iter().find(|(name, _)| name.is_empty()) {
        findings.warnings.push(Warning { sentence: (*why).to_owned(), value: object.clone() });
    }
    findings.walk(object, rules, "", "");
    findings
}

impl Findings {
    fn walk(&mut self, value: &Value, rules: Rules, pattern: &str, path: &str) {
        if is_empty(value) {
            return;
        }
        let rule = rules.iter().find(|(name, _)| *name == pattern && !pattern.is_empty()).map(|(_, rule)| *rule);
        match rule {
            Some(Rule::Honoured) => self.exceptions(value, rules, pattern, path),
            Some(Rule::By(rules)) => self.walk(value, rules, "", path),
            Some(Rule::Only(values, why)) => self.only(value, values, why, path),
            Some(Rule::Warned(values, why)) => {
                if !is_one_of(value, values) {
                    self.warn(path, value, why);
                }
            }
            Some(Rule::OnlyWarned(values, why)) if is_one_of(value, values) => self.warn(path, value, why),
            Some(Rule::OnlyWarned(values, why)) => self.only(value, values, why, path),
            Some(Rule::Refused(instead)) => {
                self.errors.push(FieldError::not_supported(path, format!("is not supported: {instead}")));
            }
            None => self.descend(value, rules, pattern, path),
        }
    }

    fn warn(&mut self, path: &str, value: &Value, why: &str) {
        let sentence = format!("{path}: changes nothing: {why}");
        self.warnings.push(Warning { sentence, value: value.clone() });
    }

    fn only(&mut self, value: &Value, values: &[&str], why: &str, path: &str) {
        if !is_one_of(value, values) {
            let values = values.join("` or `");
            self.errors.push(FieldError::not_supported(path, format!("only `{values}` is supported: {why}")));
        }
    }

    /// What has rules of its own below a field that is honoured.
    fn exceptions(&mut self, value: &Value, rules: Rules, pattern: &str, path: &str) {
        let start = format!("{pattern}.");
        let known: Vec<_> = rules.iter().filter_map(|(name, _)| name.strip_prefix(&start)).collect();
        for (key, value) in value.as_object().into_iter().flatten().filter(|(key, _)| known.contains(&key.as_str())) {
            self.walk(value, rules, &join(pattern, key), &join(path, key));
        }
    }

    fn descend(&mut self, value: &Value, rules: Rules, pattern: &str, path: &str) {
        let known_below = |separator: &str| {
            let start = format!("{pattern}{separator}");
            pattern.is_empty() || rules.iter().any(|(name, _)| name.starts_with(&start))
        };
        match value {
            Value::Object(fields) if known_below(".") => {
                for (key, value) in fields {
                    self.walk(value, rules, &join(pattern, key), &join(path, key));
                }
            }
            Value::Array(elements) if known_below("[]") => {
                for (index, element) in elements.iter().enumerate() {
                    self.walk(element, rules, &format!("{pattern}[]"), &format!("{path}[{index}]"));
                }
            }
            _ => self.errors.push(FieldError::not_supported(path, NOTHING_HONOURS_IT)),
        }
    }
}

const NOTHING_HONOURS_IT: &str = "is not supported: sampan has nothing that it could set, so remove it";

fn is_one_of(value: &Value, values: &[&str]) -> bool {
    values.contains(&plain(value).as_str())
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

    const PORTS: Rules =
        &[("[].port", Rule::Honoured), ("[].protocol", Rule::Only(&["TCP"], "requests come over TCP"))];
    const RULES: Rules = &[
        ("spec.ports", Rule::By(PORTS)),
        ("spec.volumes", Rule::Refused("use `wasi:keyvalue`")),
        ("spec.selector", Rule::Honoured),
        ("spec.limits", Rule::Honoured),
        ("spec.limits.disk", Rule::Warned(&[], "there is none")),
        ("spec.account", Rule::Warned(&["default"], "there are none")),
        ("spec.os", Rule::OnlyWarned(&["linux"], "guests see none")),
    ];

    fn errors(value: Value) -> Vec<String> {
        let mut errors: Vec<_> = check(&value, RULES).errors.iter().map(ToString::to_string).collect();
        errors.sort();
        errors
    }

    #[test]
    fn what_is_honoured_or_empty_is_accepted() {
        let value = json!({ "spec": { "ports": [ { "port": 1, "protocol": "TCP" } ], "volumes": [],
            "selector": { "any": "thing" }, "affinity": {}, "securityContext": { "capabilities": {} } } });
        assert_eq!(check(&value, RULES), Findings::default());
    }

    #[test]
    fn everything_else_is_refused_by_its_path_with_the_way_out() {
        let value = json!({ "spec": { "ports": [ { "protocol": "TCP" }, { "protocol": "UDP", "hostPort": 1 } ],
            "volumes": [ 1 ], "affinity": { "podAffinity": { "x": 1 } }, "os": "windows" } });
        assert_eq!(
            errors(value),
            [
                format!("spec.affinity: {NOTHING_HONOURS_IT}"),
                "spec.os: only `linux` is supported: guests see none".to_owned(),
                format!("spec.ports[1].hostPort: {NOTHING_HONOURS_IT}"),
                "spec.ports[1].protocol: only `TCP` is supported: requests come over TCP".to_owned(),
                "spec.volumes: is not supported: use `wasi:keyvalue`".to_owned(),
            ]
        );
    }

    #[test]
    fn what_changes_nothing_is_taken_and_warned_of_but_for_values_that_hold_anyway() {
        let said = |value: Value| {
            let found = check(&value, RULES);
            assert_eq!(found.errors, []);
            found.warnings.into_iter().map(|warning| warning.sentence).collect::<Vec<_>>()
        };
        assert_eq!(said(json!({ "spec": { "account": "default", "limits": { "cpu": 1 } } })), Vec::<String>::new());
        assert_eq!(
            said(json!({ "spec": { "account": "cart", "limits": { "cpu": 1, "disk": "1Gi" }, "os": "linux" } })),
            [
                "spec.account: changes nothing: there are none",
                "spec.limits.disk: changes nothing: there is none",
                "spec.os: changes nothing: guests see none",
            ]
        );
    }

    #[test]
    fn a_kind_that_changes_nothing_is_warned_of_as_a_whole() {
        const ALL: Rules = &[("", Rule::Warned(&[], "nobody reads it")), ("rules", Rule::Honoured)];
        assert_eq!(check(&json!({}), ALL).warnings[0].sentence, "nobody reads it");
        assert_eq!(check(&json!({ "rules": [1], "more": 1 }), ALL).errors.len(), 1);
    }
}
