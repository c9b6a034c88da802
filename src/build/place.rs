//! Where Cargo leaves what it makes of projects that share a folder. Crates of others are compiled once for all. A project's own
//! are apart: Cargo names a package by its place in its workspace, so that in one folder it takes what it made of one project for
//! what it would make of another with packages of the same names.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;
use toml::{Table, Value};

use super::{inputs::around, project::label, rustflags};

/// Whose path makes the names of what is compiled of a project its own, and which does nothing else.
const WRAPPER: &str = "rustc";
const WRAPPER_SCRIPT: &str = "#!/bin/sh\n# Calls the compiler for packages of one project, so that Cargo tells them from those of others.\nexec \"$@\"\n";
const WRAPPER_VARIABLE: &str = "RUSTC_WORKSPACE_WRAPPER";

/// Of one project.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// For what is made in the end.
    target: PathBuf,
    /// For what is compiled on the way, with the wrapper; `None`: that is apart too.
    shared: Option<PathBuf>,
}

impl Place {
    /// In a shared folder, for the package in a folder.
    pub(super) fn of(shared: &Path, package: &Path) -> Self {
        let package = fs::canonicalize(package).unwrap_or_else(|_| package.to_owned());
        let root = package.ancestors().find(|folder| workspace(folder).is_some()).unwrap_or(&package);
        let mut hasher = DefaultHasher::new();
        root.hash(&mut hasher);
        let name = label(&root.file_name().unwrap_or_default().to_string_lossy());
        let target = shared.join("projects").join(format!("{name}-{:016x}", hasher.finish()));
        Self { target, shared: are_told_apart(&package, root).then(|| shared.to_owned()) }
    }

    /// Tells Cargo. A Cargo that does not know of two folders, as before 1.91, has all of it apart.
    pub(super) fn tell(&self, cargo: &mut Command) -> io::Result<()> {
        cargo.env("CARGO_TARGET_DIR", &self.target).env("CARGO_BUILD_BUILD_DIR", &self.target);
        if let Some(shared) = &self.shared {
            cargo.env("CARGO_BUILD_BUILD_DIR", shared).env(WRAPPER_VARIABLE, self.wrapper()?);
        }
        Ok(())
    }

    fn wrapper(&self) -> io::Result<PathBuf> {
        let file = self.target.join(WRAPPER);
        if fs::read_to_string(&file).is_ok_and(|script| script == WRAPPER_SCRIPT) {
            return Ok(file);
        }
        fs::create_dir_all(&self.target)?;
        let new = tempfile::NamedTempFile::new_in(&self.target)?;
        fs::write(&new, WRAPPER_SCRIPT)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
        // What is still open for writing is not run.
        new.into_temp_path().persist(&file)?;
        Ok(file)
    }
}

/// Whether the wrapper is asked for all packages that Cargo names by their place below the root: for those of a workspace it is,
/// but not for others that lie in it. A wrapper of the user's stays.
fn are_told_apart(package: &Path, root: &Path) -> bool {
    if env::var_os(WRAPPER_VARIABLE).is_some() || is_configured(package) {
        return false;
    }
    match workspace(root) {
        // It has all packages in it that others of it depend on by path.
        Some(workspace) => workspace.get("exclude").is_none() && !table(&root.join("Cargo.toml")).contains_key("patch"),
        None => !around(package).iter().any(|folder| folder.starts_with(root) && folder != root),
    }
}

/// The table of a folder that is the root of a workspace.
fn workspace(folder: &Path) -> Option<Value> {
    table(&folder.join("Cargo.toml")).remove("workspace")
}

/// Whether Cargo's configuration has a wrapper, or packages in place of others.
fn is_configured(folder: &Path) -> bool {
    let files = rustflags::files(folder, env::var_os("CARGO_HOME"), env::var_os("HOME"));
    files.iter().map(|file| table(file)).any(|config| {
        let wraps = config.get("build").is_some_and(|build| build.get("rustc-workspace-wrapper").is_some());
        wraps || config.contains_key("patch") || config.contains_key("paths")
    })
}

/// What cannot be read, Cargo complains about better.
fn table(file: &Path) -> Table {
    fs::read_to_string(file).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn projects_share_what_is_compiled_of_others_where_their_own_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (shared, head) = (root.join("cache"), "[package]\nname = \"hello\"\nversion = \"0.1.0\"\n");
        let place = |name: &str, more: &str| {
            write(&root.join(name).join("Cargo.toml"), &format!("{head}{more}"));
            write(&root.join(name).join("lib/Cargo.toml"), "[package]\nname = \"lib\"\nversion = \"0.1.0\"\n");
            Place::of(&shared, &root.join(name))
        };
        let depends = "[dependencies]\nlib = { path = \"lib\" }\n";
        let (one, other) = (place("one/hello", ""), place("other/hello", ""));
        assert!(one.target != other.target && one.target.starts_with(&shared), "{one:?} {other:?}");
        assert_eq!(one.shared, Some(shared.clone()));
        assert_eq!(place("workspace", &format!("[workspace]\n{depends}")).shared, Some(shared.clone()));
        assert_eq!(place("inside", depends).shared, None);
        assert_eq!(place("excluded", &format!("[workspace]\nexclude = [\"lib\"]\n{depends}")).shared, None);
        assert_eq!(place("patched", "[workspace]\n[patch.crates-io]\nlib = { path = \"lib\" }\n").shared, None);
        write(&root.join("wrapped/.cargo/config.toml"), "[build]\nrustc-workspace-wrapper = \"mine\"\n");
        assert_eq!(place("wrapped", "").shared, None);
        // Packages of one workspace are one project.
        write(&root.join("shop/Cargo.toml"), "[workspace]\nmembers = [\"*\"]\n");
        assert_eq!(place("shop/cart", ""), place("shop/page", ""));
    }
}
