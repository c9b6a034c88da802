use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use api::ObjectKey;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    config,
    edits::Edits,
    manifest,
    pin::Pins,
    prune::{mark, prune},
};
use crate::{
    build::Project,
    client::{
        apply::{Mode, Outcome, Planned, apply_one, check_all, plan},
        connection::Connection,
        kinds::Kinds,
        manifest::{Manifests, Problem},
    },
    screen::Screen,
};

/// The name under which the manifests' events are shown.
pub(super) const MANIFESTS: &str = "manifests";

/// Applies a project's manifests.
pub(super) struct Deployer {
    pub(super) connection: Connection,
    pub(super) kinds: Kinds,
    pub(super) screen: Screen,
    pub(super) edits: Edits,
    /// What was applied last, by where it is in the API.
    pub(super) applied: BTreeMap<String, Value>,
}

/// An edit that is to be applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saved {
    pub(super) at: Instant,
    /// What compilers took of it; `None`: nothing was built.
    pub(super) build: Option<Duration>,
}

impl Deployer {
    /// Reads, checks and applies the manifests, deletes what has left them, and says so. When something is
    /// wrong with them it is shown, and nothing is applied: what was there goes on. Returns the objects that
    /// are now as they should be.
    pub(super) async fn deploy(
        &mut self,
        project: &Project,
        pins: &Pins,
        saved: Option<Saved>,
    ) -> anyhow::Result<Option<Vec<Planned>>> {
        let Ok(planned) = self.plan(project, pins).map_err(|problems| self.show(&problems)) else { return Ok(None) };
        // What is as it was applied before has been checked.
        let is_other = |one: &&Planned| self.applied.get(&one.path()) != Some(&one.object);
        let others: Vec<Planned> = planned.iter().filter(is_other).cloned().collect();
        let problems = check_all(&self.connection, &others).await?;
        if !problems.is_empty() {
            self.show(&problems);
            return Ok(None);
        }
        if let Some(Saved { at, build }) = saved {
            self.edits.begin(at, build, deployments(&planned));
        }
        let (mut outcomes, mut problems) = (BTreeMap::new(), Vec::new());
        let mut changed = BTreeSet::new();
        for one in &planned {
            match apply_one(&self.connection, one, Mode::Commit).await? {
                Ok((outcome, _)) => {
                    *outcomes.entry(outcome.to_string()).or_insert(0_usize) += 1;
                    if outcome != Outcome::Unchanged {
                        changed.extend(deployments(std::slice::from_ref(one)));
                    }
                }
                Err(refused) => problems.extend(refused),
            }
        }
        self.edits.concerns(&changed);
        outcomes.remove(&Outcome::Unchanged.to_string());
        if !outcomes.is_empty() {
            let counts: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            self.screen.event(MANIFESTS, counts.join(", "));
        }
        if !problems.is_empty() {
            self.show(&problems);
            return Ok(None);
        }
        let applied: BTreeMap<String, Value> = planned.iter().map(|one| (one.path(), one.object.clone())).collect();
        // All kinds are looked through for it, so that it is done only when something may have left.
        if !applied.keys().eq(self.applied.keys()) {
            for label in prune(&self.connection, &self.kinds, &project.name, &planned).await? {
                self.screen.event(MANIFESTS, format_args!("{label} deleted, since it is in them no more"));
            }
        }
        self.applied = applied;
        Ok(Some(planned))
    }

    fn plan(&self, project: &Project, pins: &Pins) -> Result<Vec<Planned>, Vec<Problem>> {
        let mut manifests = Manifests::read(&project.manifests);
        if project.manifests.is_empty() {
            for (name, text) in manifest::generated(project) {
                manifests.parse(&format!("the manifest made for {name}"), &text);
            }
        }
        if !manifests.problems.is_empty() {
            return Err(manifests.problems);
        }
        for document in &mut manifests.documents {
            pins.pin(&mut document.object);
            mark(&mut document.object, &project.name);
        }
        let objects = manifests.documents.iter_mut().map(|document| &mut document.object);
        config::note(objects, &self.connection.namespace);
        plan(manifests.documents, &self.kinds, &self.connection.namespace)
    }

    fn show(&self, problems: &[Problem]) {
        for problem in problems {
            self.screen.failure(MANIFESTS, problem);
        }
        self.screen.event(MANIFESTS, "not applied; what runs goes on");
    }
}

/// Those of these objects that are Deployments.
pub(super) fn deployments(planned: &[Planned]) -> BTreeSet<ObjectKey> {
    let deployments = planned.iter().filter(|one| one.kind.kind == "Deployment");
    deployments.map(|one| ObjectKey::new(one.namespace.as_deref().unwrap_or_default(), one.name.as_str())).collect()
}
