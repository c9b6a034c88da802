//! Fields that are null: templates of charts write them where a value is not set.

use super::*;

#[tokio::test]
async fn a_field_that_is_null_was_not_written_and_has_its_default() {
    let fixture = Fixture::new().await;
    let mut nulls = deployment("a");
    nulls["metadata"]["annotations"] = Value::Null;
    for field in ["replicas", "strategy", "progressDeadlineSeconds", "paused"] {
        nulls["spec"][field] = Value::Null;
    }
    for field in ["affinity", "nodeSelector", "terminationGracePeriodSeconds"] {
        nulls["spec"]["template"]["spec"][field] = Value::Null;
    }
    nulls["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({ "limits": null, "requests": null });
    let created = fixture.create(&format!("{DEPLOYMENTS}?fieldValidation=Strict"), &nulls).await;
    let plain = fixture.create(DEPLOYMENTS, &deployment("b")).await;
    assert_eq!(created["spec"]["replicas"], 1);
    assert_eq!(created["spec"]["strategy"], plain["spec"]["strategy"]);
    assert!(!created.to_string().contains("null"), "{created}");

    let services = "/api/v1/namespaces/default/services";
    let service = json!({ "metadata": { "name": "a" }, "spec": { "type": null, "clusterIP": null, "selector": { "app": "a" },
        "ports": [ { "port": 80, "name": null, "targetPort": null } ] } });
    let created = fixture.create(services, &service).await;
    assert_eq!(
        (&created["spec"]["type"], &created["spec"]["ports"][0]["targetPort"]),
        (&json!("ClusterIP"), &json!(80))
    );

    // Checks across fields see the default: a deadline of 600 seconds.
    let mut late = deployment("c");
    late["spec"]["minReadySeconds"] = json!(600);
    late["spec"]["progressDeadlineSeconds"] = Value::Null;
    assert_eq!(fixture.post(DEPLOYMENTS, &late).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_key_of_a_map_that_is_null_has_the_empty_value() {
    let fixture = Fixture::new().await;
    let config =
        json!({ "metadata": { "name": "a", "labels": { "example.com/a": null } }, "data": { "b": null, "c": "d" } });
    let created = fixture.create("/api/v1/namespaces/default/configmaps", &config).await;
    assert_eq!(created["data"], json!({ "b": "", "c": "d" }));
    assert_eq!(created["metadata"]["labels"], json!({ "example.com/a": "" }));
}

#[tokio::test]
async fn an_update_with_a_null_takes_the_field_away_and_a_patch_does_too() {
    let fixture = Fixture::new().await;
    let mut first = deployment("a");
    first["spec"]["template"]["spec"]["nodeSelector"] = json!({ "zone": "b" });
    fixture.create(DEPLOYMENTS, &first).await;
    let path = format!("{DEPLOYMENTS}/a");
    first["spec"]["template"]["spec"]["nodeSelector"] = Value::Null;
    let json = [("content-type", "application/json")];
    let (code, updated) = fixture.call("PUT", &path, &json, &first.to_string()).await;
    assert_eq!(code, StatusCode::OK, "{updated}");
    assert!(updated["spec"]["template"]["spec"].get("nodeSelector").is_none(), "{updated}");
    let add = json!([{ "op": "add", "path": "/spec/template/spec/nodeSelector", "value": null }]);
    let (code, patched) = fixture.patch(&path, "json-patch+json", &add).await;
    assert_eq!(code, StatusCode::OK, "{patched}");
    assert_eq!(patched["metadata"]["resourceVersion"], updated["metadata"]["resourceVersion"]);
}
