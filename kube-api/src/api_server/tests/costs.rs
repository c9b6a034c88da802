//! What a request may cost, and what its answer may hold, counted in bytes and work.

use bytes::Bytes;
use futures::StreamExt;
use store::Compare;

use super::{watches::Lines, *};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON_PATCH: &str = "json-patch+json";
const STRATEGIC: &str = "strategic-merge-patch+json";

fn config_map(name: &str, bytes: usize) -> Value {
    json!({ "metadata": { "name": name }, "data": { "a": "x".repeat(bytes) } })
}

impl Fixture {
    /// Whether a frame is part of what the store holds in memory.
    async fn is_the_stores(&self, frame: &Bytes) -> bool {
        let held = self.durable.list("", usize::MAX, None).await.unwrap().items;
        held.iter().any(|item| item.value.as_ptr_range().contains(&frame.as_ptr()))
    }

    /// Frames of a body that are no slices of what the store holds, in bytes.
    async fn copied(&self, body: Body) -> usize {
        let (mut frames, mut copied, mut sent) = (body.into_data_stream(), 0, 0);
        while let Some(frame) = frames.next().await {
            let frame = frame.unwrap();
            sent += frame.len();
            assert!(frame.len() <= 16 << 10, "a frame has {} bytes", frame.len());
            copied += if self.is_the_stores(&frame).await { 0 } else { frame.len() };
        }
        assert!(sent > 2_000_000, "only {sent} bytes came");
        copied
    }
}

#[tokio::test]
async fn lists_and_watches_are_sent_in_the_stores_own_bytes_however_many_ask() {
    let fixture = Fixture::new().await;
    for n in 0..4 {
        fixture.create(CONFIG_MAPS, &config_map(&format!("c{n}"), 900_000)).await;
    }
    for query in ["", "?watch=true&timeoutSeconds=1", "?watch=true&timeoutSeconds=1&labelSelector=!no"] {
        let body = fixture.response("GET", &format!("{CONFIG_MAPS}{query}"), &[], "").await.into_body();
        let copied = fixture.copied(body).await;
        assert!(copied < 64 << 10, "{query}: {copied} bytes were copied");
    }
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_told_to_list_again_and_holds_nothing_of_what_was_missed() {
    let fixture = Fixture::new().await;
    for n in 0..4 {
        fixture.create(CONFIG_MAPS, &config_map(&format!("c{n}"), 400_000)).await;
    }
    let mut initial = Lines::open(&fixture, &format!("{CONFIG_MAPS}?watch=true")).await;
    initial.expect("ADDED", "c0").await;
    let version = fixture.get(CONFIG_MAPS).await.1["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut after = Lines::open(&fixture, &format!("{CONFIG_MAPS}?watch=true&resourceVersion={version}")).await;
    // More than the log keeps.
    for n in 0..30 {
        let patch = json!({ "data": { "a": "y".repeat(400_000), "n": n.to_string() } });
        fixture.patch(&format!("{CONFIG_MAPS}/c3"), "merge-patch+json", &patch).await;
    }
    let error = after.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)), "{error}");
    assert!(after.next().await.is_none(), "the watch ends");
    let error = loop {
        let event = initial.next().await.expect("the watch says why it ends");
        if event["type"] != "ADDED" {
            break event;
        }
    };
    assert_eq!((&error["type"], &error["object"]["reason"]), (&json!("ERROR"), &json!("Expired")), "{error}");
    assert!(initial.next().await.is_none(), "the watch ends");
}

#[tokio::test]
async fn the_changes_of_one_transaction_are_told_one_by_one_and_all() {
    let fixture = Fixture::new().await;
    let key = |n: usize| store::object_key("", "configmaps", Some("default"), &format!("t{n}"));
    let object = |n: usize| config_map(&format!("t{n}"), 10).to_string();
    let puts = (0..5).map(|n| store::Op::Put(key(n), object(n).into())).collect();
    let version = fixture.durable.revision();
    let mut watch = Lines::open(&fixture, &format!("{CONFIG_MAPS}?watch=true&resourceVersion={version}")).await;
    fixture.durable.txn(vec![Compare::Absent(key(0))], puts).await.unwrap();
    for n in 0..5 {
        watch.expect("ADDED", &format!("t{n}")).await;
    }
}

#[tokio::test]
async fn json_patches_beyond_the_limits_are_answered_as_by_kubernetes() {
    let fixture = Fixture::new().await;
    fixture.create(CONFIG_MAPS, &config_map("c", 1000)).await;
    let path = format!("{CONFIG_MAPS}/c");
    let many: Vec<_> = (0..10_001).map(|n| json!({ "op": "add", "path": "/data/b", "value": n.to_string() })).collect();
    let (code, status) = fixture.patch(&path, JSON_PATCH, &json!(many)).await;
    assert_eq!((code.as_u16(), &status["reason"]), (413, &json!("RequestEntityTooLarge")), "{status}");
    let doubling: Vec<_> = (0..40).map(|n| json!({ "op": "copy", "from": "", "path": format!("/b{n}") })).collect();
    let (code, status) = fixture.patch(&path, JSON_PATCH, &json!(doubling)).await;
    assert_eq!(code.as_u16(), 422, "{status}");
    assert!(status["message"].as_str().unwrap().contains("accumulated size increase of copy"), "{status}");
    let nested: Vec<_> =
        (0..200).map(|n| json!({ "op": "add", "path": format!("/data{}", "/a".repeat(n)), "value": {} })).collect();
    let (code, status) = fixture.patch(&path, JSON_PATCH, &json!(nested)).await;
    assert_eq!(code.as_u16(), 422, "{status}");
    assert_eq!(fixture.get(&path).await.0, StatusCode::OK);
}

#[tokio::test]
async fn json_nested_deeper_than_can_be_read_is_refused_wherever_it_stands() {
    let fixture = Fixture::new().await;
    fixture.create(CONFIG_MAPS, &config_map("c", 10)).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let object = format!("{{\"metadata\":{{\"name\":\"d\"}},\"data\":{{\"a\":{deep}}}}}");
    for kind in ["application/json", "application/yaml"] {
        let (code, _) = fixture.call("POST", CONFIG_MAPS, &[("content-type", kind)], &object).await;
        assert_eq!(code, StatusCode::BAD_REQUEST, "{kind}");
    }
    let add = format!("[{{\"op\":\"add\",\"path\":\"/data/a\",\"value\":{deep}}}]");
    for (kind, body) in
        [(JSON_PATCH, &add), ("merge-patch+json", &object), (STRATEGIC, &object), ("apply-patch+yaml", &object)]
    {
        let headers = [("content-type", &*format!("application/{kind}"))];
        let (code, _) = fixture.call("PATCH", &format!("{CONFIG_MAPS}/c?fieldManager=a"), &headers, body).await;
        assert_eq!(code, StatusCode::BAD_REQUEST, "{kind}");
    }
}

#[tokio::test]
async fn many_mistakes_in_one_body_are_told_in_few_words() {
    let fixture = Fixture::new().await;
    let unknown: serde_json::Map<_, _> = (0..60_000).map(|n| (format!("zz{n}"), json!(n))).collect();
    let mut object = deployment("cart");
    object["spec"]["template"]["spec"].as_object_mut().unwrap().extend(unknown);
    for mode in ["Warn", "Ignore", "Strict"] {
        let path = format!("{DEPLOYMENTS}?fieldValidation={mode}");
        let (code, status) = fixture.call("POST", &path, &[], &object.to_string()).await;
        assert_eq!(code, StatusCode::BAD_REQUEST, "{mode}");
        assert!(status.to_string().len() < 64 << 10, "{mode}: {} bytes", status.to_string().len());
    }
    let mut object = deployment("cart");
    let few: serde_json::Map<_, _> = (0..200).map(|n| (format!("zz{n}"), json!(n))).collect();
    object["spec"]["template"]["spec"].as_object_mut().unwrap().extend(few);
    let response = fixture.response("POST", DEPLOYMENTS, &[], &object.to_string()).await;
    let warnings: usize = response.headers().get_all(header::WARNING).iter().map(http::HeaderValue::len).sum();
    assert!(response.status() == StatusCode::CREATED && (1..8000).contains(&warnings), "{warnings} bytes of warnings");
    let twice = format!("{{\"data\":{{{}\"a\":\"1\"}}}}", "\"a\":\"1\",".repeat(100_000));
    let (code, _) = fixture
        .call("PATCH", &format!("{DEPLOYMENTS}/cart"), &[("content-type", "application/merge-patch+json")], &twice)
        .await;
    assert!(code.is_success() || code.is_client_error(), "{code}");
    let owners: Vec<_> = (0..10_000)
        .map(|n| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": n.to_string() }))
        .collect();
    fixture.create(CONFIG_MAPS, &config_map("c", 900_000)).await;
    let owned = json!({ "metadata": { "name": "owned", "ownerReferences": owners } });
    let (code, status) = fixture.call("POST", CONFIG_MAPS, &[], &owned.to_string()).await;
    assert_eq!(code, StatusCode::CREATED, "{status}");
}

#[tokio::test]
async fn lists_of_more_elements_than_can_be_looked_at_are_refused_as_they_are_written_and_as_patches_make_them() {
    let fixture = Fixture::new().await;
    let lists = |count: usize| {
        let containers = vec![json!({}); count];
        json!({ "metadata": { "name": "l" }, "spec": { "template": { "spec": { "containers": containers } } } })
    };
    let (code, status) = fixture.post(DEPLOYMENTS, &lists(300_000)).await;
    assert_eq!(code, StatusCode::PAYLOAD_TOO_LARGE, "{status}");
    let why = "lists of the Deployment have 300000 elements in all: at most 10000 are allowed";
    assert_eq!(status["message"], why, "{status}");
    let (code, status) = fixture.post(DEPLOYMENTS, &lists(9_000)).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{status}");

    fixture.create(CONFIG_MAPS, &config_map("c", 10)).await;
    let names: Vec<_> = (0..10_001).map(|n| format!("a.example/{n}")).collect();
    let patch = json!({ "metadata": { "finalizers": names } });
    let (code, status) = fixture.patch(&format!("{CONFIG_MAPS}/c"), "merge-patch+json", &patch).await;
    assert_eq!(code, StatusCode::PAYLOAD_TOO_LARGE, "{status}");
}
