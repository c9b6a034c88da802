//! Reads what `cargo build --message-format=json` prints.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The lines that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The components that the package in `folder` was built into.
pub(super) fn components(output: &[u8], folder: &Path) -> Vec<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    let lines = output.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    messages
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
}
