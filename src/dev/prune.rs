//! Deletes what `sampan dev` applied earlier and what is in the manifests no more.

use std::collections::HashSet;

use http::Method;
use serde_json::{Value, json};

use crate::client::{
    apply::{Planned, request},
    connection::Connection,
    kinds::{Kind, Kinds},
    query::Query,
};

/// The label on every object that `sampan dev` applied: the project's name.
pub(super) const PROJECT_LABEL: &str = "sampan.dev/project";

/// Marks an object as the project's.
pub(super) fn mark(object: &mut Value, project: &str) {
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"][PROJECT_LABEL] = json!(project);
}

/// Deletes the project's objects that are not among these. Returns what they were.
pub(super) async fn prune(
    connection: &Connection,
    kinds: &Kinds,
    project: &str,
    wanted: &[Planned],
) -> anyhow::Result<Vec<String>> {
    let wanted: HashSet<String> = wanted.iter().map(Planned::path).collect();
    let mut deleted = Vec::new();
    for kind in prunable(kinds) {
        let selectors = vec![("labelSelector", format!("{PROJECT_LABEL}={project}"))];
        let query = Query { kind, path: kind.path(None), selectors };
        for object in query.objects(connection).await? {
            let (Some(name), namespace) =
                (object["metadata"]["name"].as_str(), object["metadata"]["namespace"].as_str())
            else {
                continue;
            };
            let path = format!("{}/{name}", kind.path(namespace));
            if wanted.contains(&path) || is_owned(&object) {
                continue;
            }
            let body = json!({"propagationPolicy": "Background"});
            let delete = request(Method::DELETE, path, "application/json", &body)?;
            if connection.send_optional::<Value>(delete).await?.is_some() {
                deleted.push(kind.label(name));
            }
        }
    }
    Ok(deleted)
}

/// Kinds whose objects a user creates, each in one version; namespaces last, since they take all in them along.
fn prunable(kinds: &Kinds) -> Vec<&Kind> {
    let mut seen = HashSet::new();
    let created = kinds.iter().filter(|kind| ["create", "list", "delete"].iter().all(|verb| kind.allows(verb)));
    let mut prunable: Vec<&Kind> = created.filter(|kind| seen.insert((&kind.group, &kind.kind))).collect();
    prunable.sort_by_key(|kind| kind.kind == "Namespace");
    prunable
}

/// What another object owns goes with it.
fn is_owned(object: &Value) -> bool {
    object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_leaves_other_labels_alone() {
        let mut object = json!({"metadata": {"name": "a", "labels": {"app": "b"}}});
        mark(&mut object, "shop");
        assert_eq!(object["metadata"]["labels"], json!({"app": "b", PROJECT_LABEL: "shop"}));
        let mut bare = json!({"metadata": {"name": "a", "labels": null}});
        mark(&mut bare, "shop");
        assert_eq!(bare["metadata"]["labels"], json!({PROJECT_LABEL: "shop"}));
    }
}
