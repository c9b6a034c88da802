use std::path::{Path, PathBuf};

use anyhow::Context;
use registry_client::{ImageStore, SigningKey, VerifyingKeys};

use super::print_line;
use crate::{paths::DataDirArgs, registries::RegistriesArgs};

/// Sign an image in its registry, as cosign does with a key
///
/// The signature is put beside the image, under the tag `sha256-DIGEST.sig`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan sign ghcr.io/me/hello:v1 --key signing.key     Sign what the tag is now
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.key     A key to sign with
  openssl pkey -in signing.key -pubout -out signing.pub     Its public part, to verify with")]
pub(crate) struct Sign {
    /// The image, with its registry's host
    #[arg(value_name = "HOST/NAME:TAG")]
    image: String,

    /// Private key in PEM, not encrypted: ECDSA on P-256
    #[arg(long, env = "SAMPAN_SIGNING_KEY", value_name = "FILE")]
    key: PathBuf,

    #[command(flatten)]
    registries: RegistriesArgs,

    #[command(flatten)]
    data: DataDirArgs,
}

impl Sign {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let key = SigningKey::parse(&read(&self.key)?).with_context(|| named(&self.key))?;
        let digest = self.registries.for_client(&self.data.resolve()?)?.sign(&self.image, &key).await?;
        print_line(format_args!("{}  {digest}  signed", self.image));
        Ok(())
    }
}

/// Check that an image is signed by a key
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan verify ghcr.io/me/hello:v1 --key signing.pub     Fails unless this key, or one of several in the file, signed it")]
pub(crate) struct Verify {
    /// The image, in a registry or in the local store
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Public keys in PEM: ECDSA on P-256
    #[arg(long, env = "SAMPAN_VERIFYING_KEY", value_name = "FILE")]
    key: PathBuf,

    #[command(flatten)]
    registries: RegistriesArgs,

    #[command(flatten)]
    data: DataDirArgs,
}

impl Verify {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let keys = VerifyingKeys::parse(&read(&self.key)?).with_context(|| named(&self.key))?;
        let dir = self.data.claim()?;
        let images = ImageStore::open(dir.images())?;
        let form = self.registries.for_client(&dir)?.verify(&images, &self.image, &keys).await?;
        print_line(format_args!("{}  signed, says {form}", self.image));
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| named(path))
}

fn named(path: &Path) -> String {
    format!("{} cannot be used as a key", path.display())
}
