use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME, joined, list_at, text_at},
    field::FieldError,
    honoured::{Rule::*, Rules},
    resource::{schema_of, set_load_balancer_status},
};

pub(super) static INGRESS: Resource = Resource {
    group: "networking.k8s.io",
    version: "v1",
    kind: "Ingress",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    categories: &[],
    scope: Scope::Namespaced,
    durability: Durability::Durable,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Class", |object, _| text_at(object, "/spec/ingressClassName")),
        Column::text("Hosts", |object, _| hosts(object)),
        Column::text("Address", |object, _| {
            let addresses = list_at(object, "/status/loadBalancer/ingress").iter();
            let texts: Vec<_> = addresses.filter_map(|one| one["ip"].as_str().or(one["hostname"].as_str())).collect();
            json!(texts.join(","))
        }),
        Column::text("Ports", |_, _| json!("80")),
        AGE,
    ],
    schema: schema_of::<Ingress>,
    honoured: RULES,
    default: set_load_balancer_status,
    validate,
    view: None,
};

const NO_TLS: &str = "the gateway speaks plain HTTP, and does not turn requests to HTTPS: end TLS before it";

const RULES: Rules = &[
    ("spec.ingressClassName", Warned(&["sampan"], "sampan's gateway serves every Ingress, whatever its class")),
    ("spec.rules[].host", Honoured),
    ("spec.rules[].http.paths[].path", Honoured),
    ("spec.rules[].http.paths[].pathType", Honoured),
    ("spec.rules[].http.paths[].backend.service", Honoured),
    ("spec.rules[].http.paths[].backend.resource", Refused("name a Service")),
    ("spec.defaultBackend.service", Honoured),
    ("spec.defaultBackend.resource", Refused("name a Service")),
    ("spec.tls", Warned(&[], NO_TLS)),
];

fn hosts(object: &Value) -> Value {
    let rules = list_at(object, "/spec/rules").iter();
    match joined(rules.filter_map(|rule| Some(rule["host"].as_str()?.to_owned()))) {
        none if none == "<none>" => json!("*"),
        hosts => hosts,
    }
}

fn validate(new: &Value, _old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
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
        if let Some(host) = rule["host"].as_str() {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let error = api::check_dns_subdomain(name).err().filter(|_| !host.is_empty());
            errors.extend(error.map(|error| FieldError::invalid(format!("{path}.host"), error.to_string())));
        }
        let paths = list_at(rule, "/http/paths");
        // A host alone leads to the default backend.
        if paths.is_empty() && (default.is_null() || !rule["http"].is_null()) {
            errors.push(FieldError::required(format!("{path}.http.paths"), "is missing: say where requests go"));
        }
        for (index, one) in paths.iter().enumerate() {
            errors.extend(check_path(one, &format!("{path}.http.paths[{index}]")));
        }
    }
    errors
}

fn check_path(one: &Value, path: &str) -> Vec<FieldError> {
    let mut errors: Vec<_> = check_backend(&one["backend"], &format!("{path}.backend")).into_iter().collect();
    match one["pathType"].as_str() {
        Some("Exact" | "Prefix") if one["path"].as_str().is_some_and(|path| path.starts_with('/')) => {}
        Some("Exact" | "Prefix") => {
            errors.push(FieldError::invalid(format!("{path}.path"), "is not a path: it starts with `/`"));
        }
        Some("ImplementationSpecific") => {}
        _ => {
            let message = "write `Prefix` or `Exact`";
            errors.push(FieldError::invalid(format!("{path}.pathType"), message));
        }
    }
    errors
}

fn check_backend(backend: &Value, path: &str) -> Option<FieldError> {
    let service = &backend["service"];
    if service["name"].as_str().unwrap_or_default().is_empty() {
        return Some(FieldError::required(format!("{path}.service.name"), "is missing: name a Service"));
    }
    let port = &service["port"];
    (port["number"].is_null() && port["name"].is_null())
        .then(|| FieldError::required(format!("{path}.service.port"), "is missing: name its number or its name"))
}
