//! How lists are merged: the `patchStrategy` and `patchMergeKey` of Kubernetes' types, for the kinds that are served.

/// How a list of a patch is put into the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListRule {
    /// It takes its place.
    Replace,
    /// Values that are not there yet are added.
    Set,
    /// Elements with the same value of this field are merged.
    Keyed(&'static str),
}

use ListRule::{Keyed, Set};

/// Where pod templates stand in an object.
const TEMPLATE: &str = "spec.template.";

/// Lists of pods and pod templates, relative to them.
const POD: &[(&str, ListRule)] = &[
    ("metadata.ownerReferences", Keyed("uid")),
    ("metadata.finalizers", Set),
    ("spec.containers", Keyed("name")),
    ("spec.containers.env", Keyed("name")),
    ("spec.containers.ports", Keyed("containerPort")),
    ("spec.containers.volumeMounts", Keyed("mountPath")),
    ("spec.containers.volumeDevices", Keyed("devicePath")),
    ("spec.initContainers", Keyed("name")),
    ("spec.initContainers.env", Keyed("name")),
    ("spec.initContainers.ports", Keyed("containerPort")),
    ("spec.initContainers.volumeMounts", Keyed("mountPath")),
    ("spec.initContainers.volumeDevices", Keyed("devicePath")),
    ("spec.ephemeralContainers", Keyed("name")),
    ("spec.volumes", Keyed("name")),
    ("spec.imagePullSecrets", Keyed("name")),
    ("spec.hostAliases", Keyed("ip")),
    ("spec.topologySpreadConstraints", Keyed("topologyKey")),
    ("spec.schedulingGates", Keyed("name")),
    ("spec.resourceClaims", Keyed("name")),
    ("status.conditions", Keyed("type")),
    ("status.podIPs", Keyed("ip")),
];

/// Lists of other objects.
const OBJECT: &[(&str, ListRule)] =
    &[("metadata.ownerReferences", Keyed("uid")), ("metadata.finalizers", Set), ("status.conditions", Keyed("type"))];

/// Lists of one kind alone.
const OF_KIND: &[(&str, &str, ListRule)] = &[
    ("Service", "spec.ports", Keyed("port")),
    ("Node", "spec.podCIDRs", Set),
    ("Node", "status.addresses", Keyed("type")),
];

/// The rule for the list at this path (without indices) of an object of this kind.
pub(super) fn list_rule(kind: &str, path: &str) -> ListRule {
    let of_kind = OF_KIND.iter().find(|(of, at, _)| *of == kind && *at == path).map(|(_, _, rule)| *rule);
    let find = |rules: &[(&str, ListRule)], path: &str| rules.iter().find(|(at, _)| *at == path).map(|(_, rule)| *rule);
    let general = match (kind, path.strip_prefix(TEMPLATE)) {
        ("Pod", _) => find(POD, path),
        ("Deployment" | "ReplicaSet", Some(path)) => find(POD, path),
        _ => find(OBJECT, path),
    };
    of_kind.or(general).unwrap_or(ListRule::Replace)
}
