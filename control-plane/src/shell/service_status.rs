use std::collections::BTreeMap;

use api::Timestamp;
use kube_api::identity::rfc3339;
use serde_json::{Value, json};

/// The condition that says whether the ports of a LoadBalancer Service are bound.
const LISTENING: &str = "sampan.dev/Listening";

/// What gateways said of the ports of one LoadBalancer Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServiceStatus {
    /// By port: the address that it is bound at, or why it is not.
    ports: BTreeMap<u16, Result<String, String>>,
    since: Timestamp,
}

impl ServiceStatus {
    /// A gateway said how binding a port went. Answers whether that is new.
    pub(super) fn set(&mut self, port: u16, outcome: Result<String, String>, now: Timestamp) -> bool {
        if self.ports.get(&port) == Some(&outcome) {
            return false;
        }
        self.ports.insert(port, outcome);
        self.since = now;
        true
    }

    /// Forgets ports that the Service no longer has.
    pub(super) fn retain(&mut self, wanted: impl Fn(u16) -> bool) {
        self.ports.retain(|port, _| wanted(*port));
    }

    /// A Service with this status.
    pub(super) fn written_into(&self, service: &Value) -> Value {
        let mut object = service.clone();
        let mut status = object["status"].as_object().cloned().unwrap_or_default();
        let ingress = self.ingress();
        status.insert(
            "loadBalancer".to_owned(),
            if ingress.is_empty() { json!({}) } else { json!({ "ingress": ingress }) },
        );
        let others = status.remove("conditions").unwrap_or_default();
        let others = others.as_array().into_iter().flatten().filter(|condition| condition["type"] != LISTENING);
        let conditions: Vec<Value> = others.cloned().chain(self.condition()).collect();
        if !conditions.is_empty() {
            status.insert("conditions".to_owned(), conditions.into());
        }
        object["status"] = Value::Object(status);
        object
    }

    /// One entry for each address, with its ports.
    fn ingress(&self) -> Vec<Value> {
        let mut by_host: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
        for (port, outcome) in &self.ports {
            if let Ok(address) = outcome {
                by_host.entry(host(address)).or_default().push(*port);
            }
        }
        let entry = |(host, ports): (&str, Vec<u16>)| {
            let ports: Vec<_> = ports.into_iter().map(|port| json!({ "port": port, "protocol": "TCP" })).collect();
            match host.parse::<std::net::IpAddr>() {
                Ok(_) => json!({ "ip": host, "ports": ports }),
                Err(_) => json!({ "hostname": host, "ports": ports }),
            }
        };
        by_host.into_iter().map(entry).collect()
    }

    fn condition(&self) -> Option<Value> {
        if self.ports.is_empty() {
            return None;
        }
        let failed: Vec<_> = self
            .ports
            .iter()
            .filter_map(|(port, outcome)| Some(format!("port {port}: {}", outcome.as_ref().err()?)))
            .collect();
        let (status, reason, message) = if failed.is_empty() {
            ("True", "PortsBound", "every port is bound".to_owned())
        } else {
            ("False", "PortNotBound", failed.join("; "))
        };
        Some(json!({
            "type": LISTENING,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": rfc3339(self.since),
        }))
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
