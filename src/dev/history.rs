//! What is known of earlier builds: whether a change can have come to nothing because of the time that its file says.
//!
//! Cargo takes a file for changed if that was written after the last build. One that was put back by `mv`, `cp -p`, `rsync` or
//! `tar` says that it is older, so Cargo builds nothing anew, whatever it holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::SystemTime,
};

use crate::build::{Component, Recipe};

/// The last builds of components.
#[derive(Debug, Default)]
pub(super) struct History {
    /// When the last build of each by Cargo began.
    began: BTreeMap<String, SystemTime>,
    /// Of which it gave what was there before.
    same: BTreeSet<String>,
}

impl History {
    /// A component was built. `same`: that gave what was there before.
    pub(super) fn built(&mut self, component: &Component, began: SystemTime, same: bool) {
        if component.recipe == Recipe::Cargo {
            self.began.insert(component.name.clone(), began);
            self.same.remove(&component.name);
            self.same.extend(same.then(|| component.name.clone()));
        }
    }

    /// A component was not built. What comes next is compared with what was built earlier, and may well be the same.
    pub(super) fn failed(&mut self, component: &Component) {
        self.began.remove(&component.name);
        self.same.remove(&component.name);
    }

    /// By component, a file that has changed and says of itself that it was written before the last build.
    pub(super) fn older(&self, changed: &BTreeMap<String, BTreeSet<PathBuf>>) -> BTreeMap<String, PathBuf> {
        let is_older = |name: &String, path: &&PathBuf| {
            let written = path.metadata().and_then(|metadata| metadata.modified());
            self.began.get(name).is_some_and(|began| written.is_ok_and(|written| written < *began))
        };
        let found = changed.iter().map(|(name, paths)| (name, paths.iter().find(|path| is_older(name, path))));
        found.filter_map(|(name, path)| Some((name.clone(), path?.clone()))).collect()
    }

    /// Of these, those whose component was built since, and is as before.
    pub(super) fn without_effect(&self, older: BTreeMap<String, PathBuf>) -> Vec<(String, PathBuf)> {
        older.into_iter().filter(|(name, _)| self.same.contains(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    #[test]
    fn a_file_that_is_older_than_the_last_build_is_told_if_nothing_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.rs");
        fs::write(&file, "").unwrap();
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        let component = Component {
            name: "shop".to_owned(),
            image: "shop:dev".to_owned(),
            dir: folder.path().to_owned(),
            recipe: Recipe::Cargo,
            watch: Vec::new(),
            needs: Vec::new(),
            wasi: None,
        };
        let changed = BTreeMap::from([("shop".to_owned(), BTreeSet::from([file.clone()]))]);
        let mut history = History::default();
        assert!(history.older(&changed).is_empty(), "nothing was built before");
        history.built(&component, written - Duration::from_secs(1), false);
        assert!(history.older(&changed).is_empty(), "it is newer");
        history.built(&component, written + Duration::from_secs(1), false);
        let older = history.older(&changed);
        history.built(&component, written + Duration::from_secs(2), false);
        assert!(history.without_effect(older.clone()).is_empty(), "it was built");
        history.built(&component, written + Duration::from_secs(2), true);
        assert_eq!(history.without_effect(older), [("shop".to_owned(), file)]);
        history.failed(&component);
        assert!(history.older(&changed).is_empty(), "it may be what it was before the failure");
    }
}
