use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use api::ObjectKey;
use bytes::Bytes;
use kube_api::kind::{
    CONFIG_MAP, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, INGRESS, Kind, NAMESPACE, NETWORK_POLICY, PRIORITY_CLASS,
    REPLICA_SET, SECRET, SERVICE,
};
use serde_json::Value;
use store::{Revision, Store, StoreError};

use super::{environment::Configs, priority::Classes};

/// The kinds that the shell follows, in the order in which it wants to be told of them at start: revisions before the
/// Deployments that own them, and PriorityClasses before both.
const FOLLOWED: [Kind; 10] = [
    NAMESPACE,
    NETWORK_POLICY,
    PRIORITY_CLASS,
    CONFIG_MAP,
    SECRET,
    REPLICA_SET,
    HORIZONTAL_POD_AUTOSCALER,
    DEPLOYMENT,
    INGRESS,
    SERVICE,
];
/// Objects read from the store at a time.
const PAGE: usize = 1000;

/// What the shell has seen of the store: the bytes are shared with the store's own.
#[derive(Debug, Default)]
pub(super) struct Objects {
    items: BTreeMap<Arc<str>, Bytes>,
}

/// One object that has changed.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    pub(super) kind: Kind,
    pub(super) key: Arc<str>,
    /// `None`: it was deleted.
    pub(super) now: Option<Bytes>,
    /// What it was before, if it was known.
    pub(super) before: Option<Bytes>,
}

impl Observed {
    /// What it is called.
    pub(super) fn object(&self) -> Option<ObjectKey> {
        self.kind.object(&self.key)
    }
}

impl Objects {
    /// Reads the whole store. Answers what differs from what was seen before, and the revision to watch from.
    pub(super) async fn read(&mut self, store: &dyn Store) -> Result<(Vec<Observed>, Revision), StoreError> {
        let mut found = BTreeMap::new();
        let mut first = None;
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = store.list("", PAGE, after.as_deref()).await?;
            first.get_or_insert(page.revision);
            after = page.items.last().map(|item| item.key.clone());
            let followed = page.items.into_iter().filter(|item| kind_of(&item.key).is_some());
            found.extend(followed.map(|item| (item.key, item.value)));
            if page.remaining == 0 {
                break;
            }
        }
        let gone: Vec<_> = self.items.keys().filter(|key| !found.contains_key(*key)).cloned().collect();
        let mut changes: Vec<_> = gone.into_iter().filter_map(|key| self.observe(key, None)).collect();
        changes.extend(found.into_iter().filter_map(|(key, value)| self.observe(key, Some(value))));
        changes.sort_by_key(|change| FOLLOWED.iter().position(|kind| *kind == change.kind));
        Ok((changes, first.unwrap_or_default()))
    }

    /// Notes a change. `None` if the kind is of no interest, or nothing changed.
    pub(super) fn observe(&mut self, key: Arc<str>, now: Option<Bytes>) -> Option<Observed> {
        let kind = kind_of(&key)?;
        let before = match &now {
            Some(value) => self.items.insert(key.clone(), value.clone()),
            None => self.items.remove(&key),
        };
        (before != now).then_some(Observed { kind, key, now, before })
    }

    /// An object as it is stored.
    pub(super) fn object(&self, kind: Kind, key: &ObjectKey) -> Option<Value> {
        serde_json::from_slice(self.items.get(kind.key(key).as_str())?).ok()
    }

    /// One of a kind that has no namespaces.
    pub(super) fn cluster_object(&self, kind: Kind, name: &str) -> Option<Value> {
        serde_json::from_slice(self.items.get(kind.cluster_key(name).as_str())?).ok()
    }

    /// Whether an object is stored.
    pub(super) fn holds(&self, kind: Kind, key: &ObjectKey) -> bool {
        self.items.contains_key(kind.key(key).as_str())
    }

    fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        self.object(kind, &ObjectKey::new(namespace, name))
    }
}

impl Configs for Objects {
    fn config_map(&self, namespace: &str, name: &str) -> Option<Value> {
        self.get(CONFIG_MAP, namespace, name)
    }

    fn namespace(&self, name: &str) -> Option<Value> {
        let value = self.items.get(NAMESPACE.cluster_key(name).as_str())?;
        serde_json::from_slice(value).ok()
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<Value> {
        self.get(SECRET, namespace, name)
    }
}

impl Classes for Objects {
    fn class(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(self.items.get(PRIORITY_CLASS.cluster_key(name).as_str())?).ok()
    }

    fn all_classes(&self) -> Vec<Value> {
        let prefix = PRIORITY_CLASS.prefix();
        let from = self.items.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let all = from.take_while(|(key, _)| key.starts_with(&prefix));
        all.filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect()
    }
}

fn kind_of(key: &str) -> Option<Kind> {
    FOLLOWED.into_iter().find(|kind| key.starts_with(&kind.prefix()))
}
