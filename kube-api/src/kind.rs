//! The kinds of object that the shell reads or writes, and where they are in the store.

use api::ObjectKey;
use store::{collection_prefix, object_key};

/// A kind of object that the shell reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    /// As it stands in paths.
    pub plural: &'static str,
    /// As it stands in objects.
    pub kind: &'static str,
    /// Group and version, as they stand in objects.
    pub api_version: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $group:literal, $plural:literal, $kind:literal, $api_version:literal;)*) => {
        $(#[doc = concat!("The kind ", $kind, " of ", $api_version, ".")] pub const $name: Kind = Kind { group: $group, plural: $plural, kind: $kind, api_version: $api_version };)*
    };
}

kinds! {
    NAMESPACE = "", "namespaces", "Namespace", "v1";
    DEPLOYMENT = "apps", "deployments", "Deployment", "apps/v1";
    REPLICA_SET = "apps", "replicasets", "ReplicaSet", "apps/v1";
    HORIZONTAL_POD_AUTOSCALER = "autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "autoscaling/v2";
    SERVICE = "", "services", "Service", "v1";
    INGRESS = "networking.k8s.io", "ingresses", "Ingress", "networking.k8s.io/v1";
    NETWORK_POLICY = "networking.k8s.io", "networkpolicies", "NetworkPolicy", "networking.k8s.io/v1";
    SERVICE_ACCOUNT = "", "serviceaccounts", "ServiceAccount", "v1";
    CONFIG_MAP = "", "configmaps", "ConfigMap", "v1";
    SECRET = "", "secrets", "Secret", "v1";
    POD_DISRUPTION_BUDGET = "policy", "poddisruptionbudgets", "PodDisruptionBudget", "policy/v1";
    PRIORITY_CLASS = "scheduling.k8s.io", "priorityclasses", "PriorityClass", "scheduling.k8s.io/v1";
    ROLE = "rbac.authorization.k8s.io", "roles", "Role", "rbac.authorization.k8s.io/v1";
    ROLE_BINDING = "rbac.authorization.k8s.io", "rolebindings", "RoleBinding", "rbac.authorization.k8s.io/v1";
    CLUSTER_ROLE = "rbac.authorization.k8s.io", "clusterroles", "ClusterRole", "rbac.authorization.k8s.io/v1";
    CLUSTER_ROLE_BINDING = "rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", "rbac.authorization.k8s.io/v1";
    POD = "", "pods", "Pod", "v1";
    NODE = "", "nodes", "Node", "v1";
    ENDPOINT_SLICE = "discovery.k8s.io", "endpointslices", "EndpointSlice", "discovery.k8s.io/v1";
    ENDPOINTS = "", "endpoints", "Endpoints", "v1";
    EVENT = "", "events", "Event", "v1";
}

impl Kind {
    /// The store key of an object of this namespaced kind.
    pub fn key(&self, object: &ObjectKey) -> String {
        object_key(self.group, self.plural, Some(&object.namespace), &object.name)
    }

    /// The store key of an object of this kind, which has no namespaces.
    pub fn cluster_key(&self, name: &str) -> String {
        object_key(self.group, self.plural, None, name)
    }

    /// What the store keys of this kind start with.
    pub fn prefix(&self) -> String {
        collection_prefix(self.group, self.plural, None)
    }

    /// The object that a store key names, if it is of this namespaced kind.
    pub fn object(&self, key: &str) -> Option<ObjectKey> {
        let group = if self.group.is_empty() { "core" } else { self.group };
        let rest = key.strip_prefix(group)?.strip_prefix('/')?.strip_prefix(self.plural)?.strip_prefix('/')?;
        let (namespace, name) = rest.split_once('/')?;
        Some(ObjectKey::new(namespace, name))
    }
}
