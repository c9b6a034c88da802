//! What is wrong with the rules of an Ingress.

use serde_json::Value;

use super::{
    column::list_at,
    field::FieldError,
    values::{self, Form::*, Forms},
};

const CLASS: &str = "kubernetes.io/ingress.class";
/// What no path may hold: who reads it might take it for another path.
const NOT_IN_A_PATH: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const NOT_AT_THE_END: [&str; 2] = ["/..", "/."];

const FORMS: Forms = &[("spec.ingressClassName", GivenObjectName), ("spec.tls[].secretName", ObjectName)];

const BACKEND: Forms =
    &[("service.name", ServiceName), ("service.port.name", PortName), ("service.port.number", Between(1, 65535))];

pub(super) fn check(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = values::check(new, FORMS);
    let rules = list_at(new, "/spec/rules");
    let default = &new["spec"]["defaultBackend"];
    if rules.is_empty() && default.is_null() {
        errors.push(FieldError::required("spec", "names neither `rules` nor a `defaultBackend`"));
    }
    if !default.is_null() {
        errors.extend(check_backend(default, "spec.defaultBackend"));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        errors.extend(rule["host"].as_str().and_then(|host| check_host(host, format!("{path}.host"))));
        let paths = list_at(rule, "/http/paths");
        // A host alone leads to the default backend, or nowhere.
        if paths.is_empty() && !rule["http"].is_null() {
            errors.push(FieldError::required(format!("{path}.http.paths"), "is missing: say where requests go"));
        }
        for (index, one) in paths.iter().enumerate() {
            errors.extend(check_path(one, &format!("{path}.http.paths[{index}]")));
        }
    }
    values::walk(new, "spec.tls[]", "", &mut |path, tls| {
        for (index, host) in list_at(tls, "/hosts").iter().enumerate() {
            errors.extend(check_host(host.as_str().unwrap_or_default(), format!("{path}.hosts[{index}]")));
        }
    });
    let classes = (&new["metadata"]["annotations"][CLASS], &new["spec"]["ingressClassName"]);
    if old.is_none() && !classes.0.is_null() && !classes.1.is_null() && classes.0 != classes.1 {
        let message = "is another class than `spec.ingressClassName`: keep that one";
        errors.push(FieldError::invalid(format!("metadata.annotations[{CLASS}]"), message));
    }
    errors
}

fn check_host(host: &str, path: String) -> Option<FieldError> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if host.is_empty() {
        return None;
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Some(FieldError::invalid(path, "is an address: write a DNS name, or leave it away for all hosts"));
    }
    api::check_dns_subdomain(name).err().map(|error| FieldError::invalid(path, error.to_string()))
}

fn check_path(one: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = check_backend(&one["backend"], &format!("{path}.backend"));
    let text = one["path"].as_str().unwrap_or_default();
    let mut wrong = |message: String| errors.push(FieldError::invalid(format!("{path}.path"), message));
    match one["pathType"].as_str() {
        Some("Exact" | "Prefix") => {
            if !text.starts_with('/') {
                wrong("is not a path: it starts with `/`".to_owned());
            }
            let within = NOT_IN_A_PATH.iter().find(|part| text.contains(**part));
            if let Some(part) = within.or_else(|| NOT_AT_THE_END.iter().find(|part| text.ends_with(**part))) {
                wrong(format!("must not hold `{part}`: requests never have such paths"));
            }
        }
        Some("ImplementationSpecific") => {
            if !text.is_empty() && !text.starts_with('/') {
                wrong("is not a path: it starts with `/`".to_owned());
            }
        }
        _ => errors.push(FieldError::invalid(format!("{path}.pathType"), "write `Prefix` or `Exact`")),
    }
    errors
}

fn check_backend(backend: &Value, path: &str) -> Vec<FieldError> {
    if backend["resource"].is_object() {
        // The rules refuse it with what to do instead.
        return Vec::new();
    }
    let (service, port) = (&backend["service"], &backend["service"]["port"]);
    if service["name"].as_str().unwrap_or_default().is_empty() {
        return vec![FieldError::required(format!("{path}.service.name"), "is missing: name a Service")];
    }
    let named = port["name"].as_str().is_some_and(|name| !name.is_empty());
    let numbered = port["number"].as_i64().is_some_and(|number| number != 0);
    match (named, numbered) {
        (false, false) => {
            vec![FieldError::required(format!("{path}.service.port"), "is missing: name its number or its name")]
        }
        (true, true) => vec![FieldError::invalid(format!("{path}.service.port"), "has a name and a number: keep one")],
        _ => values::check(backend, BACKEND).into_iter().map(|error| error.under(path)).collect(),
    }
}
