use std::collections::{BTreeMap, BTreeSet};

use api::{Digest, annotations};
use kube_api::kind::{DEPLOYMENT, REPLICA_SET};
use serde_json::Value;
use store::{Store, StoreError};

/// Objects read from the store at a time.
const PAGE: usize = 1000;

/// What Deployments and their revisions run, also those that could be gone back to.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Pinned images, each with the `NAMESPACE/NAME` of the Deployments or ReplicaSets.
    pub(super) digests: BTreeMap<Digest, BTreeSet<String>>,
    /// References that are written in templates.
    pub(super) references: BTreeSet<String>,
}

impl Usage {
    pub(super) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut usage = Self::default();
        for kind in [REPLICA_SET, DEPLOYMENT] {
            let (prefix, mut after) = (kind.prefix(), None);
            loop {
                let page = store.list(&prefix, PAGE, after.as_deref()).await?;
                after = page.items.last().map(|item| item.key.clone());
                page.items
                    .iter()
                    .filter_map(|item| serde_json::from_slice(&item.value).ok())
                    .for_each(|o| usage.add(&o));
                if page.remaining == 0 {
                    break;
                }
            }
        }
        Ok(usage)
    }

    fn add(&mut self, object: &Value) {
        let metadata = &object["metadata"];
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
        self.references.extend(containers.filter_map(|container| Some(container["image"].as_str()?.to_owned())));
        let Some(digest) =
            metadata["annotations"][annotations::IMAGE_DIGEST].as_str().and_then(|text| text.parse().ok())
        else {
            return;
        };
        let owner = metadata["ownerReferences"][0]["name"].as_str().or(metadata["name"].as_str()).unwrap_or_default();
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        self.digests.entry(digest).or_default().insert(format!("{namespace}/{owner}"));
    }
}
