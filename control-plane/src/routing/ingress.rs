use std::collections::BTreeSet;

use api::{
    ObjectKey,
    session::{IngressRule, PathMatch},
};
use serde_json::Value;

use super::Claim;

/// What a stored Ingress asks for.
pub(crate) fn ingress_claim(key: &ObjectKey, object: &Value) -> Claim {
    let made = object["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
    Claim { made, rules: ingress_rules(key, object) }
}

/// The rules of a stored Ingress, each path one. Its default backend is one for each of its hosts, whatever of theirs no path
/// is for, and one for requests that no Ingress has a rule for. So a rule that has a host alone leads there.
fn ingress_rules(key: &ObjectKey, object: &Value) -> Vec<IngressRule> {
    let spec = &object["spec"];
    let mut rules = Vec::new();
    let mut hosts = BTreeSet::from([None]);
    for rule in spec["rules"].as_array().into_iter().flatten() {
        let host = rule["host"].as_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase());
        let host = host.filter(|host| !host.is_empty());
        hosts.insert(host.clone());
        for path in rule["http"]["paths"].as_array().into_iter().flatten() {
            let Some(service) = backend(key, &path["backend"]) else { continue };
            rules.push(IngressRule { host: host.clone(), path: path_match(path), service });
        }
    }
    if let Some(service) = backend(key, &spec["defaultBackend"]) {
        let default = |host| IngressRule { host, path: PathMatch::Otherwise, service: service.clone() };
        rules.extend(hosts.into_iter().map(default));
    }
    rules
}

fn backend(key: &ObjectKey, backend: &Value) -> Option<ObjectKey> {
    Some(ObjectKey::new(key.namespace.clone(), backend["service"]["name"].as_str()?))
}

fn path_match(path: &Value) -> PathMatch {
    let text = path["path"].as_str().filter(|text| !text.is_empty()).unwrap_or("/").to_owned();
    // `ImplementationSpecific` is ours to define: by prefix, as most others do.
    if path["pathType"] == "Exact" { PathMatch::Exact(text) } else { PathMatch::Prefix(text) }
}
