use super::*;

#[tokio::test]
async fn what_is_created_is_completed_and_read_back() {
    let fixture = Fixture::new().await;
    let created = fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    assert_eq!(created["spec"]["replicas"], 1);
    assert_eq!(created["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(created["metadata"]["namespace"], "default");
    assert_eq!(created["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert!(created["metadata"]["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    let (code, read) = fixture.get(&format!("{DEPLOYMENTS}/cart")).await;
    assert_eq!((code, &read), (StatusCode::OK, &created));
    let (_, list) = fixture.get("/apis/apps/v1/deployments").await;
    assert_eq!((&list["kind"], &list["items"][0]), (&json!("DeploymentList"), &created));
}

#[tokio::test]
async fn a_namespace_is_labelled_with_its_own_name_whatever_else_is_written() {
    let fixture = Fixture::new().await;
    let forged = json!({ "kubernetes.io/metadata.name": "kube-system", "a": "b" });
    let own = json!({ "kubernetes.io/metadata.name": "shop", "a": "b" });
    let created =
        fixture.create("/api/v1/namespaces", &json!({ "metadata": { "name": "shop", "labels": forged } })).await;
    assert_eq!(created["metadata"]["labels"], own);
    let patch = json!({ "metadata": { "labels": forged } });
    let (_, patched) = fixture.patch("/api/v1/namespaces/shop", "merge-patch+json", &patch).await;
    assert_eq!(patched["metadata"]["labels"], own);
}

#[tokio::test]
async fn yaml_and_bodies_without_a_type_are_read() {
    let fixture = Fixture::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, creationTimestamp: null }\ndata: { k: v }\n";
    let configs = "/api/v1/namespaces/default/configmaps";
    let (code, created) = fixture.call("POST", configs, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!((code, &created["data"]["k"]), (StatusCode::CREATED, &json!("v")));
    let (code, _) = fixture.call("POST", configs, &[], "{\"metadata\":{\"generateName\":\"b-\"}}").await;
    assert_eq!(code, StatusCode::CREATED);
    let (_, list) = fixture.get(configs).await;
    assert!(list["items"][1]["metadata"]["name"].as_str().unwrap().starts_with("b-"));
}

#[tokio::test]
async fn the_generation_counts_changes_of_the_spec_alone() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let path = format!("{DEPLOYMENTS}/cart");
    let (_, labelled) =
        fixture.patch(&path, "merge-patch+json", &json!({ "metadata": { "labels": { "x": "y" } } })).await;
    assert_eq!(labelled["metadata"]["generation"], 1);
    let (_, scaled) = fixture.patch(&path, "merge-patch+json", &json!({ "spec": { "replicas": 3 } })).await;
    assert_eq!(scaled["metadata"]["generation"], 2);
    let status = json!({ "status": { "replicas": 2 } });
    let (_, observed) = fixture.patch(&format!("{path}/status"), "merge-patch+json", &status).await;
    assert_eq!((&observed["metadata"]["generation"], &observed["status"]["replicas"]), (&json!(2), &json!(2)));
    let (_, same) = fixture
        .patch(&path, "merge-patch+json", &json!({ "spec": { "replicas": 3 }, "status": { "replicas": 9 } }))
        .await;
    assert_eq!(same["metadata"]["resourceVersion"], observed["metadata"]["resourceVersion"]);
    assert_eq!(same["status"]["replicas"], 2);
}

#[tokio::test]
async fn an_update_of_an_old_version_is_a_conflict() {
    let fixture = Fixture::new().await;
    let first = fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let path = format!("{DEPLOYMENTS}/cart");
    fixture.patch(&path, "merge-patch+json", &json!({ "spec": { "replicas": 2 } })).await;
    let (code, status) = fixture.call("PUT", &path, &[], &first.to_string()).await;
    assert_eq!((code, &status["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
    let mut unversioned = first;
    unversioned["metadata"]["resourceVersion"] = Value::Null;
    let (code, updated) = fixture.call("PUT", &path, &[], &unversioned.to_string()).await;
    assert_eq!((code, &updated["spec"]["replicas"]), (StatusCode::OK, &json!(1)));
}

#[tokio::test]
async fn a_dry_run_checks_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let (code, _) = fixture.post(&format!("{DEPLOYMENTS}?dryRun=All"), &deployment("cart")).await;
    assert_eq!(code, StatusCode::CREATED);
    assert_eq!(fixture.get(&format!("{DEPLOYMENTS}/cart")).await.0, StatusCode::NOT_FOUND);
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let (code, _) = fixture.call("DELETE", &format!("{DEPLOYMENTS}/cart?dryRun=All"), &[], "").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(fixture.get(&format!("{DEPLOYMENTS}/cart")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_scale_is_read_and_written() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    let path = format!("{DEPLOYMENTS}/cart/scale");
    let (code, scale) = fixture.patch(&path, "merge-patch+json", &json!({ "spec": { "replicas": 4 } })).await;
    assert_eq!((code, &scale["kind"], &scale["spec"]["replicas"]), (StatusCode::OK, &json!("Scale"), &json!(4)));
    assert_eq!(scale["status"]["selector"], "app=cart");
    assert_eq!(fixture.get(&format!("{DEPLOYMENTS}/cart")).await.1["spec"]["replicas"], 4);
    let (code, _) = fixture.call("PUT", &path, &[], &json!({ "spec": { "replicas": 0 } }).to_string()).await;
    assert_eq!((code, fixture.get(&path).await.1["spec"]["replicas"].clone()), (StatusCode::OK, json!(0)));
    let (code, _) = fixture.patch(&path, "merge-patch+json", &json!({ "spec": { "replicas": -1 } })).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn lists_come_in_parts_and_by_selector() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c"] {
        fixture.create(DEPLOYMENTS, &deployment(name)).await;
    }
    let (_, part) = fixture.get(&format!("{DEPLOYMENTS}?limit=2")).await;
    assert_eq!((part["items"].as_array().unwrap().len(), &part["metadata"]["remainingItemCount"]), (2, &json!(1)));
    let next = part["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = fixture.get(&format!("{DEPLOYMENTS}?limit=2&continue={next}")).await;
    assert_eq!(rest["items"][0]["metadata"]["name"], "c");
    assert!(rest["metadata"].get("continue").is_none());
    let (_, selected) =
        fixture.get(&format!("{DEPLOYMENTS}?labelSelector=app%20in%20(a,c)&fieldSelector=metadata.name!=a")).await;
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_parts_of_a_list_are_one_list_whatever_is_changed_meanwhile() {
    let fixture = Fixture::new().await;
    for name in ["b", "c", "d"] {
        fixture.create(DEPLOYMENTS, &deployment(name)).await;
    }
    let (_, first) = fixture.get(&format!("{DEPLOYMENTS}?limit=1")).await;
    fixture.create(DEPLOYMENTS, &deployment("e")).await;
    fixture.create(DEPLOYMENTS, &deployment("bb")).await;
    fixture.patch(&format!("{DEPLOYMENTS}/c"), "merge-patch+json", &json!({ "spec": { "replicas": 9 } })).await;
    fixture.call("DELETE", &format!("{DEPLOYMENTS}/d"), &[], "").await;
    let (mut list, mut seen) = (first.clone(), Vec::new());
    loop {
        for object in list["items"].as_array().unwrap() {
            seen.push((
                object["metadata"]["name"].as_str().unwrap().to_owned(),
                object["spec"]["replicas"].as_u64().unwrap(),
            ));
        }
        assert_eq!(list["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        let Some(next) = list["metadata"]["continue"].as_str() else { break };
        list = fixture.get(&format!("{DEPLOYMENTS}?limit=1&continue={next}")).await.1;
    }
    assert_eq!(seen, [("b".to_owned(), 1), ("c".to_owned(), 1), ("d".to_owned(), 1)]);
    let next = first["metadata"]["continue"].as_str().unwrap();
    for n in 0..9000 {
        fixture.live.put(format!("core/events/default/{n}"), "{}".into());
    }
    assert_eq!(fixture.get(&format!("{DEPLOYMENTS}?limit=1&continue={next}")).await.0, StatusCode::OK);
    for n in 0..10 {
        let big = json!({ "metadata": { "name": format!("big-{n}") }, "data": { "k": "x".repeat(1_000_000) } });
        fixture.create("/api/v1/namespaces/default/configmaps", &big).await;
    }
    let (code, status) = fixture.get(&format!("{DEPLOYMENTS}?limit=1&continue={next}")).await;
    assert_eq!((code, &status["reason"]), (StatusCode::GONE, &json!("Expired")), "{status}");
}

#[tokio::test]
async fn deleting_answers_the_uid_and_a_namespace_takes_all_with_it() {
    let fixture = Fixture::new().await;
    let (code, _) = fixture.post("/apis/apps/v1/namespaces/shop/deployments", &deployment("cart")).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    fixture.create("/api/v1/namespaces", &json!({ "metadata": { "name": "shop" } })).await;
    let cart = fixture.create("/apis/apps/v1/namespaces/shop/deployments", &deployment("cart")).await;
    fixture.create("/apis/apps/v1/namespaces/shop/deployments", &deployment("other")).await;
    let body = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background" }).to_string();
    let (_, status) = fixture.call("DELETE", "/apis/apps/v1/namespaces/shop/deployments/cart", &[], &body).await;
    assert_eq!((&status["status"], &status["details"]["uid"]), (&json!("Success"), &cart["metadata"]["uid"]));
    let (code, _) = fixture.call("DELETE", "/api/v1/namespaces/shop", &[], "").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(fixture.get("/apis/apps/v1/deployments").await.1["items"], json!([]));
    assert_eq!(fixture.get("/api/v1/namespaces/shop").await.0, StatusCode::NOT_FOUND);
    let (code, _) = fixture.call("DELETE", "/api/v1/namespaces/default", &[], "").await;
    assert_eq!(code, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let fixture = Fixture::new().await;
    for name in ["a", "b"] {
        fixture.create(DEPLOYMENTS, &deployment(name)).await;
    }
    let (code, _) = fixture.call("DELETE", &format!("{DEPLOYMENTS}?labelSelector=app=a"), &[], "").await;
    assert_eq!(code, StatusCode::OK);
    let (_, list) = fixture.get(DEPLOYMENTS).await;
    assert_eq!(list["items"][0]["metadata"]["name"], "b");
}

#[tokio::test]
async fn deleting_a_pod_and_cordoning_a_node_are_commands() {
    let fixture = Fixture::new().await;
    fixture.put_pod("p", "Running");
    fixture.put_node("worker-1");
    let (code, pod) = fixture.call("DELETE", "/api/v1/namespaces/default/pods/p", &[], "").await;
    assert_eq!((code, &pod["kind"]), (StatusCode::OK, &json!("Pod")));
    let cordon = json!({ "spec": { "unschedulable": true } });
    let (code, _) = fixture.patch("/api/v1/nodes/worker-1", "strategic-merge-patch+json", &cordon).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(*fixture.commands.said.lock(), ["delete default/p", "cordon worker-1 true"]);
    let taint = json!({ "spec": { "taints": [ { "key": "a" } ] } });
    let (code, status) = fixture.patch("/api/v1/nodes/worker-1", "strategic-merge-patch+json", &taint).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(status["message"].as_str().unwrap().contains("spec.taints[0].effect"), "{status}");
    let capacity = json!({ "status": { "capacity": { "pods": "1" } } });
    let (code, status) = fixture.patch("/api/v1/nodes/worker-1", "strategic-merge-patch+json", &capacity).await;
    assert_eq!(code, StatusCode::METHOD_NOT_ALLOWED);
    assert!(status["message"].as_str().unwrap().contains("`taint`"), "{status}");
    assert_eq!(fixture.commands.said.lock().len(), 2);
    let (code, status) = fixture.post("/api/v1/namespaces/default/pods", &json!({ "metadata": { "name": "x" } })).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(status["message"].as_str().unwrap().contains("Deployment"), "{status}");
}

#[tokio::test]
async fn a_node_whose_worker_has_a_certificate_is_deleted_though_it_is_alive() {
    let fixture = Fixture::new().await;
    fixture.put_node_that_is("joined", "True");
    let (code, _) = fixture.call("DELETE", "/api/v1/nodes/joined", &[], "").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(*fixture.commands.said.lock(), ["revoke joined", "forget joined"]);
}

#[tokio::test]
async fn a_node_without_a_certificate_is_deleted_only_when_its_worker_is_gone() {
    let fixture = Fixture::new().await;
    fixture.put_node_that_is("ready", "True");
    // Silent, but still there.
    fixture.put_node_that_is("connected", "Unknown");
    fixture.put_node_that_is("gone", "Unknown");
    for (name, said) in [("ready", &["revoke ready"][..]), ("connected", &["revoke connected", "forget connected"])] {
        let (code, status) = fixture.call("DELETE", &format!("/api/v1/nodes/{name}"), &[], "").await;
        assert_eq!((code, &status["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
        assert!(status["message"].as_str().unwrap().contains("kubectl drain"), "{status}");
        assert_eq!(std::mem::take(&mut *fixture.commands.said.lock()), said);
    }
    let (code, _) = fixture.call("DELETE", "/api/v1/nodes/gone?dryRun=All", &[], "").await;
    assert_eq!((code, fixture.commands.said.lock().len()), (StatusCode::OK, 0));
    let (code, status) = fixture.call("DELETE", "/api/v1/nodes/gone", &[], "").await;
    assert_eq!((code, &status["details"]["name"]), (StatusCode::OK, &json!("gone")));
    assert_eq!(fixture.commands.said.lock().last().unwrap(), "forget gone");
    assert_eq!(fixture.call("DELETE", "/api/v1/nodes/other", &[], "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_secret_takes_plain_text_and_keeps_it_encoded() {
    let fixture = Fixture::new().await;
    let secret = json!({ "metadata": { "name": "s" }, "stringData": { "password": "abc" } });
    let created = fixture.create("/api/v1/namespaces/default/secrets", &secret).await;
    assert_eq!((&created["data"]["password"], &created["type"]), (&json!("YWJj"), &json!("Opaque")));
    assert!(created.get("stringData").is_none());
}
