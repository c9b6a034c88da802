use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use store::{self, Revision, Store};

use crate::resources::{Durability, Resource};

use super::{TakenPaths, error::ApiError, path::Target, versions::of_stored};

/// The objects of both stores, by what a path names.
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) durable: Arc<dyn Store>,
    pub(super) live: Arc<dyn Store>,
    pub(super) taken_paths: TakenPaths,
}

/// An object as it stands in a store.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// With its `resourceVersion`.
    pub(super) object: Value,
    pub(super) revision: Revision,
}

impl Objects {
    pub(super) fn store(&self, resource: &Resource) -> &Arc<dyn Store> {
        match resource.durability {
            Durability::Durable => &self.durable,
            Durability::Passing | Durability::Asked | Durability::Live => &self.live,
        }
    }

    pub(super) async fn get(&self, target: &Target) -> Result<Stored, ApiError> {
        let found = self.store(target.resource).get(&key(target)).await?;
        let found = found.ok_or_else(|| target.not_found())?;
        Ok(Stored { object: decode(target.resource, &found.value, found.revision)?, revision: found.revision })
    }
}

/// The key of the object that a path names.
pub(super) fn key(target: &Target) -> String {
    let resource = target.resource.stored();
    store::object_key(resource.group, resource.plural, target.namespace.as_deref(), target.name())
}

/// What the keys of the collection that a path names start with.
pub(super) fn prefix(target: &Target) -> String {
    let resource = target.resource.stored();
    store::collection_prefix(resource.group, resource.plural, target.namespace.as_deref())
}

/// From stored bytes to an object with its version, as this version of its kind has it.
pub(super) fn decode(resource: &Resource, bytes: &Bytes, revision: Revision) -> Result<Value, ApiError> {
    let object = serde_json::from_slice(bytes);
    let mut object: Value = object.map_err(|error| ApiError::Internal {
        why: format!("an object of {} cannot be read from the store: {error}", resource.plural),
    })?;
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    object["metadata"]["resourceVersion"] = json!(revision.to_string());
    Ok(of_stored(resource, object))
}

/// From an object to what is stored: without its version, which the store knows.
pub(super) fn encode(object: &Value) -> Bytes {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    Bytes::from(object.to_string())
}
