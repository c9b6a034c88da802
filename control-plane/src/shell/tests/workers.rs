use std::collections::BTreeSet;

use api::WorkerName;
use serde_json::Value;

use super::cluster::{Cluster, eventually};
use crate::{identity::now, kind::NODE, shell::Expected, store::MemoryStore};

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
