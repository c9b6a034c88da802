use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use registry_client::{Image, ImageStore};
use tokio::{process::Command, sync::watch};

use super::{
    cargo, command,
    inputs::Inputs,
    project::{Component, Recipe},
    status::Crates,
    toolchain::Toolchain,
};

/// Where the messages of compilers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Messages {
    /// Straight to the terminal, with progress.
    Terminal,
    /// Into the error of a build that fails, in colours or without.
    Kept { coloured: bool },
}

/// Builds components into images.
#[derive(Debug, Clone)]
pub(crate) struct Compiler {
    images: ImageStore,
    messages: Messages,
    /// Cargo's target directory, if the package's own is not to be used.
    target_dir: Option<PathBuf>,
    progress: watch::Sender<Crates>,
}

/// An image that was built.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) image: Image,
    pub(crate) took: Duration,
    /// `None`: a command says nothing of it.
    pub(crate) inputs: Option<Inputs>,
}

/// Why a component was not built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// The source is at fault, and the compiler has said why.
    #[error("{program} failed")]
    Source {
        program: String,
        /// What it said, if that is not on the terminal already.
        messages: String,
    },
    /// Something else is.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Compiler {
    /// A compiler that puts images into this store.
    pub(crate) fn new(images: ImageStore, messages: Messages, build_cache: Option<&Path>) -> Self {
        let target_dir = build_cache.map(|folder| folder.join("guests"));
        Self { images, messages, target_dir, progress: watch::Sender::default() }
    }

    /// Builds one component. Dropping the future ends the compiler.
    pub(crate) async fn build(&self, component: &Component) -> Result<Built, CompileError> {
        let began = Instant::now();
        let (artifact, inputs) = match &component.recipe {
            Recipe::Cargo => self.cargo(&component.dir).await.map(|(artifact, inputs)| (artifact, Some(inputs)))?,
            Recipe::Command { line, artifact } => {
                self.shell(&component.dir, line).await?;
                (artifact.clone(), None)
            }
        };
        let image = self.store(&artifact, &component.image).await?;
        Ok(Built { image, took: began.elapsed(), inputs })
    }

    /// Puts a component that is built already into the store.
    pub(crate) async fn store(&self, file: &Path, reference: &str) -> anyhow::Result<Image> {
        let (images, file, reference) = (self.images.clone(), file.to_owned(), reference.to_owned());
        let write = tokio::task::spawn_blocking(move || {
            let limit_bytes = registry_client::MAX_COMPONENT_BYTES;
            let size_bytes = fs::metadata(&file).with_context(|| format!("there is no {}", file.display()))?.len();
            if size_bytes > limit_bytes {
                return Err(anyhow!("{} has {size_bytes} bytes, and the limit is {limit_bytes}", file.display()));
            }
            let bytes = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            check_imports(&bytes, &file)?;
            images.put_component(&reference, bytes.into()).with_context(|| format!("{} is not stored", file.display()))
        });
        write.await.context("storing the image was broken off")?
    }

    /// Tells how far builds are, from now on.
    pub(crate) fn progress(&self) -> watch::Receiver<Crates> {
        self.progress.subscribe()
    }

    async fn cargo(&self, folder: &Path) -> Result<(PathBuf, Inputs), CompileError> {
        let found = {
            let folder = folder.to_owned();
            tokio::task::spawn_blocking(move || Toolchain::find(&folder)).await.context("the search was broken off")?
        };
        let mut build = found?.cargo_build(folder);
        build.args(["--message-format", "json-render-diagnostics"]);
        if let Messages::Kept { coloured } = self.messages {
            build.args(["--color", if coloured { "always" } else { "never" }]);
            build.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "80");
        }
        if let Some(folder) = &self.target_dir {
            build.env("CARGO_TARGET_DIR", folder);
        }
        self.progress.send_replace(Crates::default());
        let output = self.run(build, "cargo build").await?;
        match cargo::components(&output, folder).as_slice() {
            [one] => Ok((one.clone(), Inputs::of_cargo(&output, one, folder))),
            [] => Err(anyhow!(
                "the package in {} makes no component: add `[lib]` with `crate-type = [\"cdylib\"]` to its Cargo.toml",
                folder.display()
            )
            .into()),
            several => Err(anyhow!(
                "the package in {} makes {} components, and an image holds one",
                folder.display(),
                several.len()
            )
            .into()),
        }
    }

    async fn shell(&self, folder: &Path, line: &str) -> Result<(), CompileError> {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(folder);
        self.run(shell, &format!("`{line}`")).await.map(|_| ())
    }

    async fn run(&self, mut command: Command, program: &str) -> Result<Vec<u8>, CompileError> {
        command.stdout(Stdio::piped());
        if let Messages::Kept { .. } = self.messages {
            command.stderr(Stdio::piped());
        }
        let tell = |crates| {
            self.progress.send_replace(crates);
        };
        let finished = command::run(&mut command, tell).await.with_context(|| format!("{program} cannot be run"))?;
        if finished.status.success() {
            return Ok(finished.stdout);
        }
        Err(CompileError::Source { program: program.to_owned(), messages: finished.messages })
    }
}

/// Refuses what could never start here, by its imports, while whoever can do something about it looks on.
pub(crate) fn check_imports(bytes: &[u8], file: &Path) -> anyhow::Result<()> {
    // What is no component, the store refuses, and says more of it.
    let Ok(described) = registry_client::describe(bytes) else { return Ok(()) };
    match runtime::refuse_imports(&described.info.imports, described.language) {
        Some(refused) => Err(anyhow!("{} imports {refused}", file.display())),
        None => Ok(()),
    }
}
