//! Objects by the project that `sampan dev` applied them for.

use std::collections::{BTreeMap, HashSet};

use http::Method;
use serde_json::{Value, json};

use super::{
    apply::request,
    connection::Connection,
    kinds::{Kind, Kinds},
    query::Query,
};

/// The label on every object that `sampan dev` applied: the project's name.
pub(crate) const PROJECT_LABEL: &str = "sampan.dev/project";

/// An object of a project.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) kind: String,
    /// `deployment.apps/name`, as kubectl writes it.
    pub(crate) label: String,
    pub(crate) namespace: Option<String>,
    pub(crate) path: String,
}

/// The objects of one project, or of all, by the project's name; those that take others along come last. What another
/// object owns is not among them: it goes with that.
pub(crate) async fn owned(
    connection: &Connection,
    kinds: &Kinds,
    project: Option<&str>,
) -> anyhow::Result<BTreeMap<String, Vec<Owned>>> {
    let selector = project.map_or_else(|| PROJECT_LABEL.to_owned(), |project| format!("{PROJECT_LABEL}={project}"));
    let mut owned: BTreeMap<String, Vec<Owned>> = BTreeMap::new();
    for kind in deletable(kinds) {
        let query = Query { kind, path: kind.path(None), selectors: vec![("labelSelector", selector.clone())] };
        for object in query.objects(connection).await? {
            let metadata = &object["metadata"];
            let (Some(name), Some(project)) = (metadata["name"].as_str(), metadata["labels"][PROJECT_LABEL].as_str())
            else {
                continue;
            };
            if is_owned(&object) {
                continue;
            }
            let namespace = metadata["namespace"].as_str();
            owned.entry(project.to_owned()).or_default().push(Owned {
                kind: kind.kind.clone(),
                label: kind.label(name),
                namespace: namespace.map(str::to_owned),
                path: format!("{}/{name}", kind.path(namespace)),
            });
        }
    }
    Ok(owned)
}

/// Deletes an object, and what it owns after it. Returns whether it was there.
pub(crate) async fn delete(connection: &Connection, object: &Owned) -> anyhow::Result<bool> {
    let body = json!({"propagationPolicy": "Background"});
    let delete = request(Method::DELETE, object.path.clone(), "application/json", &body)?;
    Ok(connection.send_optional::<Value>(delete).await?.is_some())
}

/// Kinds whose objects a user creates, each in one version; namespaces last, since they take all in them along.
fn deletable(kinds: &Kinds) -> Vec<&Kind> {
    let mut seen = HashSet::new();
    let created = kinds.iter().filter(|kind| ["create", "list", "delete"].iter().all(|verb| kind.allows(verb)));
    let mut deletable: Vec<&Kind> = created.filter(|kind| seen.insert((&kind.group, &kind.kind))).collect();
    deletable.sort_by_key(|kind| kind.kind == "Namespace");
    deletable
}

/// What another object owns goes with it.
fn is_owned(object: &Value) -> bool {
    object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty())
}
