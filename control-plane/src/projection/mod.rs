//! What is live, as Kubernetes objects: Pods, Nodes, EndpointSlices, Endpoints and Events. They are written to a store that lives as long as the
//! process, and are made again from what workers say after a restart.

mod container;
mod endpoint_slice;
mod endpoints;
mod events;
mod node;
mod pod;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use api::{ObjectKey, ReplicaId, Timestamp, WorkerName, session::Endpoint};
use bytes::Bytes;
use kube_api::kind::{ENDPOINT_SLICE, ENDPOINTS, Kind, NODE, POD};
use scheduler::{ReplicaView, Resources, WorkerView};
use serde_json::Value;
use store::MemoryStore;

use crate::routing::Service;

pub(crate) use events::{Events, Report};

/// Writes the projections. The only writer of their store.
#[derive(Debug)]
pub(crate) struct Projection {
    store: MemoryStore,
    pub(crate) events: Events,
    /// What Nodes were made from, so that a replica that comes or goes, which they do not show, costs nothing.
    shown: HashMap<WorkerName, WorkerView>,
}

/// The owner of a Pod.
#[derive(Debug, Clone)]
pub(crate) struct Owner<'a> {
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
}

/// The identity of an object that an event is about.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) kind: Kind,
    /// The namespace is empty where the kind has none.
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
}

impl Projection {
    pub(crate) fn new(store: MemoryStore) -> Self {
        Self { events: Events::new(store.clone()), store, shown: HashMap::new() }
    }

    /// A replica is new or has changed.
    pub(crate) fn publish_replica(&self, view: &ReplicaView, owner: &Owner<'_>, now: Timestamp) {
        let key = POD.key(&view.id.0);
        let before = self.read(&key);
        self.write(key, &before, pod::pod(view, owner, before.as_ref(), now));
    }

    /// A replica is gone.
    pub(crate) fn remove_replica(&self, id: &ReplicaId) {
        self.store.delete(POD.key(&id.0));
    }

    /// A worker is new or has changed.
    pub(crate) fn publish_worker(&mut self, view: WorkerView, now: Timestamp) {
        let view = WorkerView { reserved: Resources::default(), replicas: 0, ..view };
        if self.shown.get(&view.name) == Some(&view) {
            return;
        }
        let key = NODE.cluster_key(&view.name.0);
        let before = self.read(&key);
        self.write(key, &before, node::node(&view, before.as_ref(), now));
        self.shown.insert(view.name.clone(), view);
    }

    /// A worker is gone for good.
    pub(crate) fn remove_worker(&mut self, name: &WorkerName) {
        self.shown.remove(name);
        self.store.delete(NODE.cluster_key(&name.0));
    }

    /// The endpoints of a Service are new or have changed.
    pub(crate) fn publish_endpoints(&self, key: &ObjectKey, service: &Service, endpoints: &[Endpoint], now: Timestamp) {
        let at = ENDPOINT_SLICE.key(key);
        let before = self.read(&at);
        let slice = endpoint_slice::endpoint_slice(key, service, endpoints, before.as_ref(), now);
        self.write(at, &before, slice);
        let at = ENDPOINTS.key(key);
        let before = self.read(&at);
        let object = endpoints::endpoints(key, service, endpoints, before.as_ref(), now);
        self.write(at, &before, object);
    }

    /// A Service is gone.
    pub(crate) fn remove_endpoints(&self, key: &ObjectKey) {
        self.store.delete(ENDPOINT_SLICE.key(key));
        self.store.delete(ENDPOINTS.key(key));
    }

    fn read(&self, key: &str) -> Option<Value> {
        serde_json::from_slice(&self.store.peek(key)?.value).ok()
    }

    fn write(&self, key: String, before: &Option<Value>, object: Value) {
        if before.as_ref() != Some(&object) {
            self.store.put(key, Bytes::from(object.to_string()));
        }
    }
}

/// The identity of a worker's Node.
pub(crate) fn node_uid(name: &WorkerName) -> String {
    kube_api::identity::derived_uid(&["node", &name.0])
}
