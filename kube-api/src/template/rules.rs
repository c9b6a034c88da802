//! What Sampan does with each field of a pod template. Those of its container are in `container_rules`.

use crate::fields::honoured::{Rule::*, Rules};

use super::{
    container_rules::{CONTAINER, FALSE, SANDBOX, TRUE},
    volumes::VOLUME,
};

const ONE_COMPONENT: &str =
    "a replica runs one component: do this work in the component, or in a Deployment of its own";
pub(super) const NO_DISK: &str = "a guest has no file system: keep data in `wasi:keyvalue` (annotation `sampan.dev/key-value`), \
     and read ConfigMaps and Secrets through `env` or `envFrom`";
const NODE_SELECTOR: &str = "use `nodeSelector` or `topologySpreadConstraints`";
const PREFERENCE: &str = "replicas are spread over workers anyway; what must hold goes into `nodeSelector` or \
                          `topologySpreadConstraints`";
const HOST: &str = "a guest does not see the host: a Service of type LoadBalancer opens a port on it";
const NO_ACCOUNT: &str = "guests are given no account and no token of the API";
const CLASS: &str = "the PriorityClass says it: name one in `priorityClassName`";
const NO_HOST_NAME: &str = "a guest has no host name: it is called by the name of its Service";
const RESOLVER: &str = "names of Services come first, then those that the worker's machine knows";
const AT_ONCE: &str = "a replica that a taint expels is moved at once, and serves until another has taken its place";
const APART: &str = "replicas are spread over workers anyway, but where there are fewer workers than replicas, several share \
                     one: guests do not disturb each other, and `topologySpreadConstraints` say how even it must be";
const TOGETHER: &str =
    "guests reach each other through the gateway, wherever they run; what must hold goes into `nodeSelector`";
const OWN_REPLICAS: &str = "replicas are spread over those of the same Deployment anyway";
const ONE_RUNTIME: &str = "every guest runs in sampan's own wasmtime";
/// Names that other ways to run Wasm under Kubernetes give to their runtimes.
const WASM_RUNTIMES: &[&str] = &[
    "wasmtime",
    "wasmtime-spin",
    "wasmtime-spin-v1",
    "wasmtime-spin-v2",
    "wasmtime-slight",
    "wasmtime-wws",
    "spin",
    "slight",
    "wasmedge",
    "wasmer",
    "wasm",
    "wasi",
    "wws",
    "lunatic",
    "crun",
    "crun-wasm",
    "youki",
];

/// The rules, relative to the template.
pub(super) const POD_TEMPLATE: Rules = &[
    ("metadata.labels", Honoured),
    ("metadata.annotations", Honoured),
    ("metadata.name", Honoured),
    ("metadata.namespace", Honoured),
    ("metadata.creationTimestamp", Honoured),
    ("spec.containers[]", By(CONTAINER)),
    ("spec.restartPolicy", Only(&["Always"], "a replica that ends is started again")),
    ("spec.dnsPolicy", Warned(&["ClusterFirst"], RESOLVER)),
    ("spec.dnsConfig.options", Warned(&[], RESOLVER)),
    ("spec.dnsConfig.nameservers", Refused(RESOLVER)),
    ("spec.dnsConfig.searches", Refused(RESOLVER)),
    ("spec.schedulerName", Only(&["default-scheduler"], "there is one scheduler")),
    ("spec.terminationGracePeriodSeconds", Honoured),
    ("spec.nodeSelector", Honoured),
    ("spec.tolerations[].key", Honoured),
    ("spec.tolerations[].operator", Honoured),
    ("spec.tolerations[].value", Honoured),
    ("spec.tolerations[].effect", Honoured),
    ("spec.tolerations[].tolerationSeconds", Warned(&[], AT_ONCE)),
    ("spec.topologySpreadConstraints[].maxSkew", Honoured),
    ("spec.topologySpreadConstraints[].topologyKey", Honoured),
    ("spec.topologySpreadConstraints[].whenUnsatisfiable", Honoured),
    ("spec.topologySpreadConstraints[].labelSelector", Honoured),
    ("spec.topologySpreadConstraints[].matchLabelKeys", Warned(&[], OWN_REPLICAS)),
    ("spec.topologySpreadConstraints[].minDomains", Refused("replicas are spread over the workers that there are")),
    ("spec.topologySpreadConstraints[].nodeAffinityPolicy", Only(&["Honor"], "`nodeSelector` is always heeded")),
    ("spec.topologySpreadConstraints[].nodeTaintsPolicy", Only(&["Ignore"], "every worker counts")),
    ("spec.securityContext.runAsNonRoot", Warned(TRUE, SANDBOX)),
    ("spec.securityContext.runAsUser", Warned(&[], SANDBOX)),
    ("spec.securityContext.runAsGroup", Warned(&[], SANDBOX)),
    ("spec.securityContext.fsGroup", Warned(&[], SANDBOX)),
    ("spec.securityContext.fsGroupChangePolicy", Warned(&[], SANDBOX)),
    ("spec.securityContext.supplementalGroups", Warned(&[], SANDBOX)),
    ("spec.securityContext.supplementalGroupsPolicy", Warned(&[], SANDBOX)),
    ("spec.securityContext.seccompProfile.type", Warned(&["RuntimeDefault"], SANDBOX)),
    ("spec.securityContext.seccompProfile.localhostProfile", Warned(&[], SANDBOX)),
    ("spec.securityContext.appArmorProfile", Warned(&[], SANDBOX)),
    ("spec.securityContext.seLinuxOptions", Warned(&[], SANDBOX)),
    ("spec.securityContext.seLinuxChangePolicy", Warned(&[], SANDBOX)),
    ("spec.securityContext.sysctls", Warned(&[], SANDBOX)),
    ("spec.securityContext.windowsOptions", Refused("guests run on no Windows")),
    ("spec.enableServiceLinks", Honoured),
    ("spec.automountServiceAccountToken", Warned(FALSE, NO_ACCOUNT)),
    ("spec.serviceAccountName", Warned(&["default"], NO_ACCOUNT)),
    ("spec.serviceAccount", Warned(&["default"], NO_ACCOUNT)),
    ("spec.hostNetwork", Only(FALSE, HOST)),
    ("spec.hostPID", Only(FALSE, HOST)),
    ("spec.hostIPC", Only(FALSE, HOST)),
    ("spec.hostUsers", Honoured),
    ("spec.shareProcessNamespace", Warned(FALSE, "a replica has one guest, which is no process")),
    ("spec.setHostnameAsFQDN", Warned(FALSE, NO_HOST_NAME)),
    ("spec.hostAliases", Refused("call Services by their names")),
    ("spec.hostname", Warned(&[], NO_HOST_NAME)),
    ("spec.hostnameOverride", Warned(&[], NO_HOST_NAME)),
    ("spec.subdomain", Warned(&[], NO_HOST_NAME)),
    ("spec.os.name", OnlyWarned(&["linux"], "a guest sees no operating system")),
    ("spec.initContainers", Refused(ONE_COMPONENT)),
    ("spec.ephemeralContainers", Refused(ONE_COMPONENT)),
    ("spec.volumes[]", By(VOLUME)),
    ("spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution", Warned(&[], PREFERENCE)),
    ("spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution", Warned(&[], APART)),
    ("spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution", Warned(&[], PREFERENCE)),
    ("spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution", Warned(&[], TOGETHER)),
    ("spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution", Warned(&[], PREFERENCE)),
    // As far as a `nodeSelector` could say the same.
    ("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", Honoured),
    ("spec.nodeName", Refused(NODE_SELECTOR)),
    ("spec.priorityClassName", Honoured),
    ("spec.priority", Refused(CLASS)),
    ("spec.preemptionPolicy", Only(&["PreemptLowerPriority"], CLASS)),
    ("spec.runtimeClassName", OnlyWarned(WASM_RUNTIMES, ONE_RUNTIME)),
    ("spec.overhead", Warned(&[], "a replica costs what its guest takes")),
    ("spec.imagePullSecrets[].name", Honoured),
    ("spec.activeDeadlineSeconds", Refused("services run until they are deleted")),
    ("spec.readinessGates", Refused("a replica is ready when its probes say so: nothing sets other conditions")),
    ("spec.schedulingGates", Refused("nothing would lift them: create the Deployment when it may run")),
    ("spec.resourceClaims", Refused("guests have no devices")),
    ("spec.resources", Refused("a replica has one container: write them there")),
];
