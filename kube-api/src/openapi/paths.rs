//! What can be done at which path.

use serde_json::{Map, Value, json};

use crate::schema::{Gvk, Schemas};

use super::{
    ServedKind,
    schema::{Dialect, reference},
};

/// A verb of discovery at a collection or an object, its method, and what OpenAPI calls it.
const OF_COLLECTION: &[(&str, &str, &str)] =
    &[("list", "get", "list"), ("create", "post", "post"), ("deletecollection", "delete", "deletecollection")];
const OF_OBJECT: &[(&str, &str, &str)] =
    &[("get", "get", "get"), ("update", "put", "put"), ("patch", "patch", "patch"), ("delete", "delete", "delete")];
/// Below an object even what is created has the object's path.
const BELOW: &[(&str, &str, &str)] =
    &[("get", "get", "get"), ("update", "put", "put"), ("patch", "patch", "patch"), ("create", "post", "post")];

const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

pub(super) fn of(schemas: &Schemas, served: &[ServedKind], dialect: Dialect) -> Map<String, Value> {
    let mut paths = Map::new();
    for kind in served {
        let root = match kind.gvk.group.as_str() {
            "" => format!("/api/{}", kind.gvk.version),
            group => format!("/apis/{group}/{}", kind.gvk.version),
        };
        let scope = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let collection = format!("{root}/{scope}{}", kind.plural);
        let object = format!("{collection}/{{name}}");
        let mut add = |path: String, gvk: &Gvk, verbs: &[&str], known: &[(&str, &str, &str)]| {
            let item = item(&At { schemas, path: &path, gvk, dialect }, verbs, known);
            if let Some(item) = item {
                paths.insert(path, item);
            }
        };
        for (name, gvk, verbs) in &kind.below {
            add(format!("{object}/{name}"), gvk, verbs, BELOW);
        }
        add(object, &kind.gvk, kind.verbs, OF_OBJECT);
        add(collection, &kind.gvk, kind.verbs, OF_COLLECTION);
    }
    paths
}

struct At<'a> {
    schemas: &'a Schemas,
    path: &'a str,
    gvk: &'a Gvk,
    dialect: Dialect,
}

fn item(at: &At<'_>, verbs: &[&str], known: &[(&str, &str, &str)]) -> Option<Value> {
    let mut operations: Map<String, Value> = known
        .iter()
        .filter(|(verb, ..)| verbs.contains(verb))
        .map(|(_, method, action)| ((*method).to_owned(), operation(at, method, action)))
        .collect();
    if operations.is_empty() {
        return None;
    }
    let in_path = ["namespace", "name"].into_iter().filter(|name| at.path.contains(&format!("{{{name}}}")));
    let parameters: Vec<_> = in_path.map(|name| parameter(name, "path", at.dialect)).collect();
    if !parameters.is_empty() {
        operations.insert("parameters".to_owned(), json!(parameters));
    }
    Some(Value::Object(operations))
}

fn operation(at: &At<'_>, method: &str, action: &str) -> Value {
    let kind = at.schemas.kind(at.gvk).map(|message| reference(&message.name, at.dialect));
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    let answer = match (&kind, at.dialect) {
        (Some(kind), Dialect::V3) => json!({ "description": "OK", "content": content(kind) }),
        (Some(kind), Dialect::V2) => json!({ "description": "OK", "schema": kind }),
        (None, _) => json!({ "description": "OK" }),
    };
    let query: &[&str] = match method {
        "get" => &[],
        "delete" => &["dryRun"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        _ => &["dryRun", "fieldManager", "fieldValidation"],
    };
    let mut parameters: Vec<_> = query.iter().map(|name| parameter(name, "query", at.dialect)).collect();
    let mut operation = json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind":
            { "group": at.gvk.group, "version": at.gvk.version, "kind": at.gvk.kind },
        "responses": { "200": answer },
    });
    let body = if method == "patch" { Some(json!({ "type": "object" })) } else { kind };
    let takes: &[&str] = if method == "patch" { PATCHES } else { &["application/json"] };
    if let (Some(body), "patch" | "put" | "post") = (body, method) {
        match at.dialect {
            Dialect::V2 => {
                parameters.push(json!({ "name": "body", "in": "body", "required": true, "schema": body }));
                operation["consumes"] = json!(takes);
            }
            Dialect::V3 => {
                let content: Map<_, _> =
                    takes.iter().map(|media| ((*media).to_owned(), json!({ "schema": body }))).collect();
                operation["requestBody"] = json!({ "required": true, "content": content });
            }
        }
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    operation
}

fn parameter(name: &str, within: &str, dialect: Dialect) -> Value {
    let of = if name == "force" { "boolean" } else { "string" };
    let mut parameter = json!({ "name": name, "in": within });
    match dialect {
        Dialect::V2 => {
            parameter["type"] = json!(of);
            parameter["uniqueItems"] = json!(true);
        }
        Dialect::V3 => parameter["schema"] = json!({ "type": of, "uniqueItems": true }),
    }
    if within == "path" {
        parameter["required"] = json!(true);
    }
    parameter
}
