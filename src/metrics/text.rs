use std::fmt::{Display, Write};

use api::{Count, ObjectKey, Refused, WorkerName};
use control_plane::Autoscaled;
use key_value::NamespaceUsage;
use registry_client::hosted::{OwnerUsage, Repositories};

use super::families::{self, Family};

/// What is counted, as Prometheus reads it.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// Begins a metric: its values follow.
    pub(super) fn family(&mut self, family: &Family) {
        let Family { name, kind, help, .. } = family;
        // Writing to a String does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A value of a metric, with those of its labels.
    pub(super) fn value(&mut self, family: &Family, labels: &[&str], value: impl Display) {
        debug_assert_eq!(labels.len(), family.labels.len(), "{}", family.name);
        let labels: Vec<_> =
            family.labels.iter().zip(labels).map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{}{labels} {value}", family.name);
    }

    /// A metric that has one value.
    pub(super) fn single(&mut self, family: &Family, value: impl Display) {
        self.family(family);
        self.value(family, &[], value);
    }

    pub(super) fn gateway(&mut self, measured: &gateway::Measurements) {
        self.single(&families::CONNECTIONS, measured.connections as u64);
        self.family(&families::REFUSALS);
        for (reason, count) in &measured.refusals {
            self.value(&families::REFUSALS, &[reason.as_str()], *count);
        }
        self.family(&families::DENIED_CALLS);
        for (to, count) in [("service", measured.denied_calls.0), ("outside", measured.denied_calls.1)] {
            self.value(&families::DENIED_CALLS, &[to], count);
        }
        let memory = &measured.memory;
        if memory.limit > 0 {
            self.single(&families::MEMORY_USED, memory.used);
            self.single(&families::MEMORY_LIMIT, memory.limit);
        }
        self.family(&families::OVERLOAD);
        for (action, active) in &memory.actions {
            self.value(&families::OVERLOAD, &[action.as_str()], u64::from(*active));
        }
        type Read = fn(&gateway::ServiceMeasurement) -> u64;
        let read: [(Family, Read); 7] = [
            (families::REQUESTS, |service| service.arrivals),
            (families::COMPLETED, |service| service.completed),
            (families::FAILED, |service| service.failed),
            (families::RETRIES, |service| service.retries),
            (families::IN_FLIGHT, |service| u64::from(service.in_flight)),
            (families::QUEUED, |service| u64::from(service.queued)),
            (families::REPLICAS, |service| service.replicas as u64),
        ];
        for (family, read) in read {
            self.family(&family);
            for service in &measured.services {
                self.value(&family, &[&service.service.namespace, &service.service.name], read(service));
            }
        }
    }

    /// What was refused to guests' stores, to clients of the API and the registry, and to who wants to join; and how full stores are.
    pub(super) fn refusals(&mut self, measured: &control_plane::Measurements) {
        for (family, what) in [
            (families::WRITES_REFUSED, Refused::Write),
            (families::JOINS_REFUSED, Refused::Join),
            (families::WRONG_TOKENS, Refused::Token),
            (families::POLICY_DENIALS, Refused::Call),
        ] {
            self.family(&family);
            for Count { reason, name, count } in measured.refused(what) {
                // Joins and tokens are told apart by their reason alone.
                self.value(&family, &[reason, name.as_str()][..family.labels.len()], count);
            }
        }
        let namespaces = measured.namespaces();
        type Kept = fn(&NamespaceUsage) -> u64;
        let read: [(Family, Kept); 2] =
            [(families::KEPT_BYTES, |usage| usage.bytes), (families::KEPT_KEYS, |usage| usage.keys)];
        for (family, read) in read {
            self.family(&family);
            for usage in &namespaces {
                self.value(&family, &[&usage.namespace], read(usage));
            }
        }
        if let Some(quota) = measured.namespace_quota() {
            self.single(&families::KEPT_BYTES_LIMIT, quota.bytes);
            self.single(&families::KEPT_KEYS_LIMIT, quota.keys);
        }
        if let Some(registry) = measured.registry() {
            self.registry(registry);
        }
    }

    fn registry(&mut self, registry: &Repositories) {
        self.family(&families::REGISTRY_REFUSALS);
        for (reason, count) in registry.refused() {
            self.value(&families::REGISTRY_REFUSALS, &[reason], count);
        }
        let owners = registry.usage();
        type Had = fn(&OwnerUsage) -> u64;
        let read: [(Family, Had); 2] = [
            (families::REGISTRY_BYTES, |usage| usage.bytes),
            (families::REGISTRY_UNFINISHED_BYTES, |usage| usage.unfinished_bytes),
        ];
        for (family, read) in read {
            self.family(&family);
            for usage in &owners {
                self.value(&family, &[&usage.owner], read(usage));
            }
        }
        self.single(&families::REGISTRY_BYTES_LIMIT, registry.quota().owner_bytes);
    }

    /// What workers were refused.
    pub(super) fn peers(&mut self, refused: &[(WorkerName, u64)]) {
        self.family(&families::WORKER_REFUSALS);
        for (worker, count) in refused {
            self.value(&families::WORKER_REFUSALS, &[&worker.0], *count);
        }
    }

    /// What each autoscaler last saw and decided.
    pub(super) fn autoscalers(&mut self, decided: &[(ObjectKey, Autoscaled)]) {
        type Read = fn(&Autoscaled) -> f64;
        let read: [(Family, Read); 7] = [
            (families::SCALER_DESIRED, |decided| decided.status.desired.into()),
            (families::SCALER_REPLICAS, |decided| decided.status.replicas.into()),
            (families::SCALER_RATE, |decided| decided.status.why.inputs.rate),
            (families::SCALER_CONCURRENCY, |decided| decided.status.why.inputs.concurrency),
            (families::SCALER_QUEUED, |decided| decided.status.why.inputs.queued.into()),
            (families::SCALER_UPS, |decided| decided.ups as f64),
            (families::SCALER_DOWNS, |decided| decided.downs as f64),
        ];
        for (family, read) in read {
            self.family(&family);
            for (deployment, decided) in decided {
                self.value(&family, &[&deployment.namespace, &deployment.name], read(decided));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_prometheus_reads_them() {
        let family =
            Family { name: "a_total", kind: "counter", labels: &["namespace", "service"], help: "What it is." };
        let mut text = Text::default();
        text.family(&family);
        text.value(&family, &["shop", "cart"], 3);
        text.single(&Family { name: "b", labels: &[], ..family }, 4);
        assert_eq!(
            text.0,
            "# HELP a_total What it is.\n# TYPE a_total counter\na_total{namespace=\"shop\",service=\"cart\"} 3\n\
             # HELP b What it is.\n# TYPE b counter\nb 4\n"
        );
    }
}
