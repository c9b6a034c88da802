use api::{ObjectKey, Timestamp};

use crate::{Action, EventKind, Subject};

/// What one step decided, in the order in which it is to be carried out: whoever reads of a replica finds its revision, and
/// no replica is told to stop while it is still an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    revisions: Vec<Action>,
    replicas: Vec<Action>,
    commands: Vec<Action>,
    reports: Vec<Action>,
}

impl Plan {
    pub(crate) fn revision(&mut self, action: Action) {
        self.revisions.push(action);
    }

    pub(crate) fn replica(&mut self, action: Action) {
        self.replicas.push(action);
    }

    pub(crate) fn command(&mut self, action: Action) {
        self.commands.push(action);
    }

    pub(crate) fn report(&mut self, action: Action) {
        self.reports.push(action);
    }

    pub(crate) fn normal(&mut self, about: Subject, reason: &'static str, message: String) {
        self.report(Action::Emit { about, kind: EventKind::Normal, reason, message });
    }

    pub(crate) fn warning(&mut self, about: Subject, reason: &'static str, message: String) {
        self.report(Action::Emit { about, kind: EventKind::Warning, reason, message });
    }

    pub(crate) fn delete_revision(&mut self, key: ObjectKey) {
        self.revision(Action::DeleteRevision(key));
    }

    pub(crate) fn take(&mut self, wake_at: Option<Timestamp>) -> Vec<Action> {
        let mut actions = std::mem::take(&mut self.revisions);
        actions.append(&mut self.replicas);
        actions.append(&mut self.commands);
        actions.append(&mut self.reports);
        actions.extend(wake_at.map(Action::WakeAt));
        actions
    }
}
