use super::{
    Cluster, HOST, assert_none_failed,
    control_plane::deploy as deploy_on,
    deploy,
    load::{Kind, Load},
    pods, start_worker, wait_for_ready,
};
use crate::sampan::{Sampan, signal, wait_for};

/// Requests of any method.
const ALL: &[Kind] = &[Kind::Get, Kind::Put, Kind::Post];
/// Requests a second: a busy machine still takes them.
const RATE: f64 = 150.0;

#[test]
fn no_request_of_any_method_fails_while_services_are_updated_scaled_and_workers_drained() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = Sampan::server(folder.path(), 3);
    deploy(&sampan, 6);
    let load = Load::start(&sampan.http, HOST, RATE, ALL);

    sampan.kubectl_ok(&["set", "env", "deployment/probe", "ROUND=2"]);
    sampan.cli_ok(&["rollout", "status", "deployment/probe"]);
    sampan.cli_ok(&["scale", "deployment/probe", "--replicas", "3"]);
    wait_for_ready(&sampan, 3);
    sampan.cli_ok(&["scale", "deployment/probe", "--replicas", "6"]);
    let nodes = wait_for_ready(&sampan, 6);
    let first = nodes[0].clone();
    sampan.kubectl_ok(&["drain", &first, "--ignore-daemonsets", "--timeout=120s"]);
    assert!(pods(&sampan).iter().all(|pod| pod.node != first));
    sampan.kubectl_ok(&["uncordon", &first]);
    let second = wait_for_ready(&sampan, 6).into_iter().find(|node| *node != first).expect("another");
    sampan.cli_ok(&["drain", &second, "--timeout", "2m"]);
    assert!(pods(&sampan).iter().all(|pod| pod.node != second));
    sampan.cli_ok(&["uncordon", &second]);
    assert_none_failed(&load.stop());
}

#[test]
fn no_request_fails_while_each_worker_in_turn_leaves_is_upgraded_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::start(folder.path(), 2, &[]);
    deploy_on(&cluster, 4);
    let load = Load::start(&cluster.http, HOST, RATE, ALL);
    for name in ["w1", "w2"] {
        let mut leaving = cluster.workers.remove(0);
        signal("TERM", leaving.id());
        assert!(leaving.ended().success());
        cluster.workers.push(start_worker(folder.path(), &cluster.sessions, name));
        wait_for("it is back", || {
            let nodes = cluster.cli(&["get", "nodes"]);
            (nodes.lines().filter(|line| line.contains(" Ready ")).count() == 2).then_some(())
        });
    }
    cluster.cli(&["rollout", "status", "deployment/probe"]);
    assert_none_failed(&load.stop());
}
