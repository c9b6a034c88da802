//! OpenAPI documents of the kinds that are served, of version 2 and 3: `kubectl explain` prints them, `kubectl diff` and
//! `--dry-run=server` look up in them what the server can do.

mod paths;
mod schema;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::schema::{Gvk, MessageId, Schemas};

use schema::{Dialect, definition, named_types};
pub use wire::{MEDIA_TYPE as V2_PROTOBUF, to_protobuf};

/// What a document says of who serves it.
#[derive(Debug, Clone, Copy)]
pub struct Info {
    /// Who.
    pub title: &'static str,
    /// In which version.
    pub version: &'static str,
}

/// A kind that is served at a path.
#[derive(Debug, Clone)]
pub struct ServedKind {
    /// Which kind.
    pub gvk: Gvk,
    /// For example `deployments`.
    pub plural: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What may be done with its objects, as discovery says it.
    pub verbs: &'static [&'static str],
    /// What stands below an object: its name, its kind, and what may be done with it.
    pub below: Vec<(&'static str, Gvk, &'static [&'static str])>,
}

/// The document of version 2, as JSON.
pub fn v2(schemas: &Schemas, served: &[ServedKind], info: Info) -> Value {
    let mut definitions: Map<String, Value> = named_types(Dialect::V2);
    for (id, name) in with_all_below(schemas, served) {
        definitions.insert(name, definition(schemas, id, Dialect::V2));
    }
    json!({ "swagger": "2.0", "info": { "title": info.title, "version": info.version },
        "paths": paths::of(schemas, served, Dialect::V2), "definitions": definitions })
}

/// The document of version 3 of kinds of one group and version.
pub fn v3(schemas: &Schemas, served: &[ServedKind], info: Info) -> Value {
    let mut components: Map<String, Value> = named_types(Dialect::V3);
    for (id, name) in with_all_below(schemas, served) {
        components.insert(name, definition(schemas, id, Dialect::V3));
    }
    json!({ "openapi": "3.0.0", "info": { "title": info.title, "version": info.version },
        "paths": paths::of(schemas, served, Dialect::V3), "components": { "schemas": components } })
}

/// The messages of these kinds and all that they hold, with what they are called.
fn with_all_below(schemas: &Schemas, served: &[ServedKind]) -> Vec<(MessageId, String)> {
    // What every kind's deletion takes and fails with, of which none of them holds anything.
    let shared = ["DeleteOptions", "Status"].map(|kind| Gvk::of("v1", kind));
    let mut found: BTreeSet<MessageId> = BTreeSet::new();
    let below = served.iter().flat_map(|kind| kind.below.iter().map(|(_, gvk, _)| gvk));
    let kinds = served.iter().map(|kind| &kind.gvk).chain(below).chain(&shared);
    let mut next: Vec<MessageId> = kinds.filter_map(|gvk| schemas.kind_id(gvk)).collect();
    while let Some(id) = next.pop() {
        if found.insert(id) {
            next.extend(schemas.message(id).fields.values().filter_map(|field| field.shape.inner()));
        }
    }
    found.into_iter().map(|id| (id, schemas.message(id).name.clone())).collect()
}
