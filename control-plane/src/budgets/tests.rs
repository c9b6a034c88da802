use std::sync::Arc;

use api::Timestamp;
use serde_json::{Value, json};
use store::{MemoryStore, Store};
use tokio_util::sync::CancellationToken;

use super::{run, status};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

fn pod(name: &str, set: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({ "metadata": { "name": name, "namespace": "default", "labels": { "app": "a" },
            "ownerReferences": [ { "kind": "ReplicaSet", "name": set, "controller": true } ] },
        "status": { "conditions": [ { "type": "Ready", "status": status } ] } })
}

fn set(name: &str, deployment: Option<&str>, replicas: u64) -> Value {
    let owners: Vec<_> =
        deployment.into_iter().map(|name| json!({ "kind": "Deployment", "name": name, "controller": true })).collect();
    json!({ "metadata": { "name": name, "ownerReferences": owners }, "spec": { "replicas": replicas } })
}

fn deployment(name: &str, replicas: u64) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "replicas": replicas } })
}

fn budget(spec: Value) -> Value {
    let mut object = json!({ "metadata": { "name": "b", "namespace": "default", "generation": 3 },
        "spec": { "selector": { "matchLabels": { "app": "a" } } } });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

/// Four of a Deployment of five, three of which are ready, in the middle of a rollout, and one of a ReplicaSet by itself.
fn counted() -> status::Counted {
    status::Counted {
        pods: vec![
            pod("1", "a-1", true),
            pod("2", "a-1", true),
            pod("3", "a-2", true),
            pod("4", "a-2", false),
            pod("5", "own", true),
        ],
        replica_sets: vec![set("a-1", Some("a"), 2), set("a-2", Some("a"), 3), set("own", None, 1)],
        deployments: vec![deployment("a", 5)],
    }
}

#[test]
fn a_budget_says_what_could_be_spared_as_kubernetes_counts_it() {
    let cases = [
        (json!({ "minAvailable": 1 }), (5, 1, 3)),
        (json!({ "minAvailable": 9 }), (5, 9, 0)),
        (json!({ "minAvailable": "50%" }), (6, 3, 1)),
        (json!({ "maxUnavailable": 1 }), (6, 5, 0)),
        (json!({ "maxUnavailable": "50%" }), (6, 3, 1)),
        (json!({ "maxUnavailable": 3 }), (6, 3, 1)),
        (json!({ "maxUnavailable": 100 }), (6, 0, 4)),
        (json!({ "minAvailable": 0, "selector": { "matchLabels": { "app": "b" } } }), (0, 0, 0)),
        (json!({ "minAvailable": 1, "selector": null }), (0, 1, 0)),
        (json!({ "minAvailable": 1, "selector": {} }), (5, 1, 3)),
    ];
    for (spec, (expected, desired, allowed)) in cases {
        let status = status::of(&budget(spec.clone()), &counted(), "2026-01-01T00:00:00Z");
        let said = (&status["expectedPods"], &status["desiredHealthy"], &status["disruptionsAllowed"]);
        assert_eq!(said, (&json!(expected), &json!(desired), &json!(allowed)), "{spec}");
        assert_eq!(status["observedGeneration"], 3);
        let condition = &status["conditions"][0];
        assert_eq!(condition["status"], if allowed > 0 { "True" } else { "False" }, "{spec}");
    }
}

#[test]
fn a_condition_that_is_what_it_was_keeps_its_time() {
    let mut budget = budget(json!({ "minAvailable": 1 }));
    budget["status"] = status::of(&budget, &counted(), "2026-01-01T00:00:00Z");
    assert_eq!(status::of(&budget, &counted(), "2026-01-02T00:00:00Z"), budget["status"]);
    let none = status::of(&budget, &status::Counted::default(), "2026-01-02T00:00:00Z");
    assert_eq!(none["conditions"][0]["lastTransitionTime"], "2026-01-02T00:00:00Z");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_budget_follows_its_pods() {
    let new = || MemoryStore::new(Timestamp::from_secs(1));
    let (durable, live, stop) = (new(), new(), CancellationToken::new());
    let counting = tokio::spawn(run(Arc::new(durable.clone()), Arc::new(live.clone()), stop.clone()));
    const KEY: &str = "policy/poddisruptionbudgets/default/b";
    durable.put(KEY.to_owned(), budget(json!({ "minAvailable": 1 })).to_string().into());
    let healthy = async |count: u64| {
        let look = async {
            loop {
                let held = durable.get(KEY).await.unwrap().unwrap();
                let object: Value = serde_json::from_slice(&held.value).unwrap();
                if object["status"]["currentHealthy"] == count {
                    return object["status"]["disruptionsAllowed"].clone();
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("it is counted")
    };
    assert_eq!(healthy(0).await, 0);
    for name in ["1", "2"] {
        live.put(format!("core/pods/default/{name}"), pod(name, "a-1", true).to_string().into());
    }
    assert_eq!(healthy(2).await, 1);
    live.delete("core/pods/default/1".to_owned());
    assert_eq!(healthy(1).await, 0);
    stop.cancel();
    counting.await.unwrap().unwrap();
}
