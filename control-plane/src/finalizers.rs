//! The finalizers that the server itself knows: an object that is deleted stays until the collector has taken them away.

use serde_json::Value;

/// The object goes once what it owns, and blocks its deletion, is gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The object goes once what it owns names it no more.
pub(crate) const ORPHAN: &str = "orphan";

/// Whether an object is being deleted, and waits for this finalizer to be taken away.
pub(crate) fn waits_for(object: &Value, finalizer: &str) -> bool {
    is_deleted(object) && finalizers(object).any(|one| one == finalizer)
}

/// Whether an object is being deleted, and waits for something.
pub(crate) fn is_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Those of an object.
pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Marks an object as being deleted, at this time, with this finalizer in place of the server's other ones.
pub(crate) fn mark_deleted(object: &mut Value, finalizer: &str, at: &str) {
    let others = finalizers(object).filter(|one| ![FOREGROUND, ORPHAN].contains(one)).map(str::to_owned);
    let all: Vec<_> = others.chain([finalizer.to_owned()]).collect();
    object["metadata"]["finalizers"] = all.into();
    if !is_deleted(object) {
        object["metadata"]["deletionTimestamp"] = at.into();
        object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        let generation = object["metadata"]["generation"].as_u64();
        if let Some(generation) = generation {
            object["metadata"]["generation"] = (generation + 1).into();
        }
    }
}

/// Takes finalizers of the server away. Answers whether the object then waits for nothing more.
pub(crate) fn release(object: &mut Value) -> bool {
    let left: Vec<_> =
        finalizers(object).filter(|one| ![FOREGROUND, ORPHAN].contains(one)).map(str::to_owned).collect();
    let free = left.is_empty();
    object["metadata"]["finalizers"] = left.into();
    free
}
