use kube_api::kind::{DEPLOYMENT, EVENT, HORIZONTAL_POD_AUTOSCALER};
use serde_json::{Value, json};

use super::cluster::{Cluster, eventually};
use crate::testing::{deployment, pod_template};

fn autoscaler(name: &str, min: u32, max: u32) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "generation": 1 },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "two" },
            "minReplicas": min, "maxReplicas": max,
            "metrics": [{ "type": "Pods", "pods": { "metric": { "name": "http_concurrency" },
                "target": { "type": "AverageValue", "averageValue": "10" } } }],
        },
    })
}

/// Waits until a condition of an autoscaler is so; answers its message.
async fn says(cluster: &Cluster, name: &str, kind: &str, status: &str, reason: &str) -> String {
    eventually(&format!("{name} says {kind}={status} {reason}"), async || {
        let object = cluster.get(HORIZONTAL_POD_AUTOSCALER, name).await?;
        let conditions = object["status"]["conditions"].as_array()?.clone();
        let one = conditions.into_iter().find(|one| one["type"] == kind)?;
        let fits = one["status"] == status && (reason.is_empty() || one["reason"] == reason);
        fits.then(|| one["message"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

/// Waits for a warning about an object; answers what it says.
async fn warned(cluster: &Cluster, about: &str, reason: &str) -> String {
    eventually(&format!("{about} is warned of {reason}"), async || {
        let events = cluster.all(&cluster.live, EVENT).await;
        let mut fits = events.into_iter().filter(|event| {
            event["involvedObject"]["name"] == about && event["reason"] == reason && event["type"] == "Warning"
        });
        fits.next().map(|event| event["message"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

#[tokio::test]
async fn of_two_autoscalers_for_one_deployment_none_decides_and_each_names_the_other() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let _gateway = cluster.gateway();
    cluster.put(DEPLOYMENT, &deployment("two", 1, 1, pod_template("two"))).await;
    cluster.put(HORIZONTAL_POD_AUTOSCALER, &autoscaler("low", 1, 2)).await;
    says(&cluster, "low", "AbleToScale", "True", "").await;
    cluster.put(HORIZONTAL_POD_AUTOSCALER, &autoscaler("high", 3, 5)).await;
    for (name, other) in [("low", "horizontalpodautoscaler/high"), ("high", "horizontalpodautoscaler/low")] {
        let message = says(&cluster, name, "ScalingActive", "False", "AmbiguousSelector").await;
        assert!(message.contains(other), "{message}");
        assert!(warned(&cluster, name, "AmbiguousSelector").await.contains(other));
    }
    let stored = cluster.get(DEPLOYMENT, "two").await.unwrap();
    assert_eq!(stored["spec"]["replicas"], 1, "nobody scales it");
    cluster.delete(HORIZONTAL_POD_AUTOSCALER, "low").await;
    eventually("the one that is left scales it", async || {
        (cluster.get(DEPLOYMENT, "two").await?["spec"]["replicas"] == 3).then_some(())
    })
    .await;
    eventually("the one that is left says so", async || {
        let object = cluster.get(HORIZONTAL_POD_AUTOSCALER, "high").await?;
        let conditions = object["status"]["conditions"].as_array()?.clone();
        conditions.iter().all(|one| one["reason"] != "AmbiguousSelector").then_some(())
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn an_autoscaler_beside_the_annotation_is_ambiguous_for_both() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut annotated = deployment("two", 1, 1, pod_template("two"));
    annotated["metadata"]["annotations"] = json!({ "sampan.dev/scale": "1..4" });
    cluster.put(DEPLOYMENT, &annotated).await;
    cluster.put(HORIZONTAL_POD_AUTOSCALER, &autoscaler("high", 3, 5)).await;
    let message = says(&cluster, "high", "ScalingActive", "False", "AmbiguousSelector").await;
    assert!(message.contains("sampan.dev/scale"), "{message}");
    assert!(warned(&cluster, "two", "AmbiguousSelector").await.contains("horizontalpodautoscaler/high"));
    cluster.stop().await;
}

#[tokio::test]
async fn an_autoscaler_without_its_deployment_says_so_until_it_comes() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let _gateway = cluster.gateway();
    cluster.put(HORIZONTAL_POD_AUTOSCALER, &autoscaler("low", 2, 3)).await;
    let message = says(&cluster, "low", "AbleToScale", "False", "FailedGetScale").await;
    assert!(message.contains("deployments.apps \"two\" not found"), "{message}");
    warned(&cluster, "low", "FailedGetScale").await;
    cluster.put(DEPLOYMENT, &deployment("two", 1, 1, pod_template("two"))).await;
    says(&cluster, "low", "AbleToScale", "True", "").await;
    cluster.delete(DEPLOYMENT, "two").await;
    says(&cluster, "low", "AbleToScale", "False", "FailedGetScale").await;
    cluster.stop().await;
}
