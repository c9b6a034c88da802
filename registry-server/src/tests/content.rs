use std::fs;

use super::*;

#[tokio::test]
async fn a_manifest_comes_back_byte_by_byte_by_tag_and_by_digest() {
    let registry = Fixture::new();
    let text = format!("  {}\n", registry.manifest("a", "x").await);
    let pushed = registry.send(Method::PUT, "/v2/a/manifests/v1", &[("content-type", OCI)], text.clone()).await;
    let digest = pushed.header("docker-content-digest").to_owned();
    assert_eq!((pushed.status, digest.as_str()), (StatusCode::CREATED, ContentDigest::of(text.as_bytes()).as_str()));
    for name in ["v1", &digest] {
        let path = format!("/v2/a/manifests/{name}");
        let pulled = registry.get(&path).await;
        assert_eq!((pulled.body.as_ref(), pulled.header("content-type")), (text.as_bytes(), OCI));
        assert_eq!(pulled.header("docker-content-digest"), digest);
        let head = registry.send(Method::HEAD, &path, &[], Body::empty()).await;
        assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, text.len().to_string().as_str()));
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_with_its_code() {
    let registry = Fixture::new();
    registry.push("a", "v1").await;
    let absent = ContentDigest::of(b"absent");
    for (path, code) in [
        ("/v2/a/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        ("/v2/a/manifests/.INVALID".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/manifests/{absent}"), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/blobs/{absent}"), "BLOB_UNKNOWN"),
        ("/v2/none/tags/list".to_owned(), "NAME_UNKNOWN"),
    ] {
        let answer = registry.get(&path).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, code), "{path}");
        let head = registry.send(Method::HEAD, &path, &[], Body::empty()).await;
        assert_eq!((head.status, head.body.is_empty()), (StatusCode::NOT_FOUND, true), "{path}");
    }
}

#[tokio::test]
async fn names_tags_and_digests_may_be_escaped_as_clients_send_them() {
    let registry = Fixture::new();
    let digest = registry.push("team/hello", "v1.0").await;
    let blob = registry.push_blob("team/hello", b"escaped").await;
    let escape = |digest: &str| digest.replace(':', "%3A");
    for path in [
        format!("/v2/team/hello/manifests/{}", escape(&digest)),
        format!("/v2/team%2Fhello/manifests/{}", escape(&digest).to_lowercase()),
        "/v2/team%2fhello/manifests/v1%2E0".to_owned(),
        format!("/v2/team/hello/blobs/{}", escape(blob.as_str())),
        format!("/v2/team/hello/referrers/{}", escape(&digest)),
        "/v2/te%61m/hello/tags/list".to_owned(),
    ] {
        assert_eq!(registry.get(&path).await.status, StatusCode::OK, "{path}");
    }
    let manifest = registry.get("/v2/team/hello/manifests/v1.0").await.json();
    let put = registry.put_manifest("team%2Fhello", &escape(&digest), &manifest).await;
    assert_eq!(
        (put.status, put.header("location")),
        (StatusCode::CREATED, &*format!("/v2/team/hello/manifests/{digest}"))
    );
    assert_eq!(registry.put_manifest("team/hello", "v2%2E0", &manifest).await.status, StatusCode::CREATED);
    let tags = registry.get("/v2/team/hello/tags/list").await.json();
    assert_eq!(tags["tags"], json!(["v1.0", "v2.0"]));
    let begun = registry.send(Method::POST, "/v2/team%2Fhello/blobs/uploads/", &[], Body::empty()).await;
    let id = begun.header("docker-upload-uuid");
    let (first, rest) = (id.as_bytes()[0], &id[1..]);
    let place = format!("/v2/team%2Fhello/blobs/uploads/%{first:x}{rest}");
    assert_eq!(registry.get(&place).await.status, StatusCode::NO_CONTENT);
    let other = ContentDigest::of(b"parts");
    let ended = registry.send(Method::PUT, &format!("{place}?digest={}", escape(other.as_str())), &[], "parts").await;
    assert_eq!(ended.status, StatusCode::CREATED);
    let gone = registry.delete(&format!("/v2/team/hello/blobs/{}", escape(other.as_str()))).await;
    assert_eq!(gone.status, StatusCode::ACCEPTED);
    let up = registry.get("/v2/..%2Fa/manifests/v1").await;
    assert_eq!((up.status, up.code().as_str()), (StatusCode::BAD_REQUEST, "NAME_INVALID"));
}

#[tokio::test]
async fn a_manifest_of_4_mib_is_taken_and_a_larger_one_is_413() {
    let registry = Fixture::new();
    let mut manifest = registry.manifest("a", "x").await;
    manifest["annotations"] = json!({ "filler": "" });
    let fill = (4 << 20) - manifest.to_string().len();
    manifest["annotations"]["filler"] = "x".repeat(fill).into();
    assert_eq!(registry.put_manifest("a", "large", &manifest).await.status, StatusCode::CREATED);
    manifest["annotations"]["filler"] = "x".repeat(fill + 1).into();
    assert_eq!(registry.put_manifest("a", "larger", &manifest).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn wrong_manifests_are_refused_with_what_is_wrong() {
    let registry = Fixture::new();
    let good = registry.manifest("a", "x").await;
    let (mut lacking, mut other_type) = (good.clone(), good.clone());
    lacking["layers"][0]["digest"] = ContentDigest::of(b"absent").as_str().into();
    other_type["mediaType"] = "application/vnd.oci.image.index.v1+json".into();
    for (name, manifest, code) in [
        ("v1", lacking, "MANIFEST_BLOB_UNKNOWN"),
        ("v1", other_type, "MANIFEST_INVALID"),
        ("v1", json!([1]), "MANIFEST_INVALID"),
        ("bad tag".replace(' ', "%20").as_str(), good.clone(), "MANIFEST_INVALID"),
        (ContentDigest::of(b"other").as_str(), good, "DIGEST_INVALID"),
    ] {
        let refused = registry.put_manifest("a", name, &manifest).await;
        assert_eq!(refused.code(), code, "{name}: {manifest}");
    }
    assert_eq!(registry.get("/v2/a/manifests/v1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_tag_is_deleted_alone_and_a_manifest_with_its_tags() {
    let registry = Fixture::new();
    let digest = registry.push("a", "v1").await;
    let manifest = registry.get("/v2/a/manifests/v1").await.json();
    registry.put_manifest("a", "v2", &manifest).await;
    assert_eq!(registry.delete("/v2/a/manifests/v1").await.status, StatusCode::ACCEPTED);
    assert_eq!(registry.delete("/v2/a/manifests/v1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(registry.get(&format!("/v2/a/manifests/{digest}")).await.status, StatusCode::OK);
    assert_eq!(registry.delete(&format!("/v2/a/manifests/{digest}")).await.status, StatusCode::ACCEPTED);
    assert_eq!(registry.get("/v2/a/manifests/v2").await.status, StatusCode::NOT_FOUND);
    assert_eq!(registry.get("/v2/a/tags/list").await.json()["tags"], json!([]));
}

#[tokio::test]
async fn parts_of_a_blob_can_be_asked_for() {
    let registry = Fixture::new();
    let digest = registry.push_blob("a", b"0123456789").await;
    let path = format!("/v2/a/blobs/{digest}");
    let part = registry.send(Method::GET, &path, &[("range", "bytes=4-")], Body::empty()).await;
    assert_eq!((part.status, part.body.as_ref()), (StatusCode::PARTIAL_CONTENT, b"456789".as_slice()));
    assert_eq!(part.header("content-range"), "bytes 4-9/10");
    let beyond = registry.send(Method::GET, &path, &[("range", "bytes=10-")], Body::empty()).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */10"));
}

#[tokio::test]
async fn a_damaged_blob_is_not_sent_as_a_whole() {
    let registry = Fixture::new();
    let digest = registry.push_blob("a", b"right").await;
    fs::write(registry.store.dir().join("blobs/sha256").join(digest.hex()), b"wrong").unwrap();
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).await.body.as_ref(), b"");
}

#[tokio::test]
async fn what_nothing_needs_is_collected_and_nothing_else() {
    use std::time::Duration;

    use registry_client::hosted::{Keep, Unused};
    let registry = Fixture::new();
    let (kept, running) = (registry.push("a", "kept").await, registry.push("a", "running").await);
    let dropped = registry.push("b", "dropped").await;
    let loose = registry.push_blob("b", b"loose").await;
    let place = registry.begin("b").await;
    for tag in ["a/manifests/running", "b/manifests/dropped"] {
        registry.delete(&format!("/v2/{tag}")).await;
    }
    let manifests = [running.parse().unwrap()].into();
    let young = Keep { manifests, grace: Duration::from_secs(3600), ..Keep::default() };
    assert_eq!(registry.repositories.collect(&young).unwrap().blobs, 0, "somebody may be about to use it");
    let keep = Keep { grace: Duration::ZERO, ..young };
    let told = registry.repositories.collect(&Keep { dry_run: true, ..keep.clone() }).unwrap();
    assert_eq!(registry.get(&format!("/v2/b/manifests/{dropped}")).await.status, StatusCode::OK);
    let collected = registry.repositories.collect(&keep).unwrap();
    assert_eq!((told, collected.blobs), (collected.clone(), 3), "a manifest, its layer, a loose blob");
    for (path, status) in [
        ("/v2/a/manifests/kept".to_owned(), StatusCode::OK),
        (format!("/v2/a/manifests/{kept}"), StatusCode::OK),
        (format!("/v2/a/manifests/{running}"), StatusCode::OK),
        (format!("/v2/b/manifests/{dropped}"), StatusCode::NOT_FOUND),
        (format!("/v2/b/blobs/{loose}"), StatusCode::NOT_FOUND),
        (place, StatusCode::NO_CONTENT),
    ] {
        assert_eq!(registry.get(&path).await.status, status, "{path}");
    }
    let all = Keep { unused: Unused::All, ..keep };
    assert_eq!(registry.repositories.collect(&all).unwrap().names, ["a:kept"]);
    assert_eq!(registry.get("/v2/a/manifests/kept").await.status, StatusCode::NOT_FOUND);
    assert_eq!(registry.get(&format!("/v2/a/manifests/{running}")).await.status, StatusCode::OK);
}
