use api::{
    Timestamp, WorkerName,
    replica::{LogLine, LogSource, ReplicaPhase},
    session::{GatewayUp, ServiceSample, WorkerDown, WorkerUp},
};
use futures::StreamExt;
use kube_api::kind::{DEPLOYMENT, EVENT, NODE, POD, SERVICE};
use serde_json::json;

use super::cluster::{Cluster, DEADLINE, eventually, hello};
use crate::{
    logs::{Follow, LogItem, LogQuery},
    testing::{deployment, pod_template, service},
};

#[tokio::test]
async fn gateways_know_that_an_endpoint_is_gone_before_the_worker_is_told_to_stop_it() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker_session();
    worker.tx.send(hello("worker-0", Vec::new())).await.unwrap();
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    let told = tokio::time::timeout(DEADLINE, worker.rx.recv()).await.unwrap();
    let Some(WorkerDown::Start(spec)) = told else { panic!("it is started") };
    let phase = WorkerUp::Phase { id: spec.id.clone(), phase: ReplicaPhase::Ready };
    worker.tx.send(phase).await.unwrap();
    gateway.has("hello", 1).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 0, 2, pod_template("hello"))).await;
    let told = tokio::time::timeout(DEADLINE, worker.rx.recv()).await.unwrap();
    let Some(WorkerDown::Stop { id, .. }) = told else { panic!("it is stopped") };
    assert_eq!(id, spec.id);
    assert!(gateway.of("hello").0.is_empty(), "what the gateway has been told by now names it no more");
    cluster.stop().await;
}

#[tokio::test]
async fn a_gateway_that_comes_late_is_told_everything() {
    let cluster = Cluster::start();
    let _worker = cluster.worker("worker-0", Vec::new());
    let mut first = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 1, pod_template("hello"))).await;
    let known = first.has("hello", 2).await;
    let mut late = cluster.gateway();
    assert_eq!(late.has("hello", 2).await, known);
    assert_eq!(late.routes, first.routes);
    cluster.stop().await;
}

#[tokio::test]
async fn how_binding_a_port_went_is_shown_at_the_service() {
    let cluster = Cluster::start();
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "LoadBalancer")).await;
    eventually("the gateway knows it", async || {
        gateway.take();
        gateway.routes.keys().next().cloned()
    })
    .await;
    let listener =
        |outcome| GatewayUp::Listener { service: api::ObjectKey::new("default", "hello"), port: 80, outcome };
    gateway.side.tx.send(listener(Err("permission denied".to_owned()))).await.unwrap();
    let status = eventually("the condition says why not", async || {
        let status = cluster.get(SERVICE, "hello").await?["status"].clone();
        (status["conditions"][0]["status"] == "False").then_some(status)
    })
    .await;
    assert_eq!(status["conditions"][0]["message"], "port 80: permission denied");
    let events = cluster.all(&cluster.live, EVENT).await;
    assert!(events.iter().any(|event| event["reason"] == "PortNotBound" && event["type"] == "Warning"), "{events:?}");
    gateway.side.tx.send(listener(Ok("127.0.0.1:80".to_owned()))).await.unwrap();
    let status = eventually("the address is shown", async || {
        let status = cluster.get(SERVICE, "hello").await?["status"].clone();
        (status["conditions"][0]["status"] == "True").then_some(status)
    })
    .await;
    assert_eq!(status["loadBalancer"]["ingress"][0]["ip"], "127.0.0.1");
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    eventually("a service that wants no listener shows none", async || {
        let status = cluster.get(SERVICE, "hello").await?["status"].clone();
        (status["loadBalancer"]["ingress"].is_null() && status["conditions"].is_null()).then_some(())
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn what_a_replica_writes_becomes_its_log() {
    let cluster = Cluster::start();
    let worker = cluster.worker_session();
    let id = api::ReplicaId(api::ObjectKey::new("default", "hello-1"));
    let line = LogLine { at: Timestamp::from_secs(1), source: LogSource::Stdout, text: "ahoy".to_owned() };
    worker.tx.send(hello("worker-0", Vec::new())).await.unwrap();
    worker.tx.send(WorkerUp::Log { id: id.clone(), lines: vec![line.clone()] }).await.unwrap();
    let query = LogQuery { tail: None, since: None, follow: Follow::No };
    let mut stream = eventually("the log is there", async || cluster.logs.open(&id, query)).await;
    assert_eq!(stream.next().await, Some(LogItem::Line(line)));
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_that_is_deleted_is_replaced_and_a_cordoned_node_takes_none() {
    let cluster = Cluster::start();
    let worker = cluster.worker("worker-0", Vec::new());
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    let first = gateway.has("hello", 1).await.pop_first().unwrap();
    cluster.commands.delete_replica(first.clone()).unwrap();
    eventually("another takes its place", async || {
        let (endpoints, _) = gateway.of("hello");
        (endpoints.len() == 1 && !endpoints.contains(&first)).then_some(())
    })
    .await;
    assert_eq!(worker.heard.lock().stopped, [first]);
    cluster.commands.cordon(WorkerName("worker-0".into()), true).unwrap();
    eventually("the node shows it", async || {
        let node = cluster.all(&cluster.live, NODE).await.pop()?;
        (node["spec"]
            == json!({
                "unschedulable": true,
                "taints": [{ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" }],
            }))
        .then_some(())
    })
    .await;
    cluster.put(DEPLOYMENT, &deployment("hello", 2, 2, pod_template("hello"))).await;
    eventually("a pod waits for a worker", async || {
        let pods = cluster.all(&cluster.live, POD).await;
        pods.iter().any(|pod| pod["status"]["conditions"][0]["reason"] == "Unschedulable").then_some(())
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn samples_are_kept_as_the_last_measurements() {
    let cluster = Cluster::start();
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &self::service("hello", "ClusterIP")).await;
    gateway.lacks("hello", "no deployment").await;
    let service = api::ObjectKey::new("default", "hello");
    assert_eq!(cluster.measurements.of(&service), None, "nothing measured is nothing known");
    let sample = ServiceSample {
        service: service.clone(),
        window: std::time::Duration::from_secs(1),
        arrivals: 7,
        completed: 7,
        failed: 0,
        in_flight: 0,
        queued: 0,
        latency_sum: std::time::Duration::from_millis(7),
        served: 7,
        service_sum: std::time::Duration::from_millis(7),
        presence: std::time::Duration::from_millis(7),
    };
    let other = api::ObjectKey::new("default", "unknown");
    let unknown = ServiceSample { service: other.clone(), ..sample.clone() };
    gateway.side.tx.send(GatewayUp::Samples(vec![unknown, sample.clone()])).await.unwrap();
    gateway.side.tx.send(GatewayUp::Wake { service: service.clone(), queued: 1, in_flight: 0 }).await.unwrap();
    let measured = eventually("the sample is kept", async || {
        cluster.measurements.of(&service).filter(|measured| measured.wakes == 1)
    })
    .await;
    assert_eq!(measured.last.unwrap().0, sample);
    assert_eq!(cluster.measurements.of(&other), None, "the gateway was not told of it");
    cluster.stop().await;
}
