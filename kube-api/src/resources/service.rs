use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource, check_labels,
    column::{AGE, Column, NAME, joined, list_at, selector, text_at},
    field::{Cause, FieldError},
    honoured::{Rule::*, Rules},
    resource::set_load_balancer_status,
    schema::{Schema, decode},
    service_checks,
};

pub(super) static SERVICE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    scope: Scope::Namespaced,
    durability: Durability::Durable,
    has_cluster_ip: true,
    names: NameRule::Label,
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Type", |object, _| object["spec"]["type"].clone()),
        Column::text("Cluster-IP", |object, _| text_at(object, "/spec/clusterIP")),
        Column::text("External-IP", |object, _| external_address(object)),
        Column::text("Port(s)", |object, _| ports(object)),
        AGE,
        Column::wide("Selector", |object, _| selector(&object["spec"]["selector"])),
    ],
    schema: Schema::of::<Service>(),
    honoured: RULES,
    default: set_defaults,
    validate,
    view: None,
};

const BY_NAME: &str = "a Service is reached by its name, and its address is one of IPv4 that nothing is routed by";
const NO_NODE_PORT: &str = "no port of the nodes is opened: the gateway answers at `SERVICE.NAMESPACE.localhost` and for Ingresses, and \
                            the type LoadBalancer opens the Service's own port";

const MOST_FREE: &str = "requests go to the replica that is most free";
const ANY_REPLICA: &str = "any replica may get any request of a client: keep state in `wasi:keyvalue`";
const OWN_PORT: &str = "use the type LoadBalancer: it opens the port on the host";
const NO_OTHER_HOST: &str = "guests reach other hosts by the annotation `sampan.dev/outbound`";
const TYPES: [&str; 3] = ["ClusterIP", "NodePort", "LoadBalancer"];

const RULES: Rules = &[
    ("spec.type", Warned(&["ClusterIP", "LoadBalancer"], NO_NODE_PORT)),
    ("spec.selector", Honoured),
    ("spec.ports[].name", Honoured),
    ("spec.ports[].port", Honoured),
    ("spec.ports[].targetPort", Honoured),
    ("spec.ports[].protocol", Only(&["TCP"], "requests come as HTTP over TCP")),
    (
        "spec.ports[].appProtocol",
        Warned(&["http", "kubernetes.io/h2c"], "guests are given HTTP requests, whatever they came as"),
    ),
    ("spec.ports[].nodePort", Warned(&["0"], NO_NODE_PORT)),
    ("spec.clusterIP", Honoured),
    ("spec.clusterIPs", Honoured),
    ("spec.sessionAffinity", Warned(&["None"], ANY_REPLICA)),
    ("spec.internalTrafficPolicy", Warned(&["Cluster"], MOST_FREE)),
    ("spec.externalTrafficPolicy", Warned(&["Cluster"], MOST_FREE)),
    ("spec.allocateLoadBalancerNodePorts", Warned(&["false"], NO_NODE_PORT)),
    ("spec.externalName", Refused(NO_OTHER_HOST)),
    ("spec.externalIPs", Refused(OWN_PORT)),
    ("spec.loadBalancerIP", Refused("start sampan with `--load-balancer-ip`")),
    ("spec.loadBalancerSourceRanges", Refused("put a firewall before the port")),
    ("spec.ipFamilies", Warned(&["[\"IPv4\"]"], BY_NAME)),
    ("spec.ipFamilyPolicy", Warned(&["SingleStack"], BY_NAME)),
    ("spec.sessionAffinityConfig", Warned(&[], ANY_REPLICA)),
    ("spec.trafficDistribution", Warned(&[], MOST_FREE)),
    ("spec.loadBalancerClass", Refused("sampan's gateway opens the port: leave it away")),
    ("spec.healthCheckNodePort", Warned(&["0"], NO_NODE_PORT)),
    ("spec.publishNotReadyAddresses", Warned(&["false"], "only ready replicas get requests")),
];

fn external_address(object: &Value) -> Value {
    let addresses = list_at(object, "/status/loadBalancer/ingress").iter();
    let mut addresses = addresses.filter_map(|one| Some(one["ip"].as_str().or(one["hostname"].as_str())?.to_owned()));
    match (addresses.next(), object["spec"]["type"].as_str()) {
        (Some(first), _) => joined(std::iter::once(first).chain(addresses)),
        (None, Some("LoadBalancer")) => json!("<pending>"),
        (None, _) => json!("<none>"),
    }
}

fn ports(object: &Value) -> Value {
    let ports = list_at(object, "/spec/ports").iter();
    joined(ports.map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP"))))
}

fn set_defaults(object: &mut Value) {
    set_load_balancer_status(object);
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("type").or_insert_with(|| json!("ClusterIP"));
    spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
    spec.entry("ipFamilyPolicy").or_insert_with(|| json!("SingleStack"));
    if spec.entry("sessionAffinity").or_insert_with(|| json!("None")) == "None" {
        spec.remove("sessionAffinityConfig");
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        port.entry("protocol").or_insert_with(|| json!("TCP"));
        if let Some(number) = port.get("port").cloned() {
            let target = port.entry("targetPort").or_insert(Value::Null);
            // What Go writes for one that was never set.
            if target.is_null() || *target == 0 || *target == "" {
                *target = number;
            }
        }
    }
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    if new["spec"]["type"] == "ExternalName" {
        // What it names says why it cannot be; that it has neither selector nor ports is no further mistake.
        let named = new["spec"]["externalName"].as_str().is_some_and(|name| !name.is_empty());
        return if named { Vec::new() } else { vec![FieldError::not_supported("spec.type", NO_OTHER_HOST)] };
    }
    let mut errors = check_cluster_ip(&new["spec"], old.map(|old| &old["spec"]));
    errors.extend(check_type(&new["spec"]["type"]));
    errors.extend(service_checks::check(new, old));
    let selector: BTreeMap<String, String> = decode(&new["spec"]["selector"]).unwrap_or_default();
    if selector.is_empty() {
        let message = "is missing: name the labels of the replicas that are to answer";
        errors.push(FieldError::required("spec.selector", message));
    }
    errors.extend(check_labels("spec.selector", &selector));
    let ports = list_at(new, "/spec/ports");
    if ports.is_empty() {
        errors.push(FieldError::required("spec.ports", "is missing: name at least one port"));
    }
    let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let number = port["port"].as_i64().unwrap_or_default();
        if !(1..=65535).contains(&number) {
            errors.push(FieldError::invalid(format!("{path}.port"), format!("{number} is not a port: use 1 to 65535")));
        }
        if !numbers.insert(number) {
            errors.push(FieldError::new(Cause::Duplicate, format!("{path}.port"), format!("{number} stands twice")));
        }
        if let Some(target) = port["targetPort"].as_i64().filter(|target| !(1..=65535).contains(target)) {
            let message = format!("{target} is not a port: use 1 to 65535, or a port's name");
            errors.push(FieldError::invalid(format!("{path}.targetPort"), message));
        }
        let name = port["name"].as_str().unwrap_or_default();
        if !name.is_empty()
            && let Err(error) = api::check_dns_label(name)
        {
            errors.push(FieldError::invalid(format!("{path}.name"), error.to_string()));
        }
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(format!("{path}.name"), "is missing: with several ports each has a name"));
        } else if !names.insert(name) {
            errors.push(FieldError::new(Cause::Duplicate, format!("{path}.name"), format!("`{name}` stands twice")));
        }
    }
    errors
}

fn check_type(value: &Value) -> Option<FieldError> {
    let wrong = value.as_str().filter(|name| !name.is_empty() && !TYPES.contains(name))?;
    let message = format!("`{wrong}` is not known: write `ClusterIP`, `NodePort` or `LoadBalancer`");
    Some(FieldError::not_supported("spec.type", message))
}

/// Its range is known to those who give addresses away.
fn check_cluster_ip(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    const PATH: &str = "spec.clusterIP";
    let Some(ip) = new["clusterIP"].as_str().filter(|ip| !ip.is_empty()) else { return Vec::new() };
    let mut errors = Vec::new();
    if ip != "None" && ip.parse::<Ipv4Addr>().is_err() {
        errors.push(FieldError::invalid(PATH, format!("`{ip}` is neither an IPv4 address nor `None`")));
    }
    if list_at(new, "/clusterIPs").iter().any(|other| other != ip) {
        let message = "must be the one address that `clusterIP` names";
        errors.push(FieldError::invalid("spec.clusterIPs", message));
    }
    if old.and_then(|old| old["clusterIP"].as_str()).is_some_and(|old| !old.is_empty() && old != ip) {
        let message = "cannot be changed: leave it as it is, or delete the Service and create it again";
        errors.push(FieldError::new(Cause::Immutable, PATH, message));
    }
    errors
}
