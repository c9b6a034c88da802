//! Reads what `cargo build --message-format=json` prints.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

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
}

/// The manifests of the packages that were built from folders of this machine, not from a registry.
pub(super) fn manifests(output: &[u8]) -> Vec<PathBuf> {
    let ours = messages(output).filter(|message| message.package_id.starts_with("path+"));
    let mut paths: Vec<PathBuf> = ours.map(|message| message.manifest_path).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn messages(output: &[u8]) -> impl Iterator<Item = Message> {
    let lines = output.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok())
}

/// The components that the package in `folder` was built into. The folder may be a link: Cargo says where it leads.
pub(super) fn components(output: &[u8], folder: &Path) -> Vec<PathBuf> {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let manifest = folder.join("Cargo.toml");
    messages(output)
        .filter(|message| message.reason == "compiler-artifact" && message.manifest_path == manifest)
        .flat_map(|message| message.filenames)
        .filter(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .collect()
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
