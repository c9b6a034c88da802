//! `resources` of a container.

use std::{collections::BTreeMap, str::FromStr};

use api::{Quantity, replica::Limits, template::Resources};
use k8s_openapi::{api::core::v1::Container, apimachinery::pkg::api::resource};

use crate::fields::{FieldError, nearest};

const PATH: &str = "spec.containers[0].resources";
/// One page of WebAssembly: with less no memory exists.
const MIN_MEMORY_BYTES: u64 = 64 << 10;
/// What Kubernetes limits of a container's own files.
const EPHEMERAL_STORAGE: &str = "ephemeral-storage";

type Quantities = BTreeMap<String, resource::Quantity>;

/// Sets the limits and answers the requests, which default to the limits as in Kubernetes.
pub(super) fn read(container: &Container, limits: &mut Limits, errors: &mut Vec<FieldError>) -> Resources {
    let resources = container.resources.clone().unwrap_or_default();
    let mut limit = Amounts::read("limits", resources.limits.unwrap_or_default(), errors);
    // As Kubernetes: a limit of zero is none.
    limit.cpu_millis = limit.cpu_millis.filter(|millis| *millis > 0);
    limit.memory_bytes = limit.memory_bytes.filter(|bytes| *bytes > 0);
    let request = Amounts::read("requests", resources.requests.unwrap_or_default(), errors);
    if let Some(memory_bytes) = limit.memory_bytes {
        if memory_bytes < MIN_MEMORY_BYTES {
            let message = "is less than `64Ki`, one page of WebAssembly: nothing can run in it";
            errors.push(FieldError::invalid(format!("{PATH}.limits.memory"), message));
        }
        limits.memory_bytes = memory_bytes;
    }
    limits.cpu_millis = limit.cpu_millis;
    not_above("cpu", request.cpu_millis, limit.cpu_millis, errors);
    not_above("memory", request.memory_bytes, limit.memory_bytes, errors);
    Resources {
        cpu_millis: request.cpu_millis.or(limit.cpu_millis).unwrap_or(0),
        memory_bytes: request.memory_bytes.or(limit.memory_bytes).unwrap_or(0),
    }
}

#[derive(Default)]
struct Amounts {
    cpu_millis: Option<u64>,
    memory_bytes: Option<u64>,
}

impl Amounts {
    fn read(list: &str, quantities: Quantities, errors: &mut Vec<FieldError>) -> Self {
        let mut amounts = Self::default();
        // A guest has no files, which its writer is told.
        for (name, text) in quantities.into_iter().filter(|(name, _)| name != EPHEMERAL_STORAGE) {
            let path = format!("{PATH}.{list}.{name}");
            match Quantity::from_str(&text.0) {
                Err(error) => errors.push(FieldError::invalid(path, error.to_string())),
                Ok(quantity) => match name.as_str() {
                    "cpu" => amounts.cpu_millis = Some(quantity.as_millis()),
                    "memory" => amounts.memory_bytes = Some(quantity.as_units()),
                    _ => errors.push(FieldError::not_supported(path, unknown(&name))),
                },
            }
        }
        amounts
    }
}

fn unknown(name: &str) -> String {
    match nearest(name, ["cpu", "memory"]) {
        Some(known) => format!("`{name}` is not known: did you mean `{known}`?"),
        None => format!("`{name}` is not known: workers have `cpu` and `memory`"),
    }
}

fn not_above(name: &str, request: Option<u64>, limit: Option<u64>, errors: &mut Vec<FieldError>) {
    if let (Some(request), Some(limit)) = (request, limit)
        && request > limit
    {
        errors.push(FieldError::invalid(format!("{PATH}.requests.{name}"), "must not be more than the limit"));
    }
}
