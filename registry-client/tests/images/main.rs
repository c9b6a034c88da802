//! The image store, and the registries that fill it, as their callers see them.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests say what they mean by panicking")]

mod concurrency;
mod damage;
mod fake;
mod hostile;
mod naming;
mod pulling;
mod pushes;
mod registries;
mod tokens;
mod transfers;
mod wrong_bytes;

use bytes::Bytes;
use registry_client::{ImageStore, Registries, RegistrySettings};
use tempfile::TempDir;

/// The smallest thing that claims to answer HTTP requests. `mark` makes its bytes its own.
fn component(mark: &str) -> Bytes {
    let text = format!(
        r#"(component
            (@custom "mark" "{mark}")
            (instance $handler)
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    wat::parse_str(text).unwrap().into()
}

fn store() -> (TempDir, ImageStore) {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    (dir, store)
}

/// Registries whose images are pulled by processes of their own, as servers pull them. These are copies of this program.
fn registries(settings: RegistrySettings) -> Registries {
    Registries::new(settings).unwrap().pulled_by(pulling::puller("as_a_pull_process"))
}

#[test]
fn a_component_comes_back_as_it_was_put() {
    let (dir, store) = store();
    let bytes = component("a");
    let image = store.put_component("hello:v1", bytes.clone()).unwrap();
    assert_eq!(image.size_bytes, bytes.len() as u64);

    let reopened = ImageStore::open(dir.path()).unwrap();
    let digest = reopened.resolve("docker.io/library/hello:v1").unwrap();
    assert_eq!(digest, image.digest);
    let component = reopened.component(&digest).unwrap();
    assert_eq!((component.bytes, component.digest), (bytes, image.component_digest.clone()));
    assert_eq!(reopened.list().unwrap(), [image]);
}

#[test]
fn the_same_bytes_always_give_the_same_image() {
    let ((_one, first), (_two, second)) = (store(), store());
    let image = |store: &ImageStore| store.put_component("hello", component("a")).unwrap();
    assert_eq!(image(&first), image(&second));
    assert_eq!(image(&first), image(&first));
}

#[test]
fn a_replaced_image_can_still_be_had_by_its_digest() {
    let (_dir, store) = store();
    let old = store.put_component("hello", component("old")).unwrap();
    let new = store.put_component("hello", component("new")).unwrap();
    assert_ne!(old.digest, new.digest);
    assert_eq!(store.resolve("hello").unwrap(), new.digest);
    assert_eq!(store.resolve(&format!("hello@{}", old.digest)).unwrap(), old.digest);
    assert_eq!(store.component(&old.digest).unwrap().bytes, component("old"));
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn what_is_written_is_the_cncf_layout() {
    let (dir, store) = store();
    let image = store.put_component("hello", component("a")).unwrap();
    let json = |path: String| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(dir.path().join(path)).unwrap()).unwrap()
    };
    assert_eq!(json("oci-layout".to_owned())["imageLayoutVersion"], "1.0.0");
    let entry = json("index.json".to_owned())["manifests"][0].clone();
    assert_eq!(entry["digest"], image.digest.as_str());
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "docker.io/library/hello:latest");

    let manifest = json(format!("blobs/sha256/{}", image.digest.hex()));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], image.component_digest.as_str());

    let config = json(manifest["config"]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/"));
    assert_eq!((&config["architecture"], &config["os"]), (&"wasm".into(), &"wasip2".into()));
    assert_eq!(config["layerDigests"][0], image.component_digest.as_str());
    assert_eq!(config["component"]["exports"][0], "wasi:http/incoming-handler@0.2.0");
    assert_eq!(config.get("created"), None);
}
