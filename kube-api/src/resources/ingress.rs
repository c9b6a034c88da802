use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME, joined, list_at, text_at},
    field::FieldError,
    honoured::{Rule::*, Rules},
    ingress_checks,
    resource::set_load_balancer_status,
    schema::{Schema, decode},
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
    schema: Schema { check, ..Schema::of::<Ingress>() },
    honoured: RULES,
    default: set_load_balancer_status,
    validate: ingress_checks::check,
    view: None,
};

/// Kubernetes' type knows no conditions of an Ingress. The gateway writes what an Ingress does not get into one, and who sends
/// an object back as he got it is not told that it is wrong.
fn check(object: &Value) -> Vec<FieldError> {
    if object["status"]["conditions"].is_null() {
        return decode::<Ingress>(object).err().unwrap_or_default();
    }
    let mut known = object.clone();
    if let Some(status) = known["status"].as_object_mut() {
        status.remove("conditions");
    }
    decode::<Ingress>(&known).err().unwrap_or_default()
}

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
