use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::Context;
use registry_client::{ImageStore, SigningKey, VerifyingKeys};

use super::print_line;
use crate::{errors::HintExt, paths::DataDirArgs, registries::RegistriesArgs};

/// Where the signature of a file is.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// A file in place of an image: as `cosign sign-blob` and `verify-blob` do with a key
    #[arg(long, env = "SAMPAN_SIGNED_FILE", value_name = "FILE", conflicts_with = "image")]
    file: Option<PathBuf>,

    /// Its signature, base64 of DER [default: beside it, FILE.sig]
    #[arg(long, env = "SAMPAN_SIGNATURE", value_name = "FILE", requires = "file")]
    signature: Option<PathBuf>,
}

impl FileArgs {
    /// The file and its signature, if it is about a file.
    fn paths(&self) -> Option<(&Path, PathBuf)> {
        let file = self.file.as_deref()?;
        let beside = || {
            let mut name = file.as_os_str().to_owned();
            name.push(".sig");
            name.into()
        };
        Some((file, self.signature.clone().unwrap_or_else(beside)))
    }
}

/// Sign an image in its registry, or a file, as cosign does with a key
///
/// The signature is put beside the image, under the tag `sha256-DIGEST.sig`, or beside the file, as FILE.sig.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan sign ghcr.io/me/hello:v1 --key signing.key     Sign what the tag is now
  sampan sign --file SHA256SUMS --key signing.key       Sign a file, into SHA256SUMS.sig
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.key     A key to sign with
  openssl pkey -in signing.key -pubout -out signing.pub     Its public part, to verify with")]
pub(crate) struct Sign {
    /// The image, with its registry's host
    #[arg(value_name = "HOST/NAME:TAG", required_unless_present = "file")]
    image: Option<String>,

    #[command(flatten)]
    file: FileArgs,

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
        if let Some((file, signature)) = self.file.paths() {
            let signed = key.sign_file(open(file)?).with_context(|| unreadable(file))?;
            fs::write(&signature, signed + "\n").with_context(|| format!("{} is not written", signature.display()))?;
            print_line(format_args!("{}  signed, in {}", file.display(), signature.display()));
            return Ok(());
        }
        let image = self.image.context("no image is named")?;
        let digest = self.registries.for_client(&self.data.resolve()?)?.sign(&image, &key).await?;
        print_line(format_args!("{image}  {digest}  signed"));
        Ok(())
    }
}

/// Check that an image, or a file, is signed by a key
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES:
  sampan verify ghcr.io/me/hello:v1 --key signing.pub     Fails unless this key, or one of several in the file, signed it
  sampan verify --file SHA256SUMS --key signing.pub     A file, by SHA256SUMS.sig")]
pub(crate) struct Verify {
    /// The image, in a registry or in the local store
    #[arg(value_name = "IMAGE", required_unless_present = "file")]
    image: Option<String>,

    #[command(flatten)]
    file: FileArgs,

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
        if let Some((file, signature)) = self.file.paths() {
            let text = fs::read_to_string(&signature)
                .with_context(|| unreadable(&signature))
                .hint(format!("name the signature of {} with --signature", file.display()))?;
            let holds = keys.verify_file(open(file)?, &text).with_context(|| unreadable(file))?;
            anyhow::ensure!(
                holds,
                "{} is not what was signed, or no key in {} made {}",
                file.display(),
                self.key.display(),
                signature.display()
            );
            print_line(format_args!("{}  signed, says {}", file.display(), signature.display()));
            return Ok(());
        }
        let image = self.image.context("no image is named")?;
        let dir = self.data.claim()?;
        let images = ImageStore::open(dir.images())?;
        let form = self.registries.for_client(&dir)?.verify(&images, &image, &keys).await?;
        print_line(format_args!("{image}  signed, says {form}"));
        Ok(())
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| unreadable(path))
}

fn unreadable(path: &Path) -> String {
    format!("{} cannot be read", path.display())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| named(path))
}

fn named(path: &Path) -> String {
    format!("{} cannot be used as a key", path.display())
}
