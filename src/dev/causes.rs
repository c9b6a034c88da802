//! What a change that came while components were built asks for: the user may have made it, or the build itself.
//!
//! The system does not say who wrote a file. So a change during a build is built once more, and what comes of that tells:
//! a file that is written by that build too, while nothing becomes of it that was not there before, is made by the build.
//! From then on its changes during builds are none, and neither are files that are new beside it: names may hold a hash of
//! what is in them. What never comes to rest is given up after some builds, and said.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::snapshot::Written;

/// The number of builds in a row that may each have changed what is watched.
const IN_A_ROW: u32 = 3;
/// The same for changes of files that also change while nothing is built, so that they are the user's.
const IN_A_ROW_OF_SOURCES: u32 = 10;

/// The files of one component that were changed by the user, and those that its build changes.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// Changed while nothing was built.
    sources: BTreeSet<PathBuf>,
    /// Made by the build.
    made: BTreeSet<PathBuf>,
    /// Changed during the last build.
    suspects: BTreeSet<PathBuf>,
    /// Builds in a row that were asked for by changes during the one before.
    in_a_row: u32,
}

/// What to do after a build.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Changes of these ask for another build.
    pub(super) rebuild: BTreeSet<PathBuf>,
    /// The build changes these each time, which was not known yet.
    pub(super) told: BTreeSet<PathBuf>,
}

impl Causes {
    /// Files have changed while nothing was built.
    pub(super) fn outside(&mut self, changed: &BTreeSet<PathBuf>) {
        self.sources.extend(changed.iter().filter(|path| !self.made.contains(*path)).cloned());
        self.suspects.clear();
        self.in_a_row = 0;
    }

    /// Files have changed while components were built. `same`: the build gave what was there before. `written` tells
    /// what became of a file during this build.
    pub(super) fn during(
        &mut self,
        changed: BTreeSet<PathBuf>,
        same: bool,
        written: impl Fn(&Path) -> Written,
    ) -> Verdict {
        if same {
            let is_made = |path: &&PathBuf| !self.sources.contains(*path) && written(path) != Written::Not;
            let made: Vec<PathBuf> = self.suspects.iter().filter(is_made).cloned().collect();
            self.made.extend(made);
        }
        let beside_made: BTreeSet<&Path> = self.made.iter().filter_map(|path| path.parent()).collect();
        let new = |path: &&PathBuf| {
            path.parent().is_some_and(|folder| beside_made.contains(folder)) && written(path) == Written::New
        };
        let new: Vec<PathBuf> = changed.iter().filter(new).cloned().collect();
        self.made.extend(new);
        let (mut told, rebuild): (BTreeSet<_>, BTreeSet<_>) =
            changed.into_iter().partition(|path| self.made.contains(path));
        // What was made before was told then, or is the same each time.
        told.retain(|path| self.suspects.contains(path));
        self.suspects = rebuild.clone();
        if rebuild.is_empty() {
            self.in_a_row = 0;
            return Verdict { rebuild, told };
        }
        self.in_a_row += 1;
        let most = if rebuild.is_subset(&self.sources) { IN_A_ROW_OF_SOURCES } else { IN_A_ROW };
        if self.in_a_row < most {
            return Verdict { rebuild, told };
        }
        told.extend(rebuild.iter().cloned());
        self.made.extend(rebuild);
        self.suspects.clear();
        self.in_a_row = 0;
        Verdict { rebuild: BTreeSet::new(), told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_change_during_a_build_is_built_and_so_is_the_next() {
        let mut causes = Causes::default();
        for _ in 0..4 {
            assert_eq!(causes.during(paths(&["a.rs"]), false, |_| Written::Again).rebuild, paths(&["a.rs"]));
            assert_eq!(causes.during(paths(&[]), true, |_| Written::Not), Verdict::default());
        }
    }

    #[test]
    fn what_each_build_writes_alike_is_built_once_more_and_then_known() {
        let mut causes = Causes::default();
        assert_eq!(causes.during(paths(&["dist/a.js"]), false, |_| Written::Again).rebuild, paths(&["dist/a.js"]));
        assert_eq!(causes.during(paths(&[]), true, |_| Written::Again), Verdict::default());
        causes.outside(&paths(&["a.js"]));
        assert_eq!(causes.during(paths(&["dist/a.js"]), false, |_| Written::Again), Verdict::default());
    }

    #[test]
    fn what_each_build_writes_anew_is_told_once() {
        let mut causes = Causes::default();
        assert_eq!(causes.during(paths(&["gen"]), false, |_| Written::Again).rebuild, paths(&["gen"]));
        assert_eq!(causes.during(paths(&["gen"]), true, |_| Written::Again).told, paths(&["gen"]));
        assert_eq!(causes.during(paths(&["gen"]), true, |_| Written::Again), Verdict::default());
    }

    #[test]
    fn what_is_new_beside_what_a_build_made_is_made_too() {
        let mut causes = Causes::default();
        causes.during(paths(&["dist/app.1.js"]), false, |_| Written::New);
        assert_eq!(causes.during(paths(&["dist/app.1.js"]), true, |_| Written::Again).rebuild, paths(&[]));
        causes.outside(&paths(&["a.js"]));
        assert_eq!(
            causes.during(paths(&["dist/app.1.js", "dist/app.2.js"]), false, |path| {
                if path.ends_with("app.2.js") { Written::New } else { Written::Again }
            }),
            Verdict::default()
        );
        // What was there is the user's, and so is what is new elsewhere.
        assert_eq!(causes.during(paths(&["dist/page.html"]), false, |_| Written::Again).rebuild.len(), 1);
        assert_eq!(causes.during(paths(&["src/new.js"]), false, |_| Written::New).rebuild.len(), 1);
    }

    #[test]
    fn a_build_that_never_gives_the_same_ends_too() {
        let mut causes = Causes::default();
        let mut builds = 1;
        while !causes.during(paths(&["gen"]), false, |_| Written::Again).rebuild.is_empty() {
            builds += 1;
        }
        assert_eq!(builds, IN_A_ROW);
    }

    #[test]
    fn a_source_that_is_saved_during_several_builds_is_built_each_time() {
        let mut causes = Causes::default();
        causes.outside(&paths(&["a.js"]));
        for _ in 1..IN_A_ROW_OF_SOURCES {
            assert_eq!(causes.during(paths(&["a.js"]), true, |_| Written::Again).rebuild, paths(&["a.js"]));
        }
    }
}
