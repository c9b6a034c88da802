//! Kinds of Kubernetes that have no objects here. They are known so that tools that look at all usual kinds find none of
//! them, as `kubectl apply --prune` does, and so that who writes one is told what to do instead.

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{LimitRange, PersistentVolume, PersistentVolumeClaim, ReplicationController, ResourceQuota},
    storage::v1::StorageClass,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::{Durability, Resource, Scope, schema::Schema, stored::STORED};

const NO_DISK: &str = "a guest has no file system: keep data in `wasi:keyvalue` (annotation `sampan.dev/key-value`)";
const NO_QUOTA: &str = "nothing limits a namespace as a whole: write `resources` into each pod template";
const NO_JOBS: &str = "what runs here answers requests: make the work a request to a Deployment, which may be scaled to zero between them";

/// Why there are no objects of these kinds, by what stands in their paths.
const INSTEAD: &[(&str, &str)] = &[
    (
        "statefulsets",
        "replicas have neither names of their own nor disks: write a Deployment, and keep data in `wasi:keyvalue`",
    ),
    ("daemonsets", "a guest is no agent of its node: write a Deployment, whose replicas are spread over the nodes"),
    ("replicationcontrollers", "write a Deployment"),
    ("controllerrevisions", "what a Deployment was is kept in its ReplicaSets: `kubectl rollout history` shows it"),
    ("jobs", NO_JOBS),
    ("cronjobs", NO_JOBS),
    ("persistentvolumeclaims", NO_DISK),
    ("persistentvolumes", NO_DISK),
    ("storageclasses", NO_DISK),
    ("resourcequotas", NO_QUOTA),
    ("limitranges", NO_QUOTA),
    ("customresourcedefinitions", "no further kinds can be added: leave out what needs an operator"),
];

/// What to do instead of writing an object of this kind, if it is one of which there are none here.
pub fn instead(resource: &Resource) -> Option<&'static str> {
    INSTEAD.iter().find(|(plural, _)| *plural == resource.plural).map(|(_, instead)| *instead)
}

/// What these have in common: nothing is stored, and nothing written.
const ABSENT: Resource = Resource { durability: Durability::Live, ..STORED };

pub(super) static STATEFUL_SET: Resource = Resource {
    group: "apps",
    kind: "StatefulSet",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    schema: Schema::of::<StatefulSet>(),
    ..ABSENT
};

pub(super) static DAEMON_SET: Resource = Resource {
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    schema: Schema::of::<DaemonSet>(),
    ..ABSENT
};

pub(super) static REPLICATION_CONTROLLER: Resource = Resource {
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    schema: Schema::of::<ReplicationController>(),
    ..ABSENT
};

pub(super) static CONTROLLER_REVISION: Resource = Resource {
    group: "apps",
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    schema: Schema::of::<ControllerRevision>(),
    ..ABSENT
};

pub(super) static JOB: Resource =
    Resource { group: "batch", kind: "Job", plural: "jobs", singular: "job", schema: Schema::of::<Job>(), ..ABSENT };

pub(super) static CRON_JOB: Resource = Resource {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    schema: Schema::of::<CronJob>(),
    ..ABSENT
};

pub(super) static PERSISTENT_VOLUME_CLAIM: Resource = Resource {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    schema: Schema::of::<PersistentVolumeClaim>(),
    ..ABSENT
};

pub(super) static PERSISTENT_VOLUME: Resource = Resource {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    scope: Scope::Cluster,
    schema: Schema::of::<PersistentVolume>(),
    ..ABSENT
};

pub(super) static STORAGE_CLASS: Resource = Resource {
    group: "storage.k8s.io",
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    scope: Scope::Cluster,
    schema: Schema::of::<StorageClass>(),
    ..ABSENT
};

pub(super) static RESOURCE_QUOTA: Resource = Resource {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    schema: Schema::of::<ResourceQuota>(),
    ..ABSENT
};

pub(super) static LIMIT_RANGE: Resource = Resource {
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    schema: Schema::of::<LimitRange>(),
    ..ABSENT
};

pub(super) static CUSTOM_RESOURCE_DEFINITION: Resource = Resource {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    scope: Scope::Cluster,
    schema: Schema::of::<CustomResourceDefinition>(),
    ..ABSENT
};
