//! What workers say to run when the control plane begins a new life.

use std::sync::Arc;

use api::{
    Digest, WorkerName,
    replica::{ReplicaPhase, ReplicaSpec},
    session::{RunningReplica, WorkerDown, WorkerHello, WorkerSide, WorkerUp},
};
use kube_api::kind::{DEPLOYMENT, NODE, SERVICE};
use store::{MemoryStore, Store};

use super::cluster::{Cluster, DEADLINE, eventually, hello};
use crate::testing::{deployment, digest, pod_template, service};

fn mallory() -> WorkerName {
    WorkerName("mallory".into())
}

async fn told(worker: &mut WorkerSide) -> WorkerDown {
    tokio::time::timeout(DEADLINE, worker.rx.recv()).await.expect("in time").expect("the session goes on")
}

/// A session of `mallory`, who has the only replica of `hello`.
async fn placed(cluster: &Cluster) -> (WorkerSide, Arc<ReplicaSpec>) {
    let mut worker = cluster.worker_session();
    worker.tx.send(hello("mallory", Vec::new())).await.unwrap();
    let mut gateway = cluster.gateway();
    cluster.put(SERVICE, &service("hello", "ClusterIP")).await;
    cluster.put(DEPLOYMENT, &deployment("hello", 1, 1, pod_template("hello"))).await;
    let WorkerDown::Start(spec) = told(&mut worker).await else { panic!("it is started") };
    let phase = WorkerUp::Phase { id: spec.id.clone(), phase: ReplicaPhase::Ready };
    worker.tx.send(phase).await.unwrap();
    gateway.has("hello", 1).await;
    (worker, spec)
}

fn says_that_it_runs(spec: &ReplicaSpec) -> WorkerUp {
    hello("mallory", vec![RunningReplica { spec: spec.clone(), phase: ReplicaPhase::Ready }])
}

/// Over this store, `mallory` says that it still runs a replica that was moved to another worker meanwhile.
async fn comes_back_in_vain(store: MemoryStore, spec: &ReplicaSpec) -> MemoryStore {
    let cluster = Cluster::over(store);
    let mut worker = cluster.worker_session();
    worker.tx.send(says_that_it_runs(spec)).await.unwrap();
    match told(&mut worker).await {
        WorkerDown::Stop { id, .. } => assert_eq!(id, spec.id),
        other => panic!("{other:?}"),
    }
    assert!(!cluster.peers.is_used(&mallory()), "it has rights again");
    cluster.stop().await
}

#[tokio::test]
async fn what_was_moved_away_before_a_restart_is_not_placed_again_by_saying_that_it_runs() {
    let cluster = Cluster::start();
    let (mut worker, spec) = placed(&cluster).await;
    cluster.commands.cordon(mallory(), true).unwrap();
    let honest = cluster.worker("honest", Vec::new());
    eventually("there are two nodes", async || (cluster.all(&cluster.live, NODE).await.len() == 2).then_some(())).await;
    cluster.commands.delete_replica(spec.id.clone()).unwrap();
    while !matches!(told(&mut worker).await, WorkerDown::Stop { .. }) {}
    eventually("another worker has it", async || (!honest.running().is_empty()).then_some(())).await;
    let store = cluster.stop().await;
    // Also in a life after the next, and when all that is known of the worker has been forgotten.
    let store = comes_back_in_vain(store, &spec).await;
    let store = comes_back_in_vain(store, &spec).await;
    let key = crate::peers::placements_key(&mallory());
    store.txn(Vec::new(), vec![store::Op::Delete(key)]).await.unwrap();
    comes_back_in_vain(store, &spec).await;
}

#[tokio::test]
async fn what_was_placed_just_before_the_control_plane_was_killed_goes_on() {
    let cluster = Cluster::start();
    let (_worker, spec) = placed(&cluster).await;
    let store = cluster.kill().await;
    let cluster = Cluster::over(store);
    let mut gateway = cluster.gateway();
    let mut worker = cluster.worker_session();
    worker.tx.send(says_that_it_runs(&spec)).await.unwrap();
    assert_eq!(gateway.has("hello", 1).await, [spec.id.clone()].into());
    assert!(worker.rx.try_recv().is_err(), "it is told nothing");
    assert!(cluster.peers.is_used(&mallory()));
    cluster.stop().await;
}

#[tokio::test]
async fn what_a_worker_says_to_have_compiled_draws_nothing_there_that_never_was() {
    let cluster = Cluster::start();
    let images = [digest(), Digest::from_sha256([7; 32])];
    let said = || WorkerHello {
        name: mallory(),
        capacity: api::session::Capacity { cpu_millis: 1, memory_bytes: 1, replicas: 1 },
        labels: Default::default(),
        taints: Vec::new(),
        address: None,
        running: Vec::new(),
        cached: images.to_vec(),
    };
    let mut heard = said();
    cluster.peers.introduce(&mut heard);
    assert_eq!(heard.cached, [], "nothing was placed there");
    let (worker, _) = placed(&cluster).await;
    let mut heard = said();
    cluster.peers.introduce(&mut heard);
    assert_eq!(heard.cached, [digest()]);
    drop(worker);
    // So it is after a restart, before and after it has said what it runs.
    let cluster = Cluster::over(cluster.stop().await);
    let worker = cluster.worker_session();
    worker.tx.send(WorkerUp::Hello(said())).await.unwrap();
    eventually("it is heard", async || {
        let node = cluster.all(&cluster.live, NODE).await.pop()?;
        (node["status"]["capacity"]["pods"] == "1").then_some(())
    })
    .await;
    let mut heard = said();
    cluster.peers.introduce(&mut heard);
    assert_eq!(heard.cached, [digest()]);
    cluster.stop().await;
}
