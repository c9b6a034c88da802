use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{cargo, dep_info, rustflags};

/// Where sources of others are kept, which nobody edits there.
const OF_OTHERS: [&str; 3] = ["registry/src", "git/checkouts", "rustlib/src"];

/// What a build says that it read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Files, and folders that build scripts name.
    pub(crate) read: Vec<PathBuf>,
    /// The folder that the build made, with all that is in it.
    pub(crate) made: Option<PathBuf>,
}

impl Inputs {
    /// Of a build by Cargo, by its messages and the note that it left beside the artifact.
    pub(super) fn of_cargo(messages: &[u8], artifact: &Path, package: &Path) -> Self {
        // target/wasm32-wasip2/release/NAME.wasm
        let made = artifact.ancestors().nth(3).map(Path::to_owned);
        let note = artifact.with_extension("d");
        let is_small = fs::metadata(&note).is_ok_and(|metadata| metadata.len() <= dep_info::MAX_BYTES);
        let text = is_small.then(|| fs::read_to_string(&note).ok()).flatten().unwrap_or_default();
        let mut read = dep_info::parse(&text, package);
        read.extend(cargo::manifests(messages));
        // Those of the user's own folder are for all projects.
        read.extend(rustflags::files(package, None, None));
        let is_ours = |path: &PathBuf| {
            let text = path.to_string_lossy();
            !made.as_ref().is_some_and(|made| path.starts_with(made)) && !OF_OTHERS.iter().any(|of| text.contains(of))
        };
        Self { read: read.into_iter().filter(is_ours).collect(), made }
    }
}

/// What Cargo and rustup read of the folder of a package and of those around it.
pub(super) const CONFIGURATION: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"];

/// Files of the package in a folder, and of the workspace around it, that Cargo reads and does not note.
pub(super) fn of_package(folder: &Path, root: &Path) -> Vec<PathBuf> {
    let ours = |folder: &&Path| folder.starts_with(root) || folder.join("Cargo.toml").is_file();
    let around = folder.ancestors().filter(ours).flat_map(|folder| CONFIGURATION.map(|name| folder.join(name)));
    ["src", "build.rs", "wit"].map(|name| folder.join(name)).into_iter().chain(around).collect()
}
