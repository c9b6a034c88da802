use super::*;

#[tokio::test]
async fn a_strategic_patch_merges_containers_by_name() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let patch = json!({ "spec": { "template": { "spec": {
        "$setElementOrder/containers": [ { "name": "c" } ],
        "containers": [ { "name": "c", "image": "hello:v2" } ] } } } });
    let (code, patched) = fixture.patch(&format!("{DEPLOYMENTS}/cart"), "strategic-merge-patch+json", &patch).await;
    assert_eq!(code, StatusCode::OK, "{patched}");
    assert_eq!(patched["spec"]["template"]["spec"]["containers"][0]["image"], "hello:v2");
    assert_eq!(patched["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_json_patch_undoes_as_kubectl_does() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    object["metadata"]["annotations"] = json!({ "deployment.kubernetes.io/revision": "2" });
    let created = fixture.create(DEPLOYMENTS, &object).await;
    let mut template = created["spec"]["template"].clone();
    template["spec"]["containers"][0]["image"] = json!("hello:v0");
    let patch = json!([
        { "op": "replace", "path": "/spec/template", "value": template },
        { "op": "replace", "path": "/metadata/annotations", "value": { "a": "b" } },
    ]);
    let (code, patched) = fixture.patch(&format!("{DEPLOYMENTS}/cart"), "json-patch+json", &patch).await;
    assert_eq!((code, &patched["metadata"]["annotations"]), (StatusCode::OK, &json!({ "a": "b" })));
    let (code, _) = fixture
        .patch(
            &format!("{DEPLOYMENTS}/cart"),
            "json-patch+json",
            &json!([ { "op": "test", "path": "/spec/replicas", "value": 9 } ]),
        )
        .await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_patch_that_names_an_old_version_is_a_conflict() {
    let fixture = Fixture::new().await;
    let first = fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let path = format!("{DEPLOYMENTS}/cart");
    fixture.patch(&path, "merge-patch+json", &json!({ "spec": { "replicas": 2 } })).await;
    let patch =
        json!({ "metadata": { "resourceVersion": first["metadata"]["resourceVersion"] }, "spec": { "replicas": 5 } });
    let (code, status) = fixture.patch(&path, "strategic-merge-patch+json", &patch).await;
    assert_eq!((code, &status["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
}

#[tokio::test]
async fn an_apply_patch_creates_or_merges() {
    let fixture = Fixture::new().await;
    let path = format!("{DEPLOYMENTS}/cart");
    assert_eq!(fixture.patch(&path, "apply-patch+yaml", &deployment("cart")).await.0, StatusCode::BAD_REQUEST);
    let path = format!("{path}?fieldManager=me");
    assert_eq!(fixture.patch(&path, "apply-patch+yaml", &deployment("cart")).await.0, StatusCode::CREATED);
    let mut changed = deployment("cart");
    changed["spec"]["replicas"] = json!(3);
    let (code, merged) = fixture.patch(&path, "apply-patch+yaml", &changed).await;
    assert_eq!((code, &merged["spec"]["replicas"]), (StatusCode::OK, &json!(3)));
}

#[tokio::test]
async fn a_patch_is_checked_like_any_other_change() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let path = format!("{DEPLOYMENTS}/cart");
    let patch = json!({ "spec": { "selector": { "matchLabels": { "app": "other" } } } });
    let (code, status) = fixture.patch(&path, "merge-patch+json", &patch).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(status["message"].as_str().unwrap().contains("spec.selector"), "{status}");
    let (code, _) = fixture.patch(&path, "merge-patch+json", &json!({ "metadata": { "name": "x" } })).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert_eq!(fixture.patch(&path, "x-unknown", &json!({})).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
