use std::path::Path;

use anyhow::anyhow;
use clap::ValueEnum;
use include_dir::{Dir, include_dir};
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER;

use super::Files;
use crate::{errors::HintExt, wit};

/// Each language is a folder here. `{{name}}` in a file becomes the project's name.
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// What a template says in place of the project's name.
const NAME: &str = "{{name}}";
/// Where the toolchain needs WIT files, a template has its world here; the packages that it needs come from this program's.
const WORLD: &str = "wit/world.wit";

/// Go speaks preview 1 of WASI; with this, a component is made of its modules.
const ADAPTER_FILE: &str = "wasi/preview1.wasm";

/// A language that a new project may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// With Cargo and wstd
    Rust,
    /// With npm and jco
    #[value(alias = "js")]
    Javascript,
    /// With npm, jco and tsc
    #[value(alias = "ts")]
    Typescript,
    /// With pip and componentize-py
    #[value(alias = "py")]
    Python,
    /// With Go and wasm-tools
    #[value(alias = "golang")]
    Go,
}

impl Template {
    /// The files of a project of this name.
    pub(super) fn files(self, name: &str) -> anyhow::Result<Files> {
        let template = self.folder()?;
        let mut files = Files::of(template);
        if self == Self::Rust {
            check_crate_name(name, &files)?;
        }
        files.replace(NAME, name);
        sort_lock(&mut files);
        if self == Self::Go {
            files.put(ADAPTER_FILE, ADAPTER);
        }
        if let Some(world) = files.text(WORLD) {
            for (path, text) in wit::deps_of(world) {
                files.put(Path::new(wit::FOLDER).join(wit::DEPS).join(path), text);
            }
        }
        Ok(files)
    }

    /// What it is called on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What builds it.
    pub(crate) fn toolchain(self) -> String {
        let help = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }

    fn folder(self) -> anyhow::Result<&'static Dir<'static>> {
        let name = self.name();
        TEMPLATES.get_dir(&name).ok_or_else(|| anyhow!("this program was built without the template {name}"))
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Rust => "a service in Rust: src/lib.rs",
            Self::Javascript => "a service in JavaScript: src/app.js",
            Self::Typescript => "a service in TypeScript: src/app.ts",
            Self::Python => "a service in Python: app.py",
            Self::Go => "a service in Go: main.go",
        }
    }

    pub(super) fn test_command(self) -> &'static str {
        match self {
            Self::Rust => "cargo test",
            Self::Javascript | Self::Typescript => "npm test",
            Self::Python => "python3 -m unittest",
            Self::Go => "go test ./...",
        }
    }
}

/// Refuses what Cargo or Rust have another meaning for.
fn check_crate_name(name: &str, files: &Files) -> anyhow::Result<()> {
    /// Those with lower-case letters alone, and the crates that come with the compiler.
    const OF_RUST: &[&str] = &[
        "abstract",
        "alloc",
        "as",
        "async",
        "await",
        "become",
        "box",
        "break",
        "build",
        "const",
        "continue",
        "core",
        "crate",
        "deps",
        "do",
        "dyn",
        "else",
        "enum",
        "examples",
        "extern",
        "false",
        "final",
        "fn",
        "for",
        "gen",
        "if",
        "impl",
        "in",
        "incremental",
        "let",
        "loop",
        "macro",
        "match",
        "mod",
        "move",
        "mut",
        "override",
        "priv",
        "proc-macro",
        "pub",
        "ref",
        "return",
        "self",
        "static",
        "std",
        "struct",
        "super",
        "test",
        "trait",
        "true",
        "try",
        "type",
        "typeof",
        "unsafe",
        "unsized",
        "use",
        "virtual",
        "where",
        "while",
        "yield",
    ];
    let is_locked = |text: &str| text.lines().any(|line| line == format!("name = \"{name}\""));
    let why = if OF_RUST.contains(&name) {
        "is a word of Rust"
    } else if files.text("Cargo.lock").is_some_and(is_locked) {
        "is the name of a crate that the service needs"
    } else {
        return Ok(());
    };
    Err(anyhow!("`{name}` {why}")).hint(format!("choose another name, such as `{name}-service`"))
}

/// Puts the packages of `Cargo.lock` into the order of their names, as Cargo keeps them.
fn sort_lock(files: &mut Files) {
    const PACKAGE: &str = "[[package]]\n";
    let Some(lock) = files.text("Cargo.lock") else { return };
    let Some((head, packages)) = lock.split_once(PACKAGE) else { return };
    let mut packages: Vec<&str> = packages.split(PACKAGE).map(str::trim_end).collect();
    packages.sort_by_key(|package| package.lines().next().unwrap_or_default());
    let sorted = format!("{head}{PACKAGE}{}\n", packages.join(&format!("\n\n{PACKAGE}")));
    files.put("Cargo.lock", sorted);
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => walk(&path, root, found),
                path => drop(found.insert(path.strip_prefix(root).unwrap().display().to_string())),
            }
        }
    }

    #[test]
    fn every_file_of_every_template_is_in_this_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut there = BTreeSet::new();
        walk(&root, &root, &mut there);
        let embedded: BTreeSet<String> =
            Files::of(&TEMPLATES).iter().map(|(path, _)| path.display().to_string()).collect();
        assert_eq!(embedded, there);
        for template in Template::value_variants() {
            assert!(template.folder().is_ok(), "{template:?}");
        }
    }

    #[test]
    fn a_project_has_its_name_a_test_and_what_git_leaves_out() {
        for template in Template::value_variants() {
            let files = template.files("zebra").unwrap();
            for (path, contents) in files.iter() {
                let Ok(text) = std::str::from_utf8(contents) else { continue };
                assert!(!text.contains(NAME), "{template:?}: {}", path.display());
                assert!(text.ends_with('\n'), "{template:?}: {}", path.display());
            }
            assert!(files.text("sampan.toml").unwrap().contains("name = \"zebra\""), "{template:?}");
            assert!(!files.text("sampan.toml").unwrap().contains("manifests"), "{template:?}");
            assert!(files.text(".gitignore").is_some(), "{template:?}");
            let readme = files.text("README.md").unwrap();
            assert!(readme.contains(template.test_command()) && readme.contains("sampan dev"), "{template:?}");
        }
    }

    #[test]
    fn names_that_a_toolchain_has_another_meaning_for_are_refused_with_another() {
        for name in ["test", "fn", "wstd", "http", "std"] {
            let error = Template::Rust.files(name).unwrap_err();
            let said = crate::errors::report(&error);
            assert!(said.contains(&format!("such as `{name}-service`")), "{said}");
        }
    }

    #[test]
    fn what_the_lock_holds_is_what_the_samples_are_built_with() {
        let versions = |lock: &str| -> BTreeSet<String> {
            lock.split("[[package]]\n").skip(1).map(|package| package.lines().take(2).collect()).collect()
        };
        let files = Template::Rust.files("hello").unwrap();
        let samples = versions(include_str!("../../samples/Cargo.lock"));
        let others: Vec<String> =
            versions(files.text("Cargo.lock").unwrap()).into_iter().filter(|one| !samples.contains(one)).collect();
        assert!(others.is_empty(), "{others:?}");
    }

    #[test]
    fn the_lock_is_in_the_order_that_cargo_writes() {
        for name in ["a", "hello", "zebra"] {
            let files = Template::Rust.files(name).unwrap();
            let lock = files.text("Cargo.lock").unwrap();
            let names: Vec<&str> = lock.lines().filter(|line| line.starts_with("name = ")).collect();
            assert!(names.is_sorted() && names.contains(&&*format!("name = \"{name}\"")), "{names:?}");
        }
    }
}
