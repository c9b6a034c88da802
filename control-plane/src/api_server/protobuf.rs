//! Bodies in protobuf, which `kubectl create` sends for some kinds whatever the server says: of the kinds that are made
//! that way on a command line and are small, so that `kubectl create secret` and the like work, and of the Evictions of
//! `kubectl drain`.
//!
//! Field numbers are those of Kubernetes' published `generated.proto` files.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use prost::Message;
use serde_json::{Value, json};

/// What such a body begins with.
const MAGIC: &[u8] = b"k8s\0";

#[derive(Message)]
struct Unknown {
    #[prost(message, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(bytes = "vec", repeated, tag = "13")]
    owner_references: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
}

#[derive(Message)]
struct Secret {
    #[prost(message, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, bytes", tag = "2")]
    data: BTreeMap<String, Vec<u8>>,
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(btree_map = "string, string", tag = "4")]
    string_data: BTreeMap<String, String>,
    #[prost(bool, optional, tag = "5")]
    immutable: Option<bool>,
}

#[derive(Message)]
struct ConfigMap {
    #[prost(message, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, string", tag = "2")]
    data: BTreeMap<String, String>,
    #[prost(btree_map = "string, bytes", tag = "3")]
    binary_data: BTreeMap<String, Vec<u8>>,
    #[prost(bool, optional, tag = "4")]
    immutable: Option<bool>,
}

#[derive(Message)]
struct Namespace {
    #[prost(message, tag = "1")]
    metadata: Option<ObjectMeta>,
}

#[derive(Message)]
struct Eviction {
    #[prost(message, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, tag = "2")]
    delete_options: Option<DeleteOptions>,
}

#[derive(Message)]
struct DeleteOptions {
    #[prost(message, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(string, repeated, tag = "5")]
    dry_run: Vec<String>,
}

#[derive(Message)]
struct Preconditions {
    #[prost(string, optional, tag = "1")]
    uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    resource_version: Option<String>,
}

/// The object as JSON would have it; `None` if it is of a kind that is not read in this form.
pub(super) fn parse(body: &[u8]) -> Result<Option<Value>, prost::DecodeError> {
    let Some(envelope) = body.strip_prefix(MAGIC) else { return Ok(None) };
    let Unknown { type_meta, raw } = Unknown::decode(envelope)?;
    let TypeMeta { api_version, kind } = type_meta.unwrap_or_default();
    let (metadata, fields) = match (api_version.as_str(), kind.as_str()) {
        ("v1", "Secret") => secret(Secret::decode(&*raw)?),
        ("v1", "ConfigMap") => config_map(ConfigMap::decode(&*raw)?),
        ("v1", "Namespace") => (Namespace::decode(&*raw)?.metadata, json!({})),
        ("policy/v1", "Eviction") => eviction(Eviction::decode(&*raw)?),
        _ => return Ok(None),
    };
    let Some(metadata) = object_meta(metadata.unwrap_or_default()) else { return Ok(None) };
    let mut object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata });
    object.as_object_mut().into_iter().for_each(|object| object.extend(written(&fields)));
    Ok(Some(object))
}

fn secret(secret: Secret) -> (Option<ObjectMeta>, Value) {
    let fields = json!({ "data": encoded(&secret.data), "stringData": secret.string_data, "type": secret.kind,
        "immutable": secret.immutable });
    (secret.metadata, fields)
}

fn config_map(map: ConfigMap) -> (Option<ObjectMeta>, Value) {
    let fields = json!({ "data": map.data, "binaryData": encoded(&map.binary_data), "immutable": map.immutable });
    (map.metadata, fields)
}

fn eviction(eviction: Eviction) -> (Option<ObjectMeta>, Value) {
    let options = eviction.delete_options.unwrap_or_default();
    let preconditions = options.preconditions.unwrap_or_default();
    let preconditions = json!({ "uid": preconditions.uid, "resourceVersion": preconditions.resource_version });
    let fields = json!({ "deleteOptions": { "dryRun": options.dry_run, "preconditions": preconditions } });
    (eviction.metadata, fields)
}

fn encoded(data: &BTreeMap<String, Vec<u8>>) -> BTreeMap<&String, String> {
    data.iter().map(|(key, bytes)| (key, BASE64_STANDARD.encode(bytes))).collect()
}

/// `None` if it says something that is not read here.
fn object_meta(meta: ObjectMeta) -> Option<Value> {
    let fields = json!({ "name": meta.name, "generateName": meta.generate_name, "namespace": meta.namespace,
        "labels": meta.labels, "annotations": meta.annotations, "finalizers": meta.finalizers });
    meta.owner_references.is_empty().then(|| Value::Object(written(&fields).collect()))
}

/// The fields that were set.
fn written(fields: &Value) -> impl Iterator<Item = (String, Value)> {
    let set = fields.as_object().into_iter().flatten().filter(|(_, value)| !is_unset(value));
    set.map(|(name, value)| (name.clone(), value.clone()))
}

/// Go writes what was never set as empty.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
