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
    let (code, status) = fixture.patch(&path, "apply-patch+yaml", &deployment("cart")).await;
    assert_eq!(
        (code, &status["details"]["causes"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("fieldManager"))
    );
    let path = format!("{path}?fieldManager=me");
    assert_eq!(fixture.patch(&path, "apply-patch+yaml", &deployment("cart")).await.0, StatusCode::CREATED);
    let mut changed = deployment("cart");
    changed["spec"]["replicas"] = json!(3);
    let (code, merged) = fixture.patch(&path, "apply-patch+yaml", &changed).await;
    assert_eq!((code, &merged["spec"]["replicas"]), (StatusCode::OK, &json!(3)));
}

#[tokio::test]
async fn each_way_to_write_leaves_its_writer_in_managed_fields() {
    let fixture = Fixture::new().await;
    let (_, made) = fixture.post(&format!("{DEPLOYMENTS}?fieldManager=maker"), &deployment("cart")).await;
    let entries = |object: &Value| -> Vec<(String, String, String)> {
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        entries.iter().map(|e| (text(e, "manager"), text(e, "operation"), text(e, "subresource"))).collect()
    };
    let of = |manager: &str, operation: &str, below: &str| (manager.to_owned(), operation.to_owned(), below.to_owned());
    assert_eq!(entries(&made), [of("maker", "Update", "")]);
    let path = format!("{DEPLOYMENTS}/cart");
    let patch = json!({ "spec": { "paused": true } });
    fixture.patch(&format!("{path}?fieldManager=patcher"), "merge-patch+json", &patch).await;
    let status = json!({ "status": { "observedGeneration": 7 } });
    fixture.patch(&format!("{path}/status?fieldManager=watcher"), "merge-patch+json", &status).await;
    let scale = json!({ "spec": { "replicas": 4 } });
    fixture.patch(&format!("{path}/scale?fieldManager=scaler"), "merge-patch+json", &scale).await;
    let (code, object) = fixture
        .patch(
            &format!("{path}/scale?fieldManager=owner&force=true"),
            "apply-patch+yaml",
            &json!({ "spec": { "replicas": 5 } }),
        )
        .await;
    assert_eq!((code, &object["spec"]["replicas"]), (StatusCode::OK, &json!(5)), "{object}");
    let (_, object) = fixture.get(&path).await;
    let mut found = entries(&object);
    found.sort();
    // The scaler's number is the owner's now.
    let all = [
        of("maker", "Update", ""),
        of("owner", "Apply", "scale"),
        of("patcher", "Update", ""),
        of("watcher", "Update", "status"),
    ];
    assert_eq!(found, all);
    // Who writes the object back as it was read changes nothing, and who forgets the owners does not lose them.
    let mut again = object.clone();
    again["metadata"].as_object_mut().unwrap().remove("managedFields");
    let (_, same) = fixture.call("PUT", &path, &[], &again.to_string()).await;
    assert_eq!(same, object);
    // One empty entry asks to forget them.
    again["metadata"]["managedFields"] = json!([{}]);
    let (_, forgotten) = fixture.call("PUT", &path, &[], &again.to_string()).await;
    assert!(forgotten["metadata"].get("managedFields").is_none(), "{forgotten}");
}

#[tokio::test]
async fn a_conflict_of_managers_names_each_field_and_whose_it_is() {
    let fixture = Fixture::new().await;
    let path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/cart";
    let scaler = |most: u32| {
        json!({ "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "cart" }, "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" }, "maxReplicas": most } })
    };
    let (code, made) = fixture.patch(&format!("{path}?fieldManager=one"), "apply-patch+yaml", &scaler(3)).await;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    let (code, status) = fixture.patch(&format!("{path}?fieldManager=two"), "apply-patch+yaml", &scaler(4)).await;
    assert_eq!((code, &status["reason"]), (StatusCode::CONFLICT, &json!("Conflict")), "{status}");
    let cause =
        json!([{ "reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".spec.maxReplicas" }]);
    assert_eq!(status["details"]["causes"], cause);
    let (code, status) =
        fixture.patch(&format!("{path}?fieldManager=one&force=true"), "merge-patch+json", &scaler(4)).await;
    assert_eq!(code, StatusCode::BAD_REQUEST, "{status}");
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
