//! What matters of each kind. Of a kind that is not here, its fields are shown as they are.

use serde_json::{Value, json};

use super::{
    fields::{items, joined, metric, pairs, probe, replicas, service_port, state, strategy, text, variable},
    page::Page,
};
use crate::{
    client::table::{Columns, Table},
    size::human_bytes,
};

/// Shows what is special about the kind; whether it has nothing more to say.
pub(super) fn show(page: &mut Page, kind: &str, object: &Value) -> bool {
    match kind {
        "Deployment" => deployment(page, object),
        "ReplicaSet" => replica_set(page, object),
        "Pod" => pod(page, object),
        "Service" => service(page, object),
        "Ingress" => ingress(page, object),
        "HorizontalPodAutoscaler" => autoscaler(page, object),
        "Node" => node(page, object),
        "ConfigMap" | "Secret" => data(page, kind, object),
        "Event" => event(page, object),
        _ => return false,
    }
    true
}

fn deployment(page: &mut Page, object: &Value) {
    page.field("Selector", joined(&pairs(object, "/spec/selector/matchLabels")));
    page.field("Replicas", replicas(object));
    page.field("Strategy", strategy(object));
    if object["spec"]["paused"] == true {
        page.field("Paused", "true".to_owned());
    }
    template(page, &object["spec"]["template"]);
}

fn replica_set(page: &mut Page, object: &Value) {
    page.field("Controlled by", owner(object));
    page.field("Revision", text(object, "/metadata/annotations/deployment.kubernetes.io~1revision"));
    page.field("Selector", joined(&pairs(object, "/spec/selector/matchLabels")));
    let (wanted, now) = (text(object, "/spec/replicas"), text(object, "/status/replicas"));
    let ready = text(object, "/status/readyReplicas").unwrap_or_else(|| "0".to_owned());
    let (wanted, now) = (wanted.unwrap_or_else(|| "1".to_owned()), now.unwrap_or_else(|| "0".to_owned()));
    page.field("Replicas", format!("{wanted} desired | {now} total | {ready} ready"));
    template(page, &object["spec"]["template"]);
}

fn pod(page: &mut Page, object: &Value) {
    page.field("Controlled by", owner(object));
    page.field("Worker", text(object, "/spec/nodeName").unwrap_or_else(|| "<none yet>".to_owned()));
    page.field("Phase", text(object, "/status/phase"));
    page.field("Priority", text(object, "/spec/priority"));
    let status = &object["status"]["containerStatuses"][0];
    for container in items(object, "/spec/containers") {
        page.heading(&format!("Container {}", text(container, "/name").unwrap_or_default()));
        page.field("  Image", text(container, "/image"));
        page.field("  Image ID", text(status, "/imageID"));
        page.field("  State", state(&status["state"]));
        page.field("  Last state", state(&status["lastState"]));
        page.field("  Ready", text(status, "/ready"));
        page.field("  Restarts", text(status, "/restartCount"));
        about_container(page, container);
    }
    placement(page, &object["spec"]);
}

fn template(page: &mut Page, template: &Value) {
    for container in items(template, "/spec/containers") {
        page.heading(&format!("Container {}", text(container, "/name").unwrap_or_default()));
        page.field("  Image", text(container, "/image"));
        about_container(page, container);
    }
    let labels = pairs(template, "/metadata/labels");
    let annotations = pairs(template, "/metadata/annotations");
    if !labels.is_empty() || !annotations.is_empty() {
        page.heading("Each replica");
        page.values("  Labels", labels);
        page.values("  Annotations", annotations);
    }
    placement(page, &template["spec"]);
}

fn about_container(page: &mut Page, container: &Value) {
    let ports: Vec<String> = items(container, "/ports")
        .map(|port| {
            let protocol = text(port, "/protocol").unwrap_or_else(|| "TCP".to_owned());
            format!("{}/{protocol}", text(port, "/containerPort").unwrap_or_default())
        })
        .collect();
    page.field("  Ports", Some(joined(&ports)).filter(|_| !ports.is_empty()));
    for (name, pointer) in [("  Limits", "/resources/limits"), ("  Requests", "/resources/requests")] {
        let pairs = pairs(container, pointer);
        page.field(name, Some(joined(&pairs)).filter(|_| !pairs.is_empty()));
    }
    for (name, field) in
        [("  Startup", "startupProbe"), ("  Liveness", "livenessProbe"), ("  Readiness", "readinessProbe")]
    {
        page.field(name, probe(&container[field]));
    }
    page.values("  Variables", items(container, "/env").map(variable));
    let all_of = items(container, "/envFrom").filter_map(|from| {
        let of = |field: &str, kind: &str| Some(format!("all of {kind} {}", text(&from[field], "/name")?));
        of("configMapRef", "ConfigMap").or_else(|| of("secretRef", "Secret"))
    });
    page.values("  And", all_of);
}

fn placement(page: &mut Page, spec: &Value) {
    let selectors = pairs(spec, "/nodeSelector");
    let tolerations: Vec<String> = items(spec, "/tolerations").map(toleration).collect();
    let has_rules = ["affinity", "topologySpreadConstraints"].into_iter().filter(|rule| spec.get(*rule).is_some());
    let rules: Vec<&str> = has_rules.collect();
    if selectors.is_empty() && tolerations.is_empty() && rules.is_empty() {
        return;
    }
    page.heading("Placement");
    page.values("  Workers with", selectors);
    page.values("  Tolerates", tolerations);
    for rule in rules {
        page.below(&format!("{rule}:"));
        page.yaml(&spec[rule], 4);
    }
}

fn toleration(toleration: &Value) -> String {
    let part = |field: &str, before: &str| {
        text(toleration, &format!("/{field}")).map(|value| format!("{before}{value}")).unwrap_or_default()
    };
    format!("{}{}{}", part("key", ""), part("value", "="), part("effect", ":"))
}

fn service(page: &mut Page, object: &Value) {
    page.field("Type", text(object, "/spec/type"));
    page.field("Cluster IP", text(object, "/spec/clusterIP"));
    let addresses = items(object, "/status/loadBalancer/ingress")
        .filter_map(|address| text(address, "/ip").or_else(|| text(address, "/hostname")));
    page.values("Listens at", addresses);
    page.values("Ports", items(object, "/spec/ports").map(service_port));
    page.field("Selector", joined(&pairs(object, "/spec/selector")));
}

fn ingress(page: &mut Page, object: &Value) {
    page.field("Class", text(object, "/spec/ingressClassName"));
    let addresses = items(object, "/status/loadBalancer/ingress")
        .filter_map(|address| text(address, "/ip").or_else(|| text(address, "/hostname")));
    page.values("Address", addresses);
    let secrets = items(object, "/spec/tls").map(|tls| {
        let hosts: Vec<String> = items(tls, "/hosts").filter_map(|host| text(host, "")).collect();
        format!("{} with Secret {}", joined(&hosts), text(tls, "/secretName").unwrap_or_default())
    });
    page.values("TLS", secrets);
    let backend = |backend: &Value| {
        let port = text(backend, "/service/port/number").or_else(|| text(backend, "/service/port/name"));
        format!("{}:{}", text(backend, "/service/name").unwrap_or_default(), port.unwrap_or_default())
    };
    let mut rows: Vec<Vec<String>> = items(object, "/spec/rules")
        .flat_map(|rule| {
            let host = text(rule, "/host").unwrap_or_else(|| "*".to_owned());
            items(rule, "/http/paths").map(move |path| {
                let kind = text(path, "/pathType").unwrap_or_default();
                vec![
                    host.clone(),
                    text(path, "/path").unwrap_or_else(|| "/".to_owned()),
                    kind,
                    backend(&path["backend"]),
                ]
            })
        })
        .collect();
    if object["spec"]["defaultBackend"].is_object() {
        rows.push(vec!["*".into(), "(others)".into(), String::new(), backend(&object["spec"]["defaultBackend"])]);
    }
    page.table("Rules", &Table::new(&[("Host", 0), ("Path", 0), ("Match", 0), ("Service", 0)], rows), Columns::Narrow);
}

fn autoscaler(page: &mut Page, object: &Value) {
    let target = &object["spec"]["scaleTargetRef"];
    page.field(
        "Scales",
        text(target, "/kind").zip(text(target, "/name")).map(|(kind, name)| format!("{}/{name}", kind.to_lowercase())),
    );
    let least = text(object, "/spec/minReplicas").unwrap_or_else(|| "1".to_owned());
    page.field("Between", text(object, "/spec/maxReplicas").map(|most| format!("{least} and {most} replicas")));
    let now = text(object, "/status/currentReplicas").unwrap_or_else(|| "0".to_owned());
    let wanted = text(object, "/status/desiredReplicas").map(|wanted| format!("{now} now, {wanted} wanted"));
    page.field("Replicas", wanted);
    let current: Vec<&Value> = items(object, "/status/currentMetrics").collect();
    let metrics = items(object, "/spec/metrics").enumerate().map(|(at, one)| metric(one, current.get(at).copied()));
    page.values("Metrics", metrics);
    page.field("Last scaled", text(object, "/status/lastScaleTime"));
}

fn node(page: &mut Page, object: &Value) {
    let taints = items(object, "/spec/taints").map(toleration);
    page.values("Taints", taints);
    if object["spec"]["unschedulable"] == true {
        page.field("Cordoned", "it gets no new replicas (`sampan uncordon` puts it back)".to_owned());
    }
    let of = |field: &str| text(object, &format!("/status/allocatable/{field}"));
    let memory = of("memory").map(|bytes| bytes.parse().map_or(bytes, human_bytes));
    page.field("CPU", of("cpu"));
    page.field("Memory", memory);
    page.field("Replicas", of("pods").map(|most| format!("at most {most}")));
    let info = |field: &str| text(object, &format!("/status/nodeInfo/{field}"));
    page.field("Version", info("kubeletVersion"));
    page.field("Runtime", info("containerRuntimeVersion"));
    page.field("System", info("operatingSystem").zip(info("architecture")).map(|(os, arch)| format!("{os}/{arch}")));
}

/// Of a ConfigMap all, of a Secret how long it is.
fn data(page: &mut Page, kind: &str, object: &Value) {
    page.field("Type", text(object, "/type"));
    page.heading("Data");
    let mut empty = true;
    for field in ["data", "binaryData"] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            empty = false;
            let value = value.as_str().unwrap_or_default();
            if kind == "Secret" || field == "binaryData" {
                page.below(&format!("{key}: {} bytes", decoded_length(value)));
            } else {
                page.yaml(&json!({ key: value }), 2);
            }
        }
    }
    if empty {
        page.below("<none>");
    }
}

/// Bytes that a text in base64 stands for.
fn decoded_length(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

fn event(page: &mut Page, object: &Value) {
    let about = &object["involvedObject"];
    page.field("Type", text(object, "/type"));
    page.field("Reason", text(object, "/reason"));
    page.field("About", text(about, "/kind").zip(text(about, "/name")).map(|(kind, name)| format!("{kind}/{name}")));
    page.field("Count", text(object, "/count"));
    page.field("First seen", text(object, "/firstTimestamp"));
    page.field("Last seen", text(object, "/lastTimestamp"));
    page.field("Message", text(object, "/message"));
}

fn owner(object: &Value) -> Option<String> {
    let owner = items(object, "/metadata/ownerReferences").find(|owner| owner["controller"] == true)?;
    Some(format!("{}/{}", text(owner, "/kind")?, text(owner, "/name")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_secret_only_the_length_is_shown() {
        let mut page = Page::new();
        let secret = json!({ "type": "Opaque", "data": { "password": "aHVudGVyMg==" } });
        assert!(show(&mut page, "Secret", &secret));
        let text = page.into_lines().join("\n");
        assert!(text.contains("password: 7 bytes") && !text.contains("aHVudGVy"), "{text}");
    }
}
