//! `env` and `envFrom` of a container.

use std::{collections::BTreeMap, str::FromStr};

use api::{Quantity, template::EnvSource};
use k8s_openapi::{
    api::core::v1::{Container, EnvFromSource, EnvVar, EnvVarSource, PodSpec, ResourceFieldSelector},
    apimachinery::pkg::api::resource,
};

use super::NO_ADDRESS;
use crate::fields::FieldError;

/// Entries of one container's environment, `envFrom` counting as one.
const MAX_ENTRIES: usize = 1000;
/// Guests are given no account, but may be told what it would be called.
const ACCOUNT: &str = "spec.serviceAccountName";
/// Where a replica is, for those who would be told an address. It has none of its own: a gateway finds it by its name.
const ADDRESSES: [&str; 4] = ["status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"];
const FIELDS: [&str; 5] = [ACCOUNT, "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName"];

/// The environment in the order in which later entries win: `envFrom` first, as in Kubernetes.
pub(super) fn read(spec: &PodSpec, container: &Container, errors: &mut Vec<FieldError>) -> Vec<EnvSource> {
    let from = container.env_from.iter().flatten().enumerate();
    let from = from.filter_map(|(index, source)| {
        let path = format!("spec.containers[0].envFrom[{index}]");
        read_all_of(source, &path).map_err(|error| errors.push(error)).ok()
    });
    let mut environment: Vec<_> = from.collect();
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let path = format!("spec.containers[0].env[{index}]");
        match read_one(spec, container, variable, &path) {
            Ok(source) => environment.push(source),
            Err(error) => errors.push(error),
        }
    }
    if environment.len() > MAX_ENTRIES {
        let message = format!("has {} entries: at most {MAX_ENTRIES} are allowed", environment.len());
        errors.push(FieldError::invalid("spec.containers[0].env", message));
    }
    environment
}

fn read_all_of(source: &EnvFromSource, path: &str) -> Result<EnvSource, FieldError> {
    let prefix = source.prefix.clone().unwrap_or_default();
    match (&source.config_map_ref, &source.secret_ref) {
        (Some(reference), None) => Ok(EnvSource::AllOfConfigMap {
            config_map: named(&reference.name, &format!("{path}.configMapRef"))?,
            prefix,
            optional: reference.optional.unwrap_or(false),
        }),
        (None, Some(reference)) => Ok(EnvSource::AllOfSecret {
            secret: named(&reference.name, &format!("{path}.secretRef"))?,
            prefix,
            optional: reference.optional.unwrap_or(false),
        }),
        _ => Err(FieldError::invalid(path, "name either a `configMapRef` or a `secretRef`")),
    }
}

fn read_one(spec: &PodSpec, container: &Container, variable: &EnvVar, path: &str) -> Result<EnvSource, FieldError> {
    let name = variable.name.clone();
    if name.is_empty() {
        return Err(FieldError::required(format!("{path}.name"), "is missing: a variable needs a name"));
    }
    if !name.bytes().all(|b| b.is_ascii_graphic() || b == b' ') || name.contains('=') {
        let message = format!("`{name}` is not a variable's name: use printable ASCII without `=`");
        return Err(FieldError::invalid(format!("{path}.name"), message));
    }
    match (&variable.value, &variable.value_from) {
        (Some(value), Some(_)) if !value.is_empty() => {
            Err(FieldError::invalid(path, "has both `value` and `valueFrom`: keep one"))
        }
        (_, Some(source)) => {
            let path = format!("{path}.valueFrom");
            match (&source.resource_field_ref, source.field_ref.as_ref().map(|reference| reference.field_path.as_str()))
            {
                (Some(reference), None) => {
                    let value = amount(container, reference, &format!("{path}.resourceFieldRef"))?;
                    Ok(EnvSource::Value { name, value })
                }
                (None, Some(address)) if is_address(address) => {
                    Ok(EnvSource::Value { name, value: NO_ADDRESS.to_owned() })
                }
                (None, Some(ACCOUNT)) => {
                    let value = spec.service_account_name.clone().filter(|account| !account.is_empty());
                    Ok(EnvSource::Value { name, value: value.unwrap_or_else(|| "default".to_owned()) })
                }
                _ => read_source(name, source, &path),
            }
        }
        (value, None) => Ok(EnvSource::Value { name, value: value.clone().unwrap_or_default() }),
    }
}

fn read_source(name: String, source: &EnvVarSource, path: &str) -> Result<EnvSource, FieldError> {
    match (&source.config_map_key_ref, &source.secret_key_ref, &source.field_ref) {
        (Some(reference), None, None) => Ok(EnvSource::ConfigMapKey {
            name,
            config_map: named(&reference.name, &format!("{path}.configMapKeyRef"))?,
            key: keyed(&reference.key, &format!("{path}.configMapKeyRef"))?,
            optional: reference.optional.unwrap_or(false),
        }),
        (None, Some(reference), None) => Ok(EnvSource::SecretKey {
            name,
            secret: named(&reference.name, &format!("{path}.secretKeyRef"))?,
            key: keyed(&reference.key, &format!("{path}.secretKeyRef"))?,
            optional: reference.optional.unwrap_or(false),
        }),
        (None, None, Some(reference)) => {
            check_field(&reference.field_path, &format!("{path}.fieldRef.fieldPath"))?;
            Ok(EnvSource::Field { name, path: reference.field_path.clone() })
        }
        _ => Err(FieldError::invalid(
            path,
            "name one of `configMapKeyRef`, `secretKeyRef`, `fieldRef` and `resourceFieldRef`",
        )),
    }
}

/// What a container is limited to, or asks for: as Kubernetes, in units of the divisor and rounded up.
fn amount(container: &Container, reference: &ResourceFieldSelector, path: &str) -> Result<String, FieldError> {
    let resources = container.resources.clone().unwrap_or_default();
    let held = |list: Option<BTreeMap<String, resource::Quantity>>, name: &str| {
        list.unwrap_or_default().get(name).and_then(|text| Quantity::from_str(&text.0).ok())
    };
    let (limits, requests) = (resources.limits, resources.requests);
    let (name, quantity) = match reference.resource.as_str() {
        "limits.cpu" => ("cpu", held(limits, "cpu")),
        "limits.memory" => ("memory", held(limits, "memory")),
        "requests.cpu" => ("cpu", held(requests, "cpu").or_else(|| held(limits, "cpu"))),
        "requests.memory" => ("memory", held(requests, "memory").or_else(|| held(limits, "memory"))),
        other => {
            let message = format!("`{other}` is not known here: use `limits` or `requests` of `cpu` or `memory`");
            return Err(FieldError::not_supported(format!("{path}.resource"), message));
        }
    };
    let missing = || {
        FieldError::invalid(
            format!("{path}.resource"),
            format!("`{}` is not set: write it into `resources`", reference.resource),
        )
    };
    let divisor = reference.divisor.as_ref().map_or("1", |divisor| divisor.0.as_str());
    let divisor = Quantity::from_str(if divisor == "0" { "1" } else { divisor });
    let divisor = divisor.map_err(|error| FieldError::invalid(format!("{path}.divisor"), error.to_string()))?;
    let quantity = quantity.ok_or_else(missing)?;
    let of = |quantity: &Quantity| if name == "cpu" { quantity.as_millis() } else { quantity.as_units() };
    Ok(of(&quantity).div_ceil(of(&divisor).max(1)).to_string())
}

/// Whether a field of a Pod is an address, which says nothing here: [`NO_ADDRESS`] is given for it.
pub(crate) fn is_address(field: &str) -> bool {
    ADDRESSES.contains(&field)
}

fn check_field(field: &str, path: &str) -> Result<(), FieldError> {
    let of_map = |map: &str| {
        let key = field.strip_prefix(map).and_then(|rest| rest.strip_prefix("['")?.strip_suffix("']"));
        key.is_some_and(|key| !key.is_empty())
    };
    if FIELDS.contains(&field) || of_map("metadata.labels") || of_map("metadata.annotations") {
        return Ok(());
    }
    let known = FIELDS.join("`, `");
    let message = format!(
        "`{field}` is not known here: use `{known}`, `metadata.labels['KEY']` or `metadata.annotations['KEY']`"
    );
    Err(FieldError::not_supported(path, message))
}

fn named(name: &str, path: &str) -> Result<String, FieldError> {
    match name {
        "" => Err(FieldError::required(format!("{path}.name"), "is missing: say which object is meant")),
        name => Ok(name.to_owned()),
    }
}

fn keyed(key: &str, path: &str) -> Result<String, FieldError> {
    match key {
        "" => Err(FieldError::required(format!("{path}.key"), "is missing: say which key is meant")),
        key => Ok(key.to_owned()),
    }
}
