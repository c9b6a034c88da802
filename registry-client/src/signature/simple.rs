//! The older form: a manifest under a tag, whose layers are the signed payloads and their annotations the signatures.

use base64::{Engine, engine::general_purpose::STANDARD};
use oci_distribution::manifest::{OciImageManifest, OciManifest};
use serde_json::{Value, json};

use super::{Evidence, Form, MAX_SIGNATURES, VerifyingKeys, signature_tag, source::Source};
use crate::hosted::ContentDigest;

/// The type of a layer that is a payload.
pub(crate) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Holds the signature of a layer, in base64.
pub(crate) const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// What a payload says that it is.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// What is signed for an image: the "simple signing" payload.
pub(crate) fn payload(repository: &str, manifest: &str) -> Vec<u8> {
    json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": manifest },
            "type": PAYLOAD_TYPE,
        },
        "optional": null,
    })
    .to_string()
    .into_bytes()
}

pub(super) async fn verify(
    source: &mut Source<'_>,
    image: &ContentDigest,
    keys: &VerifyingKeys,
) -> Result<Evidence, String> {
    let tag = signature_tag(image);
    let Some(json) = source.manifest(&tag).await? else { return Err(format!("there is no tag {tag}")) };
    let OciManifest::Image(OciImageManifest { layers, .. }) =
        serde_json::from_slice(&json).map_err(|error| format!("{tag} is no manifest: {error}"))?
    else {
        return Err(format!("{tag} is no image"));
    };
    let mut why = format!("{tag} has no signature");
    for layer in layers.iter().filter(|layer| layer.media_type == SIMPLE_SIGNING).take(MAX_SIGNATURES) {
        let signature = layer.annotations.as_ref().and_then(|annotations| annotations.get(SIGNATURE_ANNOTATION));
        let Some(signature) = signature.and_then(|text| STANDARD.decode(text).ok()) else { continue };
        let payload = source.blob(&layer.digest).await?;
        if !keys.verify(&payload, &signature) {
            why = format!("{tag} is signed by another key");
        } else if is_about(&payload, image) {
            return Ok(Evidence::new(Form::Tag, payload, signature));
        } else {
            why = format!("{tag} holds the signature of another image");
        }
    }
    Err(why)
}

/// Whether a payload that was signed is about this manifest.
pub(super) fn is_about(payload: &[u8], image: &ContentDigest) -> bool {
    let Ok(payload) = serde_json::from_slice::<Value>(payload) else { return false };
    let critical = &payload["critical"];
    critical["type"] == PAYLOAD_TYPE && critical["image"]["docker-manifest-digest"] == image.as_str()
}
