use kube_api::kind::{CONFIG_MAP, DEPLOYMENT, POD, SECRET, SERVICE};
use serde_json::{Value, json};

use super::cluster::{Cluster, eventually};
use crate::testing::{deployment, pod_template, service};

/// A template that wants an entry of a ConfigMap.
fn with_environment(environment: Value) -> Value {
    let mut template = pod_template("hello");
    template["spec"]["containers"][0]["env"] = environment;
    template
}

#[tokio::test]
async fn a_replica_is_given_its_environment_from_everywhere_it_comes_from() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    let config = json!({ "metadata": { "name": "shop", "namespace": "default" }, "data": { "currency": "EUR" } });
    cluster.put(CONFIG_MAP, &config).await;
    let secret = json!({ "metadata": { "name": "keys", "namespace": "default" }, "data": { "token": "czNjcjN0" } });
    cluster.put(SECRET, &secret).await;
    let template = with_environment(json!([
        { "name": "PLAIN", "value": "x" },
        { "name": "CURRENCY", "valueFrom": { "configMapKeyRef": { "name": "shop", "key": "currency" } } },
        { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "keys", "key": "token" } } },
        { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
        { "name": "NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
        { "name": "BOTH", "value": "$(CURRENCY)-$(PLAIN)" },
    ]));
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, template)).await;
    let spec = eventually("it is started", async || worker.heard.lock().started.first().cloned()).await;
    let shown: Vec<_> = spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown, ["BOTH=EUR-x", "CURRENCY=EUR", "NAMESPACE=default", "NODE=worker-0", "PLAIN=x", "TOKEN=s3cr3t"]);
    cluster.stop().await;
}

#[tokio::test]
async fn a_replica_that_lacks_a_configmap_says_which_and_is_not_started() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    let reference = json!({ "configMapKeyRef": { "name": "shop", "key": "currency" } });
    let template = with_environment(json!([{ "name": "CURRENCY", "valueFrom": reference }]));
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, template)).await;
    let waiting = eventually("the pod says what it waits for", async || {
        let pod = cluster.all(&cluster.live, POD).await.pop()?;
        let waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
        (waiting["reason"] == "CreateContainerConfigError").then_some(waiting)
    })
    .await;
    assert!(waiting["message"].as_str().unwrap().contains("configmap \"shop\" not found"), "{waiting}");
    gateway.lacks("hello", "configmap \"shop\" not found").await;
    assert!(worker.heard.lock().started.is_empty());
    let config = json!({ "metadata": { "name": "shop", "namespace": "default" }, "data": { "currency": "EUR" } });
    cluster.put(CONFIG_MAP, &config).await;
    gateway.has("hello", 1).await;
    let pod = cluster.all(&cluster.live, POD).await.remove(0);
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
    cluster.stop().await;
}

#[tokio::test]
async fn an_image_that_is_not_found_is_said_where_users_look() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    let mut template = pod_template("hello");
    template["spec"]["containers"][0]["image"] = "registry.example/shop/missing:v1".into();
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, template)).await;
    gateway.lacks("hello", "registry.example/shop/missing:v1 not found").await;
    cluster.stop().await;
}

#[tokio::test]
async fn after_a_restart_what_runs_goes_on_and_nothing_is_started_or_stopped() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 1, pod_template("hello"))).await;
    let before = gateway.has("hello", 2).await;
    let running = worker.running();
    let store = cluster.stop().await;

    let cluster = Cluster::over(store);
    let mut gateway = cluster.gateway();
    let worker = cluster.worker("worker-0", running);
    assert_eq!(gateway.has("hello", 2).await, before);
    let pods = cluster.all(&cluster.live, POD).await;
    assert_eq!(pods.len(), 2);
    // Another Deployment shows that the scheduler decides, so that what it has not done it does not mean to do.
    cluster.put(SERVICE, &service("other", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("other", 1, 1, pod_template("other"))).await;
    gateway.has("other", 1).await;
    let (started, stopped) = {
        let heard = worker.heard.lock();
        (heard.started.len(), heard.stopped.clone())
    };
    assert_eq!((started, stopped), (1, Vec::new()));
    cluster.stop().await;
}
