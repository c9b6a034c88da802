//! Signatures of images as cosign makes them, with keys: the `.sig` tag, and bundles that refer to the image.
//!
//! What cannot be verified counts as not signed: a signature that is missing, too large, of another image, by another
//! key, or that cannot be fetched. Certificates and transparency logs are not used.

mod bundle;
mod key;
mod simple;
mod source;

use std::fmt;

use crate::hosted::ContentDigest;

pub use key::{InvalidKey, SigningKey, VerifyingKeys};
pub(crate) use simple::{SIGNATURE_ANNOTATION, SIMPLE_SIGNING, payload};
pub(crate) use source::Source;

/// Signatures of one image that are looked at, in each of the two forms.
const MAX_SIGNATURES: usize = 32;
/// The largest signature or bundle.
pub(crate) const MAX_SIGNATURE_BYTES: u64 = 1 << 20;

/// Where a signature was found that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Under the tag `sha256-HEX.sig`.
    Tag,
    /// In a Sigstore bundle that refers to the image.
    Bundle,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "its .sig tag",
            Self::Bundle => "a bundle that refers to it",
        })
    }
}

/// Looks for a signature of any of these manifests by any of these keys. Says all that was found instead.
pub(crate) async fn verify(
    source: &mut Source<'_>,
    manifests: &[ContentDigest],
    keys: &VerifyingKeys,
) -> Result<Form, String> {
    let mut found = Vec::new();
    for manifest in manifests {
        match simple::verify(source, manifest, keys).await {
            Ok(()) => return Ok(Form::Tag),
            Err(why) => found.push(why),
        }
        match bundle::verify(source, manifest, keys).await {
            Ok(()) => return Ok(Form::Bundle),
            Err(why) => found.push(why),
        }
    }
    Err(found.join("; "))
}

/// The tag under which cosign keeps signatures of a manifest.
pub(crate) fn signature_tag(manifest: &ContentDigest) -> String {
    format!("{}-{}.sig", manifest.algorithm(), manifest.hex())
}
