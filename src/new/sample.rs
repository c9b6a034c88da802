use std::path::Path;

use clap::ValueEnum;
use include_dir::{Dir, include_dir};

use super::{Files, Template};
use crate::wit;

static HELLO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/samples/hello");
static CART: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/samples/shopping-cart");
/// Of the workspace that holds them in the repository.
const WORKSPACE: &str = include_str!("../../samples/Cargo.toml");
const LOCK: &str = include_str!("../../samples/Cargo.lock");

/// One of our samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sample {
    /// The smallest service, in Rust, with its manifests
    Hello,
    /// The shopping cart: three services in Rust, pages, a store, manifests
    #[value(alias = "shopping-cart")]
    Cart,
}

impl Sample {
    /// What its folder is called, unless another name is given.
    pub(crate) fn default_name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Cart => "shopping-cart",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Hello => "a service in Rust: src/lib.rs, and its manifests",
            Self::Cart => "three services in Rust: cart/, products/ and storefront/",
        }
    }

    /// All files of it, as a project of this name that stands alone. What runs in it keeps its names.
    pub(super) fn files(self, name: &str) -> Files {
        let mut files = match self {
            Self::Hello => hello(),
            Self::Cart => cart(),
        };
        let title = format!("[app]\nname = \"{}\"", self.default_name());
        files.replace(&title, &format!("[app]\nname = \"{name}\""));
        files.put(".gitignore", "/target\n");
        files
    }
}

fn hello() -> Files {
    let mut files = Files::of(&HELLO);
    let package = files.text("Cargo.toml").unwrap_or_default();
    let profile = WORKSPACE.find("# Small and quick").and_then(|at| WORKSPACE.get(at..)).unwrap_or_default();
    let manifest = format!("{package}\n[workspace]\n\n{profile}");
    files.put("Cargo.toml", manifest);
    // It needs what the template does.
    let template = Template::Rust.files(Sample::Hello.default_name()).unwrap_or_default();
    files.put("Cargo.lock", template.text("Cargo.lock").unwrap_or_default());
    files.replace("sampan dev samples/hello", "sampan dev");
    files
}

fn cart() -> Files {
    let mut files = Files::of(&CART);
    for (path, contents) in Files::of(&wit::WIT).iter() {
        files.put(Path::new(wit::FOLDER).join(path), contents);
    }
    // Its packages are one folder nearer to the workspace and to the WIT files.
    files.replace("path: \"../../../wit\"", "path: \"../wit\"");
    files.replace("sampan dev samples/shopping-cart", "sampan dev");
    files.replace("`cargo test` in `samples/`", "`cargo test`");
    let without_hello =
        WORKSPACE.lines().filter(|line| !line.contains("\"hello\"") && !line.starts_with("# The sample"));
    let workspace = without_hello.collect::<Vec<_>>().join("\n").replace("shopping-cart/", "");
    let workspace =
        workspace.replace("# `cargo test` here builds them natively", "# `cargo test` builds the packages natively");
    files.put("Cargo.toml", format!("{workspace}\n"));
    files.put("Cargo.lock", without_package(LOCK, "hello"));
    files
}

/// A `Cargo.lock` without a package of the workspace.
fn without_package(lock: &str, name: &str) -> String {
    let is_other = |part: &&str| !part.starts_with(&format!("[[package]]\nname = \"{name}\"\n"));
    lock.split("\n\n").filter(is_other).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_sample_stands_alone_and_names_nothing_of_the_repository() {
        for sample in Sample::value_variants() {
            let files = sample.files("my-shop");
            for (path, contents) in files.iter() {
                let text = String::from_utf8_lossy(contents);
                for gone in ["samples/", "../../../wit", "shopping-cart/cart\"", "Cargo workspace around"] {
                    assert!(!text.contains(gone), "{sample:?}: {}: {gone}", path.display());
                }
            }
            assert!(files.text("Cargo.lock").unwrap().contains("name = \"wstd\""), "{sample:?}");
            let project = files.text("sampan.toml").unwrap();
            assert!(project.contains("[app]\nname = \"my-shop\"\nmanifests = [\"deploy\"]"), "{project}");
            assert!(files.text("Cargo.toml").unwrap().contains("[profile.release]"), "{sample:?}");
        }
    }

    #[test]
    fn the_shop_has_all_its_packages_pages_and_interfaces() {
        let files = Sample::Cart.files("shop");
        let paths: Vec<PathBuf> = files.iter().map(|(path, _)| path.to_owned()).collect();
        for path in ["cart/src/lib.rs", "storefront/src/pages/style.css", "products/pictures/tea.svg", "wit/world.wit"]
        {
            assert!(paths.contains(&PathBuf::from(path)), "{path}");
        }
        let workspace = files.text("Cargo.toml").unwrap();
        assert!(
            workspace.contains("    \"cart\",\n") && workspace.contains("shop = { path = \"shop\" }"),
            "{workspace}"
        );
        assert!(!workspace.contains("hello"), "{workspace}");
        assert!(!files.text("Cargo.lock").unwrap().contains("name = \"hello\""));
    }
}
