use api::ObjectKey;
use kube_api::{
    finalizers::{FOREGROUND, ORPHAN, mark_deleted},
    kind::{DEPLOYMENT, ENDPOINT_SLICE, ENDPOINTS, EVENT, INGRESS, NODE, POD, REPLICA_SET, SERVICE},
};
use serde_json::json;
use store::{Op, Store};

use super::cluster::{Cluster, eventually};
use crate::testing::{deployment, digest, pod_template, service};

#[tokio::test]
async fn a_deployment_becomes_running_pods_and_endpoints() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 1, pod_template("hello"))).await;
    let endpoints = gateway.has("hello", 2).await;
    assert_eq!(gateway.routes.len(), 1);
    assert_eq!(worker.heard.lock().started[0].digest, digest());

    let set = eventually("the revision is stored with its status", async || {
        let set = cluster.all(&cluster.store, REPLICA_SET).await.pop()?;
        (set["status"]["availableReplicas"] == 2).then_some(set)
    })
    .await;
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap().to_owned();
    assert_eq!(set["metadata"]["name"], format!("hello-{hash}"));
    assert_eq!(set["metadata"]["ownerReferences"][0]["uid"], "uid-of-hello");
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(set["metadata"]["annotations"]["sampan.dev/image-digest"], digest().as_str());
    assert_eq!(set["spec"]["selector"]["matchLabels"], json!({ "app": "hello", "pod-template-hash": hash }));
    assert_eq!(set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], hash);

    let pods = cluster.all(&cluster.live, POD).await;
    assert_eq!(pods.len(), endpoints.len());
    let shown = cluster.all(&cluster.live, ENDPOINTS).await.remove(0);
    let addresses = shown["subsets"][0]["addresses"].as_array().unwrap();
    assert_eq!((addresses.len(), &shown["metadata"]["name"]), (2, &json!("hello")));
    assert!(pods.iter().any(|pod| pod["metadata"]["name"] == addresses[0]["targetRef"]["name"]));
    for pod in pods {
        assert_eq!(pod["status"]["phase"], "Running");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], set["metadata"]["uid"]);
    }
    assert_eq!(cluster.all(&cluster.live, NODE).await[0]["metadata"]["name"], "worker-0");

    let stored = eventually("the deployment is available", async || {
        let stored = cluster.get(DEPLOYMENT, "hello").await?;
        (stored["status"]["availableReplicas"] == 2).then_some(stored)
    })
    .await;
    assert_eq!(stored["status"]["observedGeneration"], 1);
    assert_eq!(stored["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert!(!cluster.all(&cluster.live, EVENT).await.is_empty());
    cluster.stop().await;
}

#[tokio::test]
async fn scaling_adds_and_takes_replicas() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    let first = gateway.has("hello", 1).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 3, 2, pod_template("hello"))).await;
    assert!(gateway.has("hello", 3).await.is_superset(&first));
    cluster.put(DEPLOYMENT, &deployment("hello", 0, 3, pod_template("hello"))).await;
    gateway.lacks("hello", "scaled to 0").await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_new_template_replaces_the_replicas_and_the_old_revision_is_kept() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 1, pod_template("hello"))).await;
    let old = gateway.has("hello", 2).await;
    let mut template = pod_template("hello");
    template["spec"]["containers"][0]["image"] = "registry.example/shop/hello:v2".into();
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 2, template)).await;
    eventually("only new replicas are endpoints", async || {
        let (endpoints, _) = gateway.of("hello");
        (endpoints.len() == 2 && endpoints.is_disjoint(&old)).then_some(())
    })
    .await;
    eventually("both revisions are stored, the old one without replicas", async || {
        let mut sets = cluster.all(&cluster.store, REPLICA_SET).await;
        sets.sort_by_key(|set| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].to_string());
        let replicas: Vec<_> = sets.iter().map(|set| set["spec"]["replicas"].as_u64()).collect();
        (replicas == [Some(0), Some(2)]).then_some(())
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn what_a_deployment_owned_goes_with_it() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 1, pod_template("hello"))).await;
    gateway.has("hello", 2).await;
    cluster.delete(DEPLOYMENT, "hello").await;
    gateway.lacks("hello", "").await;
    eventually("its revisions and pods are gone", async || {
        let sets = cluster.all(&cluster.store, REPLICA_SET).await;
        let pods = cluster.all(&cluster.live, POD).await;
        (sets.is_empty() && pods.is_empty()).then_some(())
    })
    .await;
    gateway.lacks("hello", "no deployment has pods").await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_revision_whose_deployment_was_deleted_unseen_is_deleted_at_the_start() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    gateway.has("hello", 1).await;
    eventually("the revision is stored", async || cluster.all(&cluster.store, REPLICA_SET).await.pop()).await;
    let store = cluster.stop().await;
    store.delete(DEPLOYMENT.key(&api::ObjectKey::new("default", "hello")));
    let cluster = Cluster::over(store);
    eventually("it is gone", async || cluster.all(&cluster.store, REPLICA_SET).await.is_empty().then_some(())).await;
    cluster.stop().await;
}

#[tokio::test]
async fn an_orphaned_deployment_leaves_its_replicas_running_and_one_that_waits_stops_them() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    for name in ["left", "closed"] {
        cluster.put(DEPLOYMENT, &deployment(name, 1, 1, pod_template(name))).await;
    }
    let pods = async |name: &str| {
        let pods = cluster.all(&cluster.live, POD).await;
        pods.into_iter().filter(|pod| pod["metadata"]["labels"]["app"] == name).count()
    };
    eventually("both run and are written", async || {
        let sets = cluster.all(&cluster.store, REPLICA_SET).await;
        let ready = sets.iter().filter(|set| set["status"]["readyReplicas"] == 1).count();
        (ready == 2).then_some(())
    })
    .await;
    for (name, finalizer) in [("left", ORPHAN), ("closed", FOREGROUND)] {
        let mut object = cluster.get(DEPLOYMENT, name).await.unwrap();
        mark_deleted(&mut object, Some(finalizer), "2026-01-02T00:00:00Z");
        cluster.put(DEPLOYMENT, &object).await;
    }
    eventually("the one that waits has stopped its replicas", async || (pods("closed").await == 0).then_some(())).await;
    assert!(cluster.get(DEPLOYMENT, "closed").await.is_some(), "the collector alone takes it out");
    let of_left = |set: &serde_json::Value| set["metadata"]["labels"]["app"] == "left";
    let mut set = cluster.all(&cluster.store, REPLICA_SET).await.into_iter().find(of_left).unwrap();
    set["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    cluster.put(REPLICA_SET, &set).await;
    cluster.delete(DEPLOYMENT, "left").await;
    set["spec"]["replicas"] = json!(2);
    set["metadata"]["generation"] = json!(9);
    cluster.put(REPLICA_SET, &set).await;
    eventually("the ReplicaSet that is left is scaled by itself", async || (pods("left").await == 2).then_some(()))
        .await;
    let stopped = worker.heard.lock().stopped.iter().filter(|id| id.0.name.starts_with("left-")).count();
    assert_eq!(stopped, 0);
    cluster.stop().await;
}

#[tokio::test]
async fn what_others_write_into_a_replica_set_of_a_deployment_does_not_stay() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 1, pod_template("hello"))).await;
    let right = eventually("it runs and is written", async || {
        cluster.all(&cluster.store, REPLICA_SET).await.pop().filter(|set| set["status"]["readyReplicas"] == 2)
    })
    .await;
    let mut scaled = right.clone();
    scaled["spec"]["replicas"] = json!(1);
    let mut another = right.clone();
    another["spec"]["template"]["spec"]["containers"][0]["image"] = json!("another:v1");
    let mut released = right.clone();
    released["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    for wrong in [scaled, another, released] {
        cluster.put(REPLICA_SET, &wrong).await;
        eventually("it is as it was decided", async || {
            let set = cluster.all(&cluster.store, REPLICA_SET).await.pop()?;
            let same = set["spec"] == right["spec"]
                && set["metadata"]["ownerReferences"] == right["metadata"]["ownerReferences"];
            same.then_some(())
        })
        .await;
    }
    assert_eq!(worker.heard.lock().started.len(), 2);
    assert_eq!(worker.heard.lock().stopped.len(), 0);
    cluster.stop().await;
}

#[tokio::test]
async fn a_replica_set_that_is_deleted_without_its_pods_is_made_again_and_they_are_its_own() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 1, pod_template("hello"))).await;
    let sets = async || cluster.all(&cluster.store, REPLICA_SET).await;
    let ready = async |uid: &str| {
        let set = sets().await.pop()?;
        (set["status"]["readyReplicas"] == 2 && set["metadata"]["uid"] != uid).then_some(set)
    };
    let mut set = eventually("it runs and is written", async || ready("").await).await;
    let uid = set["metadata"]["uid"].as_str().unwrap().to_owned();
    mark_deleted(&mut set, Some(ORPHAN), "2026-01-02T00:00:00Z");
    cluster.put(REPLICA_SET, &set).await;
    let again = eventually("another one is written", async || ready(&uid).await).await;
    assert!(again["metadata"]["deletionTimestamp"].is_null() && again["metadata"]["finalizers"].is_null(), "{again}");
    eventually("the Pods name it as their owner", async || {
        let pods = cluster.all(&cluster.live, POD).await;
        let of_it = |pod: &serde_json::Value| pod["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"];
        (pods.len() == 2 && pods.iter().all(of_it)).then_some(())
    })
    .await;
    assert_eq!(worker.heard.lock().started.len(), 2);
    assert_eq!(worker.heard.lock().stopped.len(), 0);
    cluster.stop().await;
}

#[tokio::test]
async fn a_service_that_is_deleted_in_the_foreground_waits_for_no_endpoints_of_its_own() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    gateway.has("hello", 1).await;
    let slices = async || cluster.all(&cluster.live, ENDPOINT_SLICE).await;
    eventually("its endpoints are shown", async || slices().await.pop()).await;
    let mut object = cluster.get(SERVICE, "hello").await.unwrap();
    mark_deleted(&mut object, Some(FOREGROUND), "2026-01-02T00:00:00Z");
    cluster.put(SERVICE, &object).await;
    eventually("they are gone before it is", async || slices().await.is_empty().then_some(())).await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_deployment_that_waits_for_a_finalizer_of_a_user_goes_on_and_so_it_does_after_a_start() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    gateway.has("hello", 1).await;
    let mut object = cluster.get(DEPLOYMENT, "hello").await.unwrap();
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    mark_deleted(&mut object, None, "2026-01-02T00:00:00Z");
    cluster.put(DEPLOYMENT, &object).await;
    eventually("it is written", async || cluster.all(&cluster.store, REPLICA_SET).await.pop()).await;
    gateway.has("hello", 1).await;
    let running = worker.running();
    assert_eq!(running.len(), 1);
    let store = cluster.stop().await;
    let cluster = Cluster::over(store);
    let _worker = cluster.worker("worker-0", running);
    let mut gateway = cluster.gateway();
    gateway.has("hello", 1).await;
    cluster.delete(DEPLOYMENT, "hello").await;
    eventually("it is gone", async || cluster.all(&cluster.store, REPLICA_SET).await.is_empty().then_some(())).await;
    cluster.stop().await;
}

#[tokio::test]
async fn an_ingress_shows_where_the_gateway_beside_the_control_plane_takes_requests() {
    let cluster = Cluster::start();
    let ingress = json!({ "metadata": { "name": "shop", "namespace": "default", "uid": "uid-shop" },
        "spec": { "defaultBackend": { "service": { "name": "shop", "port": { "number": 80 } } } } });
    cluster.put(INGRESS, &ingress).await;
    let shown = eventually("its status is written", async || {
        let status = cluster.get(INGRESS, "shop").await?["status"]["loadBalancer"]["ingress"].take();
        status.is_array().then_some(status)
    });
    assert_eq!(shown.await, json!([{ "ip": "127.0.0.1", "ports": [{ "port": 8080, "protocol": "TCP" }] }]));
    cluster.stop().await;
}

#[tokio::test]
async fn an_ingress_may_not_take_a_host_of_another_namespace_and_gets_it_when_that_one_is_deleted() {
    let cluster = Cluster::start();
    let ingress = |namespace: &str, made: &str, hosts: &[&str]| {
        let path = json!({ "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "s", "port": { "number": 80 } } } });
        let rule = |host: &&str| json!({ "host": host, "http": { "paths": [ path ] } });
        json!({ "metadata": { "name": namespace, "namespace": namespace, "uid": format!("uid-{namespace}"), "creationTimestamp": made },
            "spec": { "rules": hosts.iter().map(rule).collect::<Vec<_>>() } })
    };
    let status = async |namespace: &str| {
        let key = INGRESS.key(&ObjectKey::new(namespace, namespace));
        let stored = cluster.store.get(&key).await.unwrap()?;
        let object: serde_json::Value = serde_json::from_slice(&stored.value).unwrap();
        Some(object["status"].clone())
    };
    cluster.put(INGRESS, &ingress("a-young", "2026-01-02T00:00:00Z", &["a.test"])).await;
    cluster.put(INGRESS, &ingress("b-old", "2026-01-01T00:00:00Z", &["a.test"])).await;
    let lost = eventually("the younger one is told", async || {
        let status = status("a-young").await?;
        (status["conditions"][0]["reason"] == "HostTaken").then_some(status)
    })
    .await;
    assert_eq!((&lost["loadBalancer"], &lost["conditions"][0]["status"]), (&json!({}), &json!("False")));
    let message = lost["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("`a.test`") && message.contains("b-old/b-old"), "{message}");
    let events = cluster.all(&cluster.live, EVENT).await;
    assert!(events.iter().any(|event| event["reason"] == "HostTaken" && event["involvedObject"]["name"] == "a-young"));
    let held = eventually("the older one has its address", async || {
        let status = status("b-old").await?;
        status["loadBalancer"]["ingress"].is_array().then_some(status)
    })
    .await;
    assert!(held["conditions"].is_null(), "{held}");

    // However many they are, a few are told.
    let many: Vec<String> = (0..5000).map(|host| format!("h{host}.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    cluster.put(INGRESS, &ingress("b-old", "2026-01-01T00:00:00Z", &[&["a.test"], &many[..]].concat())).await;
    cluster.put(INGRESS, &ingress("a-young", "2026-01-02T00:00:00Z", &[&["a.test"], &many[..]].concat())).await;
    eventually("the younger one is told how many it does not get", async || {
        let status = status("a-young").await?;
        let message = status["conditions"][0]["message"].as_str()?;
        (message.contains("4991 further hosts") && message.len() < 4096).then_some(())
    })
    .await;
    let events = cluster.all(&cluster.live, EVENT).await;
    assert!(events.iter().filter(|event| event["reason"] == "HostTaken").count() < 30);
    cluster.put(INGRESS, &ingress("b-old", "2026-01-01T00:00:00Z", &["a.test"])).await;

    cluster.put(INGRESS, &ingress("a-young", "2026-01-02T00:00:00Z", &["a.test", "own.test"])).await;
    eventually("what is its own is reached", async || {
        let status = status("a-young").await?;
        (status["loadBalancer"]["ingress"].is_array() && status["conditions"].is_array()).then_some(())
    })
    .await;
    let key = INGRESS.key(&ObjectKey::new("b-old", "b-old"));
    cluster.store.txn(Vec::new(), vec![Op::Delete(key)]).await.unwrap();
    eventually("it takes over", async || status("a-young").await?["conditions"].is_null().then_some(())).await;
    eventually("and is told", async || {
        let events = cluster.all(&cluster.live, EVENT).await;
        events.into_iter().find(|event| event["reason"] == "Granted" && event["type"] == "Normal")
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn an_ingress_whose_requests_another_one_takes_is_warned_and_the_other_one_named() {
    let cluster = Cluster::start();
    for name in ["shop", "another"] {
        let path = json!({ "path": "/", "pathType": "Prefix", "backend": { "service": { "name": name, "port": { "number": 80 } } } });
        let ingress = json!({ "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{name}") },
            "spec": { "rules": [ { "host": "a.b", "http": { "paths": [ path ] } } ] } });
        cluster.put(INGRESS, &ingress).await;
    }
    let warned = eventually("it is warned", async || {
        let events = cluster.all(&cluster.live, EVENT).await;
        events.into_iter().find(|event| event["reason"] == "PathTaken")
    })
    .await;
    assert_eq!((&warned["involvedObject"]["name"], &warned["type"]), (&json!("shop"), &json!("Warning")));
    assert!(warned["message"].as_str().unwrap().contains("Ingress default/another"), "{warned}");
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_noted_on_a_deployment_later_stands_on_its_newest_revision_too() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    let mut stored = eventually("the deployment is available", async || {
        let stored = cluster.get(DEPLOYMENT, "hello").await?;
        (stored["status"]["availableReplicas"] == 1).then_some(stored)
    })
    .await;
    stored["metadata"]["annotations"]["kubernetes.io/change-cause"] = "the first".into();
    cluster.put(DEPLOYMENT, &stored).await;
    eventually("the revision says why", async || {
        let set = cluster.all(&cluster.store, REPLICA_SET).await.pop()?;
        (set["metadata"]["annotations"]["kubernetes.io/change-cause"] == "the first").then_some(())
    })
    .await;
    cluster.stop().await;
}
