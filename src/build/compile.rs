use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use parking_lot::Mutex;
use registry_client::{Image, ImageStore};
use tokio::{process::Command, sync::watch};

use super::{
    cargo,
    command::{self, Finished},
    inputs::Inputs,
    place::Place,
    profile::Profile,
    project::{Component, Recipe},
    status::Crates,
    toolchain::Toolchains,
    workspace::{Groups, Package},
};
use crate::errors::HintExt;

/// The end of what a command that failed has printed on standard output is shown, up to this.
const MAX_PRINTED_BYTES: usize = 64 << 10;

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
    /// Whether what is built need not survive a crash of the machine, since it is built again.
    for_edits: bool,
    messages: Messages,
    profile: Profile,
    /// A folder that projects share, if each package's own `target` is not to be used.
    target_dir: Option<PathBuf>,
    progress: watch::Sender<Crates>,
    /// What was last found out of the packages of a project.
    groups: Arc<Mutex<Groups>>,
    toolchains: Arc<Mutex<Toolchains>>,
}

/// Components that are built together.
#[derive(Debug, Clone)]
pub(crate) struct Batch<'a> {
    /// Of which the images are wanted.
    pub(crate) components: Vec<&'a Component>,
    /// The packages that the one call of Cargo names. None: it builds the one in its folder.
    packages: Vec<Package>,
}

/// A component of a batch, and what became of it.
pub(crate) type Outcome<'a> = (&'a Component, Result<Built, CompileError>);

/// An image that was built.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) image: Image,
    /// What the compiler took, with all that it was called for.
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
        /// The output of the compiler, unless it is on the terminal already.
        messages: String,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Compiler {
    /// A compiler that puts images into this store.
    pub(crate) fn new(images: ImageStore, messages: Messages, profile: Profile, build_cache: Option<&Path>) -> Self {
        let of_flag = build_cache.and_then(|folder| std::path::absolute(folder.join("guests")).ok());
        let target_dir = of_flag.or_else(target_dir_of_environment);
        let (progress, groups, toolchains) = (watch::Sender::default(), Arc::default(), Arc::default());
        Self { images, for_edits: false, messages, profile, target_dir, progress, groups, toolchains }
    }

    /// The same for who builds all again when it is gone, and waits for each build.
    pub(crate) fn for_edits(self) -> Self {
        Self { for_edits: true, ..self }
    }

    /// Divides those of a project's components that are chosen into what is built together: those of a workspace by one
    /// call of Cargo. What a call builds does not depend on what is chosen.
    pub(crate) async fn batches<'a>(
        &self,
        components: &'a [Component],
        chosen: impl Fn(&Component) -> bool,
    ) -> Vec<Batch<'a>> {
        let of_cargo = components.iter().filter(|component| component.recipe == Recipe::Cargo);
        let folders: BTreeSet<PathBuf> = of_cargo.map(|component| component.dir.clone()).collect();
        let mut groups = self.groups.lock().clone();
        if folders.len() > 1 && !groups.are_of(&folders) {
            groups = Groups::find(&folders).await;
            self.groups.lock().clone_from(&groups);
        }
        let mut batches: Vec<Batch<'a>> = Vec::new();
        for component in components.iter().filter(|component| chosen(component)) {
            let packages = match component.recipe {
                Recipe::Cargo => groups.with(&component.dir),
                Recipe::Command { .. } | Recipe::Made { .. } => &[],
            };
            match batches.iter_mut().find(|batch| !packages.is_empty() && batch.packages == packages) {
                Some(batch) => batch.components.push(component),
                None => batches.push(Batch { components: vec![component], packages: packages.to_vec() }),
            }
        }
        batches
    }

    /// Builds the components of a batch, and tells of each. Dropping the future ends the compiler.
    pub(crate) async fn build<'a>(&self, batch: &Batch<'a>) -> Vec<Outcome<'a>> {
        let began = Instant::now();
        let mut outcomes = Vec::new();
        let made = self.make(batch).await;
        let took = began.elapsed();
        for (component, made) in made {
            let built = async {
                let (artifact, inputs) = made?;
                let image = self.store(&artifact, &component.image).await?;
                Ok(Built { image, took, inputs })
            };
            outcomes.push((component, built.await));
        }
        outcomes
    }

    /// Builds one component.
    pub(crate) async fn build_one(&self, component: &Component) -> Result<Built, CompileError> {
        let batch = Batch { components: vec![component], packages: Vec::new() };
        let (_, built) = self.build(&batch).await.pop().context("a build has no result")?;
        built
    }

    async fn make<'a>(&self, batch: &Batch<'a>) -> Vec<(&'a Component, Result<Made, CompileError>)> {
        let (there, gone): (Vec<_>, Vec<_>) = batch.components.iter().partition(|component| component.dir.is_dir());
        let mut made = self.make_there(&there, &batch.packages).await;
        let gone = gone.into_iter().map(|component| {
            (component, Err(CompileError::Other(anyhow!("there is no folder {}", component.dir.display()))))
        });
        made.extend(gone);
        made
    }

    async fn make_there<'a>(
        &self,
        components: &[&'a Component],
        packages: &[Package],
    ) -> Vec<(&'a Component, Result<Made, CompileError>)> {
        match components {
            [component] if let Recipe::Command { line, artifact } = &component.recipe => {
                let made = match component.check_needs() {
                    Ok(()) => self.shell(&component.dir, line).await.map(|()| (artifact.clone(), None)),
                    Err(error) => Err(error.into()),
                };
                vec![(*component, made)]
            }
            [component] if let Recipe::Made { artifact } = &component.recipe => {
                vec![(*component, Ok((artifact.clone(), None)))]
            }
            components => self.cargo(components, packages).await,
        }
    }

    /// Puts a component that is built already into the store.
    pub(crate) async fn store(&self, file: &Path, reference: &str) -> anyhow::Result<Image> {
        let (images, file, reference) = (self.images.clone(), file.to_owned(), reference.to_owned());
        let put = if self.for_edits { ImageStore::put_edited } else { ImageStore::put_component };
        let write = tokio::task::spawn_blocking(move || {
            let found = fs::metadata(&file).with_context(|| format!("there is no {}", file.display()))?;
            // A pipe would be waited for, and a device read, without end.
            anyhow::ensure!(found.is_file(), "{} is no file: a component is in one", file.display());
            let bytes = read_component(&file)?;
            check_imports(&bytes, &file)?;
            put(&images, &reference, bytes.into()).with_context(|| format!("{} is not stored", file.display()))
        });
        write.await.context("storing the image was broken off")?
    }

    /// Tells how far builds are, from now on.
    pub(crate) fn progress(&self) -> watch::Receiver<Crates> {
        self.progress.subscribe()
    }

    /// Builds packages by one call of Cargo. One that fails keeps none of the others from being built.
    async fn cargo<'a>(
        &self,
        components: &[&'a Component],
        packages: &[Package],
    ) -> Vec<(&'a Component, Result<Made, CompileError>)> {
        let called = match components {
            [first, ..] => self.call_cargo(&first.dir, packages).await,
            [] => return Vec::new(),
        };
        let (output, mut failed) = match called {
            Ok(Finished { stdout, status, .. }) if status.success() => (stdout, None),
            Ok(Finished { stdout, messages, .. }) => (stdout, Some(messages)),
            Err(error) => {
                // The same keeps all of them from being built, and is said of the first.
                let mut error = Some(error);
                let each = |component: &&'a Component| {
                    let error = error.take().map_or_else(|| failure(String::new()), CompileError::Other);
                    (*component, Err(error))
                };
                return components.iter().map(each).collect();
            }
        };
        let folders: Vec<PathBuf> = components.iter().map(|component| component.dir.clone()).collect();
        let find = move || {
            let found: Vec<_> = folders.iter().map(|folder| cargo::components(&output, folder)).collect();
            (output, found)
        };
        // It may read them.
        let (output, found) = match tokio::task::spawn_blocking(find).await {
            Ok(found) => found,
            Err(error) => {
                let broken_off = |component: &&'a Component| (*component, Err(anyhow!("{error}").into()));
                return components.iter().map(broken_off).collect();
            }
        };
        let made = components.iter().zip(found).map(|(&component, found)| {
            let mut ours = packages.iter().filter(|package| package.folder == component.dir);
            let made = match found.as_slice() {
                // Perhaps by another of its targets. Of one package, it is the one that failed.
                found if let Some(messages) = &mut failed
                    && (found.is_empty()
                        || packages.len() <= 1
                        || ours.any(|package| !cargo::is_whole(&output, package))) =>
                {
                    Err(failure(std::mem::take(messages)))
                }
                [one] => Ok((one.clone(), Some(Inputs::of_cargo(&output, one, &component.dir, self.target_dir.as_deref())))),
                [] => Err(anyhow!(
                    "the package in {} makes no component: add `[lib]` with `crate-type = [\"cdylib\"]` to its Cargo.toml",
                    component.dir.display()
                )
                .into()),
                several => Err(anyhow!(
                    "the package in {} makes {} components that answer HTTP requests, and an image holds one: {}",
                    component.dir.display(),
                    several.len(),
                    several.iter().filter_map(|file| file.file_name()?.to_str()).collect::<Vec<_>>().join(", ")
                )
                .hint("put each into a package of its own")
                .into()),
            };
            (component, made)
        });
        made.collect()
    }

    async fn call_cargo(&self, folder: &Path, packages: &[Package]) -> anyhow::Result<Finished> {
        let found = {
            let (toolchains, folder) = (self.toolchains.clone(), folder.to_owned());
            let find = move || toolchains.lock().find(&folder);
            tokio::task::spawn_blocking(find).await.context("the search was broken off")?
        };
        let others: Vec<&Path> = packages.iter().map(|package| &*package.folder).collect();
        let mut build = found?.cargo_build(folder, &others, self.profile);
        build.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
        if packages.len() > 1 {
            build.arg("--keep-going").args(packages.iter().flat_map(|package| ["--package", &package.id]));
        }
        if let Messages::Kept { coloured } = self.messages {
            build.args(["--color", if coloured { "always" } else { "never" }]);
            build.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "80");
        }
        if let Some(shared) = self.target_dir.clone() {
            let (folder, there) = (folder.to_owned(), shared.clone());
            let place = tokio::task::spawn_blocking(move || Place::of(&there, &folder));
            let place = place.await.context("the search was broken off")?;
            place.tell(&mut build).with_context(|| format!("{} cannot be used", shared.display()))?;
        }
        self.progress.send_replace(Crates::default());
        let finished = self.run(build, CARGO_BUILD).await?;
        if !finished.status.success() {
            // It may have failed because the toolchain is another one now.
            self.toolchains.lock().forget();
        }
        Ok(finished)
    }

    async fn shell(&self, folder: &Path, line: &str) -> Result<(), CompileError> {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(folder);
        let program = format!("`{line}`");
        // What it prints is for people, and standard output is for what was built.
        shell.stdout(if self.messages == Messages::Terminal { Stdio::from(io::stderr()) } else { Stdio::piped() });
        let finished = self.run(shell, &program).await?;
        if finished.status.success() {
            return Ok(());
        }
        // Many compilers say on standard output what is wrong.
        let printed = &finished.stdout[finished.stdout.len().saturating_sub(MAX_PRINTED_BYTES)..];
        let printed = String::from_utf8_lossy(printed).trim_end().to_owned();
        let said = [printed, finished.messages].into_iter().filter(|said| !said.is_empty());
        Err(CompileError::Source { program, messages: said.collect::<Vec<_>>().join("\n") })
    }

    async fn run(&self, mut command: Command, program: &str) -> anyhow::Result<Finished> {
        // At the terminal, Ctrl-C is for the compiler too.
        let leads = matches!(self.messages, Messages::Kept { .. });
        if leads {
            command.stderr(Stdio::piped());
        }
        let tell = |crates| {
            self.progress.send_replace(crates);
        };
        command::run(&mut command, leads, tell).await.with_context(|| format!("{program} cannot be run"))
    }
}

/// Where a component is, and what its build says that it read.
type Made = (PathBuf, Option<Inputs>);

const CARGO_BUILD: &str = "cargo build";

fn failure(messages: String) -> CompileError {
    CompileError::Source { program: CARGO_BUILD.to_owned(), messages }
}

/// Cargo takes a relative one from the folder that it runs in. Here it runs in several, and means the user's.
fn target_dir_of_environment() -> Option<PathBuf> {
    std::path::absolute(std::env::var_os("CARGO_TARGET_DIR")?).ok()
}

/// What is in a file, or comes from a pipe, up to the size of a component.
pub(crate) fn read_component(file: &Path) -> anyhow::Result<Vec<u8>> {
    let limit_bytes = registry_client::MAX_COMPONENT_BYTES;
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    // Memory that grows as it is read is copied again and again.
    let size = opened.metadata().map_or(0, |found| found.len()).min(limit_bytes);
    let mut bytes = Vec::with_capacity(size as usize);
    opened
        .take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    if bytes.len() as u64 > limit_bytes {
        bail!("{} has more than {limit_bytes} bytes, which is the limit of a component", file.display());
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_file_is_not_read_as_a_component() {
        let folder = tempfile::tempdir().unwrap();
        let images = ImageStore::open(folder.path().join("images")).unwrap();
        let compiler = Compiler::new(images, Messages::Kept { coloured: false }, Profile::Edit, None);
        let refused = compiler.store(Path::new("/dev/zero"), "page:dev").await.unwrap_err().to_string();
        assert!(refused.contains("/dev/zero is no file"), "{refused}");
    }

    #[tokio::test]
    async fn what_a_command_that_fails_says_is_shown_wherever_it_says_it() {
        let folder = tempfile::tempdir().unwrap();
        let compiler = Compiler::new(
            ImageStore::open(folder.path().join("images")).unwrap(),
            Messages::Kept { coloured: false },
            Profile::Edit,
            None,
        );
        let component = Component {
            name: "page".to_owned(),
            image: "page:dev".to_owned(),
            dir: folder.path().to_owned(),
            recipe: Recipe::Command {
                line: "echo 'app.ts(1,2): error TS1'; echo 'npm error' >&2; exit 2".to_owned(),
                artifact: folder.path().join("page.wasm"),
            },
            watch: Vec::new(),
            needs: Vec::new(),
            wasi: None,
        };
        match compiler.build_one(&component).await {
            Err(CompileError::Source { messages, .. }) => assert_eq!(messages, "app.ts(1,2): error TS1\nnpm error"),
            other => panic!("{other:?}"),
        }
    }

    /// A package with a crate of its own beside it, and this text in what is built of both.
    fn package(folder: PathBuf, text: &str) -> Component {
        let write = |file: &str, text: String| {
            fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
            fs::write(folder.join(file), text).unwrap();
        };
        let head = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        let more = "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nbeside = { path = \"beside\" }\n";
        write("Cargo.toml", head("hello") + more);
        let call = "#[unsafe(no_mangle)]\npub extern \"C\" fn call(at: usize) -> u8";
        write("src/lib.rs", format!("{call} {{ b\"mine of {text}\"[at] + beside::call(at) }}\n"));
        write("beside/Cargo.toml", head("beside"));
        write("beside/src/lib.rs", format!("pub fn call(at: usize) -> u8 {{ b\"beside {text}\"[at] }}\n"));
        Component {
            name: "hello".to_owned(),
            image: "hello:dev".to_owned(),
            dir: folder,
            recipe: Recipe::Cargo,
            watch: Vec::new(),
            needs: Vec::new(),
            wasi: None,
        }
    }

    #[tokio::test]
    async fn of_projects_that_share_a_build_cache_and_a_name_each_gets_its_own_component() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let compiler = || {
            let images = ImageStore::open(root.join("images")).unwrap();
            let (messages, cache) = (Messages::Kept { coloured: false }, root.join("cache"));
            Compiler::new(images, messages, Profile::Release, Some(&cache))
        };
        let workspace = |text: &str| {
            let component = package(root.join(text), text);
            let manifest = component.dir.join("Cargo.toml");
            fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + "[workspace]\n").unwrap();
            component
        };
        let all =
            [package(root.join("one"), "one"), package(root.join("two"), "two"), workspace("three"), workspace("four")];
        // What each makes is read when all are done, as late as it may be.
        let built = futures::future::join_all(all.iter().map(async |component| {
            let batch = Batch { components: vec![component], packages: Vec::new() };
            let (_, made) = compiler().make(&batch).await.pop().unwrap();
            made.unwrap().0
        }));
        let built = built.await;
        for (component, file) in all.iter().zip(built) {
            let (made, text) = (fs::read(&file).unwrap(), component.dir.file_name().unwrap().to_str().unwrap());
            let has = |text: String| made.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(has(format!("mine of {text}")) && has(format!("beside {text}")), "{text}: {}", file.display());
        }
    }
}
