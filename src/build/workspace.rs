//! Which packages one call of Cargo builds: those of a workspace, since they share a target folder, of which a second call
//! would wait for the first, and a crate that all use is compiled once for all.
//!
//! Such a call gives what each package would be by itself, but for features of crates from registries: these are joined,
//! as Cargo joins them for a whole workspace. So packages are apart that
//!
//! - find other configuration files or another toolchain, and with them other flags, or
//! - have a crate of this machine built with other features, which may exclude each other.
//!
//! Each call names all packages of its group, also those of which nothing has changed: else features would be others
//! from call to call, and with them what is built.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::SystemTime,
};

use serde::Deserialize;
use tokio::process::Command;

use super::{
    inputs::CONFIGURATION,
    rustflags,
    toolchain::{TARGET, Toolchain},
};
use crate::umask;

/// A package to be built, by its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) folder: PathBuf,
    /// As Cargo names it among others of its workspace.
    pub(super) id: String,
    /// What is built of it, unless features are missing that it asks for.
    pub(super) targets: Vec<Target>,
}

/// A library or a program of a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Target {
    kind: Vec<String>,
    name: String,
    #[serde(default, rename = "required-features")]
    required_features: Vec<String>,
}

impl Target {
    /// Whether this, as Cargo tells of what it has built, is it.
    pub(super) fn is(&self, built: &Self) -> bool {
        self.kind == built.kind && self.name == built.name
    }

    pub(super) fn is_library(&self) -> bool {
        self.kind.iter().any(|kind| kind == "cdylib")
    }

    fn is_always_built(&self) -> bool {
        let others = ["example", "test", "bench", "custom-build"];
        self.required_features.is_empty() && !self.kind.iter().any(|kind| others.contains(&&**kind))
    }
}

/// Packages that one call builds, and what that is true for.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    groups: Vec<Vec<Package>>,
    /// When the files were written that say what belongs together.
    read: BTreeMap<PathBuf, Option<SystemTime>>,
}

/// What `cargo metadata --no-deps` prints.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Listed>,
    workspace_root: PathBuf,
}

#[derive(Clone, Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    targets: Vec<Target>,
    manifest_path: PathBuf,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Deserialize)]
struct Dependency {
    /// Of one on this machine.
    path: Option<PathBuf>,
}

/// What packages of one call have in common.
#[derive(Debug, PartialEq, Eq)]
struct Common {
    workspace: PathBuf,
    /// The configuration files that Cargo finds, and the toolchain.
    settings: (Vec<PathBuf>, String),
}

/// By crate of this machine: the features that it is built with.
type Features = BTreeMap<String, BTreeSet<String>>;

impl Groups {
    /// Finds out what belongs together. Of what Cargo does not tell, each package is by itself.
    pub(super) async fn find(folders: &BTreeSet<PathBuf>) -> Self {
        let mut found: Vec<(Common, Features, Vec<Package>)> = Vec::new();
        let mut read = BTreeSet::new();
        let mut known: Vec<Metadata> = Vec::new();
        for folder in folders {
            let Some((package, common, features)) = look(folder, &mut known, &mut read).await else { continue };
            let fitting = found.iter_mut().find(|(other, others, _)| *other == common && agree(others, &features));
            match fitting {
                Some((_, others, packages)) => {
                    others.extend(features);
                    packages.push(package);
                }
                None => found.push((common, features, vec![package])),
            }
        }
        let groups = found.into_iter().map(|(.., packages)| packages).collect();
        Self { groups, read: read.into_iter().map(|path| (path.clone(), written(&path))).collect() }
    }

    /// Whether they may still be asked: the files that they are from have not changed.
    pub(super) fn are_of(&self, folders: &BTreeSet<PathBuf>) -> bool {
        let ours = self.groups.iter().flatten().map(|package| &package.folder);
        folders.iter().eq(ours.collect::<BTreeSet<_>>()) && self.read.iter().all(|(path, time)| written(path) == *time)
    }

    /// The packages that are built with the one in this folder, and that one among them. None: it is built by itself.
    pub(super) fn with(&self, folder: &Path) -> &[Package] {
        let group = self.groups.iter().find(|group| group.iter().any(|package| package.folder == folder));
        group.map_or(&[], Vec::as_slice)
    }
}

async fn look(
    folder: &Path,
    known: &mut Vec<Metadata>,
    read: &mut BTreeSet<PathBuf>,
) -> Option<(Package, Common, Features)> {
    // Cargo names packages by where links lead.
    let real = fs::canonicalize(folder).ok()?;
    let manifest = real.join("Cargo.toml");
    let toolchain = tokio::task::spawn_blocking({
        let folder = folder.to_owned();
        move || Toolchain::find(&folder)
    });
    let toolchain = toolchain.await.ok()?.ok()?;
    let is_listed = |metadata: &Metadata| metadata.packages.iter().any(|package| package.manifest_path == manifest);
    if !known.iter().any(is_listed) {
        let mut command = toolchain.cargo(folder);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        known.push(serde_json::from_slice(&printed(command).await?).ok()?);
    }
    let metadata = known.iter().find(|metadata| is_listed(metadata))?;
    let root = &metadata.workspace_root;
    read.extend(CONFIGURATION.map(|name| root.join(name)));
    read.extend(CONFIGURATION.map(|name| folder.join(name)));
    for package in &metadata.packages {
        let below = package.dependencies.iter().filter_map(|dependency| dependency.path.as_ref());
        read.extend(below.map(|folder| folder.join("Cargo.toml")));
        read.insert(package.manifest_path.clone());
    }
    let Listed { id, mut targets, .. } =
        metadata.packages.iter().find(|package| package.manifest_path == manifest)?.clone();
    targets.retain(Target::is_always_built);
    let mut tree = toolchain.cargo(folder);
    tree.args(["tree", "--package", &id, "--target", TARGET, "--edges", "normal,build"]);
    tree.args(["--prefix", "none", "--format", "{p}\t{f}"]);
    let features = features(&String::from_utf8(printed(tree).await?).ok()?);
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(folder);
    let sysroot = String::from_utf8(printed(rustc).await.unwrap_or_default()).ok()?;
    let files = rustflags::files(folder, env::var_os("CARGO_HOME"), env::var_os("HOME"));
    let common = Common { workspace: root.clone(), settings: (files, sysroot) };
    Some((Package { folder: folder.to_owned(), id, targets }, common, features))
}

/// What a program prints, if it succeeds. What is wrong, the build will say.
async fn printed(mut command: Command) -> Option<Vec<u8>> {
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    umask::give_back(command.as_std_mut());
    let output = command.output().await.ok()?;
    output.status.success().then_some(output.stdout)
}

/// Of the lines of `cargo tree`, those of crates of this machine, which stand with their folders:
/// `shop v0.1.0 (/path)<TAB>admin,default (*)`. A crate that is built for the host as well has two lines.
fn features(tree: &str) -> Features {
    let mut all = Features::new();
    for line in tree.lines() {
        let Some((package, features)) = line.split_once('\t') else { continue };
        if package.contains(" (/") {
            all.entry(package.to_owned()).or_default().insert(features.trim_end_matches(" (*)").to_owned());
        }
    }
    all
}

/// Whether no crate is built otherwise for one than for the other.
fn agree(one: &Features, other: &Features) -> bool {
    one.iter().all(|(package, features)| other.get(package).is_none_or(|others| others == features))
}

fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which `app` and `cart` use `shared`, and `admin` wants another feature of it.
    fn workspace() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("my shop");
        let package = |name: &str, more: &str| {
            fs::create_dir_all(root.join(name).join("src")).unwrap();
            fs::write(root.join(name).join("src/lib.rs"), "").unwrap();
            let head = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
            fs::write(root.join(name).join("Cargo.toml"), head + more).unwrap();
        };
        package("shared", "[features]\nplain = []\nfull = []\n");
        for (name, feature) in [("app", "plain"), ("cart", "plain"), ("admin", "full")] {
            let shared = format!("shared = {{ path = \"../shared\", features = [\"{feature}\"] }}");
            package(name, &format!("[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\n{shared}\n"));
        }
        fs::write(root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n").unwrap();
        (folder, root)
    }

    async fn groups(root: &Path, names: &[&str]) -> (Groups, Vec<Vec<String>>) {
        let found = Groups::find(&names.iter().map(|name| root.join(name)).collect()).await;
        let name = |package: &Package| package.folder.file_name().unwrap().to_string_lossy().into_owned();
        let names = found.groups.iter().map(|group| group.iter().map(name).collect()).collect();
        (found, names)
    }

    #[tokio::test]
    async fn packages_of_a_workspace_are_together_unless_features_of_a_crate_beside_them_differ() {
        let (_folder, root) = workspace();
        let (_, found) = groups(&root, &["app", "cart", "admin"]).await;
        // Who has Cargo join features over the workspace gets the same features for all.
        match env::var_os("CARGO_RESOLVER_FEATURE_UNIFICATION") {
            Some(_) => assert_eq!(found, [["admin", "app", "cart"]]),
            None => assert_eq!(found, [vec!["admin"], vec!["app", "cart"]]),
        }
    }

    #[tokio::test]
    async fn a_configuration_of_its_own_sets_a_package_apart_and_a_change_of_one_is_noticed() {
        let (_folder, root) = workspace();
        let folders: BTreeSet<_> = ["app", "cart"].map(|name| root.join(name)).into();
        let (before, found) = groups(&root, &["app", "cart"]).await;
        assert_eq!(found, [["app", "cart"]]);
        assert!(before.are_of(&folders));
        fs::create_dir_all(root.join("cart/.cargo")).unwrap();
        fs::write(root.join("cart/.cargo/config.toml"), "[build]\nrustflags = [\"--cfg\", \"x\"]\n").unwrap();
        assert!(!before.are_of(&folders));
        assert_eq!(groups(&root, &["app", "cart"]).await.1, [["app"], ["cart"]]);
    }

    #[tokio::test]
    async fn what_cargo_cannot_read_is_by_itself() {
        let (_folder, root) = workspace();
        fs::write(root.join("cart/Cargo.toml"), "[package").unwrap();
        let (found, _) = groups(&root, &["app", "cart"]).await;
        assert!(found.with(&root.join("app")).is_empty());
    }
}
