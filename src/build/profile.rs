//! Profiles of Cargo that guests are built with.

use std::{collections::BTreeSet, fs, path::Path};

use toml::Table;

use super::inputs::around;

/// What matters more of a build: what it makes, or that it is over soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As it is shipped.
    Release,
    /// While somebody edits. It means what release means, without checks of its own, but little is optimized.
    Edit,
}

/// Of [`Profile::Edit`]. A package or workspace may have a profile of this name, which then holds as it is.
const EDIT: &str = "sampan-dev";

/// Crates of others are compiled once, and what runs in the compiler is not optimized: macros that read WIT files would take most of
/// a first build. That could not be said beside `package."*"`, which goes before it (the Cargo book, "Profiles", "Overrides").
/// Names of functions stay, since they are what a trap shows.
const EDIT_SETTINGS: [&str; 7] = [
    "inherits=\"release\"",
    "incremental=true",
    "codegen-units=256",
    "lto=\"off\"",
    "opt-level=\"s\"",
    "build-override.opt-level=0",
    "strip=\"debuginfo\"",
];
/// What an edit waits for is the user's own code, so that nothing of it is optimized, across crates least of all.
const OURS: &str = "opt-level=0";

impl Profile {
    /// The arguments that have Cargo build packages so, which are in these folders of one workspace.
    pub(super) fn arguments(self, folders: &[&Path]) -> Vec<String> {
        match self {
            Self::Release => vec!["--release".to_owned()],
            Self::Edit => {
                let ours = folders.iter().flat_map(|folder| around(folder)).filter_map(|folder| name(&folder));
                let ours: BTreeSet<String> = ours.map(|name| format!("package.{name:?}.{OURS}")).collect();
                let settings = EDIT_SETTINGS.map(str::to_owned).into_iter().chain(ours);
                let settings = settings.filter(|_| !folders.iter().any(|folder| is_given(folder)));
                let settings = settings.flat_map(|one| ["--config".to_owned(), format!("profile.{EDIT}.{one}")]);
                settings.chain(["--profile".to_owned(), EDIT.to_owned()]).collect()
            }
        }
    }
}

/// What the package in a folder is called.
fn name(folder: &Path) -> Option<String> {
    Some(manifest(folder).get("package")?.get("name")?.as_str()?.to_owned())
}

/// What cannot be read, Cargo complains about better.
fn manifest(folder: &Path) -> Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default().parse().unwrap_or_default()
}

/// Whether the package in a folder, or a workspace around it, has a profile of our name.
fn is_given(folder: &Path) -> bool {
    folder.ancestors().any(|folder| manifest(folder).get("profile").and_then(|profiles| profiles.get(EDIT)).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_built_by_settings_of_ours_unless_the_workspace_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("shop");
        fs::create_dir(&package).unwrap();
        fs::write(package.join("Cargo.toml"), "[package]\nname = \"shop\"\n").unwrap();
        let arguments = Profile::Edit.arguments(&[&package]);
        let has = |setting: &str| arguments.contains(&format!("profile.sampan-dev.{setting}"));
        assert!(has("lto=\"off\"") && has("package.\"shop\".opt-level=0"), "{arguments:?}");
        assert!(arguments.ends_with(&["--profile".to_owned(), "sampan-dev".to_owned()]));
        fs::write(folder.path().join("Cargo.toml"), "[profile.sampan-dev]\ninherits = \"dev\"\n").unwrap();
        assert_eq!(Profile::Edit.arguments(&[&package]), ["--profile", "sampan-dev"]);
        assert_eq!(Profile::Release.arguments(&[&package]), ["--release"]);
    }
}
