use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use registry_client::{ImageStore, Progress, Step};

use super::{build::build_one, print_line};
use crate::{build::check_imports, paths::DataDirArgs, registries::RegistriesArgs};

/// Send an image to a registry, after building it where a path is given
///
/// The image is an OCI artifact in the CNCF Wasm layout. Credentials are Docker's: `sampan login`, credential
/// helpers, $DOCKER_CONFIG. The registry of the installation in the data directory needs none.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan push samples/hello localhost:5000/hello:v1    Build a folder's component and push it
  sampan push hello.wasm ghcr.io/me/hello:v1           A component that is built already
  sampan push samples/hello localhost:7443/hello:v1    To Sampan's own registry, at the address of its API
  sampan push localhost:5000/hello:v1                  What the local store has under this name")]
pub(crate) struct Push {
    /// Folder with a sampan.toml or a Cargo package, or a component; then the image's name
    #[arg(required = true, num_args = 1..=2, value_names = ["PATH", "HOST/NAME:TAG"])]
    what: Vec<String>,

    #[command(flatten)]
    registries: RegistriesArgs,

    #[command(flatten)]
    data: DataDirArgs,
}

impl Push {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let dir = self.data.claim()?;
        // First, so that settings which cannot be used are told before anything is built.
        let registries = self.registries.for_client(&dir)?;
        let images = ImageStore::open(dir.images())?;
        let reference = match self.what.as_slice() {
            [path, reference] => {
                build_one(images.clone(), &PathBuf::from(path), reference).await?;
                reference
            }
            [reference, ..] => {
                let component = images.component(&images.resolve(reference)?)?;
                check_imports(&component.bytes, reference.as_ref())?;
                reference
            }
            [] => anyhow::bail!("say what to push: [PATH] HOST/NAME:TAG"),
        };
        let (bar, progress) = bar();
        let pushed = registries.push(&images, reference, &progress).await;
        bar.finish_and_clear();
        print_line(format_args!("{reference}  {}  pushed", pushed?));
        Ok(())
    }
}

/// A bar on standard error while that is a terminal; else nothing.
fn bar() -> (ProgressBar, Progress) {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {bytes} of {total_bytes}  {bytes_per_sec}") {
        bar.set_style(style);
    }
    let told = bar.clone();
    let progress = Progress::to(move |step| {
        if let Step::Transferred { bytes, total } = step {
            told.set_length(total);
            told.set_position(bytes);
        }
    });
    (bar, progress)
}
