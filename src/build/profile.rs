//! Profiles of Cargo that guests are built with.

use std::{fs, path::Path};

use toml::Table;

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

/// What an edit waits for is the user's own code, so that nothing of it is optimized, across crates least of all. Crates of others
/// are compiled once. Names of functions stay, since they are what a trap shows.
const EDIT_SETTINGS: [&str; 7] = [
    "inherits=\"release\"",
    "incremental=true",
    "codegen-units=256",
    "lto=\"off\"",
    "opt-level=0",
    "package.\"*\".opt-level=\"s\"",
    "strip=\"debuginfo\"",
];

impl Profile {
    /// The arguments that have Cargo build the package in a folder so.
    pub(super) fn arguments(self, folder: &Path) -> Vec<String> {
        match self {
            Self::Release => vec!["--release".to_owned()],
            Self::Edit => {
                let ours = if is_given(folder) { &[][..] } else { &EDIT_SETTINGS };
                let settings = ours.iter().flat_map(|one| ["--config".to_owned(), format!("profile.{EDIT}.{one}")]);
                settings.chain(["--profile".to_owned(), EDIT.to_owned()]).collect()
            }
        }
    }
}

/// Whether the package in a folder, or a workspace around it, has a profile of our name.
fn is_given(folder: &Path) -> bool {
    folder.ancestors().any(|folder| {
        // What cannot be read, Cargo complains about better.
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let manifest = text.parse::<Table>().unwrap_or_default();
        manifest.get("profile").and_then(|profiles| profiles.get(EDIT)).is_some()
    })
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
        let arguments = Profile::Edit.arguments(&package);
        assert!(arguments.contains(&"profile.sampan-dev.lto=\"off\"".to_owned()), "{arguments:?}");
        assert!(arguments.ends_with(&["--profile".to_owned(), "sampan-dev".to_owned()]));
        fs::write(folder.path().join("Cargo.toml"), "[profile.sampan-dev]\ninherits = \"dev\"\n").unwrap();
        assert_eq!(Profile::Edit.arguments(&package), ["--profile", "sampan-dev"]);
        assert_eq!(Profile::Release.arguments(&package), ["--release"]);
    }
}
