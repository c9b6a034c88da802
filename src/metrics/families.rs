//! What is counted, by the names that Prometheus knows. This is the one table of them.

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    /// What it is called.
    pub(crate) name: &'static str,
    /// `counter` or `gauge`.
    pub(crate) kind: &'static str,
    /// The names of its labels, in the order of their values.
    pub(crate) labels: &'static [&'static str],
    /// What it means, in one sentence for users.
    pub(crate) help: &'static str,
}

macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub(super) const $constant: Family =
            Family { name: $name, kind: stringify!($kind), labels: &[$($label),*], help: $help };)*
        /// All of them, in the order of the documentation.
        #[cfg(test)]
        pub(crate) const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    CONNECTIONS = gauge "sampan_gateway_connections" [] "Open connections of clients.";
    REFUSALS = counter "sampan_gateway_refusals_total" ["reason"] "Requests that the gateway answered itself.";
    DENIED_CALLS = counter "sampan_denied_calls_total" ["to"]
        "Calls of guests of this process that a NetworkPolicy denied.";
    MEMORY_USED = gauge "sampan_memory_used_bytes" [] "Memory that is used, of the limit at whose parts load is shed.";
    MEMORY_LIMIT = gauge "sampan_memory_limit_bytes" [] "That limit.";
    OVERLOAD = gauge "sampan_overload_action_active" ["action"] "Whether load is shed in this way, since memory is short.";
    REQUESTS = counter "sampan_service_requests_total" ["namespace", "service"] "Requests that arrived.";
    COMPLETED = counter "sampan_service_completed_total" ["namespace", "service"] "Requests that ended.";
    FAILED = counter "sampan_service_failed_total" ["namespace", "service"] "Requests that ended with a failure.";
    RETRIES = counter "sampan_service_retries_total" ["namespace", "service"] "Requests sent to another replica.";
    IN_FLIGHT = gauge "sampan_service_in_flight" ["namespace", "service"] "Requests being served.";
    QUEUED = gauge "sampan_service_queued" ["namespace", "service"] "Requests that wait.";
    REPLICAS = gauge "sampan_service_replicas" ["namespace", "service"] "Replicas that take requests.";
    CONTROL_PLANE_REACHED = gauge "sampan_control_plane_reached" [] "Whether a session with the control plane is connected.";
    SCALER_DESIRED = gauge "sampan_autoscaler_desired" ["namespace", "deployment"] "Replicas that are wanted.";
    SCALER_REPLICAS = gauge "sampan_autoscaler_replicas" ["namespace", "deployment"] "Replicas that there are.";
    SCALER_RATE = gauge "sampan_autoscaler_requests_per_second" ["namespace", "deployment"] "Requests that arrive.";
    SCALER_CONCURRENCY = gauge "sampan_autoscaler_concurrency" ["namespace", "deployment"] "Requests at a time.";
    SCALER_QUEUED = gauge "sampan_autoscaler_queued" ["namespace", "deployment"] "Requests that wait.";
    SCALER_UPS = counter "sampan_autoscaler_ups_total" ["namespace", "deployment"] "Decisions for more replicas.";
    SCALER_DOWNS = counter "sampan_autoscaler_downs_total" ["namespace", "deployment"] "Decisions for fewer replicas.";
    WRITES_REFUSED = counter "sampan_key_value_refusals_total" ["reason", "namespace"]
        "Writes of guests to their stores that were refused.";
    JOINS_REFUSED = counter "sampan_joins_refused_total" ["reason"] "Workers and gateways that were not let in.";
    WRONG_TOKENS = counter "sampan_wrong_tokens_total" ["reason"]
        "Requests to the API and the registry that showed a wrong token.";
    KEPT_BYTES = gauge "sampan_key_value_used_bytes" ["namespace"] "Bytes that a namespace keeps in its stores.";
    KEPT_KEYS = gauge "sampan_key_value_used_keys" ["namespace"] "Keys that a namespace keeps in its stores.";
    KEPT_BYTES_LIMIT = gauge "sampan_key_value_limit_bytes" [] "Bytes that each namespace may keep in its stores.";
    KEPT_KEYS_LIMIT = gauge "sampan_key_value_limit_keys" [] "Keys that each namespace may keep in its stores.";
    POLICY_DENIALS = counter "sampan_policy_denied_calls_total" ["to", "name"]
        "Calls of guests, of whatever process, that a NetworkPolicy denied: to a Service, or outside by the guest's namespace.";
    REGISTRY_REFUSALS = counter "sampan_registry_refusals_total" ["reason"]
        "What the registry did not take, since it is full.";
    REGISTRY_BYTES = gauge "sampan_registry_used_bytes" ["owner"]
        "Bytes of blobs and manifests of an owner of repositories who has sent something since the start.";
    REGISTRY_UNFINISHED_BYTES = gauge "sampan_registry_unfinished_bytes" ["owner"]
        "Bytes of unfinished uploads of that owner.";
    REGISTRY_BYTES_LIMIT = gauge "sampan_registry_limit_bytes" []
        "Bytes that each owner may have, unfinished uploads included.";
    AUDIT_LOST = counter "sampan_audit_events_lost_total" [] "Events that the audit log could not take or write.";
    WORKER_REFUSALS = counter "sampan_worker_refusals_total" ["worker"]
        "Calls and messages of a worker that were refused, as nothing placed there allows them.";
}
