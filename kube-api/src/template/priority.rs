//! What a template says of how much its replicas matter.

use api::template::Priority;
use k8s_openapi::api::core::v1::PodSpec;

use crate::fields::FieldError;

/// The class alone: what it stands for is for who knows the classes.
pub(super) fn read(spec: &PodSpec, errors: &mut Vec<FieldError>) -> Priority {
    let class = spec.priority_class_name.clone().filter(|name| !name.is_empty());
    if let Some(error) = class.as_ref().and_then(|name| api::check_dns_subdomain(name).err()) {
        errors.push(FieldError::invalid("spec.priorityClassName", error.to_string()));
    }
    Priority { class, ..Priority::default() }
}
