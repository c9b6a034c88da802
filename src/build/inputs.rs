use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{cargo, dep_info, project::normalize, rustflags};

/// Where sources of others are kept, which nobody edits there.
const OF_OTHERS: [&str; 3] = ["registry/src", "git/checkouts", "rustlib/src"];
/// Packages that name each other by path are followed so far.
const MAX_PACKAGES: usize = 256;

/// What a build says that it read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Files, and folders that build scripts name.
    pub(crate) read: Vec<PathBuf>,
    /// The folder that the build made, with all that is in it.
    pub(crate) made: Option<PathBuf>,
}

impl Inputs {
    /// Of a build by Cargo, by its messages and the note that it left beside the artifact, in its own folder or one that projects
    /// share.
    pub(super) fn of_cargo(messages: &[u8], artifact: &Path, package: &Path, shared: Option<&Path>) -> Self {
        // target/wasm32-wasip2/release/NAME.wasm
        let made = shared.or(artifact.ancestors().nth(3)).map(Path::to_owned);
        let note = artifact.with_extension("d");
        let is_small = fs::metadata(&note).is_ok_and(|metadata| metadata.len() <= dep_info::MAX_BYTES);
        let text = is_small.then(|| fs::read_to_string(&note).ok()).flatten().unwrap_or_default();
        let mut read = dep_info::parse(&text, package);
        read.extend(cargo::manifests(messages));
        read.extend(cargo::read_whole(messages));
        // Those of the user's own folder are for all projects.
        read.extend(rustflags::files(package, None, None));
        let is_ours = |path: &PathBuf| {
            let text = path.to_string_lossy();
            !made.as_ref().is_some_and(|made| path.starts_with(made)) && !OF_OTHERS.iter().any(|of| text.contains(of))
        };
        Self { read: read.iter().map(|path| direct(path)).filter(is_ours).collect(), made }
    }
}

/// A path without `..`, so that one file has one name. A folder that is a link leads elsewhere than its name says.
fn direct(path: &Path) -> PathBuf {
    if !path.components().any(|part| part == std::path::Component::ParentDir) {
        return path.to_owned();
    }
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => normalize(path),
    }
}

/// Where what keeps a package from being built may be mended: its folder, and those of the packages that it and its
/// workspace name by path. A build that has failed says nothing of what it read.
pub(crate) fn around(package: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut next = vec![package.to_owned()];
    next.extend(package.ancestors().skip(1).filter(|folder| folder.join("Cargo.toml").is_file()).map(Path::to_owned));
    let workspaces: BTreeSet<PathBuf> = next[1..].iter().cloned().collect();
    while let Some(folder) = next.pop() {
        if found.len() >= MAX_PACKAGES || found.contains(&folder) {
            continue;
        }
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let named = paths(&Value::Table(text.parse::<Table>().unwrap_or_default()));
        next.extend(named.into_iter().map(|path| normalize(&folder.join(path))).filter(|folder| folder.is_dir()));
        // The folder of a workspace may hold anything.
        if !workspaces.contains(&folder) {
            found.insert(folder);
        }
    }
    found
}

/// What stands under `path` anywhere: of dependencies, of patches, and of targets, which are files.
fn paths(value: &Value) -> Vec<String> {
    match value {
        Value::Table(table) => {
            let named = table.get("path").and_then(Value::as_str).map(str::to_owned);
            named.into_iter().chain(table.values().flat_map(paths)).collect()
        }
        Value::Array(values) => values.iter().flat_map(paths).collect(),
        _ => Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, path: &str, text: &str) {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn a_file_that_was_reached_by_a_folder_above_is_named_as_all_name_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        write(&root, "app/src/lib.rs", "");
        write(&root, "far/away/src/x", "");
        write(&root, "far/away/text", "");
        assert_eq!(direct(&root.join("app/src/../../text")), root.join("text"));
        std::os::unix::fs::symlink(root.join("far/away/src"), root.join("app/linked")).unwrap();
        assert_eq!(direct(&root.join("app/linked/../text")), root.join("far/away/text"));
        assert_eq!(direct(&root.join("gone/../text")), root.join("text"));
    }

    #[test]
    fn a_package_that_cannot_be_built_may_be_mended_in_each_that_it_names_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let shared =
            "[dependencies]\nshared = { path = \"../../shared\" }\n[[bin]]\nname = \"x\"\npath = \"src/x.rs\"\n";
        write(&root, "shop/app/Cargo.toml", shared);
        write(&root, "shop/Cargo.toml", "[workspace.dependencies]\nbeside = { path = \"beside\" }\n");
        write(&root, "shop/beside/Cargo.toml", "[package]\n");
        let circle = "[target.'cfg(unix)'.build-dependencies]\napp = { path = \"../shop/app\" }\n";
        write(&root, "shared/Cargo.toml", circle);
        let expected = ["shop/app", "shop/beside", "shared"].map(|name| root.join(name));
        assert_eq!(around(&root.join("shop/app")), BTreeSet::from(expected));
    }
}
