use super::*;

#[tokio::test]
async fn tags_are_sorted_and_come_in_pages() {
    let registry = Fixture::new();
    let manifest = registry.manifest("a/b", "x").await;
    for tag in ["v2", "v1", "v10", "latest"] {
        registry.put_manifest("a/b", tag, &manifest).await;
    }
    let tags = |answer: &Answer| answer.json()["tags"].clone();
    let all = registry.get("/v2/a/b/tags/list").await;
    assert_eq!((tags(&all), all.header("link")), (json!(["latest", "v1", "v10", "v2"]), ""));
    let page = registry.get("/v2/a/b/tags/list?n=2").await;
    assert_eq!(tags(&page), json!(["latest", "v1"]));
    assert_eq!(page.header("link"), "</v2/a/b/tags/list?n=2&last=v1>; rel=\"next\"");
    assert_eq!(tags(&registry.get("/v2/a/b/tags/list?n=2&last=v1").await), json!(["v10", "v2"]));
    assert_eq!(tags(&registry.get("/v2/a/b/tags/list?n=0").await), json!([]));
}

#[tokio::test]
async fn repositories_are_listed_however_they_nest() {
    let registry = Fixture::new();
    for name in ["b", "a", "a/nested"] {
        registry.push(name, "v1").await;
    }
    assert_eq!(registry.get("/v2/_catalog").await.json()["repositories"], json!(["a", "a/nested", "b"]));
    assert_eq!(registry.get("/v2/_catalog?n=1&last=a").await.json()["repositories"], json!(["a/nested"]));
}

#[tokio::test]
async fn what_refers_to_a_manifest_is_listed_and_filtered_and_never_404() {
    let registry = Fixture::new();
    let subject = ContentDigest::of(b"not here yet").to_string();
    let path = format!("/v2/a/referrers/{subject}");
    let none = registry.get(&path).await;
    assert_eq!((none.status, none.header("content-type")), (StatusCode::OK, "application/vnd.oci.image.index.v1+json"));
    assert_eq!(none.json()["manifests"], json!([]));
    let mut digests = Vec::new();
    for kind in ["signature", "sbom"] {
        let mut manifest = registry.manifest("a", kind).await;
        manifest["artifactType"] = format!("application/{kind}").into();
        manifest["annotations"] = json!({ "kind": kind });
        manifest["subject"] = json!({ "mediaType": OCI, "digest": subject, "size": 12 });
        let digest = ContentDigest::of(manifest.to_string().as_bytes()).to_string();
        let pushed = registry.put_manifest("a", &digest, &manifest).await;
        assert_eq!((pushed.status, pushed.header("oci-subject")), (StatusCode::CREATED, subject.as_str()));
        digests.push(digest);
    }
    assert_eq!(registry.get(&path).await.json()["manifests"].as_array().unwrap().len(), 2);
    let filtered = registry.get(&format!("{path}?artifactType=application/sbom")).await;
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let found = filtered.json()["manifests"].clone();
    assert_eq!(
        (found[0]["digest"].as_str(), found[0]["annotations"]["kind"].as_str()),
        (Some(digests[1].as_str()), Some("sbom"))
    );
    assert!(found[1].is_null());
    registry.delete(&format!("/v2/a/manifests/{}", digests[1])).await;
    assert_eq!(registry.get(&path).await.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(registry.get("/v2/a/referrers/nonsense").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_an_artifact_type_the_configs_type_is_told() {
    let registry = Fixture::new();
    let subject = ContentDigest::of(b"subject").to_string();
    let mut manifest = registry.manifest("a", "x").await;
    manifest["subject"] = json!({ "mediaType": OCI, "digest": subject, "size": 7 });
    registry.put_manifest("a", "v1", &manifest).await;
    let found = registry.get(&format!("/v2/a/referrers/{subject}")).await.json();
    assert_eq!(found["manifests"][0]["artifactType"], "application/vnd.oci.empty.v1+json");
}
