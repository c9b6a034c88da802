//! The fields of the kinds that are read, with the numbers of Kubernetes' published `generated.proto` files.

use super::decode::{
    Field,
    Type::{self, *},
};

/// The fields of a kind; `None` if it is not read in this form.
pub(super) fn of_kind(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    let is = |version: &str, name: &str| (version == api_version || version == ANY_VERSION) && name == kind;
    KINDS.iter().find(|(version, name, _)| is(version, name)).map(|(.., fields)| *fields)
}

/// Of kinds that clients name by the version of what they ask for.
const ANY_VERSION: &str = "";

pub(super) const KINDS: &[(&str, &str, &[Field])] = &[
    (ANY_VERSION, "DeleteOptions", DELETE_OPTIONS),
    ("v1", "Service", &[METADATA, Field(2, "spec", Message(SERVICE)), STATUS]),
    ("networking.k8s.io/v1", "NetworkPolicy", &[METADATA, Field(2, "spec", Message(NETWORK_POLICY))]),
    ("networking.k8s.io/v1", "Ingress", &[METADATA, Field(2, "spec", Message(INGRESS)), STATUS]),
    (
        "v1",
        "ServiceAccount",
        &[
            METADATA,
            Field(2, "secrets", List(&Message(OBJECT_REFERENCE))),
            Field(3, "imagePullSecrets", List(&Message(&[Field(1, "name", Text)]))),
            Field(4, "automountServiceAccountToken", OptionalFlag),
        ],
    ),
    ("rbac.authorization.k8s.io/v1", "Role", &[METADATA, POLICY_RULES]),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        &[
            METADATA,
            POLICY_RULES,
            Field(3, "aggregationRule", Message(&[Field(1, "clusterRoleSelectors", List(&Message(LABEL_SELECTOR)))])),
        ],
    ),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", &[METADATA, SUBJECTS, ROLE_REF]),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", &[METADATA, SUBJECTS, ROLE_REF]),
    (
        "policy/v1",
        "PodDisruptionBudget",
        &[
            METADATA,
            Field(
                2,
                "spec",
                Message(&[
                    Field(1, "minAvailable", IntOrString),
                    Field(2, "selector", Message(LABEL_SELECTOR)),
                    Field(3, "maxUnavailable", IntOrString),
                    Field(4, "unhealthyPodEvictionPolicy", Text),
                ]),
            ),
            STATUS,
        ],
    ),
    (
        "coordination.k8s.io/v1",
        "Lease",
        &[
            METADATA,
            Field(
                2,
                "spec",
                Message(&[
                    Field(1, "holderIdentity", Text),
                    Field(2, "leaseDurationSeconds", OptionalNumber),
                    Field(3, "acquireTime", Time),
                    Field(4, "renewTime", Time),
                    Field(5, "leaseTransitions", OptionalNumber),
                    Field(6, "strategy", Text),
                    Field(7, "preferredHolder", Text),
                ]),
            ),
        ],
    ),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview", &[METADATA, Field(2, "spec", Message(ACCESS)), STATUS]),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        &[METADATA, Field(2, "spec", Message(&[Field(1, "namespace", Text)])), STATUS],
    ),
    ("authentication.k8s.io/v1", "SelfSubjectReview", &[METADATA, Field(2, "status", Ignored)]),
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

/// With what a client sends back that has read an object before.
const OBJECT_META: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "generateName", Text),
    Field(3, "namespace", Text),
    Field(4, "selfLink", Ignored),
    Field(5, "uid", Text),
    Field(6, "resourceVersion", Text),
    Field(7, "generation", Number),
    Field(8, "creationTimestamp", Time),
    Field(9, "deletionTimestamp", Time),
    Field(10, "deletionGracePeriodSeconds", OptionalNumber),
    Field(11, "labels", TEXTS),
    Field(12, "annotations", TEXTS),
    Field(13, "ownerReferences", List(&Message(OWNER_REFERENCE))),
    Field(14, "finalizers", List(&Text)),
    Field(17, "managedFields", Ignored),
];
const OWNER_REFERENCE: &[Field] = &[
    Field(1, "kind", Text),
    Field(3, "name", Text),
    Field(4, "uid", Text),
    Field(5, "apiVersion", Text),
    Field(6, "controller", OptionalFlag),
    Field(7, "blockOwnerDeletion", OptionalFlag),
];
const OBJECT_REFERENCE: &[Field] = &[
    Field(1, "kind", Text),
    Field(2, "namespace", Text),
    Field(3, "name", Text),
    Field(4, "uid", Text),
    Field(5, "apiVersion", Text),
    Field(6, "resourceVersion", Text),
    Field(7, "fieldPath", Text),
];
const LABEL_SELECTOR: &[Field] = &[
    Field(1, "matchLabels", TEXTS),
    Field(
        2,
        "matchExpressions",
        List(&Message(&[Field(1, "key", Text), Field(2, "operator", Text), Field(3, "values", List(&Text))])),
    ),
];

const POLICY_RULES: Field = Field(
    2,
    "rules",
    List(&Message(&[
        Field(1, "verbs", List(&Text)),
        Field(2, "apiGroups", List(&Text)),
        Field(3, "resources", List(&Text)),
        Field(4, "resourceNames", List(&Text)),
        Field(5, "nonResourceURLs", List(&Text)),
    ])),
);
const SUBJECTS: Field = Field(
    2,
    "subjects",
    List(&Message(&[
        Field(1, "kind", Text),
        Field(2, "apiGroup", Text),
        Field(3, "name", Text),
        Field(4, "namespace", Text),
    ])),
);
const ROLE_REF: Field =
    Field(3, "roleRef", Message(&[Field(1, "apiGroup", Text), Field(2, "kind", Text), Field(3, "name", Text)]));

/// What `kubectl create service` and `kubectl expose` write.
const SERVICE: &[Field] = &[
    Field(
        1,
        "ports",
        List(&Message(&[
            Field(1, "name", Text),
            Field(2, "protocol", Text),
            Field(3, "port", Number),
            Field(4, "targetPort", IntOrString),
            Field(5, "nodePort", Number),
            Field(6, "appProtocol", Text),
        ])),
    ),
    Field(2, "selector", TEXTS),
    Field(3, "clusterIP", Text),
    Field(4, "type", Text),
    Field(5, "externalIPs", List(&Text)),
    Field(7, "sessionAffinity", Text),
    Field(8, "loadBalancerIP", Text),
    Field(9, "loadBalancerSourceRanges", List(&Text)),
    Field(10, "externalName", Text),
    Field(11, "externalTrafficPolicy", Text),
    Field(12, "healthCheckNodePort", Number),
    Field(13, "publishNotReadyAddresses", Flag),
    Field(17, "ipFamilyPolicy", Text),
    Field(18, "clusterIPs", List(&Text)),
    Field(19, "ipFamilies", List(&Text)),
    Field(20, "allocateLoadBalancerNodePorts", OptionalFlag),
    Field(21, "loadBalancerClass", Text),
    Field(22, "internalTrafficPolicy", Text),
    Field(23, "trafficDistribution", Text),
];

/// What `kubectl create ingress` writes.
const NETWORK_POLICY: &[Field] = &[
    Field(1, "podSelector", Message(LABEL_SELECTOR)),
    Field(2, "ingress", List(&Message(&[POLICY_PORTS, Field(2, "from", List(&Message(POLICY_PEER)))]))),
    Field(3, "egress", List(&Message(&[POLICY_PORTS, Field(2, "to", List(&Message(POLICY_PEER)))]))),
    Field(4, "policyTypes", List(&Text)),
];
const POLICY_PORTS: Field = Field(
    1,
    "ports",
    List(&Message(&[Field(1, "protocol", Text), Field(2, "port", IntOrString), Field(3, "endPort", OptionalNumber)])),
);
const POLICY_PEER: &[Field] = &[
    Field(1, "podSelector", OptionalMessage(LABEL_SELECTOR)),
    Field(2, "namespaceSelector", OptionalMessage(LABEL_SELECTOR)),
    Field(3, "ipBlock", Message(&[Field(1, "cidr", Text), Field(2, "except", List(&Text))])),
];
const INGRESS: &[Field] = &[
    Field(1, "defaultBackend", Message(BACKEND)),
    Field(2, "tls", List(&Message(&[Field(1, "hosts", List(&Text)), Field(2, "secretName", Text)]))),
    Field(
        3,
        "rules",
        List(&Message(&[
            Field(1, "host", Text),
            Field(2, "", Inlined(&[Field(1, "http", Message(&[Field(1, "paths", List(&Message(PATH)))]))])),
        ])),
    ),
    Field(4, "ingressClassName", Text),
];
const PATH: &[Field] = &[Field(1, "path", Text), Field(2, "backend", Message(BACKEND)), Field(3, "pathType", Text)];
const BACKEND: &[Field] = &[
    Field(3, "resource", Message(&[Field(1, "apiGroup", Text), Field(2, "kind", Text), Field(3, "name", Text)])),
    Field(
        4,
        "service",
        Message(&[
            Field(1, "name", Text),
            Field(2, "port", Message(&[Field(1, "name", Text), Field(2, "number", Number)])),
        ]),
    ),
];

const DELETE_OPTIONS: &[Field] = &[
    Field(1, "gracePeriodSeconds", OptionalNumber),
    Field(2, "preconditions", Message(&[Field(1, "uid", Text), Field(2, "resourceVersion", Text)])),
    Field(3, "orphanDependents", OptionalFlag),
    Field(4, "propagationPolicy", Text),
    Field(5, "dryRun", List(&Text)),
    Field(6, "ignoreStoreReadErrorWithClusterBreakingPotential", OptionalFlag),
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
const ACCESS: &[Field] = &[
    Field(
        1,
        "resourceAttributes",
        Message(&[
            Field(1, "namespace", Text),
            Field(2, "verb", Text),
            Field(3, "group", Text),
            Field(4, "version", Text),
            Field(5, "resource", Text),
            Field(6, "subresource", Text),
            Field(7, "name", Text),
        ]),
    ),
    Field(2, "nonResourceAttributes", Message(&[Field(1, "path", Text), Field(2, "verb", Text)])),
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
