//! From a template's environment sources to what a guest is given. Pure: it reads what the shell has cached.

use std::collections::BTreeMap;

use api::{
    ReplicaId, WorkerName,
    replica::{Failure, FailureReason},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use kube_api::identity::pod_uid;
use scheduler::{EnvSource, Template};
use serde_json::Value;

/// Where ConfigMaps and Secrets are found, by namespace and name.
pub(super) trait Configs {
    /// A ConfigMap as it is stored.
    fn config_map(&self, namespace: &str, name: &str) -> Option<Value>;
    /// A Namespace as it is stored.
    fn namespace(&self, name: &str) -> Option<Value>;
    /// A Secret as it is stored.
    fn secret(&self, namespace: &str, name: &str) -> Option<Value>;
}

/// The replica that is given the environment.
pub(super) struct Subject<'a> {
    pub(super) id: &'a ReplicaId,
    pub(super) worker: &'a WorkerName,
    pub(super) template: &'a Template,
}

/// Resolves all sources in order; later entries win. What is missing and not optional is named in the failure.
pub(super) fn resolve(subject: &Subject<'_>, configs: &dyn Configs) -> Result<BTreeMap<String, String>, Failure> {
    let mut resolved = BTreeMap::new();
    for source in &subject.template.environment {
        add(source, subject, configs, &mut resolved)
            .map_err(|message| Failure { reason: FailureReason::CreateContainerConfigError, message })?;
    }
    Ok(resolved)
}

fn add(
    source: &EnvSource,
    subject: &Subject<'_>,
    configs: &dyn Configs,
    resolved: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let namespace = &*subject.id.0.namespace;
    match source {
        EnvSource::Value { name, value } => {
            let value = expand(value, resolved);
            resolved.insert(name.clone(), value);
        }
        EnvSource::Field { name, path } => {
            resolved.insert(name.clone(), field(subject, path)?);
        }
        EnvSource::ConfigMapKey { name, config_map, key, optional } => {
            let entries = configs.config_map(namespace, config_map).map(|object| config_entries(&object));
            let value = pick("configmap", config_map, key, entries)(*optional)?;
            resolved.extend(value.map(|value| (name.clone(), value)));
        }
        EnvSource::SecretKey { name, secret, key, optional } => {
            let entries = configs.secret(namespace, secret).map(|object| secret_entries(&object));
            let value = pick("secret", secret, key, entries)(*optional)?;
            resolved.extend(value.map(|value| (name.clone(), value)));
        }
        EnvSource::AllOfConfigMap { config_map, prefix, optional } => {
            let entries = configs.config_map(namespace, config_map).map(|object| config_entries(&object));
            resolved.extend(all("configmap", config_map, prefix, entries, *optional)?);
        }
        EnvSource::AllOfSecret { secret, prefix, optional } => {
            let entries = configs.secret(namespace, secret).map(|object| secret_entries(&object));
            resolved.extend(all("secret", secret, prefix, entries, *optional)?);
        }
    }
    Ok(())
}

type Entries = BTreeMap<String, String>;

/// One key of an object, which may be missing only if it is optional.
fn pick(
    kind: &'static str,
    object: &str,
    key: &str,
    entries: Option<Entries>,
) -> impl FnOnce(bool) -> Result<Option<String>, String> {
    let found = match entries {
        None => Err(format!("{kind} \"{object}\" not found: create it, or mark the reference optional")),
        Some(mut entries) => entries.remove(key).ok_or_else(|| {
            format!("key \"{key}\" not found in {kind} \"{object}\": add it, or mark the reference optional")
        }),
    };
    move |optional| match found {
        Ok(value) => Ok(Some(value)),
        Err(_) if optional => Ok(None),
        Err(missing) => Err(missing),
    }
}

fn all(
    kind: &'static str,
    object: &str,
    prefix: &str,
    entries: Option<Entries>,
    optional: bool,
) -> Result<Vec<(String, String)>, String> {
    match entries {
        Some(entries) => Ok(entries.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect()),
        None if optional => Ok(Vec::new()),
        None => Err(format!("{kind} \"{object}\" not found: create it, or mark the reference optional")),
    }
}

fn config_entries(object: &Value) -> Entries {
    let data = object["data"].as_object().into_iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Environment entries are text: bytes that are not UTF-8 are replaced, as nothing else could carry them.
fn secret_entries(object: &Value) -> Entries {
    let data = object["data"].as_object().into_iter().flatten();
    let decode = |value: &Value| BASE64_STANDARD.decode(value.as_str()?).ok();
    let decoded =
        data.filter_map(|(key, value)| Some((key.clone(), String::from_utf8_lossy(&decode(value)?).into_owned())));
    let plain = object["stringData"].as_object().into_iter().flatten();
    decoded.chain(plain.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))).collect()
}

/// The downward API.
fn field(subject: &Subject<'_>, path: &str) -> Result<String, String> {
    let id = subject.id;
    if let Some(key) = keyed(path, "metadata.labels") {
        let hash = (key == "pod-template-hash").then(|| subject.template.hash.clone());
        return Ok(hash.or_else(|| subject.template.labels.get(key).cloned()).unwrap_or_default());
    }
    if let Some(key) = keyed(path, "metadata.annotations") {
        let template = subject.template.source.read();
        return Ok(template["metadata"]["annotations"][key].as_str().unwrap_or_default().to_owned());
    }
    match path {
        "metadata.name" => Ok(id.0.name.to_string()),
        "metadata.namespace" => Ok(id.0.namespace.to_string()),
        "metadata.uid" => Ok(pod_uid(id)),
        "spec.nodeName" => Ok(subject.worker.0.to_string()),
        other => Err(format!("field \"{other}\" of a pod is not available to its environment")),
    }
}

fn keyed<'a>(path: &'a str, field: &str) -> Option<&'a str> {
    path.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']")
}

/// Replaces `$(NAME)` by an entry that came before, and `$$` by `$`, as Kubernetes does; unknown names stay.
fn expand(value: &str, known: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let reference = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = match reference {
            Some((name, rest)) => {
                match known.get(name) {
                    Some(value) => expanded.push_str(value),
                    None => expanded.extend(["$(", name, ")"]),
                }
                rest
            }
            None => {
                expanded.push('$');
                after.strip_prefix('$').unwrap_or(after)
            }
        };
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_earlier_entries_are_expanded_and_others_stay() {
        let known = BTreeMap::from([("HOST".to_owned(), "shop".to_owned())]);
        assert_eq!(expand("http://$(HOST)/", &known), "http://shop/");
        assert_eq!(expand("$(OTHER) $ $$(HOST) $(HOST", &known), "$(OTHER) $ $(HOST) $(HOST");
    }

    #[test]
    fn secrets_are_decoded() {
        let secret = serde_json::json!({ "data": { "password": "czNjcjN0" } });
        assert_eq!(secret_entries(&secret)["password"], "s3cr3t");
    }
}
