use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

use super::{
    Resource,
    column::{AGE, Column, NAME},
    honoured::{Rule::*, Rules},
    label_selector, network_policy_checks,
    schema::Schema,
    stored::{NETWORKING, STORED},
};

pub(super) static NETWORK_POLICY: Resource = Resource {
    group: NETWORKING,
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    columns: &[
        NAME,
        Column::text("Pod-Selector", |object, _| match label_selector::text(&object["spec"]["podSelector"]) {
            none if none.is_empty() => json!("<none>"),
            text => json!(text),
        }),
        AGE,
    ],
    schema: Schema::of::<NetworkPolicy>(),
    honoured: RULES,
    default: set_defaults,
    validate: network_policy_checks::check,
    ..STORED
};

const TCP_ALONE: &str = "guests call and are called over TCP alone: this port matches no call";
const NO_ADDRESSES_IN: &str = "replicas have no addresses, and requests from outside come from the gateway: select pods and namespaces, the gateway as \
     namespace kube-system with the pod label app.kubernetes.io/name=sampan-gateway, or leave `from` away for everybody";
const NO_ADDRESSES_OUT: &str = "replicas have no addresses, and hosts outside are granted by name: leave `to` away, so that the annotation \
     sampan.dev/outbound of the pod template decides, or select pods and namespaces";

const RULES: Rules = &[
    ("spec.podSelector", Honoured),
    ("spec.policyTypes", Honoured),
    ("spec.ingress[].from[].podSelector", Honoured),
    ("spec.ingress[].from[].namespaceSelector", Honoured),
    ("spec.ingress[].from[].ipBlock", Refused(NO_ADDRESSES_IN)),
    ("spec.ingress[].ports[].protocol", Warned(&["TCP"], TCP_ALONE)),
    ("spec.ingress[].ports[].port", Honoured),
    ("spec.ingress[].ports[].endPort", Honoured),
    ("spec.egress[].to[].podSelector", Honoured),
    ("spec.egress[].to[].namespaceSelector", Honoured),
    ("spec.egress[].to[].ipBlock", Refused(NO_ADDRESSES_OUT)),
    ("spec.egress[].ports[].protocol", Warned(&["TCP"], TCP_ALONE)),
    ("spec.egress[].ports[].port", Honoured),
    ("spec.egress[].ports[].endPort", Honoured),
];

/// As Kubernetes: a policy is one of ingress, and one of egress too if it has rules of it; a port is one of TCP.
fn set_defaults(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for direction in ["ingress", "egress"] {
        let rules = spec.get_mut(direction).and_then(Value::as_array_mut).into_iter().flatten();
        for port in rules.filter_map(|rule| rule.get_mut("ports")?.as_array_mut()).flatten() {
            if let Some(port) = port.as_object_mut() {
                port.entry("protocol").or_insert_with(|| json!("TCP"));
            }
        }
    }
    let has_egress = spec.get("egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    let is_empty = spec.get("policyTypes").is_none_or(|types| types.as_array().is_some_and(Vec::is_empty));
    if is_empty {
        spec.insert(
            "policyTypes".to_owned(),
            if has_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) },
        );
    }
}
