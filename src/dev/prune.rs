//! Deletes what `sampan dev` applied earlier and what is in the manifests no more.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::client::{
    apply::Planned,
    connection::Connection,
    kinds::Kinds,
    projects::{PROJECT_LABEL, delete, owned},
};

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
    for object in owned(connection, kinds, Some(project)).await?.into_values().flatten() {
        if !wanted.contains(&object.path) && delete(connection, &object).await? {
            deleted.push(object.label);
        }
    }
    Ok(deleted)
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
