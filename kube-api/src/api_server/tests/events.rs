//! Events that users write.

use super::*;

const EVENTS: &str = "/api/v1/namespaces/default/events";
const NEWER: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

fn event(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "involvedObject": { "kind": "ConfigMap", "name": "a", "namespace": "default" },
        "reason": "Rotated", "message": "it was rotated", "type": "Normal", "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "source": { "component": "rotator" } })
}

#[tokio::test]
async fn an_event_that_a_controller_writes_is_kept_counted_and_deleted() {
    let fixture = Fixture::new().await;
    let created = fixture.create(EVENTS, &event("a.1")).await;
    assert_eq!(created["source"]["component"], "rotator");
    let (code, again) =
        fixture.patch(&format!("{EVENTS}/a.1"), "strategic-merge-patch+json", &json!({ "count": 2 })).await;
    assert_eq!((code, &again["count"]), (StatusCode::OK, &json!(2)));
    let table = fixture.table(EVENTS).await;
    assert_eq!(table["rows"][0]["cells"][3], "configmap/a");
    let (_, chosen) = fixture.get(&format!("{EVENTS}?fieldSelector=reason=Rotated")).await;
    assert_eq!(chosen["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(fixture.call("DELETE", &format!("{EVENTS}/a.1"), &[], "").await.0, StatusCode::OK);
    assert_eq!(fixture.get(EVENTS).await.1["items"], json!([]));
}

#[tokio::test]
async fn an_event_is_written_and_read_in_both_versions() {
    let fixture = Fixture::new().await;
    let newer = json!({ "metadata": { "name": "a.1" }, "regarding": { "kind": "ConfigMap", "name": "a", "namespace": "default" },
        "reason": "Rotated", "note": "it was rotated", "type": "Normal", "action": "Rotate", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/rotator", "reportingInstance": "r-1" });
    let created = fixture.create(NEWER, &newer).await;
    assert_eq!((&created["note"], &created["apiVersion"]), (&json!("it was rotated"), &json!("events.k8s.io/v1")));
    let (_, read) = fixture.get(&format!("{EVENTS}/a.1")).await;
    assert_eq!((&read["message"], &read["involvedObject"]["name"]), (&json!("it was rotated"), &json!("a")));
    assert_eq!((&read["reportingComponent"], &read["apiVersion"]), (&json!("example.com/rotator"), &json!("v1")));
    let (_, list) = fixture.get("/apis/events.k8s.io/v1/events").await;
    assert_eq!((&list["kind"], &list["items"][0]["regarding"]["name"]), (&json!("EventList"), &json!("a")));
}

#[tokio::test]
async fn an_event_stands_where_its_object_is_and_in_a_namespace_that_is_there() {
    let fixture = Fixture::new().await;
    let mut elsewhere = event("a.1");
    elsewhere["involvedObject"]["namespace"] = json!("shop");
    let (code, status) = fixture.post(EVENTS, &elsewhere).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{status}");
    assert_eq!(status["details"]["causes"][0]["field"], "involvedObject.namespace");
    let (code, _) = fixture.post("/api/v1/namespaces/shop/events", &elsewhere).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_events_of_a_namespace_go_with_it() {
    let fixture = Fixture::new().await;
    fixture.create("/api/v1/namespaces", &json!({ "metadata": { "name": "shop" } })).await;
    let mut inside = event("a.1");
    inside["involvedObject"]["namespace"] = json!("shop");
    fixture.create("/api/v1/namespaces/shop/events", &inside).await;
    assert_eq!(fixture.call("DELETE", "/api/v1/namespaces/shop", &[], "").await.0, StatusCode::OK);
    assert_eq!(fixture.get("/api/v1/events").await.1["items"], json!([]));
}

#[tokio::test]
async fn each_namespace_has_its_service_account() {
    let fixture = Fixture::new().await;
    fixture.create("/api/v1/namespaces", &json!({ "metadata": { "name": "shop" } })).await;
    for namespace in ["default", "shop"] {
        let (code, account) = fixture.get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/default")).await;
        assert_eq!((code, &account["metadata"]["namespace"]), (StatusCode::OK, &json!(namespace)));
        assert_eq!(account["metadata"]["uid"].as_str().map(str::len), Some(36));
    }
}

#[tokio::test]
async fn a_pod_that_nothing_can_take_the_place_of_is_not_evicted_in_silence() {
    let fixture = Fixture::new().await;
    fixture.put_pod("p", "Running");
    let path = "/api/v1/namespaces/default/pods/p/eviction";
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "p" } });
    let cordoned = json!({ "metadata": { "name": "worker-1" }, "spec": { "unschedulable": true },
        "status": { "conditions": [ { "type": "Ready", "status": "True" } ] } });
    fixture.live.put("core/nodes/worker-1".to_owned(), cordoned.to_string().into());
    let (code, status) = fixture.post(path, &eviction).await;
    assert_eq!(code, StatusCode::TOO_MANY_REQUESTS);
    assert!(status["message"].as_str().unwrap().contains("kubectl uncordon"), "{status}");
    assert!(fixture.commands.said.lock().is_empty());
    fixture.put_node("worker-2");
    assert_eq!(fixture.post(path, &eviction).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn who_asks_for_the_log_of_what_cannot_be_started_is_told_why() {
    let fixture = Fixture::new().await;
    let pod = |waiting: Value, restarts: u32| {
        let status = json!({ "name": "c", "restartCount": restarts, "lastState": {}, "state": { "waiting": waiting } });
        json!({ "metadata": { "name": "p", "namespace": "default" }, "spec": { "containers": [ { "name": "c" } ] },
            "status": { "containerStatuses": [ status ] } })
    };
    let missing = json!({ "reason": "ImagePullBackOff", "message": "image hello:v9 not found" });
    let crashed = json!({ "reason": "CrashLoopBackOff", "message": "back-off" });
    for (waiting, restarts, code) in
        [(missing, 0, 400), (json!({ "reason": "ContainerCreating" }), 0, 200), (crashed, 3, 200)]
    {
        fixture.live.put("core/pods/default/p".to_owned(), pod(waiting, restarts).to_string().into());
        let (got, said) = fixture.get("/api/v1/namespaces/default/pods/p/log").await;
        assert_eq!(got.as_u16(), code, "{said}");
        if code == 400 {
            let message = said["message"].as_str().unwrap();
            assert!(message.contains("waiting to start: ImagePullBackOff: image hello:v9 not found"), "{message}");
        }
    }
}
