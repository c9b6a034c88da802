//! What the scheduler decided, carried out. Nothing here waits.

use std::sync::Arc;

use api::{
    Digest, ObjectKey, Timestamp, WorkerName, annotations,
    replica::{ReplicaSpec, Reserves},
    session::WorkerDown,
};
use kube_api::{
    identity::{derived_uid, now, pod_uid},
    kind::{DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, NODE, POD, REPLICA_SET},
};
use scheduler::{
    Action, ConditionKind, ConditionReason, DeploymentStatus, Event, EventKind, ReplicaState, ReplicaView, Revision,
    Subject,
};

use super::{NotReused, PullNews, Shell, environment, network::Trouble, replica_set::revision_uid, wishes::Pace};
use crate::projection::{About, Owner, Report, node_uid};

/// Replicas whose events say how the pull of their image goes on.
const MAX_TOLD_OF_A_PULL: usize = 10;

impl Shell {
    pub(super) fn carry_out(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::Start { worker, id, revision, template, digest, created } => {
                let subject = environment::Subject { id: &id, worker: &worker, template: &template };
                self.images.check_reuse(&revision, &template.limits, &digest);
                if let Some(spec) = self.spec(&subject, &revision, digest, created) {
                    // A worker that has gone in the meantime: the end of its session is in the queue, and the scheduler acts
                    // on it.
                    self.place(&worker, &spec);
                    self.workers.send(&worker, WorkerDown::Start(spec));
                }
            }
            Action::Standby { worker, id, revision, template, digest, created } => {
                let subject = environment::Subject { id: &id, worker: &worker, template: &template };
                self.images.check_reuse(&revision, &template.limits, &digest);
                if let Some(spec) = self.spec(&subject, &revision, digest, created) {
                    self.place(&worker, &spec);
                    self.workers.send(&worker, WorkerDown::Standby(spec));
                }
            }
            Action::Stop { worker, id, grace } => {
                // Gateways must know first: a replica that stops refuses new requests.
                self.tell_gateways();
                self.peers.stop(&worker, &id, grace);
                self.workers.send(&worker, WorkerDown::Stop { id, grace });
            }
            Action::ResolveImage { revision, reference, pull } => {
                self.images.resolve(revision, reference, &pull, &self.objects);
            }
            Action::PutRevision(revision) => self.put_revision(revision),
            Action::DeleteRevision(key) => {
                self.revisions.forget(&key);
                self.images.forget(&key);
                self.writer.delete(REPLICA_SET.key(&key));
            }
            Action::DeploymentStatus { key, status } => self.deployment_status(&key, status),
            Action::RevisionStatus { key, status } => {
                let pace = self.revisions.owner(&key).map_or(Pace::Now, |owner| self.pace(owner));
                self.writer.revision_status(REPLICA_SET.key(&key), status, pace);
            }
            Action::PublishReplica(view) => self.publish_replica(view, now),
            Action::RemoveReplica(id) => {
                self.logs.retire(&id, now);
                self.measurements.removed(&id);
                self.peers.take_away(&id);
                self.projection.remove_replica(&id);
                if let Some(revision) = self.replicas.remove(&id) {
                    self.network.remove_replica(&revision, &id);
                }
            }
            Action::PublishWorker(view) => {
                self.know_worker(&view);
                self.projection.publish_worker(view, now);
            }
            Action::RemoveWorker(name) => {
                self.peers.forget(&name);
                self.forget_worker(&name);
                self.projection.remove_worker(&name);
            }
            Action::DeploymentReplicas { key, replicas } => {
                self.writer.deployment_replicas(DEPLOYMENT.key(&key), replicas);
            }
            Action::Rescaled { deployment, before, wanted, why } => {
                tracing::info!(%deployment, before, wanted, why, "scaled");
            }
            Action::AutoscalerStatus { deployment, status } => self.autoscaler_status(&deployment, status),
            Action::Emit { about, kind, reason, message } => self.emit(about, kind, reason, &message, now),
            Action::WakeAt(at) => self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at))),
        }
    }

    /// A worker is about to be told of a replica. What that may ask and call is there before it runs.
    pub(super) fn place(&mut self, worker: &WorkerName, spec: &ReplicaSpec) {
        self.peers.place(worker, spec);
        self.gateways.follow_guests(&self.peers, &self.network);
    }

    /// What a worker is told of a replica; `None` if something that it needs is missing, which the scheduler is told.
    fn spec(
        &mut self,
        subject: &environment::Subject<'_>,
        revision: &ObjectKey,
        digest: Digest,
        created: Timestamp,
    ) -> Option<Arc<ReplicaSpec>> {
        let (id, template) = (subject.id.clone(), subject.template);
        let environment = match environment::resolve(subject, &self.objects) {
            Ok(environment) => environment,
            Err(failure) => {
                self.follow_ups.push_back(Event::StartFailed { id, failure });
                return None;
            }
        };
        let mut spec = ReplicaSpec {
            id,
            revision: revision.name.to_string(),
            created,
            image: template.image.clone(),
            digest,
            environment,
            grants: template.grants.clone(),
            limits: template.limits.clone(),
            reserves: Reserves {
                cpu_millis: template.requests.cpu_millis,
                memory_bytes: template.requests.memory_bytes,
            },
            probes: template.probes.clone(),
            seal: Vec::new(),
        };
        if let Some(seal) = &mut self.seal {
            seal.put(subject.worker, &mut spec, now());
        }
        Some(Arc::new(spec))
    }

    pub(super) fn put_revision(&mut self, revision: Revision) {
        let known = self.revisions.uid(&revision.key).is_some();
        let pace = revision.deployment.as_ref().filter(|_| known).map_or(Pace::Now, |owner| self.pace(owner));
        let owner_uid =
            revision.deployment.as_ref().map_or("", |deployment| self.deployment_uid(deployment)).to_owned();
        self.revisions.decided(&revision, &owner_uid, || revision_uid(&revision, &owner_uid));
        self.writer.put_revision(REPLICA_SET.key(&revision.key), revision, pace);
    }

    fn deployment_status(&mut self, key: &ObjectKey, status: DeploymentStatus) {
        let failure = status.condition(ConditionKind::ReplicaFailure).filter(|condition| condition.status);
        let trouble = failure.map(|condition| Trouble {
            message: condition.message.clone(),
            // What cannot be placed may be as soon as something ends; what cannot be run stays so for a while.
            lasts: condition.reason != ConditionReason::FailedScheduling,
        });
        self.network.set_trouble(key, trouble);
        self.writer.deployment_status(DEPLOYMENT.key(key), status, self.pace(key));
    }

    /// How soon what becomes of a Deployment is written.
    fn pace(&self, deployment: &ObjectKey) -> Pace {
        if self.autoscalers.scales(deployment) { Pace::Soon } else { Pace::Now }
    }

    fn publish_replica(&mut self, view: ReplicaView, now: Timestamp) {
        let uid = self.revision_uid(&view.revision);
        let owner = Owner { name: &view.revision.name, uid: &uid };
        if matches!(view.state, ReplicaState::Standby { .. }) {
            // It is no Pod until a request makes it one.
            self.projection.remove_replica(&view.id);
        } else {
            self.logs.announce(&view.id);
            self.projection.publish_replica(&view, &owner, now);
        }
        self.replicas.insert(view.id.clone(), view.revision.clone());
        self.network.set_replica(view);
    }

    /// Told of each replica that waits for the image, as far as they can be told apart by a reader.
    pub(super) fn pull_news(&mut self, news: &PullNews) {
        let of_it = self.replicas.iter().filter(|(_, revision)| **revision == news.revision);
        let waiting: Vec<_> = of_it.take(MAX_TOLD_OF_A_PULL).map(|(id, _)| id.clone()).collect();
        for id in waiting {
            self.emit(Subject::Replica(id), news.kind, news.reason, &news.message, now());
        }
    }

    /// Told of the Deployment, whose template says otherwise, or of a revision without one.
    pub(super) fn not_reused(&mut self, news: &NotReused) {
        let message = format!(
            "its instances answer one request each, as with isolation `request`, though the annotation `{}` says `replica`: {} made the \
             component, whose engine answers one request in each instance. Remove the annotation",
            annotations::ISOLATION,
            news.made_by
        );
        let about = match self.revisions.owner(&news.revision) {
            Some(deployment) => Subject::Deployment(deployment.clone()),
            None => Subject::Revision(news.revision.clone()),
        };
        self.emit(about, EventKind::Warning, "IsolationNotHonoured", &message, now());
    }

    pub(super) fn emit(&mut self, about: Subject, kind: EventKind, reason: &str, message: &str, now: Timestamp) {
        let about = match about {
            Subject::Deployment(key) => About { kind: DEPLOYMENT, uid: self.deployment_uid(&key).to_owned(), key },
            Subject::Revision(key) => About { kind: REPLICA_SET, uid: self.revision_uid(&key), key },
            Subject::Replica(id) => About { kind: POD, uid: pod_uid(&id), key: id.0 },
            Subject::Autoscaler(key) => {
                let uid = self.autoscaler_uid(&key);
                About { kind: HORIZONTAL_POD_AUTOSCALER, uid, key }
            }
            Subject::Worker(name) => About { kind: NODE, uid: node_uid(&name), key: ObjectKey::new("", name.0) },
        };
        self.projection.events.report(&Report { about: &about, kind, reason, message }, now);
    }

    fn deployment_uid(&self, key: &ObjectKey) -> &str {
        self.told.get(&(DEPLOYMENT.plural, key.clone())).map_or("", |(uid, _)| uid)
    }

    /// A revision is decided before its replicas are published, so the fallback is for what the store has lost.
    fn revision_uid(&self, key: &ObjectKey) -> String {
        let known = self.revisions.uid(key).map(str::to_owned);
        known.unwrap_or_else(|| derived_uid(&["replicaset", &key.namespace, &key.name]))
    }
}
