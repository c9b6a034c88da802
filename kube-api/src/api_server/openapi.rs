//! As much OpenAPI as clients need to know that dry runs and strict fields are the server's work.
//!
//! Schemas are deliberately absent: the server checks every field itself, and clients fall back on the types they know.

use serde_json::{Map, Value, json};

use crate::resources::{ALL, Durability, Resource, Scope};

/// The media type of the empty version 2 document, which old clients insist on fetching.
pub(super) const V2_MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn root_of(resource: &Resource) -> String {
    match resource.group {
        "" => format!("api/{}", resource.version),
        group => format!("apis/{group}/{}", resource.version),
    }
}

/// Where the document of each group and version is.
pub(super) fn index() -> Value {
    let mut paths = Map::new();
    for resource in ALL {
        let root = root_of(resource);
        let url = format!("/openapi/v3/{root}?hash={}", env!("CARGO_PKG_VERSION"));
        paths.insert(root, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

/// The document of one group and version, such as `apis/apps/v1`; `None` if there is none.
pub(super) fn document(root: &str) -> Option<Value> {
    let here = ALL.iter().filter(|resource| root_of(resource) == root && resource.durability == Durability::Durable);
    let mut paths = Map::new();
    for resource in here {
        let scope = if resource.scope == Scope::Namespaced { "namespaces/{namespace}/" } else { "" };
        let collection = format!("/{root}/{scope}{}", resource.plural);
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({
            "patch": operation(resource, "patch"), "put": operation(resource, "put"),
            "delete": operation(resource, "delete") }),
        );
        paths.insert(collection, json!({ "post": operation(resource, "post") }));
    }
    let version = env!("CARGO_PKG_VERSION");
    let known = ALL.iter().any(|resource| root_of(resource) == root);
    known.then(|| {
        json!({ "openapi": "3.0.0", "info": { "title": "Sampan", "version": version }, "paths": paths,
            "components": { "schemas": {} } })
    })
}

fn operation(resource: &Resource, action: &str) -> Value {
    let parameter =
        |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } });
    json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": { "group": resource.group, "version": resource.version, "kind": resource.kind },
        "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
        "responses": { "200": { "description": "OK" } },
    })
}
