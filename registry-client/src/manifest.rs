//! The two documents beside a component: the manifest that points to it, and the config that
//! describes it, as the CNCF's "Wasm OCI Artifact layout" says.

use api::Digest;
use oci_distribution::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde::Serialize;

use crate::{
    ComponentInfo, ImageError,
    blobs::digest_of,
    descriptors::{Descriptor, Entry, ImageManifest, Index, Manifest, Other},
};

const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM_LAYER: &str = "application/wasm";

/// What the other known producers (runwasi, wasm-to-oci) name a layer that is a component. A layer
/// that ORAS pushed may have any name, so its bytes decide.
const ACCEPTED_LAYERS: [&str; 4] = [
    WASM_LAYER,
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];
/// What is said of images for others.
const NO_CONTAINERS: &str =
    "WebAssembly components run here, containers do not; build a component with `sampan build PATH -t NAME:TAG`";
/// Configs of container images. Beside any other the bytes of the layer decide what it is.
const CONTAINER_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const SPIN_CONFIG: &str = "application/vnd.fermyon.spin.application.v1+config";

/// The config of an image. It has no `created`: the same component is to give the same digest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig<'a> {
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a Digest; 1],
    component: WasmConfigComponent<'a>,
}

#[derive(Serialize)]
struct WasmConfigComponent<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

/// The config of a component with this digest.
pub(crate) fn config_json(component: &Digest, info: &ComponentInfo) -> Vec<u8> {
    let config = WasmConfig {
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [component],
        component: WasmConfigComponent { exports: &info.exports, imports: &info.imports },
    };
    serde_json::to_vec(&config).expect("a config has only text keys")
}

/// The manifest that joins a config and a component, each given by digest and size.
pub(crate) fn manifest_json(config: (&Digest, usize), component: (&Digest, usize)) -> Vec<u8> {
    let descriptor = |media_type: &str, (digest, size): (&Digest, usize)| OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_string(),
        size: size as i64,
        ..Default::default()
    };
    let manifest = OciImageManifest {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        config: descriptor(WASM_CONFIG, config),
        layers: vec![descriptor(WASM_LAYER, component)],
        subject: None,
        artifact_type: None,
        annotations: None,
    };
    serde_json::to_vec(&manifest).expect("a manifest has only text keys")
}

/// Where the component of an image is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ComponentLayer {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
}

/// If this manifest is an index of several images: the one of them that is for Wasm, or why there is none.
pub(crate) fn of_index(json: &[u8]) -> Option<Result<Digest, String>> {
    match Manifest::read(json) {
        Ok(Manifest::Index(index)) => Some(of_wasm(&index)),
        _ => None,
    }
}

fn of_wasm(index: &Index<'_>) -> Result<Digest, String> {
    // Docker calls it `wasm32` with `--platform wasi/wasm32`.
    let architecture = |entry: &Entry<'_>| entry.platform.as_ref().map(|platform| platform.architecture.to_string());
    let is_wasm = |entry: &&Entry<'_>| matches!(architecture(entry).as_deref(), Some("wasm" | "wasm32"));
    let mut wasm = index.manifests.iter().filter(is_wasm);
    let entry = match (wasm.next(), index.manifests.as_slice()) {
        (Some(entry), _) => entry,
        (None, [only]) if only.platform.is_none() => only,
        _ => {
            let none = "it is an index, and none of its images is for the architecture `wasm`";
            return Err(format!("{none}: {NO_CONTAINERS}"));
        }
    };
    entry.digest.parse().map_err(|error: api::InvalidDigest| error.to_string())
}

/// Whether a manifest is about another: a signature, a bill of materials.
pub(crate) fn has_subject(manifest: &[u8]) -> bool {
    matches!(Manifest::read(manifest), Ok(Manifest::Image(ImageManifest { subject: Some(_), .. })))
}

/// The digest of an image's config, if it can be read.
pub(crate) fn config_digest(manifest: &[u8]) -> Option<Digest> {
    match Manifest::read(manifest) {
        Ok(Manifest::Image(manifest)) => manifest.config.digest.parse().ok(),
        _ => None,
    }
}

/// Whether these bytes are the manifest of an image that can run, or an index with one; else what they are.
pub fn check_manifest(json: &[u8]) -> Result<(), ImageError> {
    let digest = digest_of(json);
    match of_index(json) {
        Some(entry) => entry.map(drop).map_err(|why| ImageError::Unsupported { digest, why }),
        None => component_layer(&digest, json).map(drop),
    }
}

/// What is in the place of a manifest, if that is known.
fn other_manifest(json: &[u8]) -> Option<String> {
    let other: Other<'_> = match serde_json::from_slice(json) {
        Ok(other) => other,
        // Something else in JSON.
        Err(error) if error.is_data() => return None,
        Err(_) => {
            let begin: String = String::from_utf8_lossy(&json[..json.len().min(40)]).escape_default().collect();
            return Some(format!("it is no JSON, and begins with `{begin}`; look at what answers for the registry"));
        }
    };
    if other.schema_version == Some(1) {
        return Some("it is Docker's first schema, which has no components: push the image again".to_owned());
    }
    if other.config.is_none() && other.layers.is_some() {
        return Some("it has no `config`".to_owned());
    }
    let media_type = other.media_type?;
    Some(format!("it is of type `{media_type}`: push the image again, as an image manifest"))
}

/// The one layer of a manifest that holds the component. `digest` is the manifest's own.
pub(crate) fn component_layer(digest: &Digest, json: &[u8]) -> Result<ComponentLayer, ImageError> {
    let unsupported = |why: String| ImageError::Unsupported { digest: digest.clone(), why };
    let manifest = match Manifest::read(json) {
        Ok(Manifest::Image(manifest)) => manifest,
        Ok(Manifest::Index(_)) => {
            return Err(unsupported("it is an index of several images: name one of them by its digest".to_owned()));
        }
        Err(error) => {
            let what = other_manifest(json).unwrap_or_else(|| error.to_string());
            return Err(unsupported(format!("its manifest is not an OCI image manifest: {what}")));
        }
    };
    if manifest.config.media_type == SPIN_CONFIG {
        return spin_component(&manifest).map_err(unsupported);
    }
    let is_accepted = |layer: &Descriptor<'_>| ACCEPTED_LAYERS.contains(&&*layer.media_type);
    let is_container = CONTAINER_CONFIGS.contains(&&*manifest.config.media_type);
    if let Some(other) = manifest.layers.iter().find(|layer| is_container && !is_accepted(layer)) {
        let found = &other.media_type;
        return Err(unsupported(format!("it is a container image, with a layer of type `{found}`: {NO_CONTAINERS}")));
    }
    let [layer] = manifest.layers.as_slice() else {
        let count = manifest.layers.len();
        return Err(unsupported(format!("it has {count} layers, and an image of a component has exactly one")));
    };
    let layer_digest = layer.digest.parse().map_err(|error: api::InvalidDigest| unsupported(error.to_string()))?;
    let size_bytes = u64::try_from(layer.size).map_err(|_| unsupported("its layer has a negative size".to_owned()))?;
    Ok(ComponentLayer { digest: layer_digest, size_bytes })
}

/// The component of a Spin application that is nothing but one.
fn spin_component(manifest: &ImageManifest<'_>) -> Result<ComponentLayer, String> {
    let components = manifest.layers.iter().filter(|layer| ACCEPTED_LAYERS.contains(&&*layer.media_type));
    let way_out = "push its component by itself, with `wkg oci push`";
    match components.collect::<Vec<_>>().as_slice() {
        [layer] if manifest.layers.len() == 1 => Ok(ComponentLayer {
            digest: layer.digest.parse().map_err(|error: api::InvalidDigest| error.to_string())?,
            size_bytes: u64::try_from(layer.size).map_err(|_| "its layer has a negative size".to_owned())?,
        }),
        [_] => Err(format!("it is a Spin application with files: {way_out}")),
        [_, _] => Err(format!("it is a Spin application with two components: {way_out}")),
        all => Err(format!("it is a Spin application with {} components: {way_out}", all.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    fn manifest(config: &str, layers: &[&str]) -> Vec<u8> {
        let descriptor =
            |media_type: &str| serde_json::json!({ "mediaType": media_type, "digest": digest(1), "size": 7 });
        let layers: Vec<_> = layers.iter().map(|media_type| descriptor(media_type)).collect();
        serde_json::json!({ "schemaVersion": 2, "config": descriptor(config), "layers": layers }).to_string().into()
    }

    #[test]
    fn a_manifest_that_was_written_is_read_back() {
        let json = manifest_json((&digest(2), 3), (&digest(1), 7));
        let layer = component_layer(&digest(9), &json).unwrap();
        assert_eq!(layer, ComponentLayer { digest: digest(1), size_bytes: 7 });
    }

    #[test]
    fn the_layouts_of_other_producers_are_read() {
        for (config, layer) in [
            (
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
            ),
            ("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
            ("application/vnd.oci.empty.v1+json", "application/octet-stream"),
            ("application/vnd.unknown.config.v1+json", "application/vnd.oci.image.layer.v1.tar"),
            (SPIN_CONFIG, "application/vnd.wasm.content.layer.v1+wasm"),
        ] {
            assert!(component_layer(&digest(9), &manifest(config, &[layer])).is_ok(), "{config}");
        }
    }

    #[test]
    fn of_an_index_the_image_for_wasm_is_found_by_any_name_of_the_architecture() {
        for architecture in ["wasm", "wasm32"] {
            let entry = |byte, architecture: &str| {
                let platform = serde_json::json!({ "architecture": architecture, "os": "wasi" });
                serde_json::json!({ "mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": digest(byte), "size": 7, "platform": platform })
            };
            let entries = [entry(1, "amd64"), entry(2, architecture), entry(3, "unknown")];
            let index = serde_json::json!({ "schemaVersion": 2, "manifests": entries }).to_string();
            assert_eq!(of_index(index.as_bytes()), Some(Ok(digest(2))), "{architecture}");
        }
    }

    #[test]
    fn what_is_not_asked_for_in_a_manifest_is_passed_over_whatever_it_is_and_text_may_be_written_in_any_way() {
        let rubbish = format!("[{}0]", "{\"a\":[],\"b\":0},".repeat(20_000));
        let (wasm, named) = (WASM_LAYER.replace('/', "\\u002f"), digest(1).to_string().replace(':', "\\u003a"));
        let json = format!(
            r#"{{"rubbish":{rubbish},"schemaVersion":2,"annotations":{rubbish},"config":{{"mediaType":"a/b","digest":"","size":1}},
            "layers":[{{"mediaType":"{wasm}","digest":"{named}","size":7,"urls":{rubbish}}}]}}"#
        );
        let layer = component_layer(&digest(9), json.as_bytes()).unwrap();
        assert_eq!(layer, ComponentLayer { digest: digest(1), size_bytes: 7 });
    }

    #[test]
    fn images_of_other_things_are_refused_with_what_they_are() {
        let container = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (json, says) in [
            (manifest(WASM_CONFIG, &[]), "0 layers"),
            (manifest(WASM_CONFIG, &[WASM_LAYER, WASM_LAYER]), "2 layers"),
            (manifest(SPIN_CONFIG, &[WASM_LAYER, WASM_LAYER]), "a Spin application with two components"),
            (
                manifest(SPIN_CONFIG, &[WASM_LAYER, "application/vnd.fermyon.spin.asset"]),
                "a Spin application with files",
            ),
            (
                manifest("application/vnd.oci.image.config.v1+json", &[container]),
                "containers do not; build a component",
            ),
            (manifest("application/vnd.docker.container.image.v1+json", &[container; 7]), "is a container image"),
            (br#"{"schemaVersion":2,"manifests":[]}"#.to_vec(), "several images"),
            (b"{}".to_vec(), "not an OCI image manifest"),
            (b"\xff".to_vec(), "not an OCI image manifest"),
            (b"<html>Log in</html>".to_vec(), "no JSON, and begins with `<html>Log in</html>`"),
            (br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec(), "Docker's first schema"),
            (br#"{"schemaVersion":2,"layers":[]}"#.to_vec(), "it has no `config`"),
            (
                br#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[]}"#.to_vec(),
                "of type `application/vnd.oci.artifact.manifest.v1+json`",
            ),
        ] {
            let message = component_layer(&digest(9), &json).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
