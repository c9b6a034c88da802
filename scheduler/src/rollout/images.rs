use api::{
    Digest, ObjectKey, Timestamp,
    replica::{Failure, FailureReason},
};

use crate::{Action, ReplicaState, Scheduler, Subject, recovery::backoff, timers::Timer};

impl Scheduler {
    /// Asks for a revision's digest, once, when its first replica is wanted.
    pub(crate) fn request_image(&mut self, key: &ObjectKey, now: Timestamp) {
        let within = self.settings.image_answer_within;
        let stands_by = self.stands_by(key);
        let Some(revision) = self.revisions.get_mut(key) else { return };
        let unanswered = revision.image.asked.is_some_and(|asked| now < asked + within);
        let paused = revision.image.retry_at.is_some_and(|at| now < at);
        if revision.spec.digest.is_some() || (revision.spec.replicas == 0 && !stands_by) || unanswered || paused {
            return;
        }
        revision.image.asked = Some(now);
        let template = &revision.spec.template;
        let (reference, pull) = (template.image.clone(), template.pull.clone());
        self.plan.command(Action::ResolveImage { revision: key.clone(), reference, pull });
        self.timers.set(now + within, Timer::Image(key.clone()));
    }

    pub(crate) fn image_resolved(&mut self, key: &ObjectKey, result: Result<Digest, String>, now: Timestamp) {
        let Some(revision) = self.revisions.get_mut(key) else { return };
        revision.image.asked = None;
        if revision.spec.digest.is_some() {
            return;
        }
        match result {
            Ok(digest) => {
                revision.spec.digest = Some(digest);
                revision.image.failure = None;
                self.unsaved.insert(key.clone());
                self.room.untried.insert(key.clone());
            }
            Err(message) => self.image_failed(key, message, now),
        }
        self.touch_revision(key);
    }

    fn image_failed(&mut self, key: &ObjectKey, message: String, now: Timestamp) {
        let Some(revision) = self.revisions.get_mut(key) else { return };
        let image = &mut revision.image;
        image.failures += 1;
        let pause = backoff::pause(image.failures, self.settings.image_retry_base, self.settings.image_retry_cap);
        image.retry_at = Some(now + pause);
        // As Kubernetes does: the first failure is one, from then on it is a matter of waiting.
        let again = image.failures > 1;
        let reason = if again { FailureReason::ImagePullBackOff } else { FailureReason::ErrImagePull };
        let said = format!("Failed to pull image \"{}\": {message}", revision.spec.template.image);
        let waits = format!("Back-off pulling image \"{}\"", revision.spec.template.image);
        let message = if again { format!("{waits}: {message}") } else { message };
        let failure = (Failure { reason, message }, now);
        image.failure = Some(failure.clone());
        self.timers.set(now + pause, Timer::Image(key.clone()));
        let waiting: Vec<_> = revision.unplaced.iter().cloned().collect();
        for id in waiting {
            self.plan.warning(Subject::Replica(id.clone()), "Failed", said.clone());
            if again {
                self.plan.normal(Subject::Replica(id.clone()), "BackOff", waits.clone());
            }
            self.change(&id, |replica| {
                replica.state = ReplicaState::Unplaced(failure.0.message.clone());
                replica.last_failure = Some(failure.clone());
            });
        }
    }
}
