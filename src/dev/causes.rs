//! What a change that came while components were built asks for: the user may have made it, or the build itself.
//!
//! The system does not say who wrote a file. So a change during a build is built once more, and what comes of that tells:
//! a file that is written by that build too, while nothing becomes of it that was not there before, is made by the build.
//! From then on its changes during builds are none. What never comes to rest is given up after some builds, and said.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// So many builds in a row may each have changed what is watched.
const IN_A_ROW: u32 = 3;
/// So many, if the changes are of files that are known to be changed at other times too: by the user, then.
const IN_A_ROW_OF_SOURCES: u32 = 10;

/// Who has changed what of one component.
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

    /// Files have changed while components were built. `same`: the build gave what was there before. `rewritten` tells
    /// whether a file was written during this build, be it with what it held.
    pub(super) fn during(
        &mut self,
        changed: BTreeSet<PathBuf>,
        same: bool,
        rewritten: impl Fn(&Path) -> bool,
    ) -> Verdict {
        if same {
            let made = self.suspects.iter().filter(|path| !self.sources.contains(*path) && rewritten(path));
            self.made.extend(made.cloned());
        }
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
            assert_eq!(causes.during(paths(&["a.rs"]), false, |_| true).rebuild, paths(&["a.rs"]));
            assert_eq!(causes.during(paths(&[]), true, |_| false), Verdict::default());
        }
    }

    #[test]
    fn what_each_build_writes_alike_is_built_once_more_and_then_known() {
        let mut causes = Causes::default();
        assert_eq!(causes.during(paths(&["dist/a.js"]), false, |_| true).rebuild, paths(&["dist/a.js"]));
        assert_eq!(causes.during(paths(&[]), true, |_| true), Verdict::default());
        causes.outside(&paths(&["a.js"]));
        assert_eq!(causes.during(paths(&["dist/a.js"]), false, |_| true), Verdict::default());
    }

    #[test]
    fn what_each_build_writes_anew_is_told_once() {
        let mut causes = Causes::default();
        assert_eq!(causes.during(paths(&["gen"]), false, |_| true).rebuild, paths(&["gen"]));
        assert_eq!(causes.during(paths(&["gen"]), true, |_| true).told, paths(&["gen"]));
        assert_eq!(causes.during(paths(&["gen"]), true, |_| true), Verdict::default());
    }

    #[test]
    fn a_build_that_never_gives_the_same_ends_too() {
        let mut causes = Causes::default();
        let mut builds = 1;
        while !causes.during(paths(&["gen"]), false, |_| true).rebuild.is_empty() {
            builds += 1;
        }
        assert_eq!(builds, IN_A_ROW);
    }

    #[test]
    fn a_source_that_is_saved_during_several_builds_is_built_each_time() {
        let mut causes = Causes::default();
        causes.outside(&paths(&["a.js"]));
        for _ in 1..IN_A_ROW_OF_SOURCES {
            assert_eq!(causes.during(paths(&["a.js"]), true, |_| true).rebuild, paths(&["a.js"]));
        }
    }
}
