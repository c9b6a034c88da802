use std::path::PathBuf;

use registry_client::{ImageStore, Registries};

use super::{build::build_one, print_line};
use crate::paths::DataDirArgs;

/// Send an image to a registry, after building it where a path is given
///
/// The image is an OCI artifact in the CNCF Wasm layout. Credentials are Docker's: `docker login`, credential
/// helpers, $DOCKER_CONFIG. Registries on this machine are reached without TLS.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan push samples/hello localhost:5000/hello:v1    Build a folder's component and push it
  sampan push hello.wasm ghcr.io/me/hello:v1           A component that is built already
  sampan push localhost:5000/hello:v1                  What the local store has under this name")]
pub(crate) struct Push {
    /// Folder with a sampan.toml or a Cargo package, or a component; then the image's name
    #[arg(required = true, num_args = 1..=2, value_names = ["PATH", "HOST/NAME:TAG"])]
    what: Vec<String>,

    #[command(flatten)]
    data: DataDirArgs,
}

impl Push {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let images = ImageStore::open(self.data.resolve()?.images())?;
        let reference = match self.what.as_slice() {
            [path, reference] => {
                build_one(images.clone(), &PathBuf::from(path), reference).await?;
                reference
            }
            [reference, ..] => reference,
            [] => anyhow::bail!("say what to push: [PATH] HOST/NAME:TAG"),
        };
        let digest = Registries::new()?.push(&images, reference).await?;
        print_line(format_args!("{reference}  {digest}  pushed"));
        Ok(())
    }
}
