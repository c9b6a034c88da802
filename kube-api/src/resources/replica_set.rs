use k8s_openapi::api::apps::v1::ReplicaSet;

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME, number_at},
    honoured::{Rule::*, Rules},
    schema::Schema,
    workload::{self, CONTAINERS, IMAGES, SELECTOR},
};
use crate::template;

pub(super) static REPLICA_SET: Resource = Resource {
    group: "apps",
    version: "v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    scope: Scope::Namespaced,
    durability: Durability::Durable,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[Subresource::Status, Subresource::Scale],
    columns: &[
        NAME,
        Column::number("Desired", |object, _| number_at(object, "/spec/replicas")),
        Column::number("Current", |object, _| number_at(object, "/status/replicas")),
        Column::number("Ready", |object, _| number_at(object, "/status/readyReplicas")),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    schema: Schema::of::<ReplicaSet>(),
    honoured: RULES,
    default: workload::set_defaults,
    validate: workload::validate,
    view: None,
};

const RULES: Rules = &[
    ("spec.replicas", Honoured),
    ("spec.selector", Honoured),
    ("spec.template", By(template::RULES)),
    ("spec.minReadySeconds", Honoured),
];
