//! How a Rust guest is built here. Three ways, tried in this order: the toolchain has the standard library
//! for the target; rustup can add it; Debian's compiler brings its sources and builds it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
    time::SystemTime,
};

use anyhow::{Context, anyhow};
use tokio::process::Command;

use super::{
    profile::Profile,
    rustflags::{self, Further},
};
use crate::errors::HintExt;
use crate::umask;

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// A guest's stack is part of the memory that every new instance begins with, so it is kept small: 64 KiB
/// instead of the linker's 1 MiB.
const STACK: &str = "-Clink-arg=-zstack-size=65536";

/// Where Debian's packages put what is needed.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std";
const DEBIAN_WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

/// A way to build Rust guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The Rust on PATH has the target.
    Target,
    /// Debian's `rustc-web` compiles the standard library too.
    DebianWeb {
        /// A folder with `wasm-ld`, if another Rust on this machine has one.
        linker: Option<PathBuf>,
    },
}

impl Toolchain {
    /// Finds the way for the package in a folder, whose `rust-toolchain.toml` may choose the Rust. May
    /// download the target.
    pub(crate) fn find(folder: &Path) -> anyhow::Result<Self> {
        if has_target(folder) || (add_target(folder) && has_target(folder)) {
            return Ok(Self::Target);
        }
        let parts = [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_SOURCES, DEBIAN_WASI_LIBC];
        let missing: Vec<&str> = parts.into_iter().filter(|part| !Path::new(part).exists()).collect();
        if missing.is_empty() {
            return Ok(Self::DebianWeb { linker: rustup_linker(folder) });
        }
        let chosen = ask(folder, "rustup", &["show", "active-toolchain"]).ok();
        Err(cannot_build(folder, chosen.as_deref().and_then(|chosen| chosen.split_whitespace().next())))
    }

    /// Cargo, in a folder.
    pub(super) fn cargo(&self, folder: &Path) -> Command {
        let mut command = match self {
            Self::Target => Command::new("cargo"),
            Self::DebianWeb { linker } => {
                let mut command = Command::new(DEBIAN_CARGO);
                for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
                    command.env_remove(variable);
                }
                command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", DEBIAN_RUSTC);
                if let Some(path) = linker.as_deref().and_then(path_with) {
                    command.env("PATH", path);
                }
                command
            }
        };
        command.current_dir(folder);
        command
    }

    /// The command that builds packages: the one in a folder, unless others are named to it, which are in those folders.
    pub(super) fn cargo_build(&self, folder: &Path, others: &[&Path], profile: Profile) -> Command {
        let libc = format!("-Clink-arg=-L{DEBIAN_WASI_LIBC}");
        let mut flags = Vec::new();
        let mut command = self.cargo(folder);
        command.arg("build");
        if let Self::DebianWeb { .. } = self {
            flags.push(libc.as_str());
            command.arg("-Zbuild-std=std,panic_abort");
        }
        match rustflags::further(folder, |name| std::env::var_os(name), &flags, STACK) {
            Further::Variable(name, value) => drop(command.env(name, value)),
            Further::Config(settings) => drop(command.args(settings.iter().flat_map(|one| ["--config", one]))),
        }
        let folders: Vec<&Path> = others.iter().copied().chain([folder]).collect();
        command.args(profile.arguments(&folders)).args(["--target", TARGET]);
        command
    }
}

/// Ways that were found. A way holds for its folder until a file chooses another toolchain there.
#[derive(Debug, Default)]
pub(super) struct Toolchains(BTreeMap<PathBuf, (Chosen, Toolchain)>);

/// The files that choose a toolchain, and when they were written.
type Chosen = Vec<(PathBuf, SystemTime)>;

impl Toolchains {
    /// As [`Toolchain::find`], which asks compilers, for a folder of which it is not known.
    pub(super) fn find(&mut self, folder: &Path) -> anyhow::Result<Toolchain> {
        let now = chosen(folder);
        if let Some((_, known)) = self.0.get(folder).filter(|(then, _)| *then == now) {
            return Ok(known.clone());
        }
        let found = Toolchain::find(folder)?;
        self.0.insert(folder.to_owned(), (now, found.clone()));
        Ok(found)
    }

    /// They are found anew.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn chosen(folder: &Path) -> Chosen {
    let files =
        folder.ancestors().flat_map(|folder| ["rust-toolchain.toml", "rust-toolchain"].map(|name| folder.join(name)));
    files.filter_map(|file| Some((file.clone(), file.metadata().ok()?.modified().ok()?))).collect()
}

/// A folder may choose another toolchain than what a command adds a target to elsewhere.
fn cannot_build(folder: &Path, chosen: Option<&str>) -> anyhow::Error {
    const DEBIAN: &str = "on Debian `apt-get install rustc-web cargo-web rust-web-src rust-web-llvm wasi-libc`";
    match chosen {
        Some(chosen) => {
            let folder = folder.display();
            anyhow!("the toolchain {chosen}, which is chosen in {folder}, cannot build for {TARGET}")
                .hint(format!("run `rustup target add --toolchain {chosen} {TARGET}`, or {DEBIAN}"))
        }
        None => anyhow!("no Rust here can build for {TARGET}")
            .hint(format!("install Rust (https://rustup.rs) and run `rustup target add {TARGET}`, or {DEBIAN}")),
    }
}

fn path_with(folder: &Path) -> Option<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path))).ok()
}

fn has_target(folder: &Path) -> bool {
    ask(folder, "rustc", &["--print", "target-libdir", "--target", TARGET]).is_ok_and(|path| Path::new(&path).is_dir())
}

fn add_target(folder: &Path) -> bool {
    ask(folder, "rustup", &["target", "add", TARGET]).is_ok()
}

/// Debian's linker for Wasm is in a package of its own; every rustup toolchain carries one too.
fn rustup_linker(folder: &Path) -> Option<PathBuf> {
    let sysroot = ask(folder, "rustc", &["--print", "sysroot"]).ok()?;
    let version = ask(folder, "rustc", &["-vV"]).ok()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/gcc-ld");
    linker.join("wasm-ld").exists().then_some(linker)
}

/// What a program prints, if it succeeds.
fn ask(folder: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = umask::give_back(&mut StdCommand::new(program))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("{program} does not start"))?;
    anyhow::ensure!(output.status.success(), "{program} ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that the command says, by arguments and variables.
    fn flags_of(command: &Command) -> String {
        let values = command.as_std().get_envs().filter_map(|(_, value)| value);
        let all = command.as_std().get_args().chain(values);
        all.map(|one| one.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_way_builds_the_target_for_release_with_a_small_stack() {
        for toolchain in [Toolchain::Target, Toolchain::DebianWeb { linker: None }] {
            let command = toolchain.cargo_build(Path::new("/"), &[], Profile::Release);
            let arguments: Vec<_> = command.as_std().get_args().collect();
            assert!(arguments.ends_with(&["--release".as_ref(), "--target".as_ref(), TARGET.as_ref()]));
            assert!(flags_of(&command).contains(STACK));
        }
    }

    #[test]
    fn the_toolchain_that_cannot_build_is_named_with_what_adds_the_target_to_it() {
        let said = crate::errors::report(&cannot_build(Path::new("/shop"), Some("nightly-x")));
        assert!(said.contains("the toolchain nightly-x, which is chosen in /shop, cannot build"), "{said}");
        assert!(said.contains("`rustup target add --toolchain nightly-x wasm32-wasip2`"), "{said}");
        let said = crate::errors::report(&cannot_build(Path::new("/shop"), None));
        assert!(said.contains("no Rust here") && said.contains("`rustup target add wasm32-wasip2`"), "{said}");
    }

    #[test]
    fn debians_way_finds_the_c_library_and_the_linker() {
        let toolchain = Toolchain::DebianWeb { linker: Some("/rust/gcc-ld".into()) };
        let command = toolchain.cargo_build(Path::new("/"), &[], Profile::Release);
        assert!(flags_of(&command).contains(DEBIAN_WASI_LIBC));
        let path = command.as_std().get_envs().find_map(|(name, value)| (name == "PATH").then_some(value).flatten());
        assert!(path.unwrap().to_string_lossy().starts_with("/rust/gcc-ld:"));
    }
}
