//! Pins the images of a project's components in its manifests, so that each build is a revision of its own.

use std::collections::BTreeMap;

use api::Digest;
use registry_client::ImageReference;
use serde_json::Value;

/// Where the containers of a pod template are: in a Deployment or ReplicaSet, and in a Pod.
const CONTAINERS: [&str; 2] = ["/spec/template/spec/containers", "/spec/containers"];

/// The digests that the images of a project were last built to.
#[derive(Debug, Default)]
pub(super) struct Pins {
    /// By the reference as registries see it.
    digests: BTreeMap<String, Digest>,
}

impl Pins {
    /// The image of this name now is this one. Returns whether that is new.
    pub(super) fn set(&mut self, image: &str, digest: Digest) -> bool {
        let Ok(reference) = image.parse::<ImageReference>() else { return false };
        self.digests.insert(reference.name().to_owned(), digest.clone()) != Some(digest)
    }

    /// Whether an image of this name was built, now or earlier.
    pub(super) fn has(&self, image: &str) -> bool {
        image.parse::<ImageReference>().is_ok_and(|reference| self.digests.contains_key(reference.name()))
    }

    /// Writes `image@digest` for each container image that names one of these.
    pub(super) fn pin(&self, object: &mut Value) {
        for pointer in CONTAINERS {
            let containers = object.pointer_mut(pointer).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                if let Some(pinned) = container["image"].as_str().and_then(|image| self.pinned(image)) {
                    container["image"] = Value::String(pinned);
                }
            }
        }
    }

    fn pinned(&self, image: &str) -> Option<String> {
        let reference: ImageReference = image.parse().ok()?;
        let digest = self.digests.get(reference.name()).filter(|_| reference.digest().is_none())?;
        Some(format!("{image}@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(image: &str) -> Value {
        json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})
    }

    fn pins() -> (Pins, Digest) {
        let (mut pins, digest) = (Pins::default(), Digest::from_sha256([7; 32]));
        assert!(pins.set("shop/products:dev", digest.clone()));
        (pins, digest)
    }

    #[test]
    fn an_image_of_the_project_is_pinned() {
        let (pins, digest) = pins();
        let mut object = deployment("shop/products:dev");
        pins.pin(&mut object);
        assert_eq!(object, deployment(&format!("shop/products:dev@{digest}")));
        assert!(
            object["spec"]["template"]["spec"]["containers"][0]["image"]
                .as_str()
                .unwrap()
                .parse::<ImageReference>()
                .is_ok()
        );
    }

    #[test]
    fn other_images_and_pinned_ones_are_left_alone() {
        let (pins, _) = pins();
        let pinned = format!("shop/products:dev@{}", Digest::from_sha256([8; 32]));
        for image in ["shop/products:v1", "other:dev", &pinned] {
            let mut object = deployment(image);
            pins.pin(&mut object);
            assert_eq!(object, deployment(image));
        }
    }

    #[test]
    fn a_build_that_gives_the_same_bytes_is_no_news() {
        let (mut pins, digest) = pins();
        assert!(!pins.set("shop/products:dev", digest));
        assert!(pins.set("docker.io/shop/products:dev", Digest::from_sha256([9; 32])));
    }
}
