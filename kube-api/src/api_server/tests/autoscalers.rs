use super::{watches::Lines, *};

const V2: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const V1: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const NOTED_METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

fn autoscaler(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "minReplicas": 0, "maxReplicas": 9,
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" },
        "metrics": [ { "type": "Pods", "pods": { "metric": { "name": "http_concurrency" },
            "target": { "type": "AverageValue", "averageValue": "10" } } } ] } })
}

#[tokio::test]
async fn an_autoscaler_is_one_object_in_both_versions() {
    let fixture = Fixture::new().await;
    let created = fixture.create(V2, &autoscaler("a")).await;
    let (code, seen) = fixture.get(&format!("{V1}/a")).await;
    assert_eq!((code, &seen["apiVersion"]), (StatusCode::OK, &json!("autoscaling/v1")));
    assert_eq!(seen["metadata"]["uid"], created["metadata"]["uid"]);
    assert!(seen["metadata"]["annotations"][NOTED_METRICS].as_str().unwrap().contains("http_concurrency"), "{seen}");
    let patch = json!({ "spec": { "maxReplicas": 20, "targetCPUUtilizationPercentage": 50 } });
    let (code, patched) = fixture.patch(&format!("{V1}/a"), "merge-patch+json", &patch).await;
    assert_eq!((code, &patched["apiVersion"]), (StatusCode::OK, &json!("autoscaling/v1")), "{patched}");
    let (_, now) = fixture.get(&format!("{V2}/a")).await;
    assert_eq!((&now["spec"]["maxReplicas"], &now["metadata"]["generation"]), (&json!(20), &json!(2)));
    let kinds: Vec<_> = now["spec"]["metrics"].as_array().unwrap().iter().map(|metric| &metric["type"]).collect();
    assert_eq!(kinds, ["Pods", "Resource"]);
    assert_eq!(now["metadata"]["annotations"], json!({}), "notes for version 1 are not stored");
}

#[tokio::test]
async fn an_autoscaler_of_version_1_is_stored_as_version_2() {
    let fixture = Fixture::new().await;
    let old = json!({ "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "a" },
        "spec": { "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" },
            "maxReplicas": 5, "targetCPUUtilizationPercentage": 70 } });
    let created = fixture.create(V1, &old).await;
    assert_eq!((&created["apiVersion"], &created["spec"]["minReplicas"]), (&json!("autoscaling/v1"), &json!(1)));
    let (_, stored) = fixture.get(&format!("{V2}/a")).await;
    assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    let mut updated = created.clone();
    updated["spec"]["maxReplicas"] = json!(6);
    let put = async |object: &Value| fixture.call("PUT", &format!("{V1}/a"), &[], &object.to_string()).await;
    let (code, answer) = put(&updated).await;
    assert_eq!((code, &answer["spec"]["maxReplicas"]), (StatusCode::OK, &json!(6)));
    assert_eq!(put(&created).await.0, StatusCode::CONFLICT, "it is no longer at that version");
    let of_v2 = json!({ "metadata": { "name": "b" }, "spec": { "metrics": [] } });
    let (code, said) = fixture.post(&format!("{V1}?fieldValidation=Strict"), &of_v2).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert!(said["message"].as_str().unwrap().contains("unknown field \"spec.metrics\""), "{said}");
    assert_eq!(fixture.post(V2, &old).await.0, StatusCode::BAD_REQUEST, "the version of the path holds");
}

#[tokio::test]
async fn lists_and_watches_tell_the_version_that_was_asked_for() {
    let fixture = Fixture::new().await;
    fixture.create(V2, &autoscaler("a")).await;
    let (_, list) = fixture.get(V1).await;
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("autoscaling/v1"), &json!("HorizontalPodAutoscalerList")));
    assert_eq!(list["items"][0]["apiVersion"], "autoscaling/v1");
    let mut watch = Lines::open(&fixture, &format!("{V1}?watch=true")).await;
    assert_eq!(watch.expect("ADDED", "a").await["object"]["apiVersion"], "autoscaling/v1");
    let status = json!({ "status": { "desiredReplicas": 3, "currentReplicas": 2, "currentMetrics": [
        { "type": "Pods", "pods": { "metric": { "name": "http_concurrency" }, "current": { "averageValue": "4500m" } } } ] } });
    let (code, _) = fixture.patch(&format!("{V2}/a/status"), "merge-patch+json", &status).await;
    assert_eq!(code, StatusCode::OK);
    let changed = watch.expect("MODIFIED", "a").await;
    assert_eq!(changed["object"]["status"]["desiredReplicas"], 3);
    let row = &fixture.table(V1).await["rows"][0]["cells"];
    let shown: Vec<_> = (0..6).map(|column| row[column].to_string().replace('"', "")).collect();
    assert_eq!(shown, ["a", "Deployment/cart", "4500m/10", "0", "9", "2"]);
    assert_eq!(fixture.call("DELETE", &format!("{V1}/a"), &[], "").await.0, StatusCode::OK);
    assert_eq!(fixture.get(&format!("{V2}/a")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_share_of_cpu_is_warned_of_where_the_deployment_requests_none() {
    let fixture = Fixture::new().await;
    let mut object = autoscaler("a");
    object["spec"]["metrics"] = json!([]);
    let warning = async |path: &str, object: &Value| {
        let response = fixture.response("POST", path, &[], &object.to_string()).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.headers().get(header::WARNING).map(|warning| warning.to_str().unwrap().to_owned())
    };
    assert_eq!(warning(V2, &object).await, None, "the Deployment may come later");
    fixture.create(DEPLOYMENTS, &deployment("cart")).await;
    object["metadata"]["name"] = json!("b");
    let said = warning(V2, &object).await.expect("it is said");
    assert!(said.starts_with("299 - \"spec.metrics[0]") && said.contains("resources.requests.cpu"), "{said}");
    let mut requesting = deployment("cart");
    requesting["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({ "limits": { "cpu": "1" } });
    fixture.call("PUT", &format!("{DEPLOYMENTS}/cart"), &[], &requesting.to_string()).await;
    object["metadata"]["name"] = json!("c");
    assert_eq!(warning(V2, &object).await, None);
}

#[tokio::test]
async fn scaling_is_annotated_where_it_means_something() {
    let fixture = Fixture::new().await;
    let mut object = deployment("cart");
    object["metadata"]["annotations"] = json!({ "sampan.dev/scale": "0..50", "sampan.dev/autoscaler": "kpa" });
    fixture.create(DEPLOYMENTS, &object).await;
    let refused = async |path: &str, mut object: Value, key: &str, value: &str, word: &str| {
        object["metadata"] = json!({ "name": "other", "annotations": { key: value } });
        let (code, said) = fixture.post(path, &object).await;
        let message = said["message"].as_str().unwrap();
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(message.contains(&format!("metadata.annotations[{key}]")) && message.contains(word), "{message}");
    };
    refused(DEPLOYMENTS, deployment("x"), "sampan.dev/scale", "3", "spec.replicas").await;
    refused(DEPLOYMENTS, deployment("x"), "sampan.dev/autoscaler", "ai", "sqrt-staffing").await;
    refused(V2, autoscaler("x"), "sampan.dev/scale-to-zero-after", "1ms", "100ms").await;
    refused(V2, autoscaler("x"), "sampan.dev/scale", "0..5", "belongs on the Deployment").await;
    let mut template = deployment("x");
    template["spec"]["template"]["metadata"]["annotations"] = json!({ "sampan.dev/scale": "0..5" });
    let (_, said) = fixture.post(DEPLOYMENTS, &template).await;
    assert!(said["message"].as_str().unwrap().contains("belongs on the Deployment"), "{said}");
    // A ReplicaSet is given its Deployment's annotations, and is changed as any object is.
    let mut set = deployment("cart-1");
    set["kind"] = json!("ReplicaSet");
    set["metadata"]["annotations"] = json!({ "sampan.dev/scale": "0..50" });
    fixture.create("/apis/apps/v1/namespaces/default/replicasets", &set).await;
}
