use futures::StreamExt;

use super::*;

/// The lines of a watch, one by one.
pub(super) struct Lines {
    body: axum::body::BodyDataStream,
}

impl Lines {
    pub(super) async fn open(fixture: &Fixture, path: &str) -> Self {
        Self::open_as(fixture, path, "application/json").await
    }

    async fn open_as(fixture: &Fixture, path: &str, accept: &str) -> Self {
        let response = fixture.response("GET", path, &[("accept", accept)], "").await;
        assert_eq!(response.status(), StatusCode::OK);
        Self { body: response.into_body().into_data_stream() }
    }

    pub(super) async fn next(&mut self) -> Option<Value> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let frame = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("an event comes")?.unwrap();
            line.extend_from_slice(&frame);
        }
        Some(serde_json::from_slice(&line).unwrap())
    }

    pub(super) async fn expect(&mut self, kind: &str, name: &str) -> Value {
        let event = self.next().await.expect("the watch goes on");
        assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!(kind), &json!(name)), "{event}");
        event
    }
}

#[tokio::test]
async fn a_watch_tells_what_there_is_and_then_what_changes() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("a")).await;
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?watch=true")).await;
    watch.expect("ADDED", "a").await;
    fixture.patch(&format!("{DEPLOYMENTS}/a"), "merge-patch+json", &json!({ "spec": { "replicas": 2 } })).await;
    let modified = watch.expect("MODIFIED", "a").await;
    fixture.call("DELETE", &format!("{DEPLOYMENTS}/a"), &[], "").await;
    let deleted = watch.expect("DELETED", "a").await;
    let version =
        |event: &Value| event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(version(&deleted) > version(&modified));
}

#[tokio::test]
async fn a_watch_from_a_version_misses_nothing_after_it() {
    let fixture = Fixture::new().await;
    let a = fixture.create(DEPLOYMENTS, &deployment("a")).await;
    fixture.create(DEPLOYMENTS, &deployment("b")).await;
    let version = a["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?watch=true&resourceVersion={version}")).await;
    watch.expect("ADDED", "b").await;
}

#[tokio::test]
async fn an_object_that_no_longer_matches_is_told_as_deleted() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("a")).await;
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?watch=true&labelSelector=app=a")).await;
    watch.expect("ADDED", "a").await;
    let label = |value: &str| json!({ "metadata": { "labels": { "app": value } } });
    let path = format!("{DEPLOYMENTS}/a");
    fixture.patch(&path, "merge-patch+json", &label("x")).await;
    watch.expect("DELETED", "a").await;
    fixture.patch(&path, "merge-patch+json", &label("y")).await;
    fixture.patch(&path, "merge-patch+json", &label("a")).await;
    watch.expect("ADDED", "a").await;
}

#[tokio::test]
async fn initial_events_end_with_an_annotated_bookmark() {
    let fixture = Fixture::new().await;
    fixture.create(DEPLOYMENTS, &deployment("a")).await;
    let query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?{query}")).await;
    watch.expect("ADDED", "a").await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    let object = &bookmark["object"];
    assert_eq!((&object["kind"], &object["apiVersion"]), (&json!("Deployment"), &json!("apps/v1")));
    assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_version_that_is_not_known_is_gone() {
    let fixture = Fixture::new().await;
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?watch=true&resourceVersion=1")).await;
    let error = watch.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_of_tables_defines_its_columns_once() {
    let fixture = Fixture::new().await;
    fixture.put_pod("p", "Pending");
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let mut watch = Lines::open_as(&fixture, "/api/v1/namespaces/default/pods?watch=true", accept).await;
    let first = watch.next().await.unwrap();
    assert!(first["object"]["columnDefinitions"].is_array());
    fixture.put_pod("p", "Running");
    let second = watch.next().await.unwrap();
    assert!(second["object"]["columnDefinitions"].is_null());
    assert_eq!(second["object"]["rows"][0]["cells"][2], "Running");
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_and_at_shutdown() {
    let fixture = Fixture::new().await;
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?watch=true&timeoutSeconds=1")).await;
    assert!(watch.next().await.is_none());
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?watch=true")).await;
    fixture.shutdown.cancel();
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_log_is_read_from_its_end_and_followed() {
    let fixture = Fixture::new().await;
    fixture.put_pod("p", "Running");
    let line = |text: &str| api::replica::LogLine {
        at: Timestamp::from_secs(1),
        source: api::replica::LogSource::Stdout,
        text: text.to_owned(),
    };
    fixture.logs.append(&pod_key("p"), vec![line("one"), line("two")], now());
    let path = "/api/v1/namespaces/default/pods/p/log";
    assert_eq!(fixture.get(&format!("{path}?tailLines=1")).await.1, json!("two\n"));
    assert_eq!(fixture.get(&format!("{path}?limitBytes=3&timestamps=false")).await.1, json!("one"));
    assert_eq!(
        fixture.get(&format!("{path}?timestamps=true&tailLines=1")).await.1,
        json!("1970-01-01T00:00:01.000000Z two\n")
    );
    assert_eq!(fixture.get(&format!("{path}?container=other")).await.0, StatusCode::BAD_REQUEST);
    let response = fixture.response("GET", &format!("{path}?follow=true&tailLines=0"), &[], "").await;
    let mut body = response.into_body().into_data_stream();
    fixture.logs.append(&pod_key("p"), vec![line("three")], now());
    let followed = tokio::time::timeout(PATIENCE, body.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(followed, "three\n");
}

#[tokio::test]
async fn a_watch_with_a_timeout_of_zero_lasts_as_one_without() {
    let fixture = Fixture::new().await;
    let mut watch = Lines::open(&fixture, &format!("{DEPLOYMENTS}?watch=true&timeoutSeconds=0")).await;
    fixture.create(DEPLOYMENTS, &deployment("a")).await;
    watch.expect("ADDED", "a").await;
    fixture.shutdown.cancel();
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn versions_are_matched_or_refused_as_kubernetes_does() {
    let fixture = Fixture::new().await;
    let a = fixture.create(DEPLOYMENTS, &deployment("a")).await;
    let first = a["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let b = fixture.create(DEPLOYMENTS, &deployment("b")).await;
    let last = b["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let cases = [
        ("resourceVersion=0", 200),
        (&*format!("resourceVersion={first}&resourceVersionMatch=NotOlderThan"), 200),
        (&*format!("resourceVersion={last}&resourceVersionMatch=Exact"), 200),
        (&*format!("resourceVersion={first}&resourceVersionMatch=Exact"), 410),
        ("resourceVersion=18446744073709551615", 504),
        ("resourceVersion=x", 400),
        ("resourceVersionMatch=Exact", 400),
        ("resourceVersion=0&resourceVersionMatch=Exact", 400),
        ("resourceVersion=1&resourceVersionMatch=Newest", 400),
        ("watch=true&resourceVersion=0&resourceVersionMatch=NotOlderThan", 400),
        ("watch=true&sendInitialEvents=true", 400),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=Exact", 400),
    ];
    for (query, code) in cases {
        let (got, answer) = fixture.get(&format!("{DEPLOYMENTS}?{query}")).await;
        assert_eq!(got.as_u16(), code, "{query}: {answer}");
    }
}
