//! Reads what `cargo build --message-format=json` prints.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::workspace::{Package, Target};

/// The lines that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    target: Option<Target>,
    /// Where a build script may write.
    #[serde(default)]
    out_dir: PathBuf,
}

/// The manifests of the packages that were built from folders of this machine, not from a registry.
pub(super) fn manifests(output: &[u8]) -> Vec<PathBuf> {
    let ours = messages(output).filter(|message| message.package_id.starts_with("path+"));
    let mut paths: Vec<PathBuf> = ours.map(|message| message.manifest_path).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The folders of packages whose build scripts name nothing that they read: Cargo runs such a one again for a change of any file
/// of its package (the Cargo book, "Build Scripts", "Change Detection").
pub(super) fn read_whole(output: &[u8]) -> Vec<PathBuf> {
    let all: Vec<Message> = messages(output).filter(|message| message.package_id.starts_with("path+")).collect();
    let names_nothing = |message: &&Message| {
        // Cargo keeps what it printed beside that folder.
        let printed = message.out_dir.parent().map(|folder| fs::read_to_string(folder.join("output")));
        let named = |line: &str| line.starts_with("cargo:rerun-if-") || line.starts_with("cargo::rerun-if-");
        message.reason == "build-script-executed"
            && printed.is_some_and(|printed| printed.is_ok_and(|printed| !printed.lines().any(named)))
    };
    let scripts = all.iter().filter(names_nothing);
    let packages = scripts.filter_map(|script| {
        let of_package =
            |message: &&Message| message.reason == "compiler-artifact" && message.package_id == script.package_id;
        all.iter().find(of_package)?.manifest_path.parent().map(Path::to_owned)
    });
    packages.collect()
}

fn messages(output: &[u8]) -> impl Iterator<Item = Message> {
    let lines = output.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok())
}

/// What was built of the package in `folder`. The folder may be a link: Cargo says where it leads.
fn artifacts(output: &[u8], folder: &Path) -> impl Iterator<Item = Message> {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let manifest = folder.join("Cargo.toml");
    messages(output).filter(move |message| message.reason == "compiler-artifact" && message.manifest_path == manifest)
}

/// Whether all of a package was built that always is.
pub(super) fn is_whole(output: &[u8], package: &Package) -> bool {
    let built: Vec<Target> = artifacts(output, &package.folder).filter_map(|message| message.target).collect();
    package.targets.iter().all(|target| built.iter().any(|built| target.is(built)))
}

/// The components that the package in `folder` was built into: of several, those that answer HTTP requests, and of these the
/// library, since programs beside it that use it export what it does.
pub(super) fn components(output: &[u8], folder: &Path) -> Vec<PathBuf> {
    let is_component = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
    let of_one = |message: Message| {
        let is_library = message.target.is_some_and(|target| target.is_library());
        message.filenames.into_iter().filter(is_component).map(move |file| (file, is_library))
    };
    let mut found: Vec<(PathBuf, bool)> = artifacts(output, folder).flat_map(of_one).collect();
    if found.len() > 1 {
        let answers = |file: &Path| fs::read(file).is_ok_and(|bytes| registry_client::inspect(&bytes).is_ok());
        narrow(&mut found, |(file, _)| answers(file));
        narrow(&mut found, |(_, is_library)| *is_library);
    }
    found.into_iter().map(|(file, _)| file).collect()
}

/// Keeps what fits, if anything does.
fn narrow<T: Clone>(found: &mut Vec<T>, fits: impl FnMut(&T) -> bool) {
    let (fitting, _): (Vec<T>, Vec<T>) = found.iter().cloned().partition(fits);
    if !fitting.is_empty() {
        *found = fitting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_packages_own_components_count() {
        let output = br#"
{"reason":"compiler-artifact","manifest_path":"/a/dep/Cargo.toml","filenames":["/t/dep.wasm"]}
{"reason":"compiler-artifact","manifest_path":"/a/shop/Cargo.toml","filenames":["/t/libshop.rlib","/t/shop.wasm"]}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(components(output, Path::new("/a/shop")), [PathBuf::from("/t/shop.wasm")]);
    }

    #[test]
    fn of_a_build_script_that_names_nothing_the_whole_package_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let found = |printed: &str| {
            fs::write(folder.path().join("output"), printed).unwrap();
            let (id, out_dir) = ("path+file:///a/shop#0.1.0", folder.path().join("out"));
            let script = serde_json::json!({ "reason": "build-script-executed", "package_id": id, "out_dir": out_dir });
            let built = serde_json::json!({
                "reason": "compiler-artifact", "package_id": id, "manifest_path": "/a/shop/Cargo.toml",
            });
            read_whole(format!("{built}\n{script}\n").as_bytes())
        };
        assert_eq!(found("cargo::rustc-env=A=b\n"), [PathBuf::from("/a/shop")]);
        assert!(found("cargo:rerun-if-changed=data\n").is_empty());
        assert!(found("cargo::rerun-if-env-changed=X\n").is_empty());
    }

    #[test]
    fn of_a_library_and_programs_the_one_that_answers_requests_is_the_component() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let built = |kind: &str, name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
            let manifest = folder.join("Cargo.toml");
            let message = serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": manifest, "filenames": [file],
                "target": { "kind": [kind], "name": name },
            });
            format!("{message}\n")
        };
        let found = |built: &[&str]| components(built.concat().as_bytes(), &folder);
        let answers = "(component (instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))";
        let (library, tool) = (built("cdylib", "shop.wasm", answers), built("bin", "tool.wasm", "(component)"));
        assert_eq!(found(&[&tool, &library]), [folder.join("shop.wasm")]);
        // It uses the library, and exports what that does.
        let server = built("bin", "server.wasm", answers);
        assert_eq!(found(&[&server, &library, &tool]), [folder.join("shop.wasm")]);
        assert_eq!(found(&[&server, &tool]), [folder.join("server.wasm")]);
        let other = built("bin", "other.wasm", answers);
        assert_eq!(found(&[&server, &other]).len(), 2, "which is meant is not known");
    }

    #[test]
    fn a_package_is_whole_when_each_of_its_targets_that_is_always_built_was() {
        let targets = r#"[{"kind": ["cdylib"], "name": "shop"}, {"kind": ["bin"], "name": "tool"}]"#;
        let targets = serde_json::from_str(targets).unwrap();
        let package = Package { folder: PathBuf::from("/a/shop"), id: "shop".to_owned(), targets };
        let built = |kind: &str, name: &str| {
            let target = serde_json::json!({ "kind": [kind], "name": name, "edition": "2024" });
            let message = serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/a/shop/Cargo.toml", "filenames": [], "target": target,
            });
            format!("{message}\n")
        };
        assert!(!is_whole(built("cdylib", "shop").as_bytes(), &package));
        assert!(is_whole((built("cdylib", "shop") + &built("bin", "tool")).as_bytes(), &package));
    }

    #[test]
    fn a_folder_that_is_a_link_is_the_package_that_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("läden shop"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let manifest = real.canonicalize().unwrap().join("Cargo.toml");
        let message =
            serde_json::json!({ "reason": "compiler-artifact", "manifest_path": manifest, "filenames": ["/t/a.wasm"] });
        assert_eq!(components(message.to_string().as_bytes(), &link), [PathBuf::from("/t/a.wasm")]);
    }
}
