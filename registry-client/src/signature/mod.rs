//! Signatures of images as cosign makes them, with keys: the `.sig` tag, and bundles that refer to the image.
//!
//! What cannot be verified counts as not signed: a signature that is missing, too large, of another image, by another
//! key, or that cannot be fetched. Certificates and transparency logs are not used.

mod bundle;
mod key;
mod simple;
mod source;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{hosted::ContentDigest, remote::Text};

pub use key::{InvalidKey, SigningKey, VerifyingKeys};
pub(crate) use simple::{SIGNATURE_ANNOTATION, SIMPLE_SIGNING, payload};
pub(crate) use source::Source;

/// Signatures of one image that are looked at, in each of the two forms.
const MAX_SIGNATURES: usize = 32;
/// The largest signature or bundle.
pub(crate) const MAX_SIGNATURE_BYTES: u64 = 1 << 20;

/// Where a signature was found that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What shows that an image is signed, also to who does not believe whoever found it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) form: Form,
    /// What was signed.
    signed: Text,
    signature: Text,
    /// The index that was signed in place of the image, if it was one.
    pub(crate) index: Option<Text>,
}

impl Evidence {
    fn new(form: Form, signed: Vec<u8>, signature: Vec<u8>) -> Self {
        Self { form, signed: Text(signed), signature: Text(signature), index: None }
    }

    /// Whether one of the keys has signed this manifest. What no key has signed is not looked into.
    pub(crate) fn is_of(&self, manifest: &ContentDigest, keys: &VerifyingKeys) -> bool {
        let signed = &self.signed.0;
        let is_about = || match self.form {
            Form::Tag => simple::is_about(signed, manifest),
            Form::Bundle => manifest.fits(signed) || bundle::is_about(signed, manifest),
        };
        keys.verify(signed, &self.signature.0) && is_about()
    }
}

/// Looks for a signature of any of these manifests by any of these keys. Says all that was found instead.
pub(crate) async fn verify(
    source: &mut Source<'_>,
    manifests: &[ContentDigest],
    keys: &VerifyingKeys,
) -> Result<Evidence, String> {
    let mut found = Vec::new();
    for manifest in manifests {
        match simple::verify(source, manifest, keys).await {
            Ok(evidence) => return Ok(evidence),
            Err(why) => found.push(why),
        }
        match bundle::verify(source, manifest, keys).await {
            Ok(evidence) => return Ok(evidence),
            Err(why) => found.push(why),
        }
    }
    Err(found.join("; "))
}

/// The tag under which cosign keeps signatures of a manifest.
pub(crate) fn signature_tag(manifest: &ContentDigest) -> String {
    format!("{}-{}.sig", manifest.algorithm(), manifest.hex())
}
