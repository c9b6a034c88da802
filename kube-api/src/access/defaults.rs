//! The roles that are there from the beginning, as in Kubernetes: `cluster-admin`, `admin`, `edit` and `view`, and what everybody
//! may do who shows who he is.

use api::Timestamp;
use http_server::{AUTHENTICATED, MASTERS};
use serde_json::{Value, json};

use crate::{
    identity::{derived_uid, rfc3339},
    kind::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING},
};

const RBAC: &str = "rbac.authorization.k8s.io";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// What of each group the role `view` shows. Secrets are not among it, nor are roles: who reads them might become more.
const VIEWED: [(&str, &[&str]); 9] = [
    (
        "",
        &[
            "configmaps",
            "endpoints",
            "events",
            "namespaces",
            "namespaces/status",
            "pods",
            "pods/log",
            "pods/status",
            "replicationcontrollers",
            "resourcequotas",
            "limitranges",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs", "jobs"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("events.k8s.io", &["events"]),
    ("metrics.k8s.io", &["pods"]),
    ("networking.k8s.io", &["ingresses", "ingresses/status", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
];
/// What the role `edit` changes.
const EDITED: [(&str, &[&str]); 6] = [
    (
        "",
        &[
            "configmaps",
            "events",
            "pods",
            "secrets",
            "serviceaccounts",
            "serviceaccounts/token",
            "services",
            "services/proxy",
            "pods/eviction",
        ],
    ),
    ("apps", &["deployments", "deployments/scale", "replicasets", "replicasets/scale"]),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("events.k8s.io", &["events"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
];

/// The roles and bindings, each with its key in the store.
pub fn default_roles(now: Timestamp) -> Vec<(String, Value)> {
    let all = || {
        vec![
            json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }),
            json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }),
        ]
    };
    let basic = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    let described = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let roles = [
        ("cluster-admin", all()),
        ("admin", [viewed(), edited(), administered()].concat()),
        ("edit", [viewed(), edited()].concat()),
        ("view", viewed()),
        (
            "system:basic-user",
            vec![
                rule("authorization.k8s.io", &basic, &["create"]),
                rule("authentication.k8s.io", &["selfsubjectreviews"], &["create"]),
            ],
        ),
        ("system:discovery", vec![json!({ "verbs": ["get"], "nonResourceURLs": described })]),
    ];
    let bound = [("cluster-admin", MASTERS), ("system:basic-user", AUTHENTICATED), ("system:discovery", AUTHENTICATED)];
    let metadata = |kind: &str, name: &str| {
        json!({ "name": name, "uid": derived_uid(&[kind, name]), "creationTimestamp": rfc3339(now),
            "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" } })
    };
    let roles = roles.into_iter().map(|(name, rules)| {
        let role = json!({ "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
            "metadata": metadata("clusterrole", name), "rules": rules });
        (CLUSTER_ROLE.cluster_key(name), role)
    });
    let bindings = bound.into_iter().map(|(name, group)| {
        let binding = json!({ "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
            "metadata": metadata("clusterrolebinding", name),
            "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": name },
            "subjects": [{ "apiGroup": RBAC, "kind": "Group", "name": group }] });
        (CLUSTER_ROLE_BINDING.cluster_key(name), binding)
    });
    roles.chain(bindings).collect()
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "verbs": verbs, "apiGroups": [group], "resources": resources })
}

fn viewed() -> Vec<Value> {
    VIEWED.iter().map(|(group, resources)| rule(group, resources, &READ)).collect()
}

fn edited() -> Vec<Value> {
    let written = EDITED.iter().map(|(group, resources)| rule(group, resources, &WRITE));
    // Kubernetes' `edit` reads Secrets, and acts as the accounts of its namespace.
    let read = [rule("", &["secrets", "services/proxy"], &READ), rule("", &["serviceaccounts"], &["impersonate"])];
    written.chain(read).collect()
}

/// What `admin` may beside: give roles, of no more than it has.
fn administered() -> Vec<Value> {
    let verbs = [READ.as_slice(), WRITE.as_slice()].concat();
    vec![
        rule(RBAC, &["roles", "rolebindings"], &verbs),
        rule("authorization.k8s.io", &["localsubjectaccessreviews"], &["create"]),
    ]
}
