//! `volumes` of a pod and `volumeMounts` of its container. A guest has no files, so an empty directory is one that nobody opens,
//! and whatever would hold something is refused: once, where the volume stands, and not where it is mounted.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::fields::{
    Cause, FieldError,
    honoured::{
        Rule::{self, *},
        Rules,
    },
};

use super::rules::NO_DISK;

pub(super) const NO_FILES: &str =
    "a guest has no file system, so nothing is mounted: what it is to keep goes into `wasi:keyvalue`";
const BY_ENVIRONMENT: &str = "a guest has no file system: it reads ConfigMaps and Secrets through `env` or `envFrom`";
const BY_FIELD_REF: &str = "a guest has no file system: it reads fields of its pod through `env` with a `fieldRef`";

const fn held_elsewhere(field: &'static str) -> (&'static str, Rule) {
    (field, Refused(NO_DISK))
}

/// The rules, relative to the volume.
pub(super) const VOLUME: Rules = &[
    ("name", Honoured),
    // Where it is mounted its writer is told that it is not.
    ("emptyDir", Honoured),
    ("configMap", Refused(BY_ENVIRONMENT)),
    ("secret", Refused(BY_ENVIRONMENT)),
    ("projected", Refused(BY_ENVIRONMENT)),
    ("downwardAPI", Refused(BY_FIELD_REF)),
    held_elsewhere("persistentVolumeClaim"),
    held_elsewhere("hostPath"),
    held_elsewhere("ephemeral"),
    held_elsewhere("image"),
    held_elsewhere("csi"),
    held_elsewhere("nfs"),
    held_elsewhere("iscsi"),
    held_elsewhere("fc"),
    held_elsewhere("gitRepo"),
    held_elsewhere("flexVolume"),
    held_elsewhere("awsElasticBlockStore"),
    held_elsewhere("azureDisk"),
    held_elsewhere("azureFile"),
    held_elsewhere("cephfs"),
    held_elsewhere("cinder"),
    held_elsewhere("flocker"),
    held_elsewhere("gcePersistentDisk"),
    held_elsewhere("glusterfs"),
    held_elsewhere("photonPersistentDisk"),
    held_elsewhere("portworxVolume"),
    held_elsewhere("quobyte"),
    held_elsewhere("rbd"),
    held_elsewhere("scaleIO"),
    held_elsewhere("storageos"),
    held_elsewhere("vsphereVolume"),
];

/// Checks that each volume has a name of its own, and that what is mounted is there, at places of their own.
pub(super) fn check(spec: &PodSpec, container: &Container, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let path = format!("spec.volumes[{index}].name");
        if let Err(error) = api::check_dns_label(&volume.name) {
            errors.push(match volume.name.as_str() {
                "" => FieldError::required(path, "is missing: a volume needs a name"),
                _ => FieldError::invalid(path, error.to_string()),
            });
        } else if !names.insert(volume.name.as_str()) {
            errors.push(FieldError::new(Cause::Duplicate, path, format!("`{}` stands twice", volume.name)));
        }
    }
    let mut places = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = format!("spec.containers[0].volumeMounts[{index}]");
        if mount.name.is_empty() || mount.mount_path.is_empty() {
            errors.push(FieldError::required(path, "needs the `name` of a volume and a `mountPath`"));
        } else if !names.contains(mount.name.as_str()) {
            let message = format!("`{}` is none of `spec.volumes`", mount.name);
            errors.push(FieldError::invalid(format!("{path}.name"), message));
        } else if !places.insert(mount.mount_path.as_str()) {
            let message = format!("`{}` stands twice", mount.mount_path);
            errors.push(FieldError::new(Cause::Duplicate, format!("{path}.mountPath"), message));
        }
    }
}
