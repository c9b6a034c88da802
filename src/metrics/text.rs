use std::fmt::{Display, Write};

use api::{ObjectKey, WorkerName};
use control_plane::{Autoscaled, Count, Refused, key_value::NamespaceUsage};
use registry_client::hosted::{OwnerUsage, Repositories};

/// A name, its type, what it means, and how it is read.
type Family<T> = (&'static str, &'static str, &'static str, fn(&T) -> f64);

/// What is counted, as Prometheus reads it.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    pub(super) fn gateway(&mut self, measured: &gateway::Measurements) {
        self.family("sampan_gateway_connections", "gauge", "Open connections of clients.");
        self.value("sampan_gateway_connections", &[], measured.connections as u64);
        self.family("sampan_gateway_refusals_total", "counter", "Requests that the gateway answered itself.");
        for (reason, count) in &measured.refusals {
            self.value("sampan_gateway_refusals_total", &[("reason", reason.as_str())], *count);
        }
        const DENIED: &str = "sampan_denied_calls_total";
        self.family(DENIED, "counter", "Calls of guests of this process that a NetworkPolicy denied.");
        for (to, count) in [("service", measured.denied_calls.0), ("outside", measured.denied_calls.1)] {
            self.value(DENIED, &[("to", to)], count);
        }
        let memory = &measured.memory;
        if memory.limit > 0 {
            self.family(
                "sampan_memory_used_bytes",
                "gauge",
                "Memory that is used, of the limit at whose parts load is shed.",
            );
            self.value("sampan_memory_used_bytes", &[], memory.used);
            self.family("sampan_memory_limit_bytes", "gauge", "That limit.");
            self.value("sampan_memory_limit_bytes", &[], memory.limit);
        }
        self.family(
            "sampan_overload_action_active",
            "gauge",
            "Whether load is shed in this way, since memory is short.",
        );
        for (action, active) in &memory.actions {
            self.value("sampan_overload_action_active", &[("action", action.as_str())], u64::from(*active));
        }
        type Read = fn(&gateway::ServiceMeasurement) -> u64;
        let families: [(&str, &str, &str, Read); 7] = [
            ("sampan_service_requests_total", "counter", "Requests that arrived.", |service| service.arrivals),
            ("sampan_service_completed_total", "counter", "Requests that ended.", |service| service.completed),
            ("sampan_service_failed_total", "counter", "Requests that ended with a failure.", |service| service.failed),
            ("sampan_service_retries_total", "counter", "Requests sent to another replica.", |service| service.retries),
            ("sampan_service_in_flight", "gauge", "Requests being served.", |service| u64::from(service.in_flight)),
            ("sampan_service_queued", "gauge", "Requests that wait.", |service| u64::from(service.queued)),
            ("sampan_service_replicas", "gauge", "Replicas that take requests.", |service| service.replicas as u64),
        ];
        for (name, kind, help, read) in families {
            self.family(name, kind, help);
            for service in &measured.services {
                let labels = [("namespace", &*service.service.namespace), ("service", &*service.service.name)];
                self.value(name, &labels, read(service));
            }
        }
    }

    /// What was refused to guests' stores, to clients of the API and the registry, and to who wants to join; and how full stores are.
    pub(super) fn refusals(&mut self, measured: &control_plane::Measurements) {
        for (name, help, what) in [
            ("sampan_key_value_refusals_total", "Writes of guests to their stores that were refused.", Refused::Write),
            ("sampan_joins_refused_total", "Workers and gateways that were not let in.", Refused::Join),
            (
                "sampan_wrong_tokens_total",
                "Requests to the API and the registry that showed a wrong token.",
                Refused::Token,
            ),
        ] {
            self.family(name, "counter", help);
            for Count { reason, name: of, count } in measured.refused(what) {
                let labels = [("reason", reason), ("namespace", &*of)];
                self.value(name, &labels[..if of.is_empty() { 1 } else { 2 }], count);
            }
        }
        let namespaces = measured.namespaces();
        type Kept = fn(&NamespaceUsage) -> u64;
        let families: [(&str, &str, Kept); 2] = [
            ("sampan_key_value_used_bytes", "Bytes that a namespace keeps in its stores.", |usage| usage.bytes),
            ("sampan_key_value_used_keys", "Keys that a namespace keeps in its stores.", |usage| usage.keys),
        ];
        for (name, help, read) in families {
            self.family(name, "gauge", help);
            for usage in &namespaces {
                self.value(name, &[("namespace", &usage.namespace)], read(usage));
            }
        }
        if let Some(quota) = measured.namespace_quota() {
            for (name, help, limit) in [
                ("sampan_key_value_limit_bytes", "Bytes that each namespace may keep in its stores.", quota.bytes),
                ("sampan_key_value_limit_keys", "Keys that each namespace may keep in its stores.", quota.keys),
            ] {
                self.family(name, "gauge", help);
                self.value(name, &[], limit);
            }
        }
        if let Some(registry) = measured.registry() {
            self.registry(registry);
        }
    }

    fn registry(&mut self, registry: &Repositories) {
        const REFUSED: &str = "sampan_registry_refusals_total";
        self.family(REFUSED, "counter", "What the registry did not take, since it is full.");
        for (reason, count) in registry.refused() {
            self.value(REFUSED, &[("reason", reason)], count);
        }
        let owners = registry.usage();
        type Had = fn(&OwnerUsage) -> u64;
        let families: [(&str, &str, Had); 2] = [
            (
                "sampan_registry_used_bytes",
                "Bytes of blobs and manifests of an owner of repositories who has sent something since the start.",
                |usage| usage.bytes,
            ),
            ("sampan_registry_unfinished_bytes", "Bytes of unfinished uploads of that owner.", |usage| {
                usage.unfinished_bytes
            }),
        ];
        for (name, help, read) in families {
            self.family(name, "gauge", help);
            for usage in &owners {
                self.value(name, &[("owner", &usage.owner)], read(usage));
            }
        }
        self.family(
            "sampan_registry_limit_bytes",
            "gauge",
            "Bytes that each owner may have, unfinished uploads included.",
        );
        self.value("sampan_registry_limit_bytes", &[], registry.quota().owner_bytes);
    }

    /// What workers were refused.
    pub(super) fn peers(&mut self, refused: &[(WorkerName, u64)]) {
        const NAME: &str = "sampan_worker_refusals_total";
        self.family(
            NAME,
            "counter",
            "Calls and messages of a worker that were refused, as nothing placed there allows them.",
        );
        for (worker, count) in refused {
            self.value(NAME, &[("worker", &*worker.0)], *count);
        }
    }

    /// What each autoscaler last saw and decided.
    pub(super) fn autoscalers(&mut self, decided: &[(ObjectKey, Autoscaled)]) {
        let families: [Family<Autoscaled>; 7] = [
            ("desired", "gauge", "Replicas that are wanted.", |decided| decided.status.desired.into()),
            ("replicas", "gauge", "Replicas that there are.", |decided| decided.status.replicas.into()),
            ("requests_per_second", "gauge", "Requests that arrive.", |decided| decided.status.why.inputs.rate),
            ("concurrency", "gauge", "Requests at a time.", |decided| decided.status.why.inputs.concurrency),
            ("queued", "gauge", "Requests that wait.", |decided| decided.status.why.inputs.queued.into()),
            ("ups_total", "counter", "Decisions for more replicas.", |decided| decided.ups as f64),
            ("downs_total", "counter", "Decisions for fewer replicas.", |decided| decided.downs as f64),
        ];
        for (name, kind, help, read) in families {
            let name = format!("sampan_autoscaler_{name}");
            self.family(&name, kind, help);
            for (deployment, decided) in decided {
                let labels = [("namespace", &*deployment.namespace), ("deployment", &*deployment.name)];
                self.value(&name, &labels, read(decided));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_prometheus_reads_them() {
        let mut text = Text::default();
        text.family("a_total", "counter", "What it is.");
        text.value("a_total", &[("namespace", "shop"), ("service", "cart")], 3);
        text.value("a_total", &[], 4);
        assert_eq!(
            text.0,
            "# HELP a_total What it is.\n# TYPE a_total counter\na_total{namespace=\"shop\",service=\"cart\"} 3\na_total 4\n"
        );
    }
}
