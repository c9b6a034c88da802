//! `imagePullPolicy` and `imagePullSecrets` of a pod.

use api::{Pull, PullPolicy};
use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::resources::FieldError;

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
    for (index, secret) in spec.image_pull_secrets.iter().flatten().enumerate() {
        match secret.name.as_str() {
            "" => errors.push(FieldError::required(
                format!("spec.imagePullSecrets[{index}].name"),
                "is missing: name a Secret of type kubernetes.io/dockerconfigjson",
            )),
            name => secrets.push(name.to_owned()),
        }
    }
    Pull { policy, secrets }
}
