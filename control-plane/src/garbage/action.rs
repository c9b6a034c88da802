//! What the collector decided, carried out: each as one transaction on the object as it was when it was judged.

use bytes::Bytes;
use kube_api::{
    cluster_ip,
    finalizers::{FOREGROUND, mark_deleted},
    identity::{now, rfc3339},
};
use serde_json::Value;
use store::{Compare, Op, Store, StoreError};

use super::{graph::Verdict, node::Node};

/// Does to the object at `key`, which was this one, what was decided of it.
pub(super) async fn carry_out(
    store: &dyn Store,
    key: &str,
    node: Option<&Node>,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    let Some(node) = node else { return Ok(()) };
    let Some(held) = store.get(key).await?.filter(|held| held.revision == node.revision) else { return Ok(()) };
    let mut object: Value = serde_json::from_slice(&held.value).unwrap_or_default();
    let ops = match verdict {
        Verdict::Keep | Verdict::OrphanDependents(_) => return Ok(()),
        Verdict::Delete => {
            tracing::debug!(key, "collected");
            std::iter::once(Op::Delete(key.to_owned())).chain(cluster_ip::release(node.resource, &object)).collect()
        }
        Verdict::Close | Verdict::Mark | Verdict::Release(_) => {
            match verdict {
                Verdict::Close => mark_deleted(&mut object, Some(FOREGROUND), &rfc3339(now())),
                Verdict::Release(owners) => forget_owners(&mut object, owners),
                _ => mark_deleted(&mut object, None, &rfc3339(now())),
            }
            vec![Op::Put(key.to_owned(), Bytes::from(object.to_string()))]
        }
    };
    store.txn(vec![Compare::At(key.to_owned(), node.revision)], ops).await.map(|_| ())
}

fn forget_owners(object: &mut Value, uids: &[String]) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) else { return };
    owners.retain(|owner| !uids.iter().any(|uid| owner["uid"] == **uid));
    if owners.is_empty() {
        metadata.remove("ownerReferences");
    }
}
