//! The fields of the kinds that are read, with the numbers of Kubernetes' published `generated.proto` files.

use super::decode::{
    Field,
    Type::{self, *},
};

/// The fields of a kind; `None` if it is not read in this form.
pub(super) fn of_kind(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    KINDS.iter().find(|(version, name, _)| *version == api_version && *name == kind).map(|(.., fields)| *fields)
}

pub(super) const KINDS: &[(&str, &str, &[Field])] = &[
    ("v1", "Namespace", &[METADATA, Field(2, "spec", Ignored), STATUS]),
    (
        "v1",
        "Secret",
        &[
            METADATA,
            Field(2, "data", Map(&Bytes)),
            Field(3, "type", Text),
            Field(4, "stringData", Map(&Text)),
            Field(5, "immutable", OptionalFlag),
        ],
    ),
    (
        "v1",
        "ConfigMap",
        &[
            METADATA,
            Field(2, "data", Map(&Text)),
            Field(3, "binaryData", Map(&Bytes)),
            Field(4, "immutable", OptionalFlag),
        ],
    ),
    ("policy/v1", "Eviction", &[METADATA, Field(2, "deleteOptions", Message(DELETE_OPTIONS))]),
    ("apps/v1", "Deployment", &[METADATA, Field(2, "spec", Message(DEPLOYMENT)), STATUS]),
    ("autoscaling/v1", "HorizontalPodAutoscaler", &[METADATA, Field(2, "spec", Message(AUTOSCALER_V1)), STATUS]),
    ("autoscaling/v2", "HorizontalPodAutoscaler", &[METADATA, Field(2, "spec", Message(AUTOSCALER)), STATUS]),
    (
        "scheduling.k8s.io/v1",
        "PriorityClass",
        &[
            METADATA,
            Field(2, "value", Number),
            Field(3, "globalDefault", Flag),
            Field(4, "description", Text),
            Field(5, "preemptionPolicy", Text),
        ],
    ),
];

/// Of the envelope.
pub(super) const TYPE_META: &[Field] = &[Field(1, "apiVersion", Text), Field(2, "kind", Text)];

const METADATA: Field = Field(1, "metadata", Message(OBJECT_META));
const STATUS: Field = Field(3, "status", Ignored);
const TEXTS: Type = Map(&Text);
const QUANTITIES: Type = Map(&Quantity);

const OBJECT_META: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "generateName", Text),
    Field(3, "namespace", Text),
    Field(11, "labels", TEXTS),
    Field(12, "annotations", TEXTS),
    Field(14, "finalizers", List(&Text)),
];

const DELETE_OPTIONS: &[Field] = &[
    Field(1, "gracePeriodSeconds", OptionalNumber),
    Field(2, "preconditions", Message(&[Field(1, "uid", Text), Field(2, "resourceVersion", Text)])),
    Field(3, "orphanDependents", OptionalFlag),
    Field(4, "propagationPolicy", Text),
    Field(5, "dryRun", List(&Text)),
];

/// What `kubectl create deployment` writes.
const DEPLOYMENT: &[Field] = &[
    Field(1, "replicas", OptionalNumber),
    Field(2, "selector", Message(&[Field(1, "matchLabels", TEXTS)])),
    Field(3, "template", Message(&[METADATA, Field(2, "spec", Message(POD))])),
    Field(4, "strategy", Message(&[Field(1, "type", Text)])),
    Field(5, "minReadySeconds", Number),
    Field(6, "revisionHistoryLimit", OptionalNumber),
    Field(7, "paused", Flag),
    Field(9, "progressDeadlineSeconds", OptionalNumber),
];
const POD: &[Field] = &[
    Field(2, "containers", List(&Message(CONTAINER))),
    Field(3, "restartPolicy", Text),
    Field(4, "terminationGracePeriodSeconds", OptionalNumber),
    Field(7, "nodeSelector", TEXTS),
    Field(24, "priorityClassName", Text),
];
const CONTAINER: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "image", Text),
    Field(3, "command", List(&Text)),
    Field(4, "args", List(&Text)),
    Field(6, "ports", List(&Message(PORT))),
    Field(8, "resources", Message(&[Field(1, "limits", QUANTITIES), Field(2, "requests", QUANTITIES)])),
    Field(14, "imagePullPolicy", Text),
];
const PORT: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "hostPort", Number),
    Field(3, "containerPort", Number),
    Field(4, "protocol", Text),
    Field(5, "hostIP", Text),
];

const SCALE_TARGET: Field = Field(
    1,
    "scaleTargetRef",
    Message(&[Field(1, "kind", Text), Field(2, "name", Text), Field(3, "apiVersion", Text)]),
);
const AUTOSCALER_V1: &[Field] = &[
    SCALE_TARGET,
    Field(2, "minReplicas", OptionalNumber),
    Field(3, "maxReplicas", Number),
    Field(4, "targetCPUUtilizationPercentage", OptionalNumber),
];
const AUTOSCALER: &[Field] = &[
    SCALE_TARGET,
    Field(2, "minReplicas", OptionalNumber),
    Field(3, "maxReplicas", Number),
    Field(4, "metrics", List(&Message(METRIC))),
    Field(5, "behavior", Message(&[Field(1, "scaleUp", Message(RULES)), Field(2, "scaleDown", Message(RULES))])),
];
const METRIC: &[Field] = &[
    Field(1, "type", Text),
    Field(3, "pods", Message(&[Field(1, "metric", Message(&[Field(1, "name", Text)])), METRIC_TARGET])),
    Field(4, "resource", Message(&[Field(1, "name", Text), METRIC_TARGET])),
    Field(7, "containerResource", Message(&[Field(1, "name", Text), METRIC_TARGET, Field(3, "container", Text)])),
];
const METRIC_TARGET: Field = Field(
    2,
    "target",
    Message(&[
        Field(1, "type", Text),
        Field(2, "value", Quantity),
        Field(3, "averageValue", Quantity),
        Field(4, "averageUtilization", OptionalNumber),
    ]),
);
const RULES: &[Field] = &[
    Field(1, "selectPolicy", Text),
    Field(2, "policies", List(&Message(POLICY))),
    Field(3, "stabilizationWindowSeconds", OptionalNumber),
    Field(4, "tolerance", Quantity),
];
const POLICY: &[Field] = &[Field(1, "type", Text), Field(2, "value", Number), Field(3, "periodSeconds", Number)];
