//! The `scale` subresource, written by clients that are wrong.

use super::*;

const SCALE: &str = "/apis/apps/v1/namespaces/default/deployments/a/scale";

async fn put(fixture: &Fixture, query: &str, scale: &Value) -> (StatusCode, Value) {
    let json = [("content-type", "application/json")];
    fixture.call("PUT", &format!("{SCALE}{query}"), &json, &scale.to_string()).await
}

fn scale(metadata: &Value, spec: &Value) -> Value {
    json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec })
}

async fn with_three_replicas() -> Fixture {
    let fixture = Fixture::new().await;
    let mut three = deployment("a");
    three["spec"]["replicas"] = json!(3);
    fixture.create(DEPLOYMENTS, &three).await;
    fixture
}

#[tokio::test]
async fn what_is_no_scale_scales_nothing() {
    let fixture = with_three_replicas().await;
    let cases = [
        (deployment("a"), 400, "kind `Scale`"),
        (scale(&json!({ "name": "a" }), &json!({ "replicas": "x" })), 400, "cannot be handled as a Scale"),
        (scale(&json!({ "name": "b" }), &json!({ "replicas": 1 })), 400, "does not match"),
        (scale(&json!({ "namespace": "b" }), &json!({ "replicas": 1 })), 400, "does not match"),
        (scale(&json!({ "uid": "another" }), &json!({ "replicas": 1 })), 409, "uid"),
        (scale(&json!({ "resourceVersion": "1" }), &json!({ "replicas": 1 })), 409, "modified"),
        (scale(&json!({}), &json!({ "replicas": -1 })), 422, "spec.replicas"),
    ];
    for (wrong, code, word) in cases {
        let (answered, status) = put(&fixture, "", &wrong).await;
        assert_eq!(answered.as_u16(), code, "{wrong}: {status}");
        assert!(status["message"].as_str().unwrap().contains(word), "{status}");
    }
    let strict = put(&fixture, "?fieldValidation=Strict", &scale(&json!({}), &json!({ "replica": 1 }))).await;
    assert_eq!(strict.0, StatusCode::BAD_REQUEST, "{}", strict.1);
    let (code, status) = fixture.patch(SCALE, "merge-patch+json", &json!({ "spec": { "replicas": "x" } })).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{status}");
    assert_eq!(fixture.get(SCALE).await.1["spec"]["replicas"], 3);
}

#[tokio::test]
async fn a_scale_that_was_read_can_be_written() {
    let fixture = with_three_replicas().await;
    let (_, mut read) = fixture.get(SCALE).await;
    read["spec"]["replicas"] = json!(5);
    let (code, written) = put(&fixture, "?fieldValidation=Strict", &read).await;
    assert_eq!((code, &written["spec"]["replicas"]), (StatusCode::OK, &json!(5)), "{written}");
    // As Go writes what was never set.
    let unset = scale(&json!({ "name": "a", "creationTimestamp": null }), &json!({ "replicas": 2 }));
    assert_eq!(put(&fixture, "?fieldValidation=Strict", &unset).await.0, StatusCode::OK);
    assert_eq!(fixture.get(SCALE).await.1["spec"]["replicas"], 2);
}
