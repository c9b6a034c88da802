use std::collections::BTreeMap;

use super::{
    config, manifest,
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
}

impl Deployer {
    /// Reads, checks and applies the manifests, deletes what has left them, and says so. When something is
    /// wrong with them it is shown, and nothing is applied: what was there goes on. Returns the objects that
    /// are now as they should be.
    pub(super) async fn deploy(&self, project: &Project, pins: &Pins) -> anyhow::Result<Option<Vec<Planned>>> {
        let Ok(planned) = self.plan(project, pins).map_err(|problems| self.show(&problems)) else { return Ok(None) };
        let problems = check_all(&self.connection, &planned).await?;
        if !problems.is_empty() {
            self.show(&problems);
            return Ok(None);
        }
        let (mut outcomes, mut problems) = (BTreeMap::new(), Vec::new());
        for one in &planned {
            match apply_one(&self.connection, one, Mode::Commit).await? {
                Ok((outcome, _)) => *outcomes.entry(outcome.to_string()).or_insert(0_usize) += 1,
                Err(refused) => problems.extend(refused),
            }
        }
        outcomes.remove(&Outcome::Unchanged.to_string());
        if !outcomes.is_empty() {
            let counts: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            self.screen.event(MANIFESTS, counts.join(", "));
        }
        if !problems.is_empty() {
            self.show(&problems);
            return Ok(None);
        }
        for label in prune(&self.connection, &self.kinds, &project.name, &planned).await? {
            self.screen.event(MANIFESTS, format_args!("{label} deleted, since it is in them no more"));
        }
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
