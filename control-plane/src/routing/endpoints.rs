use std::collections::BTreeMap;

use api::session::Endpoint;
use scheduler::{ReplicaState, ReplicaView, Template};

use super::Service;

/// The label that tells replicas of different revisions apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Whether a Service selects the replicas of a template. A Service without a selector selects none.
pub(crate) fn matches(selector: &BTreeMap<String, String>, template: &Template) -> bool {
    let label = |key: &str| match key {
        TEMPLATE_HASH => Some(&template.hash),
        key => template.labels.get(key),
    };
    !selector.is_empty() && selector.iter().all(|(key, value)| label(key) == Some(value))
}

/// The endpoints of a Service among replicas of its namespace that it selects.
pub(crate) fn endpoints<'a>(selected: impl Iterator<Item = &'a ReplicaView>) -> Vec<Endpoint> {
    selected.filter_map(endpoint).collect()
}

fn endpoint(view: &ReplicaView) -> Option<Endpoint> {
    if view.state != ReplicaState::Ready {
        return None;
    }
    Some(Endpoint {
        replica: view.id.clone(),
        worker: view.worker.clone()?,
        concurrency: view.template.limits.concurrency,
        request_deadline: view.template.limits.request_deadline,
    })
}

/// Whether a Service is for these replicas at all, by namespace and labels.
impl Service {
    pub(crate) fn selects(&self, template: &Template) -> bool {
        matches(&self.selector, template)
    }
}
