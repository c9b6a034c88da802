//! Changes of the durable store, told to the scheduler and to the network.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use api::ObjectKey;
use bytes::Bytes;
use kube_api::{
    fields::decode,
    finalizers::{FOREGROUND, ORPHAN, waits_for},
    identity::now,
    kind::{
        CONFIG_MAP, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, INGRESS, NAMESPACE, NETWORK_POLICY, REPLICA_SET, SECRET,
        SERVICE,
    },
};
use scheduler::{Event, EventKind};
use serde_json::Value;

use super::{
    Shell,
    deployment::{controller, deployment, revision},
    ingress_status::IngressStatus,
    objects::Observed,
    replica_set::{labelled_template, taken_over},
};
use crate::{
    projection::{About, Report},
    routing::{Labels, Policy, Refused, Service, TOLD, ingress_claim},
};

impl Shell {
    pub(super) fn observe(&mut self, key: Arc<str>, value: Option<Bytes>) {
        if let Some(change) = self.objects.observe(key, value) {
            self.changed(change);
        }
    }

    pub(super) fn changed(&mut self, change: Observed) {
        if let Some(name) = change.key.strip_prefix(&NAMESPACE.prefix()).filter(|_| change.kind == NAMESPACE) {
            let object = change.now.as_ref().map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap_or_default());
            match object {
                Some(_) => self.projection.events.namespace_stands(name),
                None => self.projection.events.namespace_gone(name, now()),
            }
            return self.network.set_namespace(name, object.as_ref().map(labels_of));
        }
        let Some(key) = change.object() else { return };
        let object = change.now.as_ref().map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap_or_default());
        match (change.kind, object) {
            (DEPLOYMENT, Some(object)) => {
                self.deployment_stored(key.clone(), &object);
                self.annotations_passed_on(&key, &object, change.before.as_ref());
            }
            (DEPLOYMENT, None) => self.deployment_deleted(&key),
            (REPLICA_SET, Some(object)) => self.replica_set_stored(key, &object),
            (REPLICA_SET, None) => self.replica_set_deleted(key, change.before.as_ref()),
            (HORIZONTAL_POD_AUTOSCALER, object) => self.autoscaler_stored(key, object.as_ref()),
            // One that is deleted in the foreground waits for its EndpointSlice, which goes with it.
            (SERVICE, Some(object)) if waits_for(&object, FOREGROUND) => self.service_deleted(key),
            (SERVICE, Some(object)) => self.service_stored(key, Service::read(&object)),
            (SERVICE, None) => self.service_deleted(key),
            (INGRESS, object) => {
                let claim = object.map(|object| ingress_claim(&key, &object));
                if claim.is_none() {
                    self.network.set_ingress(key.clone(), None);
                    self.refused.remove(&key);
                }
                for changed in self.claims.set(&key, claim) {
                    self.ingress_granted(changed);
                }
            }
            (NETWORK_POLICY, object) => {
                let policy = object.and_then(|object| decode(&object).ok());
                let policy = policy.map(|policy| Policy::read(&key, policy));
                self.network.set_policy(key, policy);
            }
            // They are read when a replica starts; as in Kubernetes, a change restarts nothing.
            (CONFIG_MAP | SECRET, Some(_)) if self.scheduler.is_settled() => {
                self.step(Event::ConfigStored(key.namespace));
            }
            _ => {}
        }
    }

    /// An Ingress gets perhaps other hosts and paths than before.
    fn ingress_granted(&mut self, key: ObjectKey) {
        let granted = self.claims.granted(&key);
        let before = self.refused.remove(&key).unwrap_or_default();
        let new: Vec<&Refused> = granted.refused.difference(&before).collect();
        for refused in new.iter().take(TOLD) {
            self.report(INGRESS, &key, refused.reason(), &format!("it {refused}"));
        }
        if let [further, ..] = &new[new.len().min(TOLD)..] {
            let count = new.len() - TOLD;
            self.report(
                INGRESS,
                &key,
                further.reason(),
                &format!("it gets no requests for {count} further hosts and paths"),
            );
        }
        let held = if before.is_empty() { BTreeSet::new() } else { granted.held() };
        let regained: Vec<&Refused> = before.iter().filter(|refused| held.contains(&refused.what)).collect();
        for regained in regained.iter().take(TOLD) {
            self.announce(INGRESS, &key, "Granted", &format!("it gets requests for {} now", regained.what));
        }
        if let Some(count) = regained.len().checked_sub(TOLD).filter(|count| *count > 0) {
            self.announce(
                INGRESS,
                &key,
                "Granted",
                &format!("it gets requests for {count} further hosts and paths now"),
            );
        }
        let status = IngressStatus::new(self.ingress, &granted);
        self.writer.ingress_status(INGRESS.key(&key), status);
        if !granted.refused.is_empty() {
            self.refused.insert(key.clone(), granted.refused);
        }
        self.network.set_ingress(key, Some(granted.rules));
    }

    fn deployment_stored(&mut self, key: ObjectKey, object: &Value) {
        // It stays in the store until the collector takes it out; what runs is let go of at once. One that waits for nothing
        // but finalizers of users goes on until it is gone.
        if waits_for(object, ORPHAN) {
            return self.deployment_orphaned(&key);
        }
        if waits_for(object, FOREGROUND) {
            return self.deployment_closed(&key);
        }
        // Annotations are no part of what a generation counts.
        self.annotations_stored(&key, Some(object));
        let identity = identity(object);
        match self.told.insert((DEPLOYMENT.plural, key.clone()), identity.clone()) {
            // Only its status or its metadata changed.
            Some(before) if before == identity => return,
            // Deleted and made anew, faster than the watch could tell.
            Some(before) if before.0 != identity.0 => {
                self.deployment_deleted(&key);
                self.told.insert((DEPLOYMENT.plural, key.clone()), identity);
            }
            _ => {}
        }
        match deployment(key.clone(), object, &self.objects) {
            Ok(mut deployment) => {
                // Where nothing has changed, all who know it share one template: there may be very many.
                if let Some(same) = self.network.template(&deployment.key).filter(|it| **it == deployment.template) {
                    deployment.template = same.clone();
                }
                self.network.set_deployment(deployment.clone());
                self.step(Event::Deployment(deployment));
            }
            Err(why) => self.unreadable(DEPLOYMENT, key, object, &why),
        }
    }

    /// As in Kubernetes: what is noted on a Deployment (`kubernetes.io/change-cause`) stands on its newest revision too, also
    /// where it is noted once that is there.
    fn annotations_passed_on(&mut self, key: &ObjectKey, object: &Value, before: Option<&Bytes>) {
        let Some(before) = before.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok()) else { return };
        let (notes, noted) = (taken_over(object), taken_over(&before));
        if notes == noted || before["spec"]["template"] != object["spec"]["template"] {
            return;
        }
        if let Some(newest) = self.scheduler.current_revision(key).cloned() {
            self.put_revision(newest);
        }
    }

    /// It is being deleted in the foreground, and waits for its revisions and their replicas.
    fn deployment_closed(&mut self, key: &ObjectKey) {
        if self.told.contains_key(&(DEPLOYMENT.plural, key.clone())) {
            self.deployment_deleted(key);
        }
    }

    /// It is being deleted, and what it owns stays: its revisions become the user's own.
    fn deployment_orphaned(&mut self, key: &ObjectKey) {
        if self.told.remove(&(DEPLOYMENT.plural, key.clone())).is_none() {
            return;
        }
        self.annotations_stored(key, None);
        self.network.remove_deployment(key);
        self.revisions.release_owned(key);
        self.step(Event::DeploymentOrphaned(key.clone()));
    }

    fn deployment_deleted(&mut self, key: &ObjectKey) {
        self.annotations_stored(key, None);
        self.told.remove(&(DEPLOYMENT.plural, key.clone()));
        self.network.remove_deployment(key);
        for revision in self.revisions.forget_owned(key) {
            self.writer.delete(REPLICA_SET.key(&revision));
        }
        self.step(Event::DeploymentDeleted(key.clone()));
    }

    /// A Deployment's own revisions are told to the scheduler once, when the store is read: afterwards it is the scheduler
    /// who decides them, and what is stored follows.
    fn replica_set_stored(&mut self, key: ObjectKey, object: &Value) {
        if waits_for(object, FOREGROUND) {
            return self.replica_set_closed(&key);
        }
        if waits_for(object, ORPHAN) {
            return self.replica_set_released(&key, object);
        }
        let identity = identity(object);
        let owner = controller(object, "Deployment");
        let owner = owner.map(|(name, uid)| (ObjectKey::new(key.namespace.clone(), name), uid.to_owned()));
        if self.revisions.owner(&key).is_some() {
            // A status that was written makes no other generation.
            let spec_changed = self.told.insert((REPLICA_SET.plural, key.clone()), identity.clone()) != Some(identity);
            if self.differs(&key, object, spec_changed) {
                self.step(Event::RevisionOverwritten(key));
            }
            return;
        }
        if self.told.insert((REPLICA_SET.plural, key.clone()), identity.clone()).as_ref() == Some(&identity) {
            return;
        }
        match revision(key.clone(), object, &self.objects) {
            Ok(revision) => {
                self.revisions.stored(key, &identity.0, owner);
                self.step(Event::Revision(revision));
            }
            Err(why) => self.unreadable(REPLICA_SET, key, object, &why),
        }
    }

    /// Whether a ReplicaSet of a Deployment is another one than was decided: as with Kubernetes' controller, what others write
    /// into it does not stay.
    fn differs(&self, key: &ObjectKey, object: &Value, spec_changed: bool) -> bool {
        let Some(decided) = self.scheduler.revision_named(key) else { return false };
        object["spec"]["replicas"] != decided.replicas
            || controller(object, "Deployment").is_none()
            || (spec_changed && object["spec"]["template"] != labelled_template(decided))
    }

    /// It is being deleted in the foreground, and waits for its replicas.
    fn replica_set_closed(&mut self, key: &ObjectKey) {
        self.told.remove(&(REPLICA_SET.plural, key.clone()));
        if self.revisions.uid(key).is_some() {
            self.revisions.forget(key);
            self.step(Event::RevisionDeleted(key.clone()));
        }
    }

    /// It is being deleted, and its replicas stay: its Deployment makes another of its name, whose they are.
    fn replica_set_released(&mut self, key: &ObjectKey, object: &Value) {
        self.told.remove(&(REPLICA_SET.plural, key.clone()));
        if self.revisions.uid(key) == Some(identity(object).0.as_str()) {
            self.revisions.forget(key);
            self.step(Event::RevisionReleased(key.clone()));
        }
    }

    fn replica_set_deleted(&mut self, key: ObjectKey, before: Option<&Bytes>) {
        self.told.remove(&(REPLICA_SET.plural, key.clone()));
        let before = before.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok()).unwrap_or_default();
        // What was deleted by the scheduler's own decision, or is another's of the same name, is no news.
        if self.revisions.uid(&key) == Some(identity(&before).0.as_str()) {
            self.revisions.forget(&key);
            self.step(Event::RevisionDeleted(key));
        }
    }

    fn service_stored(&mut self, key: ObjectKey, service: Service) {
        if self.network.service(&key) == Some(&service) {
            return;
        }
        if let Some(status) = self.listeners.get_mut(&key) {
            status.retain(|port| service.load_balancer && service.ports.iter().any(|wanted| wanted.port == port));
            self.writer.service_status(SERVICE.key(&key), status.clone());
        }
        self.network.set_service(key, Some(service));
    }

    fn service_deleted(&mut self, key: ObjectKey) {
        self.listeners.remove(&key);
        self.measurements.forget(&key);
        self.projection.remove_endpoints(&key);
        self.network.set_service(key, None);
    }

    /// Takes out, and deletes, revisions whose Deployment was deleted while nobody was there to see it.
    pub(super) fn delete_orphans(&self, changes: &mut Vec<Observed>) {
        let parse = |change: &Observed| serde_json::from_slice::<Value>(change.now.as_ref()?).ok();
        let live: HashSet<String> = changes
            .iter()
            .filter(|change| change.kind == DEPLOYMENT)
            .filter_map(|change| Some(identity(&parse(change)?).0))
            .chain(
                self.told
                    .iter()
                    .filter(|((plural, _), _)| *plural == DEPLOYMENT.plural)
                    .map(|(_, told)| told.0.clone()),
            )
            .collect();
        changes.retain(|change| {
            let object = if change.kind == REPLICA_SET { parse(change) } else { None };
            let owner = object.as_ref().and_then(|object| controller(object, "Deployment"));
            let orphan = owner.is_some_and(|(_, uid)| !live.contains(uid));
            if orphan {
                self.writer.delete(change.key.to_string());
            }
            !orphan
        });
    }

    fn unreadable(&mut self, kind: kube_api::kind::Kind, key: ObjectKey, object: &Value, why: &str) {
        tracing::warn!(kind = kind.kind, %key, why, "an object in the store cannot be used");
        let about = About { kind, uid: identity(object).0, key };
        let report = Report { about: &about, kind: EventKind::Warning, reason: "Invalid", message: why };
        self.projection.events.report(&report, now());
    }
}

fn labels_of(object: &Value) -> Labels {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// uid and generation: what changes with the spec.
fn identity(object: &Value) -> (String, u64) {
    let metadata = &object["metadata"];
    (metadata["uid"].as_str().unwrap_or_default().to_owned(), metadata["generation"].as_u64().unwrap_or(1))
}
