//! What the collector decided, carried out: each as one transaction on the object as it was when it was judged.

use bytes::Bytes;
use serde_json::Value;

use super::graph::Verdict;
use crate::{
    finalizers::{FOREGROUND, mark_deleted, release},
    identity::{now, rfc3339},
    store::{Compare, Op, Revision, Store, StoreError},
};

/// Does to the object at `key`, whose revision this is, what was decided of it.
pub(super) async fn carry_out(
    store: &dyn Store,
    key: &str,
    revision: Option<Revision>,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    let Some(revision) = revision else { return Ok(()) };
    let op = match verdict {
        Verdict::Keep | Verdict::OrphanDependents(_) => return Ok(()),
        Verdict::Delete => Op::Delete(key.to_owned()),
        Verdict::Close | Verdict::Finish | Verdict::Release(_) => {
            let Some(held) = store.get(key).await?.filter(|held| held.revision == revision) else { return Ok(()) };
            let mut object: Value = serde_json::from_slice(&held.value).unwrap_or_default();
            let goes = match verdict {
                Verdict::Close => {
                    mark_deleted(&mut object, FOREGROUND, &rfc3339(now()));
                    false
                }
                Verdict::Release(owners) => {
                    forget_owners(&mut object, owners);
                    false
                }
                _ => release(&mut object),
            };
            match goes {
                true => Op::Delete(key.to_owned()),
                false => Op::Put(key.to_owned(), Bytes::from(object.to_string())),
            }
        }
    };
    if matches!(op, Op::Delete(_)) {
        tracing::debug!(key, "collected");
    }
    store.txn(vec![Compare::At(key.to_owned(), revision)], vec![op]).await.map(|_| ())
}

fn forget_owners(object: &mut Value, uids: &[String]) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) else { return };
    owners.retain(|owner| !uids.iter().any(|uid| owner["uid"] == **uid));
    if owners.is_empty() {
        metadata.remove("ownerReferences");
    }
}
