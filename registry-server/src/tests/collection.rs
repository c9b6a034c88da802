use std::time::Duration;

use registry_client::hosted::{Keep, Unused};

use super::*;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// All goes that is not used, however young it is.
fn all(used: &str) -> Keep {
    Keep { manifests: [used.parse().unwrap()].into(), unused: Unused::All, ..Keep::default() }
}

impl Fixture {
    /// A manifest about another: its digest.
    async fn refer(&self, name: Option<&str>, mark: &str, subject: &str) -> String {
        let mut manifest = self.manifest("a", mark).await;
        manifest["subject"] = json!({ "mediaType": OCI, "digest": subject, "size": 1 });
        let digest = ContentDigest::of(manifest.to_string().as_bytes());
        let put = self.put_manifest("a", name.unwrap_or(digest.as_str()), &manifest).await;
        assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
        digest.to_string()
    }

    async fn index(&self, name: Option<&str>, mark: &str, inner: &str) -> String {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "annotations": { "mark": mark },
            "manifests": [ { "mediaType": OCI, "digest": inner, "size": 1 } ] });
        let digest = ContentDigest::of(index.to_string().as_bytes());
        let path = format!("/v2/a/manifests/{}", name.unwrap_or(digest.as_str()));
        let put = self.send(Method::PUT, &path, &[("content-type", INDEX)], index.to_string()).await;
        assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
        digest.to_string()
    }

    /// An image, and all kinds of what may refer to it. Its digest, and theirs.
    async fn image_with_all(&self, tag: &str) -> (String, Vec<String>) {
        let image = self.push("a", tag).await;
        let named = |end: &str| format!("{}{end}", image.replace(':', "-"));
        let signature = self.push("a", &named(".sig")).await;
        let attestation = self.push("a", &named(".att")).await;
        let of_signature = self.push("a", &format!("{}.sig", signature.replace(':', "-"))).await;
        let list = self.index(Some(&named("")), tag, &attestation).await;
        let bundle = self.refer(None, &format!("bundle of {tag}"), &image).await;
        let of_bundle = self.refer(None, &format!("about the bundle of {tag}"), &bundle).await;
        let bill = self.refer(Some(&format!("{tag}-bill")), &format!("bill of {tag}"), &image).await;
        let index = self.index(Some(&format!("{tag}-multi")), tag, &image).await;
        let loose = self.index(None, &format!("loose {tag}"), &image).await;
        let of_index = self.push("a", &format!("{}.sig", index.replace(':', "-"))).await;
        let all = vec![signature, attestation, of_signature, list, bundle, of_bundle, bill, index, loose, of_index];
        (image, all)
    }

    async fn is_there(&self, digest: &str) -> bool {
        let manifest = self.get(&format!("/v2/a/manifests/{digest}")).await;
        if manifest.status != StatusCode::OK {
            return false;
        }
        for layer in manifest.json()["layers"].as_array().into_iter().flatten() {
            let blob = self.get(&format!("/v2/a/blobs/{}", layer["digest"].as_str().unwrap())).await;
            assert_eq!(blob.status, StatusCode::OK, "a part of {digest}");
        }
        true
    }
}

#[tokio::test]
async fn what_refers_to_a_used_image_is_used_over_any_number_of_steps() {
    let registry = Fixture::new();
    let (used, about_used) = registry.image_with_all("used").await;
    let (other, about_other) = registry.image_with_all("other").await;
    let collected = registry.repositories.collect(&all(&used)).unwrap();
    for digest in about_used.iter().chain([&used]) {
        assert!(registry.is_there(digest).await, "{digest}");
    }
    for digest in about_other.iter().chain([&other]) {
        assert!(!registry.is_there(digest).await, "{digest}");
    }
    // A name of the image itself, which is used by its digest, is used too.
    let tags = registry.get("/v2/a/tags/list").await.json();
    let tags: Vec<&str> = tags["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    assert!(tags.contains(&"used") && tags.contains(&"used-multi") && tags.contains(&"used-bill"), "{tags:?}");
    assert!(tags.contains(&format!("{}.sig", used.replace(':', "-")).as_str()), "{tags:?}");
    assert_eq!((tags.len(), collected.names.len()), (8, 8), "{tags:?} {:?}", collected.names);
    assert!(collected.names.iter().any(|name| name == "a:other-bill"), "{:?}", collected.names);
}

#[tokio::test]
async fn an_image_that_stays_for_its_name_keeps_what_is_about_it() {
    let registry = Fixture::new();
    let (image, about) = registry.image_with_all("named").await;
    let nothing = Keep { unused: Unused::Kept, ..Keep::default() };
    assert_eq!(registry.repositories.collect(&nothing).unwrap().names, [""; 0]);
    for digest in about.iter().filter(|digest| **digest != about[8]).chain([&image]) {
        assert!(registry.is_there(digest).await, "{digest}");
    }
    // By a reference that no replica was started for yet, in other words than the image was named by.
    let references = ["docker.io/library/a:named".to_owned()].into();
    let written = Keep { references, unused: Unused::All, ..Keep::default() };
    assert_eq!(registry.repositories.collect(&written).unwrap().names, [""; 0]);
}

#[tokio::test]
async fn what_only_its_age_keeps_is_told() {
    let registry = Fixture::new();
    registry.push("a", "young").await;
    registry.push_blob("a", b"loose").await;
    let keep = Keep { grace: Duration::from_secs(3600), unused: Unused::All, dry_run: true, ..Keep::default() };
    assert_eq!(registry.repositories.collect(&keep).unwrap().blobs, 0);
    let kept = registry.repositories.kept_by_grace(&keep).unwrap();
    assert_eq!((kept.names, kept.blobs), (vec!["a:young".to_owned()], 4), "a manifest, its config and layer; one blob");
    assert_eq!(registry.get("/v2/a/manifests/young").await.status, StatusCode::OK);
    let without = Keep { grace: Duration::ZERO, ..keep };
    assert_eq!(registry.repositories.kept_by_grace(&without).unwrap().blobs, 0);
}

#[tokio::test]
async fn a_push_under_way_keeps_what_it_has_brought() {
    let registry = Fixture::new();
    let before = registry.push_blob("a", b"before").await;
    // Files have times of a few milliseconds.
    std::thread::sleep(Duration::from_millis(20));
    let place = registry.begin("a").await;
    std::thread::sleep(Duration::from_millis(20));
    let manifest = registry.manifest("a", "meanwhile").await;
    registry.repositories.collect(&Keep { unused: Unused::All, ..Keep::default() }).unwrap();
    assert_eq!(registry.get(&format!("/v2/a/blobs/{before}")).await.status, StatusCode::NOT_FOUND);
    let last = ContentDigest::of(b"last");
    let ended = registry.send(Method::PUT, &format!("{place}?digest={last}"), &[], "last").await;
    assert_eq!(ended.status, StatusCode::CREATED);
    assert_eq!(registry.put_manifest("a", "v1", &manifest).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn signatures_and_other_artifacts_are_no_images() {
    let registry = Fixture::new();
    registry.image_with_all("v1").await;
    let listed: Vec<_> = registry.store.list().unwrap().into_iter().map(|image| image.reference).collect();
    assert_eq!(listed, ["a:v1", "a:v1-multi"], "the index is the image that it has");
}
