//! What stands beside its name: a few words for each thing.

use std::fmt::Write as _;

use serde_json::Value;

/// A text, or a number as one, that is there and not empty.
pub(super) fn text(object: &Value, pointer: &str) -> Option<String> {
    match object.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The items of a list.
pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// `key=value` for each field.
pub(super) fn pairs(object: &Value, pointer: &str) -> Vec<String> {
    let fields = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    fields
        .map(|(key, value)| format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}

/// They on one line, or `<none>`.
pub(super) fn joined(values: &[String]) -> String {
    if values.is_empty() { "<none>".to_owned() } else { values.join(", ") }
}

/// `2 desired | 2 updated | 2 total | 1 ready | 1 unavailable`.
pub(super) fn replicas(deployment: &Value) -> String {
    let status = |field: &str| deployment["status"][field].as_u64().unwrap_or(0);
    format!(
        "{} desired | {} updated | {} total | {} ready | {} unavailable",
        deployment["spec"]["replicas"].as_u64().unwrap_or(1),
        status("updatedReplicas"),
        status("replicas"),
        status("readyReplicas"),
        status("unavailableReplicas")
    )
}

/// `RollingUpdate (25% max unavailable, 25% max surge)`.
pub(super) fn strategy(deployment: &Value) -> Option<String> {
    let mut said = text(deployment, "/spec/strategy/type")?;
    let part = |field: &str| text(deployment, &format!("/spec/strategy/rollingUpdate/{field}"));
    if let (Some(unavailable), Some(surge)) = (part("maxUnavailable"), part("maxSurge")) {
        let _ = write!(said, " ({unavailable} max unavailable, {surge} max surge)");
    }
    Some(said)
}

/// `http 80/TCP -> 8080`.
pub(super) fn service_port(port: &Value) -> String {
    let mut said = text(port, "/name").map(|name| format!("{name} ")).unwrap_or_default();
    let protocol = text(port, "/protocol").unwrap_or_else(|| "TCP".to_owned());
    let _ = write!(said, "{}/{protocol}", text(port, "/port").unwrap_or_default());
    if let Some(target) = text(port, "/targetPort").filter(|target| Some(target) != text(port, "/port").as_ref()) {
        let _ = write!(said, " -> {target}");
    }
    said
}

/// `running since 2026-01-01T00:00:00Z`, `waiting: ErrImagePull: there is none`.
pub(super) fn state(state: &Value) -> Option<String> {
    let (kind, of) = state.as_object()?.iter().next()?;
    let when = text(of, "/startedAt").filter(|_| kind == "running").map(|since| format!(" since {since}"));
    let reason = text(of, "/reason").map(|reason| format!(": {reason}"));
    let message = text(of, "/message").map(|message| format!(": {message}"));
    let code = text(of, "/exitCode").map(|code| format!(" (exit code {code})"));
    let ended = text(of, "/finishedAt").map(|at| format!(", at {at}"));
    let parts = [when, reason, message, code, ended].into_iter().flatten();
    Some(parts.fold(kind.clone(), |said, part| said + &part))
}

/// `NAME=value`, or where the value comes from. The content of Secrets is not shown.
pub(super) fn variable(variable: &Value) -> String {
    let name = text(variable, "/name").unwrap_or_default();
    let key = |from: &str| {
        let reference = &variable["valueFrom"][from];
        Some(format!("{} of {}", text(reference, "/key")?, text(reference, "/name")?))
    };
    let value = match (key("configMapKeyRef"), key("secretKeyRef"), text(variable, "/valueFrom/fieldRef/fieldPath")) {
        (Some(key), ..) => format!("<{key} (ConfigMap)>"),
        (_, Some(key), _) => format!("<{key} (Secret)>"),
        (.., Some(path)) => format!("<{path}>"),
        _ => text(variable, "/value").unwrap_or_default(),
    };
    format!("{name}={value}")
}

/// `GET /healthz at 80, every 10s, within 1s, 3 failures`.
pub(super) fn probe(probe: &Value) -> Option<String> {
    let port = |kind: &str| text(probe, &format!("/{kind}/port"));
    let mut said = match (port("httpGet"), port("tcpSocket")) {
        (Some(port), _) => {
            format!("GET {} at {port}", text(probe, "/httpGet/path").unwrap_or_else(|| "/".to_owned()))
        }
        (_, Some(port)) => format!("connection to {port}"),
        _ => return None,
    };
    let seconds = |field: &str| text(probe, &format!("/{field}"));
    for (field, before, after) in
        [("initialDelaySeconds", "after ", "s"), ("periodSeconds", "every ", "s"), ("timeoutSeconds", "within ", "s")]
    {
        if let Some(value) = seconds(field).filter(|value| value != "0") {
            let _ = write!(said, ", {before}{value}{after}");
        }
    }
    if let Some(failures) = seconds("failureThreshold") {
        let _ = write!(said, ", {failures} failures");
    }
    Some(said)
}

/// `http_requests_per_second: 12500m of 10`.
pub(super) fn metric(metric: &Value, current: Option<&Value>) -> String {
    let source = match metric["type"].as_str() {
        Some("Resource") => "resource",
        Some("Pods") => "pods",
        _ => return metric.to_string(),
    };
    let name = text(metric, &format!("/{source}/metric/name")).or_else(|| text(metric, &format!("/{source}/name")));
    let target = &metric[source]["target"];
    let (wanted, field, unit) = match text(target, "/averageUtilization") {
        Some(percent) => (Some(format!("{percent}%")), "averageUtilization", "%"),
        None => (text(target, "/averageValue"), "averageValue", ""),
    };
    let now = current.and_then(|current| text(current, &format!("/{source}/current/{field}")));
    let now = now.map_or_else(|| "unknown".to_owned(), |now| format!("{now}{unit}"));
    format!("{}: {now} of {}", name.unwrap_or_default(), wanted.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_named_and_not_shown() {
        let from = json!({ "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "shop", "key": "api" } } });
        assert_eq!(variable(&from), "KEY=<api of shop (Secret)>");
        assert_eq!(variable(&json!({ "name": "A", "value": "b" })), "A=b");
    }

    #[test]
    fn ports_states_and_probes_are_said_in_a_few_words() {
        let port = json!({ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" });
        assert_eq!(service_port(&port), "http 80/TCP -> 8080");
        assert_eq!(service_port(&json!({ "port": 80, "targetPort": 80 })), "80/TCP");
        let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "there is none" } });
        assert_eq!(state(&waiting).unwrap(), "waiting: ErrImagePull: there is none");
        assert_eq!(state(&json!({})), None);
        let http = json!({ "httpGet": { "path": "/up", "port": 80 }, "periodSeconds": 10, "failureThreshold": 3 });
        assert_eq!(probe(&http).unwrap(), "GET /up at 80, every 10s, 3 failures");
    }
}
