//! Kinds of Kubernetes that have no objects here. They are known so that tools that look at all usual kinds find none of
//! them, as `kubectl apply --prune` does, and so that who writes one is told what to do instead.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{PersistentVolume, PersistentVolumeClaim, ReplicationController},
};

use super::{Durability, Resource, Scope, schema::Schema, stored::STORED};

const NO_DISK: &str = "a guest has no file system: keep data in `wasi:keyvalue` (annotation `sampan.dev/key-value`)";
const NO_JOBS: &str = "what runs here answers requests: make the work a request to a Deployment, which may be scaled to zero between them";

/// Why there are no objects of these kinds, by what stands in their paths.
const INSTEAD: &[(&str, &str)] = &[
    (
        "statefulsets",
        "replicas have neither names of their own nor disks: write a Deployment, and keep data in `wasi:keyvalue`",
    ),
    ("daemonsets", "a guest is no agent of its node: write a Deployment, whose replicas are spread over the nodes"),
    ("replicationcontrollers", "write a Deployment"),
    ("jobs", NO_JOBS),
    ("cronjobs", NO_JOBS),
    ("persistentvolumeclaims", NO_DISK),
    ("persistentvolumes", NO_DISK),
];

/// What to do instead of writing an object of this kind.
pub(crate) fn instead(resource: &Resource) -> Option<&'static str> {
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
