//! Finalizers: an object that is deleted stays until all of them are taken away. Two are the server's own, and the collector
//! takes them away; who wrote another one takes it away himself, when his work is done.

use serde_json::Value;

/// The object goes once what it owns, and blocks its deletion, is gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// The object goes once what it owns names it no more.
pub const ORPHAN: &str = "orphan";

/// Whether an object is being deleted, and waits for this finalizer to be taken away.
pub fn waits_for(object: &Value, finalizer: &str) -> bool {
    is_deleted(object) && finalizers(object).any(|one| one == finalizer)
}

/// Whether an object is being deleted, and waits for something.
pub fn is_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Those of an object.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a finalizer is the server's own.
pub fn is_of_the_server(finalizer: &str) -> bool {
    [FOREGROUND, ORPHAN].contains(&finalizer)
}

/// Whether somebody beside the server has to do something before an object may go.
pub fn is_held(object: &Value) -> bool {
    finalizers(object).any(|one| !is_of_the_server(one))
}

/// Marks an object as being deleted, at this time, with this finalizer in place of the server's other ones. Without one,
/// those that it has stay.
pub fn mark_deleted(object: &mut Value, finalizer: Option<&str>, at: &str) {
    if let Some(finalizer) = finalizer {
        let others = finalizers(object).filter(|one| !is_of_the_server(one)).map(str::to_owned);
        let all: Vec<_> = others.chain([finalizer.to_owned()]).collect();
        object["metadata"]["finalizers"] = all.into();
    }
    if !is_deleted(object) {
        object["metadata"]["deletionTimestamp"] = at.into();
        object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        let generation = object["metadata"]["generation"].as_u64();
        if let Some(generation) = generation {
            object["metadata"]["generation"] = (generation + 1).into();
        }
    }
}
