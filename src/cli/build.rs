use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use registry_client::{Image, ImageStore};

use super::{client, print_line};
use crate::{
    build::{CompileError, Compiler, Messages, PROJECT_FILE, Profile, Project},
    errors::{HintExt, report},
    paths::{DataDirArgs, in_shell},
    size::human_bytes,
    terminal::print_error,
};

/// Build components into the local image store
///
/// Works while a server runs on the same data directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan build                               Every component of this folder's sampan.toml
  sampan build samples/hello                 Of another folder; a Cargo package will do too
  sampan build hello.wasm -t hello:v1        A component that is built already")]
pub(crate) struct Build {
    /// Folder with a sampan.toml or a Cargo package, or a component
    #[arg(default_value = ".", value_name = "PATH|FILE.wasm")]
    path: PathBuf,

    /// Name of the image [default: the sampan.toml's, else the package's name and `:dev`]
    #[arg(short, long, env = "SAMPAN_TAG", value_name = "NAME:TAG")]
    tag: Option<String>,

    /// Folder for what compilers leave, in place of each package's own `target`
    #[arg(long, env = "SAMPAN_BUILD_CACHE", value_name = "DIR")]
    build_cache: Option<PathBuf>,

    #[command(flatten)]
    data: DataDirArgs,
}

impl Build {
    pub(super) fn run(self) -> anyhow::Result<()> {
        client(self.build())
    }

    async fn build(self) -> anyhow::Result<()> {
        let images = ImageStore::open(self.data.claim()?.images())?;
        let compiler = Compiler::new(images, Messages::Terminal, Profile::Release, self.build_cache.as_deref());
        if self.path.is_file() {
            return self.import(&compiler).await;
        }
        if !self.path.exists() {
            bail!("there is no {}", self.path.display());
        }
        let project = read_project(&self.path, self.tag.as_deref())?;
        let mut failed = Vec::new();
        for batch in compiler.batches(&project.components, |_| true).await {
            for (component, built) in compiler.build(&batch).await {
                match built {
                    Ok(built) => print_image(&built.image),
                    Err(CompileError::Source { program, .. }) => {
                        failed.push(anyhow!("{}: {program} failed, as said above", component.name));
                    }
                    Err(CompileError::Other(error)) => {
                        failed.push(error.context(format!("{} was not built", component.name)));
                    }
                }
            }
        }
        let last = failed.pop();
        for error in failed {
            print_error(report(&error));
        }
        last.map_or(Ok(()), Err)
    }

    async fn import(&self, compiler: &Compiler) -> anyhow::Result<()> {
        let Some(tag) = &self.tag else {
            let name = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            return Err(anyhow!("the image needs a name"))
                .hint(format!("sampan build {} -t {name}:dev", in_shell(&self.path)));
        };
        print_image(&compiler.store(&self.path, tag).await?);
        Ok(())
    }
}

/// Builds the one component of a folder, or takes a component, under this name.
pub(super) async fn build_one(images: ImageStore, path: &Path, tag: &str) -> anyhow::Result<Image> {
    let compiler = Compiler::new(images, Messages::Terminal, Profile::Release, None);
    if path.is_file() {
        return compiler.store(path, tag).await;
    }
    let project = read_project(path, Some(tag))?;
    let component = project.components.first().with_context(|| format!("{} has no component", path.display()))?;
    match compiler.build_one(component).await {
        Ok(built) => Ok(built.image),
        Err(CompileError::Source { program, .. }) => bail!("{}: {program} failed, as said above", component.name),
        Err(CompileError::Other(error)) => Err(error.context(format!("{} was not built", component.name))),
    }
}

fn read_project(path: &Path, tag: Option<&str>) -> anyhow::Result<Project> {
    if !path.join(PROJECT_FILE).exists() {
        return Project::of_package(path, tag);
    }
    let mut project = Project::read(path)?;
    match (tag, project.components.as_mut_slice()) {
        (None, _) => {}
        (Some(tag), [only]) => tag.clone_into(&mut only.image),
        (Some(_), _) => bail!("-t names one image, and {} has {} components", PROJECT_FILE, project.components.len()),
    }
    Ok(project)
}

pub(super) fn print_image(image: &Image) {
    print_line(format_args!("{}  {}  {}", image.reference, image.digest, human_bytes(image.size_bytes)));
}
