//! Building components, and saying what becomes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use api::OpenArtifact;
use tokio::time::MissedTickBehavior;

use super::Session;
use crate::{
    build::{Built, CompileError, Component, Crates, Recipe, around},
    dev::changes::{Changes, Finished, Watch},
    errors::report,
    size::human_bytes,
};

/// How often a build says how far it is, where there is no terminal.
const TOLD: Duration = Duration::from_secs(10);
/// How often its bar is drawn, where there is one.
const REDRAWN: Duration = Duration::from_millis(250);
/// Of so many crates, the build is a first one, which takes long enough to say so.
const MANY_CRATES: u64 = 40;
/// What an editor starts holds the same lock.
const ANOTHER_CARGO: &str = "another Cargo, which uses the same target folder";
/// A build that finds nothing to do is over within this time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What came of building.
#[derive(Debug, Default)]
pub(super) struct Builds {
    /// Any image is new.
    pub(super) any_new: bool,
    /// What compilers took.
    pub(super) took: Duration,
}

impl Session {
    /// Builds all components.
    pub(super) async fn build_all(&mut self, watch: &mut Watch) -> anyhow::Result<Builds> {
        self.build(watch, |_| true, &Changes::default()).await
    }

    /// Builds the components that are chosen, those of a workspace together, `because` of what has changed of each.
    pub(super) async fn build(
        &mut self,
        watch: &mut Watch,
        chosen: impl Fn(&Component) -> bool,
        because: &Changes,
    ) -> anyhow::Result<Builds> {
        let (mut builds, mut finished) = (Builds::default(), BTreeMap::new());
        let project = self.project.clone();
        let mut untold = Vec::new();
        for component in project.components.iter().filter(|component| chosen(component)) {
            let what = match because.components.get(&component.name).map(|changed| self.some_of(changed)) {
                Some(names) if !names.is_empty() => format!("building, since {names} changed"),
                _ => "building".to_owned(),
            };
            // The build before may have written that itself, and Cargo sees at once that there is nothing to do.
            if because.during_builds.contains(&component.name) && component.recipe == Recipe::Cargo {
                untold.push((component.name.clone(), what));
            } else {
                self.screen.event(&component.name, what);
            }
        }
        let batches = self.compiler.batches(&project.components, chosen);
        for batch in self.show_progress(&project.name, batches, &mut untold).await {
            let began = SystemTime::now();
            let name = match batch.components.as_slice() {
                [one] => &one.name,
                _ => &project.name,
            };
            let mut took = Duration::ZERO;
            for (component, built) in self.show_progress(name, self.compiler.build(&batch), &mut untold).await {
                let told = !untold.iter().any(|(name, _)| *name == component.name);
                took = took.max(built.as_ref().map(|built| built.took).unwrap_or_default());
                let (new, build) = self.take(component, built, began, told);
                builds.any_new |= new;
                untold.retain(|(name, _)| *name != component.name);
                finished.insert(component.name.clone(), build);
            }
            builds.took += took;
        }
        if finished.is_empty() {
            return Ok(builds);
        }
        for (name, made) in watch.built(finished).await? {
            self.screen.event(&name, self.of_the_build(&made));
        }
        for complaint in watch.complaints() {
            self.screen.failure(&self.project.name, complaint);
        }
        Ok(builds)
    }

    /// Says what became of a build, unless nobody was told of it and nothing is new. Pins what it made; returns whether that
    /// is new.
    fn take(
        &mut self,
        component: &Component,
        built: Result<Built, CompileError>,
        began: SystemTime,
        told: bool,
    ) -> (bool, Finished) {
        let by_cargo = component.recipe == Recipe::Cargo;
        match built {
            Ok(built) => {
                let new = self.pins.set(&component.image, built.image.digest.clone());
                if let Some(artifacts) = self.artifacts.as_ref().filter(|_| new) {
                    // It is compiled while the manifests are applied. What is wrong with it is told by the replica that it is for.
                    let namespace = &self.deployer.connection.namespace;
                    tokio::spawn(artifacts.open_artifact(namespace, &component.image, &built.image.digest));
                }
                let (size, seconds) = (human_bytes(built.image.size_bytes), built.took.as_secs_f32());
                let what = if new { "built" } else { "is the same," };
                if self.failed.remove(&component.name) {
                    self.screen.success(&component.name, format_args!("the error is mended: {what} {size}"));
                } else if new || told {
                    self.screen.event(&component.name, format_args!("{what} {size} in {seconds:.1} s"));
                }
                self.history.built(component, began, !new);
                let finished =
                    Finished { began, same: !new, inputs: built.inputs, by_cargo, mended_in: BTreeSet::new() };
                (new, finished)
            }
            Err(error) => {
                self.failed.insert(component.name.clone());
                self.history.failed(component);
                self.show(component, error);
                // After a restart, what was built last is taken up again.
                if let Ok(digest) = self.images.resolve(&component.image) {
                    self.pins.set(&component.image, digest);
                }
                let mended_in = if by_cargo { around(&component.dir) } else { BTreeSet::new() };
                (false, Finished { began, same: false, inputs: None, by_cargo, mended_in })
            }
        }
    }

    /// Waits for what a compiler does, and shows how far it is: by a bar on a terminal, else by a line now and then. What
    /// was `untold` until then is told if it takes a while.
    async fn show_progress<T>(
        &self,
        name: &str,
        working: impl Future<Output = T>,
        untold: &mut Vec<(String, String)>,
    ) -> T {
        let (began, progress) = (Instant::now(), self.compiler.progress());
        let bar = self.screen.bar(name);
        let mut tell = tokio::time::interval(if bar.is_some() { REDRAWN } else { TOLD });
        // A machine that has slept tells how it stands, and not each tick that it slept through.
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tell.tick().await;
        let mut is_estimated = false;
        let while_passed = tokio::time::sleep(AT_ONCE);
        tokio::pin!(working, while_passed);
        let done = loop {
            tokio::select! {
                done = &mut working => break done,
                () = &mut while_passed, if !untold.is_empty() => {
                    untold.drain(..).for_each(|(name, what)| self.screen.event(&name, what));
                }
                _ = tell.tick() => {
                    let Crates { done, all, now, waits } = progress.borrow().clone();
                    let seconds = began.elapsed().as_secs();
                    if all >= MANY_CRATES && !is_estimated {
                        is_estimated = true;
                        self.screen.event(name, format_args!(
                            "{all} crates to compile: a minute or two, this once"
                        ));
                    }
                    match &bar {
                        Some(bar) => bar.show(done, all, if waits { ANOTHER_CARGO } else { &now }, waits),
                        None if waits => {
                            self.screen.event(name, format_args!("waiting for {ANOTHER_CARGO}, {seconds} s"));
                        }
                        None if all > 0 => {
                            let at = if now.is_empty() { String::new() } else { format!(", at {now}") };
                            self.screen.event(name, format_args!("building: {done} of {all} crates{at}, {seconds} s"));
                        }
                        None => self.screen.event(name, format_args!("building, {seconds} s")),
                    }
                }
            }
        };
        if let Some(bar) = bar {
            bar.remove();
        }
        done
    }

    /// Says that a build changes what is watched.
    fn of_the_build(&self, made: &BTreeSet<PathBuf>) -> String {
        let names = self.some_of(made);
        format!(
            "the build itself changes {names}: what builds write there is not built again; name only sources in `watch`"
        )
    }

    /// The names of some files, and how many there are besides.
    fn some_of(&self, paths: &BTreeSet<PathBuf>) -> String {
        const NAMED: usize = 3;
        let mut names: Vec<String> = paths.iter().take(NAMED).map(|path| self.below_root(path)).collect();
        names.extend((paths.len() > NAMED).then(|| format!("{} more", paths.len() - NAMED)));
        names.join(", ")
    }

    pub(super) fn below_root(&self, path: &Path) -> String {
        path.strip_prefix(&self.project.root).unwrap_or(path).display().to_string()
    }

    fn show(&self, component: &Component, error: CompileError) {
        match error {
            CompileError::Source { program, messages } => {
                self.screen.failure(&component.name, format_args!("{program} failed; what runs goes on"));
                // Of several that one call builds, it stands with the first.
                if !messages.is_empty() {
                    self.screen.compiler(&messages);
                }
            }
            CompileError::Other(error) => self.screen.failure(&component.name, report(&error)),
        }
    }
}
