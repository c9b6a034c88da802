//! What of an object matters to the collector.

use bytes::Bytes;
use kube_api::{
    finalizers::{FOREGROUND, ORPHAN, is_of_the_server},
    resources::{self, Durability, Resource, Scope},
};
use serde::Deserialize;
use store::{Revision, object_key};

const NAMESPACES: &str = "namespaces";

/// An object in a store.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) uid: String,
    pub(super) owners: Vec<Owner>,
    pub(super) closing: Closing,
    /// Whether it is being deleted, for whatever it waits.
    pub(super) deleted: bool,
    /// Whether it has finalizers of users, which it waits for before it goes.
    pub(super) held: bool,
    pub(super) revision: Revision,
}

/// Whether an object is being deleted, and what for it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It is not.
    No,
    /// For what it owns to be gone.
    Foreground,
    /// For what it owns to forget it.
    Orphan,
}

/// A reference to an owner.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    pub(super) uid: String,
    /// Whether an owner that is deleted in the foreground waits for this one.
    #[serde(default)]
    pub(super) block_owner_deletion: bool,
}

/// Where an owner would be.
pub(super) enum Place {
    /// At this key.
    At(String, Durability),
    /// That cannot be known: no such kind is served, or it would be in a namespace and the dependent is in none.
    Nowhere,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    uid: String,
    owner_references: Option<Vec<Owner>>,
    deletion_timestamp: Option<String>,
    finalizers: Option<Vec<String>>,
}

impl Node {
    /// Reads a stored object; `None` if the key is of no kind that is served.
    pub(super) fn read(key: &str, value: &Bytes, revision: Revision) -> Option<Self> {
        let (resource, namespace) = place_of(key)?;
        // What is stored was JSON when it was stored; anything else owns nothing.
        let Object { metadata } = serde_json::from_slice(value).ok()?;
        let finalizers = metadata.finalizers.unwrap_or_default();
        let waits_for = |finalizer: &str| finalizers.iter().any(|one| one == finalizer);
        let deleted = metadata.deletion_timestamp.is_some();
        let held = finalizers.iter().any(|one| !is_of_the_server(one));
        let closing = match metadata.deletion_timestamp {
            Some(_) if waits_for(ORPHAN) => Closing::Orphan,
            Some(_) if waits_for(FOREGROUND) => Closing::Foreground,
            _ => Closing::No,
        };
        let owners = metadata.owner_references.unwrap_or_default();
        Some(Self { resource, namespace, uid: metadata.uid, owners, closing, deleted, held, revision })
    }

    /// Whether the collector deletes it for the sake of its owners.
    pub(super) fn is_collected(&self) -> bool {
        self.resource.durability == Durability::Durable && !self.is_namespace()
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.resource.plural == NAMESPACES
    }

    /// The key of the namespace that it is kept in.
    pub(super) fn namespace_key(&self) -> Option<String> {
        let namespace = self.namespace.as_deref().filter(|_| self.resource.durability == Durability::Durable)?;
        Some(object_key("", NAMESPACES, None, namespace))
    }

    /// Where one of its owners would be.
    pub(super) fn place(&self, owner: &Owner) -> Place {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let of_kind = |resource: &&&Resource| resource.kind == owner.kind && resource.group == group;
        let Some(resource) = resources::ALL.iter().find(of_kind) else { return Place::Nowhere };
        let namespace = match (resource.scope, &self.namespace) {
            (Scope::Namespaced, None) => return Place::Nowhere,
            (Scope::Namespaced, Some(namespace)) => Some(namespace.as_str()),
            (Scope::Cluster, _) => None,
        };
        Place::At(object_key(resource.group, resource.plural, namespace, &owner.name), resource.durability)
    }
}

fn place_of(key: &str) -> Option<(&'static Resource, Option<String>)> {
    let (group, rest) = key.split_once('/')?;
    let (plural, rest) = rest.split_once('/')?;
    let group = if group == "core" { "" } else { group };
    let resource = resources::ALL.iter().find(|resource| resource.group == group && resource.plural == plural)?;
    match resource.scope {
        Scope::Namespaced => Some((resource, Some(rest.split_once('/')?.0.to_owned()))),
        Scope::Cluster => Some((resource, None)),
    }
}
