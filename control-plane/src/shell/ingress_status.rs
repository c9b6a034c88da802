use std::net::SocketAddr;

use api::Timestamp;
use kube_api::identity::rfc3339;
use serde_json::{Value, json};

use crate::routing::{Granted, Refused, TOLD};

/// The condition that says what an Ingress does not get. It is there while there is something.
const ACCEPTED: &str = "sampan.dev/Accepted";

/// Where an Ingress is reached, and what of it is not.
#[derive(Debug, Clone)]
pub(super) struct IngressStatus {
    /// `None`: no gateway of this process takes requests for it.
    address: Option<SocketAddr>,
    /// Whether anything of it is reached.
    reached: bool,
    /// A reason for machines, and what is not reached and why.
    refused: Option<(&'static str, String)>,
}

impl IngressStatus {
    pub(super) fn new(address: Option<SocketAddr>, granted: &Granted) -> Self {
        let reached = !granted.rules.is_empty() || granted.refused.is_empty();
        let text = |refused: &Refused| format!("it {refused}");
        let further = granted.refused.len().checked_sub(TOLD).filter(|further| *further > 0);
        let further = further.map(|further| format!("it gets no requests for {further} further hosts and paths"));
        let told = granted.refused.iter().take(TOLD).map(text).chain(further).collect::<Vec<_>>();
        let refused = granted.refused.first().map(|first| (first.reason(), told.join("; ")));
        Self { address, reached, refused }
    }

    /// An Ingress with this status.
    pub(super) fn written_into(&self, ingress: &Value, now: Timestamp) -> Value {
        let mut object = ingress.clone();
        let mut status = object["status"].as_object().cloned().unwrap_or_default();
        if let Some(address) = self.address {
            let port = json!({ "port": address.port(), "protocol": "TCP" });
            let at = json!({ "ingress": [{ "ip": address.ip().to_string(), "ports": [port] }] });
            status.insert("loadBalancer".to_owned(), if self.reached { at } else { json!({}) });
        }
        let before = status.remove("conditions").unwrap_or_default();
        let before = before.as_array().map_or(&[][..], Vec::as_slice);
        let (own, others): (Vec<&Value>, Vec<&Value>) = before.iter().partition(|one| one["type"] == ACCEPTED);
        let conditions: Vec<Value> =
            others.into_iter().cloned().chain(self.condition(own.first().copied(), now)).collect();
        if !conditions.is_empty() {
            status.insert("conditions".to_owned(), conditions.into());
        }
        object["status"] = Value::Object(status);
        object
    }

    fn condition(&self, before: Option<&Value>, now: Timestamp) -> Option<Value> {
        let (reason, message) = self.refused.as_ref()?;
        let since = before.map_or_else(|| json!(rfc3339(now)), |before| before["lastTransitionTime"].clone());
        Some(json!({
            "type": ACCEPTED, "status": "False", "reason": reason, "message": message, "lastTransitionTime": since,
        }))
    }
}
