//! The newer form: a Sigstore bundle in a manifest whose `subject` is the image.

use base64::{Engine, engine::general_purpose::STANDARD};
use oci_distribution::manifest::{OciImageManifest, OciManifest};
use serde::Deserialize;
use serde_json::Value;

use super::{Evidence, Form, MAX_SIGNATURES, VerifyingKeys, source::Source};
use crate::hosted::ContentDigest;

/// What the type of a bundle begins with; a version follows.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// What the predicate of a signature says: others are attestations, which say something else of an image.
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// What the payload of an envelope is.
const STATEMENT: &str = "application/vnd.in-toto+json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    message_signature: Option<MessageSignature>,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
struct MessageSignature {
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

pub(super) async fn verify(
    source: &mut Source<'_>,
    image: &ContentDigest,
    keys: &VerifyingKeys,
) -> Result<Evidence, String> {
    let mut why = format!("no bundle refers to {image}");
    let referrers = source.referrers(image).await?;
    for digest in referrers.into_iter().take(MAX_SIGNATURES) {
        let Some(json) = source.manifest(&digest).await? else { continue };
        let Ok(OciManifest::Image(OciImageManifest { layers, .. })) = serde_json::from_slice(&json) else { continue };
        for layer in layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE)).take(MAX_SIGNATURES) {
            let bundle = source.blob(&layer.digest).await?;
            match check(source, &bundle, image, keys).await {
                Ok(evidence) => return Ok(evidence),
                Err(found) => why = format!("the bundle {digest} {found}"),
            }
        }
    }
    Err(why)
}

async fn check(
    source: &mut Source<'_>,
    bundle: &[u8],
    image: &ContentDigest,
    keys: &VerifyingKeys,
) -> Result<Evidence, String> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(|error| format!("cannot be read: {error}"))?;
    if let Some(envelope) = bundle.dsse_envelope {
        return check_envelope(&envelope, image, keys);
    }
    let Some(MessageSignature { signature }) = bundle.message_signature else {
        return Err("has no signature".to_owned());
    };
    // What is signed is the manifest itself.
    let Some(manifest) = source.manifest(image.as_str()).await? else { return Err("is of no manifest".to_owned()) };
    let signature = STANDARD.decode(signature).map_err(|_| "has a signature that is no base64")?;
    if image.fits(&manifest) && keys.verify(&manifest, &signature) {
        return Ok(Evidence::new(Form::Bundle, manifest, signature));
    }
    Err("is signed by another key".to_owned())
}

fn check_envelope(envelope: &Envelope, image: &ContentDigest, keys: &VerifyingKeys) -> Result<Evidence, String> {
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| "has a payload that is no base64")?;
    let signed = authenticated(&envelope.payload_type, &payload);
    let mut signatures = envelope.signatures.iter().filter_map(|signature| STANDARD.decode(&signature.sig).ok());
    let Some(signature) = signatures.find(|signature| keys.verify(&signed, signature)) else {
        return Err("is signed by another key".to_owned());
    };
    check_statement(&envelope.payload_type, &payload, image)?;
    Ok(Evidence::new(Form::Bundle, signed, signature))
}

fn check_statement(payload_type: &str, payload: &[u8], image: &ContentDigest) -> Result<(), String> {
    let statement: Value = serde_json::from_slice(payload).map_err(|_| "has no statement")?;
    if payload_type != STATEMENT || statement["predicateType"] != PREDICATE {
        return Err("says something else of the image than that it is signed".to_owned());
    }
    let mut subjects = statement["subject"].as_array().into_iter().flatten();
    match subjects.any(|subject| subject["digest"][image.algorithm()] == image.hex()) {
        true => Ok(()),
        false => Err("is the signature of another image".to_owned()),
    }
}

/// Whether what was signed with an envelope is about this manifest.
pub(super) fn is_about(signed: &[u8], image: &ContentDigest) -> bool {
    let empty = authenticated(STATEMENT, &[]);
    // The length of the payload comes last, and is of no payload here.
    let head = &empty[..empty.len() - 2];
    let payload = signed.strip_prefix(head).and_then(|rest| {
        let length = rest.iter().position(|byte| *byte == b' ')?;
        Some(&rest[length + 1..])
    });
    payload.is_some_and(|payload| {
        authenticated(STATEMENT, payload) == signed && check_statement(STATEMENT, payload, image).is_ok()
    })
}

/// What an envelope's signature is of (<https://github.com/secure-systems-lab/dsse>).
fn authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
