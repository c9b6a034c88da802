use std::time::Duration;

use api::{
    ObjectKey, Timestamp, WorkerMarks, WorkerName,
    replica::{Failure, FailureReason},
    session::Capacity,
};
use kube_api::{
    kind::{DEPLOYMENT, EVENT},
    template::NO_ADDRESS,
};
use scheduler::{EventKind, ReplicaState, ReplicaView, Resources, WorkerView};
use serde_json::{Value, json};
use store::Store;

use super::*;
use crate::testing::{CREATED, digest, view};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_100);

fn pod_of(view: &ReplicaView) -> Value {
    let owner = Owner { name: &view.revision.name, uid: "uid-of-revision" };
    pod::pod(view, &owner, None, NOW)
}

fn ready(pod: &Value) -> &str {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == "Ready").unwrap()["status"].as_str().unwrap()
}

fn failed(reason: FailureReason, restarts: u32) -> ReplicaView {
    let mut view = view(ReplicaState::BackOff { until: NOW + Duration::from_secs(10) });
    view.restarts = restarts;
    view.last_failure = Some((Failure { reason, message: "what happened".to_owned() }, NOW));
    view
}

#[test]
fn a_ready_replica_is_a_running_pod_with_its_owner_labels_and_pinned_image() {
    let view = view(ReplicaState::Ready);
    let pod = pod_of(&view);
    assert_eq!(pod["metadata"]["labels"], json!({ "app": "hello", "pod-template-hash": view.template.hash }));
    assert_eq!(
        pod["metadata"]["ownerReferences"],
        json!([{
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": &*view.revision.name,
            "uid": "uid-of-revision",
            "controller": true,
            "blockOwnerDeletion": true,
        }])
    );
    assert_eq!(pod["spec"]["nodeName"], "worker-0");
    assert_eq!(
        pod["status"]["containerStatuses"],
        json!([{
            "name": "main",
            "image": "registry.example/shop/hello:v1",
            "imageID": format!("registry.example/shop/hello@{}", digest()),
            "containerID": format!("wasmtime://{}", digest().hex()),
            "ready": true,
            "started": true,
            "restartCount": 0,
            "state": { "running": { "startedAt": "2023-11-14T22:13:21Z" } },
            "lastState": {},
        }])
    );
    assert_eq!((pod["status"]["phase"].as_str(), ready(&pod)), (Some("Running"), "True"));
    assert_eq!((&pod["status"]["podIP"], &pod["status"]["podIPs"][0]["ip"]), (&json!(NO_ADDRESS), &json!(NO_ADDRESS)));
    assert_eq!(pod["status"]["conditions"].as_array().unwrap().len(), 4);
}

#[test]
fn a_pod_keeps_its_uid_and_two_have_different_ones() {
    let one = view(ReplicaState::Ready);
    let mut other = view(ReplicaState::Ready);
    other.id = api::ReplicaId(ObjectKey::new("default", "hello-other"));
    assert_eq!(pod_of(&one)["metadata"]["uid"], pod_of(&view(ReplicaState::Starting))["metadata"]["uid"]);
    assert_ne!(pod_of(&one)["metadata"]["uid"], pod_of(&other)["metadata"]["uid"]);
}

#[test]
fn a_replica_without_a_worker_is_pending_and_says_why() {
    let mut view = view(ReplicaState::Unplaced("0/1 workers have enough memory".to_owned()));
    view.worker = None;
    let pod = pod_of(&view);
    assert_eq!(pod["status"]["phase"], "Pending");
    let scheduled = &pod["status"]["conditions"][0];
    assert_eq!((&scheduled["status"], &scheduled["reason"]), (&json!("False"), &json!("Unschedulable")));
    assert_eq!(scheduled["message"], "0/1 workers have enough memory");
    assert_eq!(pod["status"]["containerStatuses"], Value::Null);
}

#[test]
fn a_replica_that_waits_for_its_image_is_not_taken_for_one_that_no_worker_has_room_for() {
    let mut view = view(ReplicaState::Unplaced("waiting for its image".to_owned()));
    (view.worker, view.digest) = (None, None);
    let pod = pod_of(&view);
    let scheduled = &pod["status"]["conditions"][0];
    assert_eq!((&scheduled["type"], &scheduled["status"]), (&json!("PodScheduled"), &json!("False")));
    assert_eq!((&scheduled["reason"], &scheduled["message"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_guest_that_fails_again_and_again_is_in_a_crash_loop_with_its_last_end() {
    let pod = pod_of(&failed(FailureReason::Error, 3));
    let container = &pod["status"]["containerStatuses"][0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    let message = container["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.starts_with("back-off 10s restarting failed container"), "{message}");
    assert_eq!(container["lastState"]["terminated"]["reason"], "Error");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!(container["restartCount"], 3);
    assert_eq!((pod["status"]["phase"].as_str(), ready(&pod)), (Some("Running"), "False"));
    let killed = pod_of(&failed(FailureReason::OomKilled, 1));
    let last = &killed["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("OOMKilled"), &json!(137)));
}

#[test]
fn a_guest_that_never_ran_says_why_it_waits() {
    for reason in [FailureReason::ErrImagePull, FailureReason::InvalidImage, FailureReason::CreateContainerConfigError]
    {
        let pod = pod_of(&failed(reason, 0));
        let container = &pod["status"]["containerStatuses"][0];
        assert_eq!(container["state"], json!({ "waiting": { "reason": reason.as_str(), "message": "what happened" } }));
        assert_eq!((&container["lastState"], &pod["status"]["phase"]), (&json!({}), &json!("Pending")));
    }
}

#[test]
fn a_pod_that_stops_is_shown_as_terminating_since_it_was_told() {
    let view = view(ReplicaState::Stopping);
    let owner = Owner { name: &view.revision.name, uid: "u" };
    let first = pod::pod(&view, &owner, None, NOW);
    assert_eq!(first["metadata"]["deletionTimestamp"], "2023-11-14T22:15:30Z");
    assert_eq!(first["metadata"]["deletionGracePeriodSeconds"], 30);
    let later = pod::pod(&view, &owner, Some(&first), NOW + Duration::from_secs(5));
    assert_eq!(later["metadata"]["deletionTimestamp"], first["metadata"]["deletionTimestamp"]);
    assert_eq!(ready(&later), "False");
}

#[test]
fn a_pod_whose_worker_is_silent_is_unknown() {
    let pod = pod_of(&view(ReplicaState::Unknown));
    assert_eq!((pod["status"]["phase"].as_str(), ready(&pod)), (Some("Unknown"), "Unknown"));
}

fn worker(ready: bool, cordoned: bool) -> WorkerView {
    WorkerView {
        name: WorkerName("worker-0".into()),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        capacity: Capacity { cpu_millis: 2000, memory_bytes: 1 << 30, replicas: 100 },
        reserved: Resources::default(),
        replicas: 0,
        ready,
        cordoned,
        unreached: None,
        leaving: false,
        taints: Vec::new(),
        marks: WorkerMarks::default(),
        since: CREATED,
    }
}

#[test]
fn a_worker_is_a_node_with_its_capacity_and_readiness() {
    let ready = node::node(&worker(true, false), None, NOW);
    assert_eq!(ready["status"]["capacity"], json!({ "cpu": "2000m", "memory": "1073741824", "pods": "100" }));
    assert_eq!(ready["status"]["conditions"][0]["status"], "True");
    assert_eq!(ready["spec"]["unschedulable"], Value::Null);
    let later = NOW + Duration::from_secs(60);
    let silent = node::node(&worker(false, true), Some(&ready), later);
    assert_eq!(silent["status"]["conditions"][0]["status"], "Unknown");
    assert_ne!(
        silent["status"]["conditions"][0]["lastTransitionTime"],
        ready["status"]["conditions"][0]["lastTransitionTime"]
    );
    assert_eq!(silent["spec"]["unschedulable"], true);
    assert_eq!(node::node(&worker(true, false), Some(&ready), later), ready, "nothing has changed for a watcher");
}

async fn events(store: &MemoryStore) -> Vec<Value> {
    let page = store.list(&EVENT.prefix(), usize::MAX, None).await.unwrap();
    page.items.iter().map(|item| serde_json::from_slice(&item.value).unwrap()).collect()
}

#[tokio::test]
async fn an_event_that_happens_again_is_counted_and_kept_for_an_hour() {
    let store = MemoryStore::new(NOW);
    let mut projection = Projection::new(store.clone());
    let about = About { kind: DEPLOYMENT, key: ObjectKey::new("default", "hello"), uid: "u".to_owned() };
    let mut report = |message: &str, at| {
        let report = Report { about: &about, kind: EventKind::Normal, reason: "ScalingReplicaSet", message };
        projection.events.report(&report, at);
    };
    report("scaled up", NOW);
    report("scaled up", NOW + Duration::from_secs(60));
    report("scaled down", NOW + Duration::from_secs(60));
    let seen = events(&store).await;
    assert_eq!(seen.len(), 2);
    let again = seen.iter().find(|event| event["message"] == "scaled up").unwrap();
    assert_eq!(again["count"], 2);
    assert_ne!(again["firstTimestamp"], again["lastTimestamp"]);
    assert_eq!(again["involvedObject"]["uid"], "u");
    projection.events.expire(NOW + Duration::from_secs(3660));
    assert!(events(&store).await.is_empty());
}

#[tokio::test]
async fn nothing_is_written_when_nothing_has_changed() {
    let store = MemoryStore::new(NOW);
    let projection = Projection::new(store.clone());
    let view = view(ReplicaState::Ready);
    let owner = Owner { name: &view.revision.name, uid: "u" };
    projection.publish_replica(&view, &owner, NOW);
    let revision = store.revision();
    projection.publish_replica(&view, &owner, NOW + Duration::from_secs(1));
    assert_eq!(store.revision(), revision);
    projection.remove_replica(&view.id);
    assert!(store.peek(&POD.key(&view.id.0)).is_none());
}

#[tokio::test]
async fn what_users_wrote_is_kept_for_an_hour_and_no_more_of_it_than_of_our_own() {
    let store = MemoryStore::new(NOW);
    let mut projection = Projection::new(store.clone());
    let about = About { kind: DEPLOYMENT, key: ObjectKey::new("default", "hello"), uid: "u".to_owned() };
    let report = Report { about: &about, kind: EventKind::Normal, reason: "Ours", message: "m" };
    projection.events.report(&report, NOW);
    let write = |name: &str| store.put(EVENT.key(&ObjectKey::new("default", name)), json!({}).to_string().into());
    write("a");
    write("b");
    projection.events.expire_written(NOW);
    let later = NOW + Duration::from_secs(1800);
    write("b");
    projection.events.expire_written(later);
    assert_eq!(events(&store).await.len(), 3);
    projection.events.expire_written(NOW + Duration::from_secs(3600));
    assert_eq!(events(&store).await.len(), 2, "what was written again is kept from then on, and ours is not touched");
    for index in 0..5000 {
        write(&format!("many-{index:04}"));
    }
    projection.events.expire_written(NOW + Duration::from_secs(3601));
    let left = store.peek_all(&EVENT.prefix(), usize::MAX).items;
    assert!(left.len() < 4100 && left.iter().any(|item| item.key.ends_with("many-4999")), "{}", left.len());
}

#[tokio::test]
async fn what_still_happens_in_a_namespace_that_is_gone_is_not_noted() {
    let store = MemoryStore::new(NOW);
    let mut projection = Projection::new(store.clone());
    let about = About { kind: DEPLOYMENT, key: ObjectKey::new("shop", "hello"), uid: "u".to_owned() };
    let report = Report { about: &about, kind: EventKind::Normal, reason: "R", message: "m" };
    projection.events.report(&report, NOW);
    projection.events.namespace_gone("shop", NOW);
    projection.events.report(&report, NOW);
    assert!(events(&store).await.is_empty());
    projection.events.namespace_stands("shop");
    projection.events.report(&report, NOW);
    assert_eq!(events(&store).await[0]["count"], 1);
}
