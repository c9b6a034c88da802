//! The probes of a container.

use std::time::Duration;

use api::replica::{HttpProbe, Probes};
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::{Value, json};

use crate::fields::FieldError;

/// As Kubernetes: what holds when a probe does not say it.
const DEFAULTS: [(&str, i32); 4] =
    [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)];
/// The largest number of seconds or tries that a probe may name.
const MAX: i32 = 86_400;

pub(super) fn set_defaults(container: &mut Value) {
    for name in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let Some(probe) = container.get_mut(name).and_then(Value::as_object_mut) else { continue };
        for (field, default) in DEFAULTS {
            let value = probe.entry(field).or_insert(Value::Null);
            // As Kubernetes: zero is one that was never set.
            if value.is_null() || *value == 0 {
                *value = json!(default);
            }
        }
        if let Some(get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
            get.entry("path").or_insert_with(|| json!("/"));
            get.entry("scheme").or_insert_with(|| json!("HTTP"));
        }
    }
}

pub(super) fn read(container: &Container, errors: &mut Vec<FieldError>) -> Probes {
    let mut one = |name: &str, probe: Option<&Probe>| {
        let probe = probe?;
        let mut reader = Reader { container, path: format!("spec.containers[0].{name}"), errors };
        if name != "readinessProbe" && probe.success_threshold.is_some_and(|threshold| threshold != 1) {
            reader.wrong("successThreshold", "must be 1 for this probe, as in Kubernetes");
        }
        reader.read(probe)
    };
    Probes {
        startup: one("startupProbe", container.startup_probe.as_ref()),
        readiness: one("readinessProbe", container.readiness_probe.as_ref()),
        liveness: one("livenessProbe", container.liveness_probe.as_ref()),
    }
}

struct Reader<'a> {
    container: &'a Container,
    path: String,
    errors: &'a mut Vec<FieldError>,
}

impl Reader<'_> {
    fn read(&mut self, probe: &Probe) -> Option<HttpProbe> {
        let Some(get) = &probe.http_get else {
            // Of these the rules say what becomes: a command is refused, the others hold as soon as the guest runs.
            if probe.exec.is_some() || probe.tcp_socket.is_some() || probe.grpc.is_some() {
                return None;
            }
            self.errors
                .push(FieldError::required(format!("{}.httpGet", self.path), "is missing: a probe is an HTTP GET"));
            return None;
        };
        self.check_target(get);
        let [timeout, period, success, failure] = DEFAULTS;
        let seconds = |count: u32| Duration::from_secs(count.into());
        Some(HttpProbe {
            path: self.path_of(get),
            headers: get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect(),
            initial_delay: seconds(self.count("initialDelaySeconds", probe.initial_delay_seconds, 0, 0)),
            period: seconds(self.count(period.0, probe.period_seconds, period.1, 1)),
            timeout: seconds(self.count(timeout.0, probe.timeout_seconds, timeout.1, 1)),
            failure_threshold: self.count(failure.0, probe.failure_threshold, failure.1, 1),
            success_threshold: self.count(success.0, probe.success_threshold, success.1, 1),
        })
    }

    fn path_of(&mut self, get: &HTTPGetAction) -> String {
        let written = get.path.as_deref().unwrap_or_default();
        let path = if written.starts_with('/') { written.to_owned() } else { format!("/{written}") };
        if path.parse::<http::uri::PathAndQuery>().is_err() {
            self.wrong("httpGet.path", &format!("`{written}` is not a path"));
        }
        path
    }

    fn check_target(&mut self, get: &HTTPGetAction) {
        match &get.port {
            IntOrString::Int(port) if !(1..=65535).contains(port) => {
                self.wrong("httpGet.port", &format!("{port} is not a port: use 1 to 65535"));
            }
            IntOrString::String(name) => {
                let mut ports = self.container.ports.iter().flatten();
                if !ports.any(|port| port.name.as_deref() == Some(name)) {
                    self.wrong("httpGet.port", &format!("`{name}` is not the name of a port of this container"));
                }
            }
            IntOrString::Int(_) => {}
        }
        for header in get.http_headers.iter().flatten() {
            let name = http::HeaderName::try_from(&header.name);
            if name.is_err() || http::HeaderValue::try_from(&header.value).is_err() {
                self.wrong("httpGet.httpHeaders", &format!("`{}` is not a header", header.name));
            }
        }
    }

    fn count(&mut self, field: &str, value: Option<i32>, default: i32, least: i32) -> u32 {
        let value = value.filter(|value| *value != 0).unwrap_or(default);
        if !(least..=MAX).contains(&value) {
            self.wrong(field, &format!("{value} is out of range: use {least} to {MAX}"));
        }
        value.clamp(least, MAX).unsigned_abs()
    }

    fn wrong(&mut self, field: &str, message: &str) {
        self.errors.push(FieldError::invalid(format!("{}.{field}", self.path), message));
    }
}
