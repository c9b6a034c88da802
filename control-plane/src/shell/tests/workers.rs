use std::collections::BTreeSet;

use api::{
    Address, WorkerName,
    session::{WorkerHello, WorkerUp},
};
use kube_api::{
    conditions::condition,
    identity::now,
    kind::{DEPLOYMENT, EVENT, NODE},
};
use serde_json::{Value, json};
use store::MemoryStore;

use super::cluster::{Cluster, eventually, hello};
use crate::{
    shell::Expected,
    testing::{deployment, pod_template},
};

/// A control plane whose process has these workers of its own, and that lets others join, or nobody.
fn expecting(own: &[&str], others: bool, store: MemoryStore) -> Cluster {
    let own: BTreeSet<_> = own.iter().map(|name| WorkerName((*name).into())).collect();
    Cluster::expecting(Expected { own, others }, store)
}

async fn nodes(cluster: &Cluster) -> Vec<String> {
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap().to_owned();
    cluster.all(&cluster.live, NODE).await.iter().map(name).collect()
}

#[tokio::test]
async fn workers_of_an_earlier_process_are_gone_with_it_and_those_that_joined_are_waited_for() {
    let cluster = expecting(&["box-1", "box-2"], true, MemoryStore::new(now()));
    let _workers = ["box-1", "box-2", "far"].map(|name| cluster.worker(name, Vec::new()));
    eventually("all are there", async || (nodes(&cluster).await == ["box-1", "box-2", "far"]).then_some(())).await;
    let store = cluster.stop().await;

    let cluster = expecting(&["box-1"], true, store);
    eventually("one is left", async || (nodes(&cluster).await == ["box-1", "far"]).then_some(())).await;
    let store = cluster.stop().await;

    // Nobody joins this one: who had joined before is not shown, and not forgotten either.
    let cluster = expecting(&["box"], false, store);
    eventually("it is alone", async || (nodes(&cluster).await == ["box"]).then_some(())).await;
    let store = cluster.stop().await;

    let cluster = expecting(&[], true, store);
    eventually("it may come back", async || (nodes(&cluster).await == ["far"]).then_some(())).await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_worker_that_no_gateway_reaches_gets_no_replicas_and_says_what_is_to_be_done() {
    let cluster = Cluster::start();
    let worker = cluster.worker_session();
    let says = |address: Option<Address>| match hello("far", Vec::new()) {
        WorkerUp::Hello(hello) => WorkerUp::Hello(WorkerHello { address, ..hello }),
        other => other,
    };
    // As of a session over the network without an address.
    worker.tx.send(says(Some(Address::default()))).await.unwrap();
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    let node = eventually("its Node is there", async || cluster.all(&cluster.live, NODE).await.pop()).await;
    assert_eq!(
        node["spec"]["taints"],
        json!([{ "key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule" }])
    );
    let condition = condition(&node, "NetworkUnavailable").expect("a condition");
    assert_eq!(condition["status"], "True");
    assert!(condition["message"].as_str().unwrap().contains("--listen IP:PORT"), "{condition}");
    let event = eventually("an event says so", async || {
        let events = cluster.all(&cluster.live, EVENT).await;
        events.into_iter().find(|event| event["reason"] == "NetworkUnavailable")
    })
    .await;
    assert!(event["message"].as_str().unwrap().contains("--listen IP:PORT"), "{event}");
    cluster.stop().await;
}
