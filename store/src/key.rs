//! How objects are named in a store: `GROUP/PLURAL/NAMESPACE/NAME`, or `GROUP/PLURAL/NAME` where the kind has no
//! namespaces. The group without a name is written `core`. No part holds a `/`, so a prefix names a whole collection.

/// The key of an object.
pub fn object_key(group: &str, plural: &str, namespace: Option<&str>, name: &str) -> String {
    collection_prefix(group, plural, namespace) + name
}

/// What the keys of a collection start with: of one namespace, or of all.
pub fn collection_prefix(group: &str, plural: &str, namespace: Option<&str>) -> String {
    let group = if group.is_empty() { "core" } else { group };
    match namespace {
        Some(namespace) => format!("{group}/{plural}/{namespace}/"),
        None => format!("{group}/{plural}/"),
    }
}
