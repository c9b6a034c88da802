//! What Sampan does with each field of a container.

use crate::fields::honoured::{Rule::*, Rules};

use super::{rules::NO_DISK, volumes::NO_FILES};

pub(super) const SANDBOX: &str = "a guest has no system calls, files, users or devices to begin with";
const NOT_PRIVILEGED: &str = "a guest has no system calls, files, users or devices to begin with, so remove it";
const NO_COMMAND: &str = "a component has no shell and no processes that could run it: use `httpGet`";
const UP: &str = "a guest listens at no port of its own, so it counts as well as soon as it runs: \
                  `httpGet` asks the guest";
const NO_PROCESS: &str = "a component has no processes, terminals or signals";
const PLAIN_HTTP: &str = "the request never leaves sampan, so it needs no TLS";
const POD_GRACE: &str = "the pod's own `terminationGracePeriodSeconds` holds";
pub(super) const ARGUMENTS: &str = "a component has no command line: pass settings through `env`";
const NO_HOOKS: &str = "a replica is drained before it stops; there are no hooks";
const DRAINED: &str = "a replica is out of every endpoint, and its requests are answered, before it stops";
const HOST_PORT: &str = "a Service of type LoadBalancer opens a port on the host";

pub(super) const TRUE: &[&str] = &["true"];
pub(super) const FALSE: &[&str] = &["false"];

/// The rules, relative to the container.
pub(super) const CONTAINER: Rules = &[
    ("name", Honoured),
    ("image", Honoured),
    ("imagePullPolicy", Honoured),
    ("terminationMessagePath", Honoured),
    ("terminationMessagePolicy", Honoured),
    ("env[].name", Honoured),
    ("env[].value", Honoured),
    ("env[].valueFrom.configMapKeyRef", Honoured),
    ("env[].valueFrom.secretKeyRef", Honoured),
    ("env[].valueFrom.fieldRef", Honoured),
    ("env[].valueFrom.resourceFieldRef", Honoured),
    ("env[].valueFrom.fileKeyRef", Refused(NO_DISK)),
    ("envFrom", Honoured),
    ("ports[].containerPort", Honoured),
    ("ports[].name", Honoured),
    ("ports[].protocol", Only(&["TCP"], "requests come as HTTP over TCP")),
    ("ports[].hostPort", Refused(HOST_PORT)),
    ("ports[].hostIP", Refused(HOST_PORT)),
    ("resources.limits", Honoured),
    ("resources.limits.ephemeral-storage", Warned(&[], "a guest has no file system that could grow")),
    ("resources.requests", Honoured),
    ("resources.requests.ephemeral-storage", Warned(&[], "a guest has no file system that could grow")),
    ("resources.claims", Refused("guests have no devices")),
    ("resizePolicy", Warned(&[], "other resources make another revision, which replaces replicas one by one")),
    // One mistake, though it may stand in both: `check_command_line` says it once.
    ("command", Honoured),
    ("args", Honoured),
    ("workingDir", Refused(NO_DISK)),
    ("volumeMounts", Warned(&[], NO_FILES)),
    ("volumeDevices", Refused(NO_DISK)),
    ("lifecycle.preStop.sleep", Warned(&[], DRAINED)),
    ("lifecycle.preStop.exec", Refused(NO_HOOKS)),
    ("lifecycle.preStop.httpGet", Refused(NO_HOOKS)),
    ("lifecycle.preStop.tcpSocket", Refused(NO_HOOKS)),
    ("lifecycle.postStart", Refused(NO_HOOKS)),
    ("lifecycle.stopSignal", Refused(NO_PROCESS)),
    ("restartPolicy", Only(&["Always"], "a replica that fails is started again")),
    ("restartPolicyRules", Refused("a replica that fails is started again, whatever it ended with")),
    ("stdin", Only(FALSE, NO_PROCESS)),
    ("stdinOnce", Only(FALSE, NO_PROCESS)),
    ("tty", Only(FALSE, NO_PROCESS)),
    ("securityContext.privileged", Only(FALSE, NOT_PRIVILEGED)),
    ("securityContext.allowPrivilegeEscalation", Warned(FALSE, SANDBOX)),
    ("securityContext.readOnlyRootFilesystem", Warned(TRUE, SANDBOX)),
    ("securityContext.runAsNonRoot", Warned(TRUE, SANDBOX)),
    ("securityContext.runAsUser", Warned(&[], SANDBOX)),
    ("securityContext.runAsGroup", Warned(&[], SANDBOX)),
    ("securityContext.capabilities.drop", Honoured),
    ("securityContext.capabilities.add", Warned(&[], SANDBOX)),
    ("securityContext.seccompProfile.type", Warned(&["RuntimeDefault"], SANDBOX)),
    ("securityContext.seccompProfile.localhostProfile", Warned(&[], SANDBOX)),
    ("securityContext.appArmorProfile", Warned(&[], SANDBOX)),
    ("securityContext.seLinuxOptions", Warned(&[], SANDBOX)),
    ("securityContext.procMount", Warned(&[], SANDBOX)),
    ("securityContext.windowsOptions", Refused("guests run on no Windows")),
    ("startupProbe", By(PROBE)),
    ("readinessProbe", By(PROBE)),
    ("livenessProbe", By(PROBE)),
];

const PROBE: Rules = &[
    ("httpGet.path", Honoured),
    ("httpGet.port", Honoured),
    ("httpGet.httpHeaders", Honoured),
    ("httpGet.scheme", Warned(&["HTTP"], PLAIN_HTTP)),
    ("httpGet.host", Refused("the replica itself is asked")),
    ("initialDelaySeconds", Honoured),
    ("timeoutSeconds", Honoured),
    ("periodSeconds", Honoured),
    ("successThreshold", Honoured),
    ("failureThreshold", Honoured),
    ("terminationGracePeriodSeconds", Warned(&[], POD_GRACE)),
    ("exec", Refused(NO_COMMAND)),
    ("tcpSocket", Warned(&[], UP)),
    ("grpc", Warned(&[], UP)),
];
