//! `tolerations` of a pod.

use api::template::Toleration;
use k8s_openapi::api::core::v1::{PodSpec, Toleration as Written};

use crate::fields::FieldError;

pub(super) fn read(spec: &PodSpec, errors: &mut Vec<FieldError>) -> Vec<Toleration> {
    let tolerations = spec.tolerations.iter().flatten().enumerate();
    tolerations.map(|(index, written)| read_one(index, written, errors)).collect()
}

fn read_one(index: usize, written: &Written, errors: &mut Vec<FieldError>) -> Toleration {
    let path = format!("spec.tolerations[{index}]");
    if written.toleration_seconds.is_some() && written.effect.as_deref() != Some("NoExecute") {
        let message = "belongs to the effect `NoExecute` alone";
        errors.push(FieldError::invalid(format!("{path}.tolerationSeconds"), message));
    }
    let key = written.key.clone().filter(|key| !key.is_empty());
    let value = match written.operator.as_deref().unwrap_or("Equal") {
        "Exists" => None,
        "Equal" => {
            if key.is_none() {
                let message = "is missing: without a key the operator must be `Exists`";
                errors.push(FieldError::required(format!("{path}.key"), message));
            }
            Some(written.value.clone().unwrap_or_default())
        }
        other => {
            let message = format!("`{other}` is not known: write `Equal` or `Exists`");
            errors.push(FieldError::invalid(format!("{path}.operator"), message));
            None
        }
    };
    let effect = written.effect.as_deref().filter(|effect| !effect.is_empty());
    let effect = effect.and_then(|effect| {
        let parsed = effect.parse();
        parsed.map_err(|why: String| errors.push(FieldError::invalid(format!("{path}.effect"), why))).ok()
    });
    Toleration { key, value, effect }
}
