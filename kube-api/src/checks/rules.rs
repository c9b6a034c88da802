//! What is done with each field of a Pod that a user makes.

use crate::fields::honoured::{Rule::*, Rules};

const NOT_RUN: &str = "nothing of the image runs, sampan asks the URL itself";

pub(crate) const CHECK: Rules = &[
    (
        "",
        Warned(
            &[],
            "nothing of this Pod's image runs: sampan asks the URL of its `wget` or `curl` itself, once, and the Pod has \
             succeeded or failed",
        ),
    ),
    ("spec.restartPolicy", Only(&["Never", "OnFailure"], "such a Pod asks once: what is to serve is a Deployment")),
    ("spec.containers[].name", Honoured),
    ("spec.containers[].image", Honoured),
    ("spec.containers[].command", Honoured),
    ("spec.containers[].args", Honoured),
    ("spec.containers[].imagePullPolicy", Honoured),
    ("spec.containers[].terminationMessagePath", Honoured),
    ("spec.containers[].terminationMessagePolicy", Honoured),
    ("spec.containers[].env", Warned(&[], NOT_RUN)),
    ("spec.containers[].envFrom", Warned(&[], NOT_RUN)),
    ("spec.containers[].resources", Warned(&[], NOT_RUN)),
    ("spec.containers[].securityContext", Warned(&[], NOT_RUN)),
    ("spec.initContainers", Refused("nothing would run them")),
    ("spec.volumes", Warned(&[], NOT_RUN)),
    ("spec.containers[].volumeMounts", Warned(&[], NOT_RUN)),
    ("spec.dnsPolicy", Honoured),
    ("spec.schedulerName", Honoured),
    ("spec.securityContext", Warned(&[], NOT_RUN)),
    ("spec.serviceAccountName", Warned(&["default"], NOT_RUN)),
    ("spec.serviceAccount", Warned(&["default"], NOT_RUN)),
    ("spec.automountServiceAccountToken", Warned(&["false"], NOT_RUN)),
    ("spec.enableServiceLinks", Honoured),
    ("spec.terminationGracePeriodSeconds", Honoured),
    ("spec.imagePullSecrets", Warned(&[], NOT_RUN)),
    ("spec.nodeSelector", Warned(&[], NOT_RUN)),
    ("spec.tolerations", Warned(&[], NOT_RUN)),
    ("spec.affinity", Warned(&[], NOT_RUN)),
];
