use std::{thread, time::Duration};

use super::{
    Cluster, HOST, assert_none_failed, cli,
    load::{KEPT, Kind, Load},
    start_server,
};
use crate::{
    client::Client,
    redis::Redis,
    sampan::{guest, wait_for},
};

/// How long the control plane is gone.
const GONE: Duration = Duration::from_secs(60);

#[test]
fn while_the_control_plane_is_gone_requests_go_on_and_afterwards_no_replica_is_restarted() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = Redis::start(folder.path());
    let store = ["--key-value-file", redis.url_file()];
    let workers = [&store[..], &[store[0], store[1], "--no-sandbox"]];
    let mut cluster = Cluster::start_with(folder.path(), &workers, &store);
    deploy(&cluster, 4);
    let before = identities(&cluster);
    let client = Client::new(&cluster.http, Some(HOST));
    assert_eq!(client.put_text(KEPT, "kept").status, 200);
    // What guests store is in Redis, and no control plane is asked for it.
    let kinds = &[Kind::Get, Kind::ReadStore, Kind::Put, Kind::WriteStore];
    let load = Load::at_seven_tenths_of(&cluster.http, HOST, KEPT, kinds);
    cluster.server.take().expect("it runs").kill();
    thread::sleep(GONE);
    assert_eq!(load.failed(), 0);
    cluster.server = Some(start_server(folder.path(), &cluster.api, &cluster.sessions, &store));
    wait_for("everything is known again", || {
        let now = cli(folder.path(), &["get", "pods"]);
        (now.lines().skip(1).filter(|line| line.contains("1/1")).count() == 4).then_some(())
    });
    thread::sleep(Duration::from_secs(2));
    assert_eq!(identities(&cluster), before, "replicas that matched were left alone");
    // And it decides again.
    cluster.cli(&["scale", "deployment/probe", "--replicas", "6"]);
    cluster.cli(&["rollout", "status", "deployment/probe"]);
    let outcome = load.stop();
    assert_none_failed(&outcome);
}

/// Name and restarts of each pod.
pub(super) fn identities(cluster: &Cluster) -> Vec<String> {
    let listed = cluster.cli(&["get", "pods"]);
    let mut pods: Vec<String> = listed
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            format!("{} {}", words[0], words[3])
        })
        .collect();
    pods.sort();
    pods
}

/// Deploys the test guest, and waits until the gateway answers for it.
pub(crate) fn deploy(cluster: &Cluster, replicas: usize) {
    let component = guest("probe");
    cluster.cli(&["build", component.to_str().expect("UTF-8"), "-t", "probe:test"]);
    let manifest = cluster.folder.join("probe.yaml");
    let text = include_str!("../probe.yaml").replace("        # further annotations\n", "");
    std::fs::write(&manifest, text.replace("replicas: 2", &format!("replicas: {replicas}"))).expect("a manifest");
    cluster.cli(&["apply", "-f", manifest.to_str().expect("UTF-8")]);
    cluster.cli(&["rollout", "status", "deployment/probe"]);
    let client = crate::client::Client::new(&cluster.http, Some(HOST));
    wait_for("the gateway knows", || client.try_get("/env").is_ok_and(|answer| answer.status == 200).then_some(()));
}
