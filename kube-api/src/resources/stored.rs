//! Kinds that are kept as users write them: roles, which requests are held against, and what tools read and nothing here goes by, which its
//! writers are told.

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::ServiceAccount,
    networking::v1::IngressClass,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME, list_at, number_at, text_at},
    honoured::{Rule::*, Rules},
    resource::{no_checks, no_defaults},
    schema::Schema,
    stored_checks,
};

/// What kinds have in common that users write and nothing here changes.
pub(super) const STORED: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    durability: Durability::Durable,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[],
    columns: &[NAME, AGE],
    schema: Schema { check: |_| Vec::new(), take_nulls_out: |_| {} },
    honoured: &[],
    default: no_defaults,
    validate: no_checks,
    view: None,
};

const RBAC: &str = "rbac.authorization.k8s.io";
pub(super) const NETWORKING: &str = "networking.k8s.io";

pub(super) static SERVICE_ACCOUNT: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    columns: &[NAME, Column::number("Secrets", |object, _| json!(list_at(object, "/secrets").len())), AGE],
    schema: Schema::of::<ServiceAccount>(),
    honoured: &[
        (
            "automountServiceAccountToken",
            Warned(
                &["false"],
                "guests are given no account and no token of the API: `kubectl create token` gives one to a program",
            ),
        ),
        ("imagePullSecrets", Warned(&[], "name the Secrets in the pod template's own `imagePullSecrets`")),
        ("secrets", Honoured),
    ],
    subresources: &[Subresource::Token],
    ..STORED
};

const ROLE_RULES: Rules = &[("rules", Honoured), ("aggregationRule", Honoured)];
const BINDING_RULES: Rules = &[("roleRef", Honoured), ("subjects", Honoured)];
const CREATED: Column = Column::text("Created At", |object, _| object["metadata"]["creationTimestamp"].clone());
const BINDING_COLUMNS: &[Column] = &[
    NAME,
    Column::text("Role", |object, _| {
        let word = |field: &str| object["roleRef"][field].as_str().unwrap_or_default().to_owned();
        json!(format!("{}/{}", word("kind"), word("name")))
    }),
    AGE,
    Column::wide("Users", |object, _| subjects(object, "User")),
    Column::wide("Groups", |object, _| subjects(object, "Group")),
    Column::wide("ServiceAccounts", |object, _| subjects(object, "ServiceAccount")),
];

pub(super) static ROLE: Resource = Resource {
    group: RBAC,
    kind: "Role",
    plural: "roles",
    singular: "role",
    names: NameRule::PathSegment,
    columns: &[NAME, CREATED],
    schema: Schema::of::<Role>(),
    honoured: ROLE_RULES,
    ..STORED
};

pub(super) static CLUSTER_ROLE: Resource = Resource {
    group: RBAC,
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    scope: Scope::Cluster,
    names: NameRule::PathSegment,
    columns: &[NAME, CREATED],
    schema: Schema::of::<ClusterRole>(),
    honoured: ROLE_RULES,
    ..STORED
};

pub(super) static ROLE_BINDING: Resource = Resource {
    group: RBAC,
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    names: NameRule::PathSegment,
    columns: BINDING_COLUMNS,
    schema: Schema::of::<RoleBinding>(),
    honoured: BINDING_RULES,
    ..STORED
};

pub(super) static CLUSTER_ROLE_BINDING: Resource = Resource {
    group: RBAC,
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    scope: Scope::Cluster,
    names: NameRule::PathSegment,
    columns: BINDING_COLUMNS,
    schema: Schema::of::<ClusterRoleBinding>(),
    honoured: BINDING_RULES,
    ..STORED
};

pub(super) static POD_DISRUPTION_BUDGET: Resource = Resource {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Min Available", |object, _| amount_at(object, "minAvailable")),
        Column::text("Max Unavailable", |object, _| amount_at(object, "maxUnavailable")),
        Column::number("Allowed Disruptions", |object, _| number_at(object, "/status/disruptionsAllowed")),
        AGE,
    ],
    schema: Schema::of::<PodDisruptionBudget>(),
    honoured: &[
        (
            "",
            Warned(
                &[],
                "a PodDisruptionBudget is stored and not enforced: a replica that is evicted stops only once another has taken its place",
            ),
        ),
        ("spec.minAvailable", Honoured),
        ("spec.maxUnavailable", Honoured),
        ("spec.selector", Honoured),
        ("spec.unhealthyPodEvictionPolicy", Honoured),
    ],
    validate: stored_checks::disruption_budget,
    ..STORED
};

pub(super) static INGRESS_CLASS: Resource = Resource {
    group: NETWORKING,
    kind: "IngressClass",
    plural: "ingressclasses",
    singular: "ingressclass",
    scope: Scope::Cluster,
    columns: &[
        NAME,
        Column::text("Controller", |object, _| text_at(object, "/spec/controller")),
        Column::text("Parameters", |object, _| text_at(object, "/spec/parameters/name")),
        AGE,
    ],
    schema: Schema::of::<IngressClass>(),
    honoured: &[
        (
            "",
            Warned(
                &[],
                "an IngressClass is stored and changes nothing: sampan's gateway serves every Ingress, whatever its class",
            ),
        ),
        ("spec.controller", Honoured),
        ("spec.parameters", Honoured),
    ],
    validate: stored_checks::ingress_class,
    ..STORED
};

/// The one kind here whose meaning is that it is stored: those who hold it agree among themselves.
pub(super) static LEASE: Resource = Resource {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    columns: &[NAME, Column::text("Holder", |object, _| text_at(object, "/spec/holderIdentity")), AGE],
    schema: Schema::of::<Lease>(),
    honoured: &[("spec", Honoured)],
    validate: stored_checks::lease,
    ..STORED
};

fn subjects(object: &Value, kind: &str) -> Value {
    let subjects = list_at(object, "/subjects").iter().filter(|subject| subject["kind"] == kind);
    let names: Vec<_> = subjects
        .filter_map(|subject| {
            let name = subject["name"].as_str()?;
            Some(subject["namespace"].as_str().map_or_else(|| name.to_owned(), |space| format!("{space}/{name}")))
        })
        .collect();
    json!(names.join(", "))
}

fn amount_at(object: &Value, field: &str) -> Value {
    match &object["spec"][field] {
        Value::Null => json!("N/A"),
        Value::String(text) => json!(text),
        number => json!(number.to_string()),
    }
}
