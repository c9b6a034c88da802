//! `imagePullPolicy` and `imagePullSecrets` of a pod.

use api::{Pull, PullPolicy};
use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::fields::FieldError;

pub(super) fn read(spec: &PodSpec, container: &Container, errors: &mut Vec<FieldError>) -> Pull {
    let image = container.image.as_deref().unwrap_or_default();
    let policy = match container.image_pull_policy.as_deref().unwrap_or_default() {
        "" => PullPolicy::of_reference(image),
        written => written.parse().unwrap_or_else(|why: String| {
            errors.push(FieldError::invalid("spec.containers[0].imagePullPolicy", why));
            PullPolicy::default()
        }),
    };
    let mut secrets = Vec::new();
    // One without a name names none, which its writer is told, as in Kubernetes.
    for secret in spec.image_pull_secrets.iter().flatten().filter(|secret| !secret.name.is_empty()) {
        secrets.push(secret.name.clone());
    }
    Pull { policy, secrets }
}
